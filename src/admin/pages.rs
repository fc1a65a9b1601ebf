//! What the admin address answers.

use super::{Configured, Readings, Unexplained};
use async_trait::async_trait;
use http::{Method, Response, StatusCode, Uri, header};
use parking_lot::RwLock;
use percent_encoding::percent_decode_str;
use pingora_core::{apps::http_app::ServeHttp, protocols::http::ServerSession};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// Whether the process takes requests.
#[derive(Debug, Default)]
pub struct State {
    draining: AtomicBool,
}

impl State {
    /// From now on load balancers are told to look elsewhere.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

/// The pages of the admin address.
#[derive(Debug)]
pub struct Pages {
    readings: Readings,
    state: Arc<State>,
    configured: Arc<InForce>,
}

/// The configuration in force; a reload replaces it.
#[derive(Debug, Default)]
pub struct InForce(RwLock<Option<Arc<Configured>>>);

impl InForce {
    /// From now on this is in force.
    pub fn replace(&self, configured: Configured) {
        *self.0.write() = Some(Arc::new(configured));
    }
}

impl Pages {
    /// Pages over these readings.
    pub fn new(readings: Readings, state: Arc<State>, configured: Arc<InForce>) -> Self {
        Self {
            readings,
            state,
            configured,
        }
    }

    /// What the URL in a query gets.
    fn explain(&self, query: Option<&str>) -> (StatusCode, &'static str, Vec<u8>) {
        let plain = |status, text: String| (status, TEXT, text.into_bytes());
        let parameters = query.unwrap_or_default().split('&');
        let url = parameters.filter_map(|p| p.strip_prefix("url=")).next();
        let url = url.map(|url| percent_decode_str(url).decode_utf8_lossy().into_owned());
        let (Some(url), Some(configured)) = (url, self.configured.0.read().clone()) else {
            let usage = "ask as /explain?url=http://host/path, the URL percent-encoded\n";
            return plain(StatusCode::BAD_REQUEST, usage.into());
        };
        let explained = configured.explain(&url);
        let page = explained.map(|explained| serde_json::to_vec_pretty(&explained));
        match page {
            Ok(Ok(page)) => (StatusCode::OK, "application/json", page),
            Ok(Err(e)) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{e}\n")),
            Err(why @ (Unexplained::NotAUrl(_) | Unexplained::BadVariant(_))) => {
                plain(StatusCode::BAD_REQUEST, format!("{why}\n"))
            }
            Err(why @ Unexplained::NoRoute(_)) => plain(StatusCode::NOT_FOUND, format!("{why}\n")),
        }
    }

    fn page(&self, method: &Method, uri: &Uri) -> (StatusCode, &'static str, Vec<u8>) {
        let plain = |status, text: &str| (status, TEXT, text.as_bytes().to_vec());
        if !matches!(*method, Method::GET | Method::HEAD) {
            return plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "only GET and HEAD are answered here\n",
            );
        }
        match uri.path() {
            "/explain" => self.explain(uri.query()),
            "/metrics" => match self.readings.render() {
                Ok(page) => (StatusCode::OK, prometheus::TEXT_FORMAT, page),
                Err(e) => plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("{e}\n")),
            },
            "/healthz" => plain(StatusCode::OK, "ok\n"),
            "/readyz" if self.state.draining.load(Relaxed) => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
            }
            "/readyz" => plain(StatusCode::OK, "ready\n"),
            _ => plain(
                StatusCode::NOT_FOUND,
                "known here: /explain?url=, /healthz, /metrics, /readyz\n",
            ),
        }
    }
}

#[async_trait]
impl ServeHttp for Pages {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let request = session.req_header();
        let (status, kind, body) = self.page(&request.method, &request.uri);
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let length = header::HeaderValue::from(response.body().len());
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, length);
        response
    }
}
