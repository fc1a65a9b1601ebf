//! What scripts on others' pages may do with what a route has: cross-origin resource sharing, as the
//! Fetch standard has it.
//!
//! It is said to each client on the way out. What is stored knows nothing of it, and the origin is
//! not told who shows it: there is one object for all pages.

use crate::{
    domain::{HostPattern, vary_names},
    proxy::headers::RANGES_AND_CONDITIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header, uri::Authority};
use pingora_core::Result;
use pingora_http::{RequestHeader, ResponseHeader};
use std::time::Duration;

/// Whose scripts may do what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// The pages whose scripts they are.
    pub origins: PageOrigins,
    /// What they may do.
    pub methods: Vec<Method>,
    /// The fields that they may set in their requests.
    pub headers: Vec<HeaderName>,
    /// The fields of answers that they may read, beside those that all may.
    pub expose: Vec<HeaderName>,
    /// How long a browser need not ask again what they may do.
    pub max_age: Duration,
    /// Whether cookies go with their requests.
    pub credentials: bool,
}

/// Origins of pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageOrigins {
    /// All that there are.
    Any,
    /// These.
    These(Vec<PageOrigin>),
}

/// Scheme, host and port of a page, or of many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageOrigin {
    scheme: String,
    host: HostPattern,
    port: Option<u16>,
}

/// Fields that an answer gets.
pub type Lines = Vec<(HeaderName, HeaderValue)>;

impl Cors {
    /// What these pages may do if nothing else is said: read, in parts, and learn what players need.
    pub fn of(origins: PageOrigins) -> Self {
        Self {
            origins,
            methods: vec![Method::GET, Method::HEAD],
            headers: RANGES_AND_CONDITIONS.to_vec(),
            expose: vec![
                header::ACCEPT_RANGES,
                header::AGE,
                HeaderName::from_static("cache-status"),
                header::CONTENT_LENGTH,
                header::CONTENT_RANGE,
                header::DATE,
                header::ETAG,
                header::RETRY_AFTER,
            ],
            max_age: Duration::from_secs(60 * 60),
            credentials: false,
        }
    }

    /// Whether a request asks beforehand what a script may do.
    pub fn is_preflight(request: &RequestHeader) -> bool {
        let asks = |name| request.headers.contains_key(name);
        request.method == Method::OPTIONS
            && asks(header::ORIGIN)
            && asks(header::ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// What an answer says to the page that a request comes from.
    pub fn lines(&self, request: &HeaderMap) -> Lines {
        let mut lines = self.allowing(request);
        if !lines.is_empty() && !self.expose.is_empty() {
            let names = joined(self.expose.iter().map(HeaderName::as_str));
            lines.push((header::ACCESS_CONTROL_EXPOSE_HEADERS, names));
        }
        lines
    }

    /// What is answered to one who asks beforehand.
    pub fn preflight(&self, request: &HeaderMap) -> Lines {
        let mut lines = self.allowing(request);
        if !lines.is_empty() {
            let methods = joined(self.methods.iter().map(Method::as_str));
            lines.push((header::ACCESS_CONTROL_ALLOW_METHODS, methods));
            let headers = joined(self.headers.iter().map(HeaderName::as_str));
            lines.push((header::ACCESS_CONTROL_ALLOW_HEADERS, headers));
            let seconds = HeaderValue::from(self.max_age.as_secs());
            lines.push((header::ACCESS_CONTROL_MAX_AGE, seconds));
        }
        lines
    }

    /// That a page may, or nothing.
    fn allowing(&self, request: &HeaderMap) -> Lines {
        let mut pages = request.get_all(header::ORIGIN).iter();
        let page = match &self.origins {
            PageOrigins::Any => Some(HeaderValue::from_static("*")),
            PageOrigins::These(these) => {
                let page = pages.next().filter(|_| pages.next().is_none());
                let is_one = |page: &&HeaderValue| {
                    let text = page.to_str().unwrap_or_default();
                    these.iter().any(|one| one.takes(text))
                };
                page.filter(is_one).cloned()
            }
        };
        let Some(page) = page else {
            return Lines::new();
        };
        let mut lines = vec![(header::ACCESS_CONTROL_ALLOW_ORIGIN, page)];
        if self.credentials {
            let yes = HeaderValue::from_static("true");
            lines.push((header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes));
        }
        lines
    }

    /// Puts what is said to a page in the place of what the origin says, and that it is said to this
    /// page only.
    pub fn apply(
        &self,
        lines: &[(HeaderName, HeaderValue)],
        response: &mut ResponseHeader,
    ) -> Result<()> {
        let names = response.headers.keys();
        let names = names.filter(|name| name.as_str().starts_with("access-control-"));
        for name in names.cloned().collect::<Vec<_>>() {
            response.remove_header(&name);
        }
        for (name, value) in lines {
            response.append_header(name, value)?;
        }
        let differs = self.origins != PageOrigins::Any;
        if differs && !vary_names(&response.headers).any(|name| name == "origin" || name == "*") {
            response.append_header(header::VARY, "Origin")?;
        }
        Ok(())
    }
}

/// Takes out of a request which page it comes from, where its answer may be stored: the origin is
/// to answer, and to vary, as if there were none. Those that write may be judged by it.
pub fn withhold_page(request: &mut RequestHeader) {
    if matches!(request.method, Method::GET | Method::HEAD) {
        request.remove_header(&header::ORIGIN);
    }
}

impl PageOrigin {
    /// Reads `https://host`, with a port if need be, or `https://*.host` for all below it.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let usual = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let (host, port) = split_port(rest)?;
        Some(Self {
            scheme: scheme.to_owned(),
            host: HostPattern::parse(host)?,
            // Browsers leave out the usual one.
            port: port.filter(|port| *port != usual),
        })
    }

    /// Whether this takes what a browser calls a page's origin.
    fn takes(&self, origin: &str) -> bool {
        let parts = origin.split_once("://");
        let parts = parts.and_then(|(scheme, rest)| Some((scheme, split_port(rest)?)));
        parts.is_some_and(|(scheme, (host, port))| {
            scheme == self.scheme && port == self.port && self.host.takes(host)
        })
    }
}

/// A host and its port; `None` where there is anything else.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let host = match text.rsplit_once(':') {
        Some((host, _)) if !text.ends_with(']') => host,
        _ => text,
    };
    let port = match &text[host.len()..] {
        "" => None,
        port => Some(port[1..].parse().ok()?),
    };
    let is_host = host.starts_with("*.") || host.parse::<Authority>().is_ok();
    (is_host && !host.contains('@')).then_some((host, port))
}

fn joined<'n>(names: impl Iterator<Item = &'n str>) -> HeaderValue {
    let names = names.collect::<Vec<_>>().join(", ");
    HeaderValue::try_from(names).expect("names of fields and methods are plain text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str]) -> Cors {
        let origins = origins.iter().map(|text| PageOrigin::parse(text).unwrap());
        Cors::of(PageOrigins::These(origins.collect()))
    }

    fn from(origin: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::ORIGIN,
            HeaderValue::from_bytes(origin.as_bytes()).unwrap(),
        );
        headers
    }

    #[test]
    fn pages_are_told_by_scheme_host_and_port() {
        let cors = cors(&[
            "https://a.example:443",
            "https://*.b.example",
            "http://[::1]:8080",
        ]);
        let table = [
            ("https://a.example", true),
            ("https://x.b.example", true),
            ("http://[::1]:8080", true),
            ("http://a.example", false),
            ("https://a.example:8443", false),
            ("https://b.example", false),
            ("https://x.b.example.evil.test", false),
            ("https://evil.test@a.example", false),
            ("https://a.example/", false),
            ("a.example", false),
            ("null", false),
            ("", false),
            ("https://a.example\u{e9}", false),
        ];
        for (origin, may) in table {
            let lines = cors.lines(&from(origin));
            assert_eq!(!lines.is_empty(), may, "{origin} {lines:?}");
            assert!(!may || lines[0].1 == origin, "{origin} {lines:?}");
        }
        let mut twice = from("https://a.example");
        twice.append(
            header::ORIGIN,
            HeaderValue::from_static("https://a.example"),
        );
        assert!(cors.lines(&twice).is_empty() && cors.lines(&HeaderMap::new()).is_empty());
        for bad in [
            "a.example",
            "ftp://a.example",
            "https://",
            "https://a/b",
            "https://a:x",
            "*",
        ] {
            assert_eq!(PageOrigin::parse(bad), None, "{bad}");
        }
    }

    fn answer(lines: &[(&'static str, &'static str)]) -> ResponseHeader {
        let mut response = ResponseHeader::build(200, None).unwrap();
        for (name, value) in lines {
            response.append_header(*name, *value).unwrap();
        }
        response
    }

    #[test]
    fn what_the_origin_says_of_it_is_replaced() {
        let own = [
            ("Access-Control-Allow-Origin", "x"),
            ("Access-Control-Max-Age", "1"),
        ];
        let any = Cors::of(PageOrigins::Any);
        let mut response = answer(&own);
        any.apply(&any.lines(&HeaderMap::new()), &mut response)
            .unwrap();
        assert_eq!(response.headers["access-control-allow-origin"], "*");
        assert!(!response.headers.contains_key("access-control-max-age"));
        assert!(!response.headers.contains_key("vary"));
        let one = Cors {
            credentials: true,
            ..cors(&["https://a.example"])
        };
        let told = |origin: &str, vary: &[&'static str]| {
            let vary: Vec<_> = vary.iter().map(|vary| ("Vary", *vary)).collect();
            let mut response = answer(&[&own[..], &vary].concat());
            one.apply(&one.lines(&from(origin)), &mut response).unwrap();
            response.headers.clone()
        };
        let headers = told("https://a.example", &["Accept"]);
        assert_eq!(headers["access-control-allow-credentials"], "true");
        assert_eq!(
            headers.get_all("vary").iter().collect::<Vec<_>>(),
            ["Accept", "Origin"]
        );
        let headers = told("https://b.example", &["Accept, origin"]);
        assert!(
            !headers
                .keys()
                .any(|name| name.as_str().starts_with("access-control-"))
        );
        assert_eq!(
            headers.get_all("vary").iter().collect::<Vec<_>>(),
            ["Accept, origin"]
        );
    }
}
