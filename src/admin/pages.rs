//! What the admin address answers.

use super::{
    Configured, Explanation, Guard, Inspected, Inspection, Keeper, Order, Outcome, Readings, Rooms,
    State, Status, Stranger, Unexplained,
    answer::Answer,
    api::{self, Endpoint, ObjectView, ObjectsPage, ObjectsView, Parameters},
    page, purge,
    state::InForce,
};
use crate::proxy::Purger;
use async_trait::async_trait;
use http::{Method, Response, StatusCode, header};
use pingora_core::{apps::http_app::ServeHttp, protocols::http::ServerSession};
use std::{
    net::IpAddr,
    sync::{Arc, LazyLock},
    time::{Duration, Instant, SystemTime},
};

/// The pages of the admin address.
#[derive(Debug)]
pub struct Pages {
    /// The metrics.
    pub readings: Readings,
    /// What the API reads.
    pub rooms: Rooms,
    /// The last minutes.
    pub keeper: Arc<Keeper>,
    /// Whether the process wants clients.
    pub state: Arc<State>,
    /// The configuration in force.
    pub in_force: Arc<InForce>,
    /// Who may read and change.
    pub guard: Guard,
    /// What purges and inspects.
    pub purger: Purger,
}

/// An answer, or one that says why not.
type Outcomes = Result<Answer, Answer>;

const USAGE: &str = "give the URL as ?url=http://host/path, percent-encoded";
const TAKEN_OVER: &str = "another process is taking over, or has; try again";
const STARTING: &str = "the configuration is still being taken over; try again";

impl Pages {
    async fn answer(&self, session: &mut ServerSession) -> Outcomes {
        let (method, uri) = {
            let head = session.req_header();
            (head.method.clone(), head.uri.clone())
        };
        let endpoint = Endpoint::at(uri.path()).ok_or_else(nothing_there)?;
        if !endpoint.takes(&method) {
            return Err(other_method(endpoint));
        }
        self.admit(endpoint, session)?;
        // Monitoring and load balancers may ask with what is theirs.
        let asked = match endpoint.who() {
            api::Who::Reader => Parameters::parse(uri.query(), &names(endpoint)),
            api::Who::Anybody | api::Who::Changer => Ok(Parameters::default()),
        };
        let asked = asked.map_err(Answer::bad)?;
        match endpoint {
            Endpoint::Page => {
                let fields = &session.req_header().headers;
                let read = self.guard.admit_reader(peer_of(session), fields);
                Ok(page::page(read == Err(Stranger::NoToken)))
            }
            Endpoint::Status => Ok(self.status(session)),
            Endpoint::History => {
                let after = asked.number("after").map_err(Answer::bad)?;
                Ok(Answer::json(&self.keeper.history(after.unwrap_or(0))))
            }
            Endpoint::Objects => self.objects(&asked).await,
            Endpoint::Object => self.object(&asked).await,
            Endpoint::Origins => {
                let now = Instant::now();
                Ok(Answer::json(&api::OriginsView::of(&self.rooms, now)))
            }
            Endpoint::Fills => {
                let most = asked.limit().map_err(Answer::bad)?;
                let under_way = self.rooms.storage.fills().under_way(most);
                Ok(Answer::json(&api::FillsPage::of(&under_way)))
            }
            Endpoint::Config => Ok(Answer::json(&self.configured()?.shown)),
            Endpoint::OpenApi => {
                static MADE: LazyLock<serde_json::Value> = LazyLock::new(api::openapi);
                Ok(Answer::json(&*MADE))
            }
            Endpoint::Drain => self.drain(&body(session).await?),
            Endpoint::Purge => self.purge(&body(session).await?).await,
            Endpoint::Inspect => self.inspect(url_in(&asked)?).await,
            Endpoint::Explain => self.explain(url_in(&asked)?).await,
            Endpoint::Metrics => {
                let failed = |e| Answer::text(StatusCode::INTERNAL_SERVER_ERROR, e);
                let page = self.readings.render().map_err(failed)?;
                Ok(Answer::of(prometheus::TEXT_FORMAT, page))
            }
            Endpoint::Healthz => Ok(Answer::text(StatusCode::OK, "ok")),
            Endpoint::Readyz => Ok(match self.state.is_draining() {
                true => Answer::text(StatusCode::SERVICE_UNAVAILABLE, "draining"),
                false => Answer::text(StatusCode::OK, "ready"),
            }),
        }
    }

    fn admit(&self, endpoint: Endpoint, session: &ServerSession) -> Result<(), Answer> {
        let (peer, fields) = (peer_of(session), &session.req_header().headers);
        let admitted = match endpoint.who() {
            api::Who::Anybody => Ok(()),
            api::Who::Reader => self.guard.admit_reader(peer, fields),
            api::Who::Changer => self.guard.admit(peer, fields),
        };
        admitted.map_err(|why| {
            let status = match why {
                Stranger::NoToken => StatusCode::UNAUTHORIZED,
                Stranger::Remote | Stranger::RemoteReader | Stranger::Browser => {
                    StatusCode::FORBIDDEN
                }
                Stranger::Form => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                Stranger::NobodysToken(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            Answer::text(status, why)
        })
    }

    fn status(&self, session: &ServerSession) -> Answer {
        let (uptime, now, recent, since_start) = self.keeper.summary();
        let fields = &session.req_header().headers;
        Answer::json(&Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: self.state(),
            change: self.guard.change_by(peer_of(session), fields),
            uptime: uptime.as_secs_f64(),
            now,
            recent,
            since_start,
        })
    }

    fn state(&self) -> api::State {
        match self.state.is_draining() {
            true => api::State::Draining,
            false => api::State::Serving,
        }
    }

    fn drain(&self, body: &[u8]) -> Outcomes {
        const EXPECTED: &str = "expected a JSON object with draining: true or false";
        let wanted: api::Draining =
            serde_json::from_slice(body).map_err(|e| Answer::bad(format!("{EXPECTED}: {e}")))?;
        if !self.state.set_draining(wanted.draining) {
            return Err(Answer::text(StatusCode::SERVICE_UNAVAILABLE, TAKEN_OVER));
        }
        Ok(Answer::json(&api::Drained {
            state: self.state(),
            streams: self.keeper.summary().1.streams,
        }))
    }

    async fn objects(&self, asked: &Parameters) -> Outcomes {
        let query = asked.list().map_err(Answer::bad)?;
        let store = self.rooms.storage.fills().store();
        let busy = || {
            let why = "other lists are being made; try again";
            Answer::text(StatusCode::SERVICE_UNAVAILABLE, why)
        };
        let listing = store.page(query).await.ok_or_else(busy)?;
        let (total, _) = store.index_size();
        let now = SystemTime::now();
        let page = ObjectsPage::of(listing, total, !store.knows_all(), now);
        Ok(Answer::json(&page))
    }

    async fn object(&self, asked: &Parameters) -> Outcomes {
        let objects = match (asked.id().map_err(Answer::bad)?, asked.text("url")) {
            (Some(id), None) => {
                let store = self.rooms.storage.fills().store();
                store.find_by_id(id).await.into_iter().collect()
            }
            (None, Some(url)) => self.purger.inspect(url).await.map_err(unpurged)?,
            _ => return Err(Answer::bad("give either a url or an id")),
        };
        let fills = self.rooms.storage.fills().clone();
        // Each may have a million chunks.
        let viewed = tokio::task::spawn_blocking(move || {
            let objects = objects.iter().take(api::MOST_VARIANTS);
            let now = SystemTime::now();
            let views = objects.map(|object| ObjectView::of(object, &fills, now));
            ObjectsView {
                objects: views.collect(),
            }
        });
        let ended = |_| Answer::text(StatusCode::SERVICE_UNAVAILABLE, "the process stops");
        Ok(Answer::json(&viewed.await.map_err(ended)?))
    }

    /// What is stored under a URL.
    async fn inspect(&self, url: &str) -> Outcomes {
        let objects = self.purger.inspect(url).await.map_err(unpurged)?;
        let now = SystemTime::now();
        let inspected = objects.iter().map(|object| Inspected::of(object, now));
        Ok(Answer::json(&Inspection {
            url: url.to_owned(),
            objects: inspected.collect(),
        }))
    }

    /// What a URL gets.
    async fn explain(&self, url: &str) -> Outcomes {
        let explained = self.configured()?.explain(url).map_err(|why| {
            let status = match why {
                Unexplained::NotAUrl(_) | Unexplained::BadVariant(_) => StatusCode::BAD_REQUEST,
                Unexplained::NoRoute(_) => StatusCode::NOT_FOUND,
            };
            Answer::text(status, why)
        })?;
        Ok(Answer::json(&Explanation {
            now: Some(self.outlook(url).await),
            ..explained
        }))
    }

    fn configured(&self) -> Result<Arc<Configured>, Answer> {
        let starting = || Answer::text(StatusCode::SERVICE_UNAVAILABLE, STARTING);
        self.in_force.configured().ok_or_else(starting)
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

    /// Purges what a request's body names.
    async fn purge(&self, body: &[u8]) -> Outcomes {
        let (target, how) = Order::parse(body).map_err(Answer::bad)?;
        let purged = self.purger.purge(&target, how).await.map_err(unpurged)?;
        let fleet = match how.dry_run {
            true => None,
            false => self.purger.fleet().await,
        };
        Ok(Answer::json(&Outcome::new(purged, how, fleet)))
    }
}

fn unpurged(why: crate::proxy::Unpurged) -> Answer {
    Answer::text(purge::status_of(&why), why)
}

fn names(endpoint: Endpoint) -> Vec<&'static str> {
    let parameters = endpoint.parameters().iter();
    parameters.map(|parameter| parameter.name).collect()
}

fn url_in(asked: &Parameters) -> Result<&str, Answer> {
    asked.text("url").ok_or_else(|| Answer::bad(USAGE))
}

fn nothing_there() -> Answer {
    let known = Endpoint::ALL.map(Endpoint::path).join(", ");
    let said = format!("known here: {known}; /api/openapi.json describes them");
    Answer::text(StatusCode::NOT_FOUND, said)
}

fn other_method(endpoint: Endpoint) -> Answer {
    let (allowed, said) = match endpoint.takes(&Method::POST) {
        true => ("POST", "only POST is answered here"),
        false => ("GET, HEAD", "only GET and HEAD are answered here"),
    };
    Answer::text(StatusCode::METHOD_NOT_ALLOWED, said).with(header::ALLOW, allowed)
}

fn peer_of(session: &ServerSession) -> Option<IpAddr> {
    let peer = session.client_addr().and_then(|peer| peer.as_inet());
    peer.map(|peer| peer.ip())
}

#[async_trait]
impl ServeHttp for Pages {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let answer = self.answer(session).await;
        answer.unwrap_or_else(|wrong| wrong).into()
    }
}

/// Largest body of a request, in bytes.
const LARGEST: usize = 64 << 10;
/// Longest wait for all of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The body of a request, or what is wrong with it.
async fn body(session: &mut ServerSession) -> Result<Vec<u8>, Answer> {
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
    let wrong = |status, why| Err(Answer::text(status, why));
    match tokio::time::timeout(PATIENCE, read).await {
        Err(_) => wrong(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
        Ok(Err(_)) => wrong(StatusCode::BAD_REQUEST, "the body can't be read"),
        Ok(Ok(body)) if body.len() > LARGEST => wrong(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is larger than 64KiB",
        ),
        Ok(Ok(body)) => Ok(body),
    }
}
