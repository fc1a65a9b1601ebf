//! What the admin address answers.

use super::{
    Configured, Explanation, Guard, Inspected, Inspection, Order, Outcome, Readings, Stranger,
    Unexplained, purge,
};
use crate::proxy::Purger;
use async_trait::async_trait;
use http::{Method, Response, StatusCode, Uri, header};
use parking_lot::RwLock;
use percent_encoding::percent_decode_str;
use pingora_core::{apps::http_app::ServeHttp, protocols::http::ServerSession};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
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

/// Status, content type and body of an answer.
type Page = (StatusCode, &'static str, Vec<u8>);

const TEXT: &str = "text/plain; charset=utf-8";

/// The pages of the admin address.
#[derive(Debug)]
pub struct Pages {
    readings: Readings,
    state: Arc<State>,
    configured: Arc<InForce>,
    guard: Guard,
    purger: Purger,
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
    pub fn new(
        readings: Readings,
        state: Arc<State>,
        configured: Arc<InForce>,
        (guard, purger): (Guard, Purger),
    ) -> Self {
        Self {
            readings,
            state,
            configured,
            guard,
            purger,
        }
    }

    /// What the URL in a query gets.
    async fn explain(&self, query: Option<&str>) -> Page {
        let (Some(url), Some(configured)) = (url_in(query), self.configured.0.read().clone())
        else {
            return text(StatusCode::BAD_REQUEST, USAGE);
        };
        match configured.explain(&url) {
            Ok(explained) => json(&Explanation {
                now: Some(self.outlook(&url).await),
                ..explained
            }),
            Err(why @ (Unexplained::NotAUrl(_) | Unexplained::BadVariant(_))) => {
                text(StatusCode::BAD_REQUEST, why)
            }
            Err(why @ Unexplained::NoRoute(_)) => text(StatusCode::NOT_FOUND, why),
        }
    }

    /// What is stored under the URL in a query.
    async fn inspect(&self, query: Option<&str>) -> Page {
        let Some(url) = url_in(query) else {
            return text(StatusCode::BAD_REQUEST, USAGE);
        };
        match self.purger.inspect(&url).await {
            Ok(objects) => {
                let now = SystemTime::now();
                let objects = objects
                    .iter()
                    .map(|object| Inspected::of(object, now))
                    .collect();
                json(&Inspection { url, objects })
            }
            Err(why) => text(purge::status_of(&why), why),
        }
    }

    /// Whether a request for a URL would be a hit now, and why not.
    async fn outlook(&self, url: &str) -> String {
        if let Some(left) = self.purger.passes(url) {
            return format!(
                "a miss: the origin's last answer was not to be stored, so for {}s more requests go past the cache",
                left.as_secs() + 1
            );
        }
        let objects = match self.purger.found(url).await {
            Ok(objects) => objects,
            Err(why) => return format!("not known: {why}"),
        };
        let now = SystemTime::now();
        let outlooks = objects
            .iter()
            .map(|object| Inspected::of(object, now).outlook());
        match outlooks.collect::<Vec<_>>().as_slice() {
            [] => "a miss: nothing is stored".to_owned(),
            [one] => one.clone(),
            [first, rest @ ..] => format!("{first} (and {} variants more)", rest.len()),
        }
    }

    /// Purges what a request's body names, if it may.
    async fn purge(&self, session: &mut ServerSession) -> Page {
        let peer = session.client_addr().and_then(|peer| peer.as_inet());
        let peer = peer.map(|peer| peer.ip());
        if let Err(why) = self.guard.admit(peer, &session.req_header().headers) {
            let status = match why {
                Stranger::NoToken => StatusCode::UNAUTHORIZED,
                Stranger::Remote | Stranger::Browser => StatusCode::FORBIDDEN,
                Stranger::Form => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                Stranger::NobodysToken(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            return (status, TEXT, format!("{why}\n").into_bytes());
        }
        let body = match body(session).await {
            Ok(body) => body,
            Err((status, text)) => return (status, TEXT, text.into()),
        };
        let (target, how) = match Order::parse(&body) {
            Ok(read) => read,
            Err(why) => {
                return (
                    StatusCode::BAD_REQUEST,
                    TEXT,
                    format!("{why}\n").into_bytes(),
                );
            }
        };
        match self.purger.purge(&target, how).await {
            Ok(purged) => {
                let outcome = serde_json::to_vec(&Outcome::new(purged, how));
                let mut page = outcome.expect("plain data always serialises");
                page.push(b'\n');
                (StatusCode::OK, "application/json", page)
            }
            Err(why) => (
                purge::status_of(&why),
                TEXT,
                format!("{why}\n").into_bytes(),
            ),
        }
    }

    async fn page(&self, method: &Method, uri: &Uri) -> Page {
        let plain = |status, text: &str| (status, TEXT, text.as_bytes().to_vec());
        if uri.path() == "/purge" {
            return plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "only POST is answered here\n",
            );
        }
        if !matches!(*method, Method::GET | Method::HEAD) {
            return plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "only GET and HEAD are answered here\n",
            );
        }
        match uri.path() {
            "/explain" => self.explain(uri.query()).await,
            "/inspect" => self.inspect(uri.query()).await,
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
                "known here: /explain?url=, /inspect?url=, /healthz, /metrics, /purge (POST), /readyz\n",
            ),
        }
    }
}

const USAGE: &str = "give the URL as ?url=http://host/path, percent-encoded";

/// The URL in a query.
fn url_in(query: Option<&str>) -> Option<String> {
    let mut parameters = query.unwrap_or_default().split('&');
    let url = parameters.find_map(|p| p.strip_prefix("url="))?;
    Some(percent_decode_str(url).decode_utf8_lossy().into_owned())
}

fn text(status: StatusCode, said: impl std::fmt::Display) -> Page {
    (status, TEXT, format!("{said}\n").into_bytes())
}

fn json(value: &impl serde::Serialize) -> Page {
    match serde_json::to_vec_pretty(value) {
        Ok(page) => (StatusCode::OK, "application/json", page),
        Err(e) => text(StatusCode::INTERNAL_SERVER_ERROR, e),
    }
}

#[async_trait]
impl ServeHttp for Pages {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let request = session.req_header();
        let (status, kind, body) = match (&request.method, request.uri.path()) {
            (&Method::POST, "/purge") => self.purge(session).await,
            (method, _) => {
                let (method, uri) = (method.clone(), request.uri.clone());
                self.page(&method, &uri).await
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let length = header::HeaderValue::from(response.body().len());
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, length);
        let fields = response.headers_mut();
        let field = header::HeaderValue::from_static;
        match status {
            StatusCode::UNAUTHORIZED => {
                fields.insert(header::WWW_AUTHENTICATE, field("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                fields.insert(header::RETRY_AFTER, field("1"));
            }
            _ => {}
        }
        response
    }
}

/// Largest body of a request, in bytes.
const LARGEST: usize = 64 << 10;
/// Longest wait for all of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The body of a request, or what is wrong with it.
async fn body(session: &mut ServerSession) -> Result<Vec<u8>, (StatusCode, &'static str)> {
    let read = async {
        let mut body = Vec::new();
        while let Some(bytes) = session.read_request_body().await? {
            body.extend_from_slice(&bytes);
            if body.len() > LARGEST {
                break;
            }
        }
        Ok::<_, Box<pingora_core::Error>>(body)
    };
    match tokio::time::timeout(PATIENCE, read).await {
        Err(_) => Err((
            StatusCode::REQUEST_TIMEOUT,
            "the body did not come in time\n",
        )),
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "the body can't be read\n")),
        Ok(Ok(body)) if body.len() > LARGEST => Err((
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is larger than 64KiB\n",
        )),
        Ok(Ok(body)) => Ok(body),
    }
}
