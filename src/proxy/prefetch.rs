//! Fetching the next segments of a stream before a player asks for them.
//!
//! A segment is fetched by a request of our own that goes the way of a client's, with nobody to
//! read its answer. It stands back for everybody: where its route has enough of them under way, the
//! origin has no place free, or there is little room for what comes in, it is not made.

use super::{
    cache_status::Handling, context::Context, delivery::announced, foundation::Proxy, headers,
    stats::Ahead,
};
use crate::{
    domain::{ContentRange, Numbered, split_target},
    origin::digest,
    traffic::{Came, Row, Sequels, Way},
};
use http::{Method, StatusCode, Version, header};
use parking_lot::Mutex;
use pingora_core::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::{Session, subrequest};
use std::{num::NonZeroUsize, sync::Arc, time::Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much of streams is fetched before it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefetch {
    /// Segments ahead of the one that is asked for.
    pub segments: u64,
    /// Segments of a route that are fetched ahead at a time.
    pub at_a_time: usize,
    /// The largest that is fetched ahead, in bytes: what is larger is no segment.
    pub max_size: u64,
}

/// What one route fetches ahead.
#[derive(Debug)]
pub struct Prefetcher {
    settings: Prefetch,
    sequels: Mutex<Sequels>,
    places: Arc<Semaphore>,
}

/// How segments follow where the last number of their names counts, which may be a time.
const LAST: Way = Way {
    run: 1,
    may_be_time: true,
};
/// And where another one does, as in `seg-7-v1-a1.ts`: streams of one moment have numbers too, and
/// are asked for one after the other as well.
const OTHER: Way = Way {
    run: 2,
    may_be_time: false,
};

/// Segments that a route remembers as asked for, and as fetched ahead, at about 100 bytes each.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(8192).unwrap();

/// What travels with a request of our own: which segment it is sent for.
#[derive(Debug)]
pub struct Errand {
    prefetcher: Arc<Prefetcher>,
    target: String,
    row: Row,
    number: u64,
    _place: OwnedSemaphorePermit,
}

impl Prefetcher {
    /// Nothing is known yet.
    pub fn new(settings: Prefetch) -> Self {
        Self {
            settings,
            sequels: Mutex::new(Sequels::of(REMEMBERED)),
            places: Arc::new(Semaphore::new(settings.at_a_time)),
        }
    }
}

impl Proxy {
    /// A client gets a segment: what follows it may be worth fetching.
    pub(super) fn fetch_ahead(
        &self,
        session: &mut Session,
        response: &ResponseHeader,
        ctx: &Context,
    ) {
        let Some(prefetcher) = ctx.route.as_ref().and_then(|it| it.prefetcher.as_ref()) else {
            return;
        };
        let request = session.req_header();
        let is_read = request.method == Method::GET
            && matches!(
                response.status,
                StatusCode::OK | StatusCode::PARTIAL_CONTENT
            );
        if !is_read || session.subrequest_ctx.is_some() || !session.cache.enabled() {
            return;
        }
        // What follows will be about as large.
        if whole_length(response).is_some_and(|length| length > prefetcher.settings.max_size) {
            return;
        }
        let target = headers::target(request);
        let (path, query) = split_target(&target);
        for (nth, part) in Numbered::all(path).enumerate() {
            let (before, after) = part.row();
            let row = [&ctx.host, before, after, query.unwrap_or_default()].join("\0");
            let row = digest(row.as_bytes());
            let way = if nth == 0 { LAST } else { OTHER };
            let (settings, now) = (prefetcher.settings, Instant::now());
            let mut sequels = prefetcher.sequels.lock();
            let (used, next) = sequels.asked(row, part.number, way, settings.segments, now);
            drop(sequels);
            self.stats.ahead_used(used);
            let is_row = used.is_some() || !next.is_empty();
            for number in next {
                let query = query.map(|query| format!("?{query}")).unwrap_or_default();
                let target = part.at(number) + &query;
                if self
                    .send_for(session, ctx, prefetcher, (row, number), target)
                    .is_none()
                {
                    self.stats.ahead(Ahead::Busy);
                    return;
                }
            }
            if is_row {
                return;
            }
        }
    }

    /// Sends for a segment; `None` where it stands back.
    fn send_for(
        &self,
        session: &mut Session,
        ctx: &Context,
        prefetcher: &Arc<Prefetcher>,
        (row, number): (Row, u64),
        target: String,
    ) -> Option<()> {
        if !ctx.route().upstream.has_room() || self.storage.fills().is_pressed() {
            return None;
        }
        let place = prefetcher.places.clone().try_acquire_owned().ok()?;
        let errand = Errand {
            prefetcher: prefetcher.clone(),
            target,
            row,
            number,
            _place: place,
        };
        let version = as_http1(session, &ctx.host).ok()?;
        // Before it is sent: it may be back at once.
        let forgotten = prefetcher.sequels.lock().sent(row, number, Instant::now());
        self.stats.ahead_unused(forgotten);
        let context = subrequest::Ctx::builder().user_ctx(Box::new(Some(errand)));
        let spawner = session.subrequest_spawner.as_ref();
        spawner?.spawn_background_subrequest(session.as_downstream(), context.build());
        session.req_header_mut().set_version(version);
        Some(())
    }

    /// A request of our own has ended.
    pub(super) fn came_ahead(&self, session: &Session, has_failed: bool, ctx: &Context) {
        let Some(errand) = &ctx.errand else {
            return;
        };
        let status = session.response_written().map(|response| response.status);
        let bytes = session.body_bytes_sent() as u64;
        let outcome = match (ctx.handling, status) {
            (Handling::Hit | Handling::Stale, _) => Ahead::Stored,
            (_, Some(StatusCode::OK)) if !has_failed => Ahead::Fetched,
            _ => Ahead::Failed,
        };
        self.stats.ahead(outcome);
        let (mut sequels, now) = (errand.prefetcher.sequels.lock(), Instant::now());
        match outcome {
            Ahead::Fetched => match sequels.came(errand.row, errand.number, bytes, now) {
                Came::Waits(forgotten) => self.stats.ahead_unused(forgotten),
                Came::Used => self.stats.ahead_used(Some(bytes)),
            },
            Ahead::Failed => sequels.failed(errand.row, now),
            _ => {}
        }
    }
}

impl Errand {
    /// Whether what has come is small enough to be fetched for nobody; where that is not told, it is
    /// taken to be.
    pub fn admits(&self, response: &ResponseHeader) -> bool {
        let most = self.prefetcher.settings.max_size;
        whole_length(response).is_none_or(|length| length <= most)
    }
}

/// The length of the object that an answer, perhaps a part of it, is of.
fn whole_length(response: &ResponseHeader) -> Option<u64> {
    if response.status != StatusCode::PARTIAL_CONTENT {
        return announced(response);
    }
    let field = response.headers.get(header::CONTENT_RANGE)?;
    match ContentRange::parse(field.as_bytes())? {
        ContentRange::Bytes(_, total) => total,
        ContentRange::Unsatisfied(total) => Some(total),
    }
}

/// Makes of the copy of a client's request the one that its errand is for. Returns the errand,
/// where it has one.
pub fn take_errand(session: &mut Session) -> Result<Option<Errand>> {
    let context = session.subrequest_ctx.as_mut();
    let context = context.and_then(|context| context.user_ctx_mut());
    let errand = context.and_then(|context| context.downcast_mut::<Option<Errand>>()?.take());
    if let Some(errand) = &errand {
        let request = session.req_header_mut();
        request.set_method(Method::GET);
        request.set_uri(super::asking::uri(&errand.target)?);
        let of_the_client = [header::CACHE_CONTROL, header::PRAGMA];
        for name in headers::RANGES_AND_CONDITIONS.iter().chain(&of_the_client) {
            request.remove_header(name);
        }
    }
    Ok(errand)
}

/// Makes a request's head one of HTTP/1.1, of which a copy can be made. Returns what it was.
pub fn as_http1(session: &mut Session, host: &str) -> Result<Version> {
    let request = session.req_header_mut();
    let version = request.version;
    if version == Version::HTTP_2 {
        request.set_version(Version::HTTP_11);
        request.insert_header(header::HOST, host)?;
    }
    Ok(version)
}
