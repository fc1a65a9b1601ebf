//! What the admin address answers.

use super::Readings;
use async_trait::async_trait;
use http::{Method, Response, StatusCode, header};
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

/// The pages of the admin address.
#[derive(Debug)]
pub struct Pages {
    readings: Readings,
    state: Arc<State>,
}

impl Pages {
    /// Pages over these readings.
    pub fn new(readings: Readings, state: Arc<State>) -> Self {
        Self { readings, state }
    }

    fn page(&self, method: &Method, path: &str) -> (StatusCode, &'static str, Vec<u8>) {
        const TEXT: &str = "text/plain; charset=utf-8";
        let plain = |status, text: &str| (status, TEXT, text.as_bytes().to_vec());
        if !matches!(*method, Method::GET | Method::HEAD) {
            return plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "only GET and HEAD are answered here\n",
            );
        }
        match path {
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
                "known here: /metrics, /healthz, /readyz\n",
            ),
        }
    }
}

#[async_trait]
impl ServeHttp for Pages {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let request = session.req_header();
        let (status, kind, body) = self.page(&request.method, request.uri.path());
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
