//! What the hooks stand on, and the decisions that take more than one of its parts.

use super::{
    Connections, Link, Route,
    access::Hop,
    client::Http2Stream,
    context::{Contact, Context},
    departure::Client,
    headers,
    key::Keyed,
    predictor::HitForMiss,
    reception::Reception,
    routing::{BoundRoute, Routes},
    size,
    stats::Stats,
    window,
};
use crate::{
    cache::{Attendance, Catalogue, ChunkStorage, ContactLock, Errand, Order},
    domain::{
        Answer, BadValue, ByteRange, Freshness, Refusal, SURROGATE_CONTROL, judge, split_target,
    },
    logs::AccessLog,
    origin::{Call, Part, Request, digest},
    traffic::{Arriving, Urgency},
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use pingora_cache::CacheMeta;
use pingora_core::Result;
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

/// The proxy: routes, and the cache before them. Clones share everything.
#[derive(Clone)]
pub struct Proxy {
    pub(super) routes: Arc<Routes>,
    pub(super) reception: Arc<Reception>,
    pub(super) access_log: Option<Arc<AccessLog>>,
    pub(super) hop: Arc<Hop>,
    pub(super) cache_version: Arc<AtomicU32>,
    pub(super) chunk_size: u32,
    pub(super) storage: &'static ChunkStorage,
    pub(super) catalogue: Option<Arc<dyn Catalogue>>,
    pub(super) lock: &'static ContactLock,
    pub(super) predictor: &'static HitForMiss,
    pub(super) stats: Arc<Stats>,
    pub(super) connections: Arc<Connections>,
    pub(super) active: Arc<AtomicUsize>,
}

/// Everything that a proxy stands on.
#[derive(Debug)]
pub struct Foundation {
    /// The routes in force.
    pub routes: Arc<Routes>,
    /// How clients are met.
    pub reception: Arc<Reception>,
    /// Where requests are written down, if they are.
    pub access_log: Option<Arc<AccessLog>>,
    /// Part of every key.
    pub cache_version: Arc<AtomicU32>,
    /// Grid of objects whose route has none of its own, in bytes.
    pub chunk_size: u32,
    /// The cache. It lives as long as the process.
    pub storage: &'static ChunkStorage,
    /// Who may know of objects that are not stored here.
    pub catalogue: Option<Arc<dyn Catalogue>>,
    /// Where requests are counted.
    pub stats: Arc<Stats>,
    /// The connections of clients.
    pub connections: Arc<Connections>,
    /// How many requests are under way.
    pub active: Arc<AtomicUsize>,
}

/// How long one request may keep others from asking the origin: a lock is held only until the
/// head of the answer is there.
const LOCK_AGE: Duration = Duration::from_secs(20);

impl Proxy {
    /// A proxy; what pingora-cache wants to live for ever is leaked once.
    pub fn new(foundation: Foundation) -> Self {
        let Foundation {
            routes,
            reception,
            access_log,
            cache_version,
            chunk_size,
            storage,
            catalogue,
            stats,
            connections,
            active,
        } = foundation;
        Self {
            routes,
            reception,
            access_log,
            hop: Arc::new(Hop::new()),
            cache_version,
            chunk_size,
            storage,
            catalogue,
            lock: Box::leak(Box::new(ContactLock::new(
                LOCK_AGE,
                storage.fills().clone(),
            ))),
            predictor: Box::leak(Box::new(HitForMiss::new())),
            stats,
            connections,
            active,
        }
    }

    /// What a request is to the cache and to the origin. One that writes is passed on in its own
    /// words, whatever the key makes of them.
    pub(super) fn keyed(
        &self,
        route: &Route,
        host: &str,
        target: &str,
        request: &RequestHeader,
    ) -> std::result::Result<Keyed, BadValue> {
        let keyed = route.keyed(
            self.cache_version.load(Relaxed),
            host,
            target,
            &request.headers,
        );
        if matches!(request.method, Method::GET | Method::HEAD) {
            return keyed;
        }
        let own = request.uri.path_and_query();
        let own = own.map_or("/", |target| target.as_str());
        let key = keyed.ok().and_then(|keyed| keyed.key);
        Ok(Keyed::passing(key, own.to_owned()))
    }

    /// A request's order to the cache.
    pub(super) fn order(&self, bound: &BoundRoute, session: &Session, ctx: &Context) -> Order {
        let mut headers = headers::object_request(session.req_header(), &self.hop);
        let Ok(()) = ctx.keyed.fields.apply(&mut headers);
        if bound.upstream.passes_host()
            && let Ok(host) = HeaderValue::try_from(&ctx.host)
        {
            headers.insert(header::HOST, host);
        }
        let catalogue = self.catalogue.clone().filter(|_| bound.route.tier);
        let origins = bound.source.clone();
        let errand = Errand {
            source: match &catalogue {
                Some(catalogue) => catalogue.clone().before(origins),
                None => origins,
            },
            catalogue,
            request: Arc::new(Request {
                target: ctx.keyed.target.clone(),
                headers,
                key: digest(&ctx.key),
                trail: ctx.trail.clone(),
            }),
            finish_when: bound.route.finish_when,
            parallel: bound.route.features.parallel_fetches,
            client: ctx.address,
        };
        let chunk_size = bound.route.chunk_size.unwrap_or(self.chunk_size);
        let closed = ctx
            .asked
            .range()
            .is_some_and(|set| set.says_where_it_ends());
        let stream = Http2Stream::of(session);
        let mut order = Order::new(errand, chunk_size, closed, stream.is_some());
        order.sizes = bound.route.sizes;
        order.need = ctx.report.need().clone();
        let link = Link::of(session).filter(|_| session.subrequest_ctx.is_none());
        if let Some(link) = &link {
            order.habit = link.habit.clone();
            order.untaken = stream.map(|_| link.untaken.clone());
        }
        order.client = link.map(|link| -> Arc<dyn Attendance> {
            Arc::new(Client {
                link,
                upstream: bound.upstream.clone(),
                stream: stream.cloned(),
            })
        });
        order.sending = bound.route.sending;
        order.pace = bound.route.pace;
        order
    }

    /// What to ask of the origin for a request that the cache can't answer.
    pub(super) fn window(&self, session: &Session, ctx: &Context) -> Option<ByteRange> {
        let chunk_size = ctx.order.as_ref()?.chunk_size;
        let groups = ctx.route().upstream.groups();
        match (ctx.contact, ctx.asked.range()) {
            (Contact::Whole | Contact::Own, _) => None,
            (Contact::Window, Some(set)) => Some(window::first_window(
                set,
                chunk_size,
                self.storage.fills().config().max_window,
                groups,
            )),
            // The answer may be a head only: no more of the object than that is asked for.
            (Contact::Window, None)
                if session.req_header().method == Method::HEAD || ctx.asked.has_conditions() =>
            {
                Some(window::first_chunk(chunk_size))
            }
            // A client that stands still would hold up the whole object: it leads a window, and
            // fills bring the rest. So it is in a rush: those who are first would have all that there
            // is for long.
            (Contact::Window, None)
                if !ctx.stores_first
                    && (Http2Stream::of(session).is_some() || self.is_rushed(ctx)) =>
            {
                Some(window::first_chunk(chunk_size))
            }
            (Contact::Window, None) => window::first_group(chunk_size, groups),
        }
    }

    /// Whether the origin has much to do, or there is little room for what comes in.
    pub(super) fn is_rushed(&self, ctx: &Context) -> bool {
        ctx.route().upstream.is_crowded() || self.storage.fills().is_pressed()
    }

    /// What a request to the origins needs to know beside its head.
    pub(super) fn call(&self, session: &Session, ctx: &Context) -> Call {
        let chunk = ctx.order.as_ref().map_or(0, |order| order.chunk_size);
        let largest = self.storage.fills().config().max_window.max(chunk.into());
        let validates = session.cache.maybe_cache_meta().is_some();
        let small = ctx.window.is_some_and(|window| window.len() <= largest)
            || session.req_header().method == Method::HEAD
            || session.req_header().headers.contains_key(header::RANGE)
            || validates;
        Call {
            upstream: ctx.route().upstream.clone(),
            part: Part {
                key: digest(&ctx.key),
                offset: ctx.first_byte_asked(),
            },
            urgency: match small {
                _ if ctx.errand.is_some() => Urgency::ReadAhead,
                true => Urgency::Range,
                false => Urgency::Whole { expected: None },
            },
            trail: ctx.trail.clone(),
            validates,
            report: ctx.report.clone(),
            handover: ctx.handover.clone(),
            arriving: Arriving {
                grace: ctx.terms.clients.read_timeout,
                min_rate: ctx.terms.clients.min_rate,
            },
            backlog: ctx.backlog.clone(),
        }
    }

    /// What is kept of the head of an answer that may be stored.
    pub(super) fn kept(
        &self,
        mut head: ResponseHeader,
        fresh: &Freshness,
        withheld: &mut Vec<(HeaderName, HeaderValue)>,
    ) -> Result<CacheMeta> {
        headers::make_storable(&mut head, &fresh.withheld, withheld)?;
        let (swr, sie) = (fresh.stale_while_revalidate, fresh.stale_if_error);
        let mut meta = CacheMeta::new(fresh.until, SystemTime::now(), swr, sie, head);
        meta.set_epoch_override(fresh.epoch);
        Ok(meta)
    }

    /// Adds to the head of an answer what its client gets beside what is stored, and takes out
    /// what is for us.
    pub(super) fn complete(
        &self,
        session: &Session,
        response: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        response.remove_header(&SURROGATE_CONTROL);
        let leads = ctx.handling.leads();
        for (name, value) in ctx.withheld.drain(..).filter(|_| leads) {
            response.append_header(name, value)?;
        }
        // What comes from the origin now may have been held elsewhere before.
        let age = session
            .cache
            .maybe_cache_meta()
            .map(|meta| meta.age().as_secs());
        if leads && let Some(age) = age.filter(|age| *age > 0) {
            response.insert_header(header::AGE, age)?;
        }
        Ok(())
    }

    /// A part of an answer's body is about to go out.
    pub(super) fn count_part(&self, bytes: usize, ctx: &mut Context) {
        if ctx.errand.is_some() {
            return;
        }
        if ctx.first_byte.is_none() {
            let now = Instant::now();
            ctx.first_byte = Some(now);
            self.stats
                .first_byte(ctx.handling, now.duration_since(ctx.began));
        }
        let tally = ctx.order.as_ref().map(|order| &*order.tally);
        ctx.meter.advance(&self.stats, tally, bytes as u64);
    }

    /// Counts a request that has been answered.
    pub(super) fn count(&self, session: &Session, ctx: &mut Context) {
        let stats = &self.stats;
        stats.answered(ctx.handling, super::journal::status(session));
        if ctx.first_byte.is_none() {
            stats.first_byte(ctx.handling, ctx.began.elapsed());
        }
        let tally = ctx.order.as_ref().map(|order| &*order.tally);
        let total = session.body_bytes_sent() as u64;
        ctx.meter.finish(stats, tally, total);
    }

    /// Whether an answer may be stored, and how long it is fresh.
    pub(super) fn judge(
        &self,
        session: &Session,
        response: &ResponseHeader,
        ctx: &Context,
    ) -> Result<Freshness, Refusal> {
        let request = session.req_header();
        // Said of one client's signature, which is not in the key.
        if ctx.keyed.is_signed && matches!(response.status.as_u16(), 400 | 401 | 403) {
            return Err(Refusal::Status);
        }
        // What is not there yet may be when a client asks for it.
        if ctx.errand.is_some() && response.status != StatusCode::OK {
            return Err(Refusal::Status);
        }
        let bound = ctx.route();
        let (sizes, total) = (&bound.route.sizes, ctx.incoming.map(|i| i.total));
        if let Some(total) = total {
            let chunk_size = bound.route.chunk_size.unwrap_or(self.chunk_size);
            let is_known = session.cache.bypassing();
            size::judge(sizes, chunk_size, response.status, total, is_known)?;
        }
        let now = SystemTime::now();
        let answer = Answer {
            status: response.status,
            headers: &response.headers,
            // As the key has it: how the first client spells it says nothing.
            path: split_target(&ctx.keyed.target).0,
            authorized: request.headers.contains_key(header::AUTHORIZATION),
            delay: ctx.sent.map_or(Duration::ZERO, |sent| sent.elapsed()),
            now,
            dice: digest(&ctx.key) as f64 / u64::MAX as f64,
        };
        let leg = ctx.report.leg();
        let most = leg.and_then(|leg| bound.upstream.legs().get(leg)?.ttl);
        let Some(most) = most else {
            return judge(&answer, &bound.route.freshness);
        };
        // A makeshift is kept for a while though its origin says nothing of that.
        let mut rules = bound.route.freshness.clone();
        rules.ttl.ok = rules.ttl.ok.or(Some(most));
        judge(&answer, &rules).map(|fresh| fresh.within(most, now))
    }
}
