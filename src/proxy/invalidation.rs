//! What a request that changes something puts out of date (RFC 9111, section 4.4).

use super::{context::Context, foundation::Proxy, headers};
use crate::domain::normal_target;
use http::{HeaderMap, Method, header};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use url::Url;

impl Proxy {
    /// A method that is not known to be safe was answered without an error: what is stored for
    /// its target, and for the places that the answer names on the same host, is not used again.
    pub(super) async fn invalidate(
        &self,
        session: &Session,
        response: &ResponseHeader,
        ctx: &Context,
    ) {
        let request = session.req_header();
        let succeeded = response.status.is_success() || response.status.is_redirection();
        if is_safe(&request.method) || !succeeded {
            return;
        }
        let own = headers::target(request);
        let named = named_places(&ctx.host, &own, &response.headers);
        for target in std::iter::once(own).chain(named) {
            self.purger()
                .supersede(&format!("http://{}{target}", ctx.host))
                .await;
        }
    }
}

/// RFC 9110, section 9.2.1.
fn is_safe(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    )
}

/// Path and query of what `Location` and `Content-Location` name, where that is on the host that
/// was asked: an origin has no say about others.
fn named_places(host: &str, target: &str, headers: &HeaderMap) -> Vec<String> {
    let Ok(base) = Url::parse(&format!("http://{host}{target}")) else {
        return Vec::new();
    };
    let fields = [header::LOCATION, header::CONTENT_LOCATION];
    let named = fields
        .iter()
        .filter_map(|name| headers.get(name)?.to_str().ok());
    let absolute = named.filter_map(|reference| base.join(reference).ok());
    let own = absolute.filter(|url| {
        // Clients may see us by https where the base is written with http.
        let port = |url: &Url| url.port().filter(|port| ![80, 443].contains(port));
        url.host_str() == base.host_str() && port(url) == port(&base)
    });
    own.map(|url| {
        normal_target(url[url::Position::BeforePath..url::Position::AfterQuery].as_bytes())
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn places_on_the_same_host_only() {
        let table = [
            ("/b?c=1", Some("/b?c=1")),
            ("b", Some("/films/b")),
            ("http://a.example/b", Some("/b")),
            ("https://A.example:443/b", Some("/b")),
            ("//a.example/b", Some("/b")),
            ("http://a.example:8080/b", None),
            ("http://other.example/b", None),
            ("mailto:a@a.example", None),
            ("http://", None),
        ];
        for (value, expected) in table {
            for name in ["location", "content-location"] {
                let mut headers = HeaderMap::new();
                let name = HeaderName::from_static(name);
                headers.insert(name, HeaderValue::from_static(value));
                let found = named_places("a.example", "/films/a", &headers);
                assert_eq!(found.first().map(String::as_str), expected, "{value}");
            }
        }
    }
}
