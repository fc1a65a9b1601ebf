//! What one request carries from hook to hook.

use super::{
    access::Lines,
    bypass::Grant,
    cache_status::{Done, Handling},
    delivery::Asked,
    headers,
    key::Keyed,
    meter::Meter,
    places::Place,
    prefetch::Errand,
    reception::Terms,
    request_id::RequestId,
    routing::BoundRoute,
    trim::Trim,
};
use crate::{
    cache::{FillError, Incoming, Order},
    domain::{ByteRange, RangeSet, RangeSpec, RequestControl},
    origin::{Backlog, Handover, Report, Trail},
    traffic::{Pacer, Pieces, Sending},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use pingora_cache::CachePhase;
use pingora_core::Result;
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;
use prometheus::IntGauge;
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Instant, SystemTime},
};

/// The state of one request.
#[derive(Debug)]
pub struct Context {
    /// How its client is met, as configured when it came.
    pub terms: Arc<Terms>,
    /// When it came.
    pub began: Instant,
    /// The same by the clock of dates.
    pub asked_at: SystemTime,
    /// When the origin was asked.
    pub sent: Option<Instant>,
    /// What the client says of caching.
    pub client: RequestControl,
    /// The client wants the origin's word on what is stored and fresh.
    pub insisted: bool,
    /// What is stored is stale, and not to be used without the origin's word.
    pub bound_to_ask: bool,
    /// Fields of the origin's answer that are for this client only.
    pub withheld: Vec<(HeaderName, HeaderValue)>,
    /// When the first byte of the answer's body was ready.
    pub first_byte: Option<Instant>,
    /// What of its body has been counted.
    pub meter: Meter,
    /// The route that takes it.
    pub route: Option<Arc<BoundRoute>>,
    /// Its place among all that are under way.
    pub place: Option<Place>,
    /// Who asks: whom trusted proxies ask for, otherwise who connects.
    pub address: Option<IpAddr>,
    /// The name that it has in all logs on its way.
    pub id: Option<RequestId>,
    /// Whom it has had asked, where that is to be written down or told.
    pub trail: Option<Arc<Trail>>,
    /// The host that it asks.
    pub host: String,
    /// Its conditions and ranges.
    pub asked: Asked,
    /// Its order to the cache.
    pub order: Option<Arc<Order>>,
    /// How it was answered.
    pub handling: Handling,
    /// Whether it joined another's transfer.
    pub collapsed: bool,
    /// Why what comes in for it can't be kept.
    pub unkept: Option<&'static str>,
    /// What scripts on the page that it comes from may do, where its route says that.
    pub cors: Option<Lines>,
    /// What is to be said of it beyond that.
    pub detail: Option<&'static str>,
    /// How the origin is asked.
    pub contact: Contact,
    /// The window that was asked of the origin.
    pub window: Option<ByteRange>,
    /// What the origin's answer brings.
    pub incoming: Option<Incoming>,
    /// The answer's end can't be told from a cut.
    pub close_delimited: bool,
    /// Fields of a 304, to be laid over the stored ones.
    pub not_modified: Option<HeaderMap>,
    /// Its key in the cache; empty where none can be built.
    pub key: Vec<u8>,
    /// What the origin is asked for, so that the answer is the key's.
    pub keyed: Keyed,
    /// What came of asking its origins.
    pub report: Arc<Report>,
    /// Why what lacks of the stored object can't be had.
    pub failed: Option<FillError>,
    /// The same in a word, once it has been answered.
    pub lacked: Option<&'static str>,
    /// The answer is a head of ours; the origin's body goes by.
    pub drops_body: bool,
    /// The client's conditions and ranges were kept back from the origin.
    pub kept_back: bool,
    /// The part of a body that the client gets.
    pub trim: Option<Trim>,
    /// What an operator has asked for beside the ordinary.
    pub grant: Option<Grant>,
    /// Whoever asks knows of purges that could not be caught up with: what is stored may be purged.
    pub is_behind: bool,
    /// What a request of our own is sent for.
    pub errand: Option<Errand>,
    /// The answer begins when all of it is stored.
    pub stores_first: bool,
    /// The parts that the client gets; the whole where there are none.
    pub parts: Vec<ByteRange>,
    /// The answer's body, until it is decided who brings it in.
    pub handover: Option<Arc<Handover>>,
    /// What the session has read of the answer's body and no hook has seen yet.
    pub backlog: Arc<Backlog>,
    /// How its answer is sent.
    pub pieces: Pieces,
    /// The pace of an answer that comes from the origin as it is.
    pub pacer: Option<Pacer>,
    /// The client was given up, as it took too long for a segment.
    pub was_slow: AtomicBool,
    /// It is remembered that what was brought in is not kept.
    pub withdrawn: bool,
    _active: Active,
}

/// How the origin is asked for something that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Contact {
    /// For a window, where the client's request has a range or is a HEAD.
    #[default]
    Window,
    /// For the whole.
    Whole,
    /// With the client's own header, and without storing anything.
    Own,
}

/// Counts a request as under way until it is dropped.
#[derive(Debug)]
struct Active {
    gauge: IntGauge,
    count: Arc<AtomicUsize>,
}

impl Drop for Active {
    fn drop(&mut self) {
        self.gauge.dec();
        self.count.fetch_sub(1, SeqCst);
    }
}

impl Context {
    /// The context of a request that has just come.
    pub fn new(terms: Arc<Terms>, gauge: &IntGauge, count: &Arc<AtomicUsize>) -> Self {
        gauge.inc();
        count.fetch_add(1, SeqCst);
        Self {
            terms,
            began: Instant::now(),
            asked_at: SystemTime::now(),
            sent: None,
            client: RequestControl::default(),
            insisted: false,
            bound_to_ask: false,
            withheld: Vec::new(),
            first_byte: None,
            meter: Meter::default(),
            route: None,
            place: None,
            address: None,
            id: None,
            trail: None,
            host: String::new(),
            asked: Asked::default(),
            order: None,
            handling: Handling::default(),
            collapsed: false,
            unkept: None,
            cors: None,
            detail: None,
            contact: Contact::default(),
            window: None,
            incoming: None,
            close_delimited: false,
            not_modified: None,
            key: Vec::new(),
            keyed: Keyed::passing(None, String::new()),
            report: Arc::default(),
            failed: None,
            lacked: None,
            drops_body: false,
            kept_back: false,
            trim: None,
            grant: None,
            is_behind: false,
            errand: None,
            stores_first: false,
            parts: Vec::new(),
            handover: None,
            backlog: Arc::default(),
            pieces: Sending::default().whole,
            pacer: None,
            was_slow: AtomicBool::new(false),
            withdrawn: false,
            _active: Active {
                gauge: gauge.clone(),
                count: count.clone(),
            },
        }
    }

    /// Whether the client's answer ends before what its request brings in: the whole object, for
    /// an answer that is not the whole. Its connection is not kept, or the next request would
    /// wait for all the rest.
    pub fn brings_more_than(&self, answer: &ResponseHeader, request: &RequestHeader) -> bool {
        let leads_whole = self.handling.leads() && self.incoming.is_some_and(|i| i.part.is_none());
        // These are never stored: they are made of an object for this client.
        let is_made = matches!(
            answer.status,
            StatusCode::PARTIAL_CONTENT
                | StatusCode::NOT_MODIFIED
                | StatusCode::PRECONDITION_FAILED
                | StatusCode::RANGE_NOT_SATISFIABLE
        );
        leads_whole && !self.stores_first && (is_made || request.method == Method::HEAD)
    }

    /// Where the part begins that the origin is asked for; 0 where that is not known.
    pub fn first_byte_asked(&self) -> u64 {
        let own = || match self.asked.range().map(RangeSet::first) {
            Some(RangeSpec::Closed(first, _) | RangeSpec::From(first)) => first,
            Some(RangeSpec::Suffix(_)) | None => 0,
        };
        match self.contact {
            Contact::Whole => 0,
            Contact::Window | Contact::Own => self.window.map_or_else(own, |w| w.start()),
        }
    }

    /// The route; hooks after `request_filter` have one.
    pub fn route(&self) -> &BoundRoute {
        self.route
            .as_ref()
            .expect("requests without a route are answered in request_filter")
    }

    /// What was done with the request.
    pub fn done(&self) -> Done<'_> {
        Done {
            handling: self.handling,
            collapsed: self.collapsed,
            unkept: self.unkept,
            detail: self.detail,
        }
    }

    /// Says in an answer how its request is called in logs, where its client is to know.
    pub fn tell_name(&self, answer: &mut ResponseHeader) -> Result<()> {
        let route = self.route.as_ref();
        let explains = route.is_some_and(|bound| bound.route.debug_headers);
        match &self.id {
            Some(id) => id.tell(answer, explains),
            None => Ok(()),
        }
    }

    /// Says in an answer what scripts may do with it, where that is not the origin's to say.
    pub fn share(&self, answer: &mut ResponseHeader) -> Result<()> {
        let cors = self
            .route
            .as_ref()
            .and_then(|bound| bound.route.cors.as_ref());
        match cors.zip(self.cors.as_ref()) {
            Some((cors, lines)) => cors.apply(lines, answer),
            None => Ok(()),
        }
    }

    /// Reads off pingora-cache how the request was handled, where that is not known yet.
    pub fn conclude(&mut self, session: &Session) {
        let joined = session.cache.lock_duration().is_some();
        let handling = match session.cache.phase() {
            CachePhase::Hit => match self.handling {
                Handling::Unknown => Handling::Hit,
                Handling::Partial if joined => {
                    self.collapsed = true;
                    Handling::Miss
                }
                known => known,
            },
            CachePhase::Stale | CachePhase::StaleUpdating => Handling::Stale,
            CachePhase::Miss => {
                self.collapsed = false;
                Handling::Miss
            }
            CachePhase::Expired | CachePhase::Revalidated | CachePhase::RevalidatedNoCache(_)
                if self.insisted =>
            {
                Handling::Requested
            }
            CachePhase::Expired | CachePhase::Revalidated | CachePhase::RevalidatedNoCache(_) => {
                Handling::Refreshed
            }
            CachePhase::Bypass => Handling::Bypass,
            CachePhase::Disabled(_) | CachePhase::Uninit | CachePhase::CacheKey => {
                match self.handling {
                    Handling::Own => Handling::Own,
                    _ if self.grant == Some(Grant::Pass) => Handling::Bypass,
                    _ if !headers::is_cacheable_request(session.req_header()) => Handling::Method,
                    _ if self.client.no_store => Handling::Unkept,
                    _ if self.key.is_empty() => {
                        self.detail = Some("key");
                        Handling::Bypass
                    }
                    _ if session.cache.predicted_uncacheable_reason().is_some() => Handling::Bypass,
                    _ => Handling::Passed,
                }
            }
        };
        let handling = match self.grant {
            Some(Grant::Refresh) => handling.on_request(),
            _ => handling,
        };
        self.collapsed &= matches!(handling, Handling::Miss | Handling::Partial);
        self.handling = handling;
    }
}
