//! One server of an origin: where it is, and how it has been doing.

use super::{
    Breaker as BreakerConfig, Cause, Purpose, ServerConfig,
    balance::stable_id,
    health::{Change, Health},
    resolve::Addresses,
};
use crate::{
    traces::{Asked, Trace},
    traffic::{
        Latency,
        breaker::{Breaker, Open, State, Ticket},
    },
};
use http::StatusCode;
use parking_lot::Mutex;
use pingora_http::RequestHeader;
use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// One server of an origin. Its record is shared by all who ask it.
#[derive(Debug)]
pub struct Server {
    place: Place,
    weight: u32,
    id: u64,
    active: AtomicUsize,
    record: Mutex<Record>,
    pub(super) addresses: Addresses,
    /// When a connection to it was last kept.
    kept: Mutex<Option<Instant>>,
}

/// Where a server, or what a redirect leads to, is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// A name or an address, without brackets.
    pub host: String,
    pub port: u16,
    pub tls: bool,
    /// Host and, unless it is the scheme's own, port.
    pub authority: String,
}

#[derive(Debug)]
struct Record {
    breaker: Breaker,
    health: Health,
    latency: Latency,
}

/// A request under way at a server, from its choice to its end. What became of it is told once;
/// dropped before, it says nothing of the server.
#[derive(Debug)]
pub(super) struct Attempt {
    server: Arc<Server>,
    /// Digest of the cache key of what is asked for.
    key: Option<u64>,
    ticket: Option<Ticket>,
    /// For a failure after an answer that had begun well: it counts only as long as the breaker
    /// is as it was then.
    later: Option<Ticket>,
    began: Instant,
    /// What is told of it, where it is a part of a trace.
    asked: Option<Asked>,
}

impl Server {
    pub(super) fn new(config: &ServerConfig, breaker: BreakerConfig, rise: u32, fall: u32) -> Self {
        let place = Place::of(&config.url);
        Self {
            id: stable_id(config.url.to_string()),
            place,
            weight: config.weight,
            active: AtomicUsize::new(0),
            record: Mutex::new(Record {
                breaker: Breaker::new(breaker),
                health: Health::new(rise, fall),
                latency: Latency::default(),
            }),
            addresses: Addresses::default(),
            kept: Mutex::default(),
        }
    }

    /// Its host and port, as it is named in logs and metrics.
    pub fn name(&self) -> &str {
        &self.place.authority
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn weight(&self) -> u32 {
        self.weight
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Requests under way.
    pub fn active(&self) -> usize {
        self.active.load(Relaxed)
    }

    /// Whether its active checks find it healthy; without any it is taken to be.
    pub fn is_healthy(&self) -> bool {
        self.record.lock().health.is_healthy()
    }

    /// Whether an active check of it has ended.
    pub fn is_checked(&self) -> bool {
        self.record.lock().health.is_checked()
    }

    /// The state of its breaker.
    pub fn breaker(&self, now: Instant) -> State {
        self.record.lock().breaker.state(now)
    }

    pub(super) fn would_admit(&self, now: Instant) -> bool {
        self.record.lock().breaker.would_admit(now)
    }

    /// Begins a request, if its breaker lets it pass or is to be ignored.
    pub(super) fn begin(self: &Arc<Self>, guarded: bool, now: Instant) -> Result<Attempt, Open> {
        let mut record = self.record.lock();
        let ticket = match guarded {
            true => record.breaker.admit(now)?,
            false => record.breaker.ticket(),
        };
        self.active.fetch_add(1, Relaxed);
        Ok(Attempt {
            server: self.clone(),
            key: None,
            ticket: Some(ticket),
            later: None,
            began: now,
            asked: None,
        })
    }

    /// Takes down what an active check has found.
    pub(super) fn checked(&self, good: bool) -> Option<Change> {
        self.record.lock().health.observed(good)
    }

    /// A connection to it is kept for the next request.
    pub(super) fn has_kept(&self, now: Instant) {
        *self.kept.lock() = Some(now);
    }

    /// Whether a connection to it is likely to be kept still.
    pub(super) fn may_have_kept(&self, idle: Duration, now: Instant) -> bool {
        let kept = *self.kept.lock();
        kept.is_some_and(|when| now.saturating_duration_since(when) < idle / 2)
    }

    /// The time to the first byte that this share of its answers kept within.
    pub fn latency(&self, share: f64) -> Option<Duration> {
        self.record.lock().latency.quantile(share)
    }
}

impl Attempt {
    /// One for what has a cache key of this digest.
    pub fn of(mut self, key: u64) -> Self {
        self.key = Some(key);
        self
    }

    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// It is a part of this trace.
    pub fn is_part_of(&mut self, trace: &Arc<Trace>, origin: &str) {
        let place = &self.server.place;
        let asked = Asked::begin(trace, self.began, || {
            vec![
                ("server.address", place.host.clone().into()),
                ("server.port", place.port.into()),
                ("tidegate.origin", origin.to_owned().into()),
            ]
        });
        self.asked = Some(asked);
    }

    /// A request as this server is to see it: with its part of the trace, where there is one.
    pub fn placed<'r>(
        &mut self,
        request: &'r RequestHeader,
        purpose: Purpose,
    ) -> Cow<'r, RequestHeader> {
        let Some(asked) = &mut self.asked else {
            return Cow::Borrowed(request);
        };
        asked.say("http.request.method", || request.method.as_str().to_owned());
        asked.say("tidegate.purpose", || purpose.label());
        let mut request = request.clone();
        for (name, value) in asked.fields() {
            let set = request.insert_header(name, value);
            set.expect("names and values of their own types");
        }
        Cow::Owned(request)
    }

    /// The head of an answer has come, good or bad.
    pub fn head_came(&mut self, status: StatusCode, now: Instant) {
        if let Some(asked) = &mut self.asked {
            asked.head(status, now);
        }
    }

    /// Bytes of its body have come.
    pub fn received(&mut self, bytes: usize) {
        if let Some(asked) = &mut self.asked {
            asked.received(bytes as u64);
        }
    }

    /// The head of a good answer has come.
    pub fn answered(&mut self, now: Instant) {
        if let Some(ticket) = self.ticket.take() {
            let mut record = self.server.record.lock();
            record.breaker.succeeded(ticket, now);
            self.later = Some(record.breaker.ticket());
            let took = now.saturating_duration_since(self.began);
            record.latency.record(took);
        }
    }

    /// Another server, asked later, has answered before it. Whether that opened its breaker.
    pub fn outrun(&mut self, now: Instant) -> bool {
        let Some(ticket) = self.ticket.take() else {
            return false;
        };
        let mut record = self.server.record.lock();
        record.breaker.failed(ticket, self.key, now)
    }

    /// The server has failed, also where its answer had begun well. Whether that opened its
    /// breaker.
    pub fn failed(&mut self, cause: Cause, now: Instant) -> bool {
        if let Some(asked) = &mut self.asked {
            asked.failed(cause.error_type());
        }
        let mut record = self.server.record.lock();
        let ticket = match self.ticket.take() {
            Some(ticket) if cause.is_the_servers() => ticket,
            Some(ticket) => {
                record.breaker.abandoned(ticket);
                return false;
            }
            None => match self.later.take() {
                Some(ticket) => ticket,
                None => return false,
            },
        };
        // Where it answers at all it may be the object that it fails for.
        let of = self.key.filter(|_| matches!(cause, Cause::Status(_)));
        cause.is_the_servers() && record.breaker.failed(ticket, of, now)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.server.active.fetch_sub(1, Relaxed);
        if let Some(ticket) = self.ticket.take() {
            self.server.record.lock().breaker.abandoned(ticket);
        }
    }
}

impl Place {
    /// Where an absolute URL leads.
    pub fn of(url: &http::Uri) -> Self {
        let tls = url.scheme_str() == Some("https");
        let host = url.host().unwrap_or_default();
        let port = url.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let authority = url.authority().map_or("", |a| a.as_str());
        let authority = authority.rsplit('@').next().unwrap_or_default();
        Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            tls,
            authority: authority.to_owned(),
        }
    }

    /// The base of relative references.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}
