//! pingora-cache's `Storage` over the chunk store.

use super::{Incoming, Order, Reader, meta, writer::Writer};
use crate::{
    domain::{ByteRange, ChunkIndex, ChunkRun, Grid, Validators},
    fill::{Board, Fills, Intake, Visit},
    store::{Manifest, Meta, Object, ObjectId},
    traces::Step,
};
use async_trait::async_trait;
use pingora_cache::{
    CacheKey, CacheMeta,
    key::CacheHashKey,
    storage::{HitHandler, MissHandler, PurgeOutcome, PurgeTarget, PurgeType, Storage},
    trace::SpanHandle,
};
use pingora_core::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::Poll,
    time::{Duration, Instant, SystemTime},
};

/// The store and its fills, as pingora-cache sees them.
#[derive(Debug)]
pub struct ChunkStorage {
    fills: Arc<Fills>,
    /// The last generation given out.
    generation: AtomicU64,
}

/// The generation that a lookup without a find has found.
const NOTHING: u64 = 0;

/// The name in the store of what lies under a key.
pub fn id_of(key: &CacheKey) -> ObjectId {
    ObjectId(key.combined_bin())
}

impl ChunkStorage {
    /// A face for these fills and their store.
    pub fn new(fills: Arc<Fills>) -> Self {
        // Nanoseconds since 1970 go up from one process to the next, so that a generation is
        // never given out twice.
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let generation = AtomicU64::new(since.map_or(1, |t| t.as_nanos() as u64));
        Self { fills, generation }
    }

    /// The fills behind it.
    pub fn fills(&self) -> &Arc<Fills> {
        &self.fills
    }

    /// Gives a stored object, whose bytes stay, the fields and the freshness of the origin's last
    /// word on it. False where that was asked for before it was purged or changed.
    pub async fn freshen(&self, object: &Arc<Object>, meta: &CacheMeta, order: &Order) -> bool {
        let old = object.meta();
        let meta = Meta {
            created: old.created,
            variance: old.variance,
            ..meta::stored(meta)
        };
        self.fills.store().update(object, meta, order.asked()).await
    }

    /// The head of the answer that an object came with.
    pub fn head_of(object: &Object) -> Result<ResponseHeader> {
        let announced = meta::announced(object)?;
        Ok(announced.response_header_copy())
    }

    /// Makes what is stored under a key one that is to be asked for before it is used again.
    pub async fn expire(&self, key: &CacheKey) {
        let store = self.fills.store();
        let Some(object) = store.find(id_of(key), key.primary_key()).await else {
            return;
        };
        let meta = object.meta();
        let now = SystemTime::now();
        if meta.fresh_until >= now {
            let over = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
            let expired = Meta {
                fresh_until: over,
                ..(*meta).clone()
            };
            store.update(&object, expired, store.mark()).await;
        }
    }

    /// Looks an object up. Where that is not answered from memory, what a miss will need of the
    /// origins is prepared meanwhile.
    async fn find(&self, key: &CacheKey, order: &Order) -> Option<Arc<Object>> {
        let Some(trace) = order.errand.trace() else {
            return self.look_up(key, order).await;
        };
        let began = Instant::now();
        let found = self.look_up(key, order).await;
        trace.step(Step::Index, began..Instant::now(), || {
            vec![("tidegate.found", found.is_some().into())]
        });
        found
    }

    async fn look_up(&self, key: &CacheKey, order: &Order) -> Option<Arc<Object>> {
        let find = self.fills.store().find(id_of(key), key.primary_key());
        tokio::pin!(find);
        match std::future::poll_fn(|context| Poll::Ready(find.as_mut().poll(context))).await {
            Poll::Ready(found) => found,
            Poll::Pending => {
                order.speculate();
                find.await
            }
        }
    }

    /// An object that is not stored, where others have it: from now on it is found, and its chunks
    /// are missing ones.
    async fn recall(&self, key: &CacheKey, order: &Order) -> Option<Arc<Object>> {
        let catalogue = order.errand.catalogue.as_ref()?;
        if order.insists() || order.renews() {
            return None;
        }
        let store = self.fills.store();
        let asked = store.mark();
        order.speculate();
        let trace = order.errand.trace();
        let known = catalogue.recall(id_of(key), key.primary_key(), trace);
        let known = known.await?;
        let object = store.conceive(Manifest {
            generation: self.next_generation(),
            ..known
        });
        store.adopt(object, asked)
    }

    fn next_generation(&self) -> u64 {
        self.generation.fetch_add(1, Relaxed) + 1
    }

    /// What the origin says now of an object whose bytes stay.
    async fn refresh(&self, object: &Arc<Object>, meta: &CacheMeta, order: &Order) -> bool {
        let meta = meta::stored(meta);
        let fresh = meta.fresh_until.duration_since(SystemTime::now());
        let store = self.fills.store();
        if !store.update(object, meta, order.asked()).await {
            return false;
        }
        object.note_asked(order.asked_at());
        if order.errand.catalogue.is_some()
            && let Some(sink) = self.fills.sink()
        {
            let fresh = fresh.unwrap_or_default();
            sink.refreshed(object.id().0, object.generation(), fresh);
        }
        true
    }

    /// The stored object, where the answer is of the very version that is stored: its chunks stay.
    async fn same(&self, key: &CacheKey, meta: &CacheMeta, order: &Order) -> Option<Arc<Object>> {
        let store = self.fills.store();
        let object = store.find(id_of(key), key.primary_key()).await?;
        let arrived = Validators::of(meta.headers());
        let strong = arrived.strong_etag()?;
        let same = object.validators().strong_etag() == Some(strong)
            && object.total().is_some()
            && object.total() == incoming(meta).total
            && object.chunk_size() == order.chunk_size
            && object.is_versioned()
            && self.fills.board(&object).ended().is_none();
        if same {
            self.refresh(&object, meta, order).await;
        }
        // It may have been replaced or removed meanwhile.
        let current = store.open_object(object.id());
        let stays = current.is_some_and(|open| Arc::ptr_eq(&open, &object));
        (same && stays && self.fills.board(&object).ended().is_none()).then_some(object)
    }

    /// A new generation, which nobody finds yet.
    fn conceive(&self, key: &CacheKey, meta: &CacheMeta, order: &Order) -> Arc<Object> {
        let total = incoming(meta).total;
        self.fills.store().conceive(Manifest {
            id: id_of(key),
            key: key.primary_key().to_vec(),
            generation: self.next_generation(),
            total: total.filter(|total| Grid::new(order.chunk_size, *total).is_some()),
            chunk_size: order.chunk_size,
            meta: meta::stored(meta),
        })
    }
}

#[async_trait]
impl Storage for ChunkStorage {
    async fn lookup(
        &'static self,
        key: &CacheKey,
        _trace: &SpanHandle,
    ) -> Result<Option<(CacheMeta, HitHandler)>> {
        let order = order(key)?;
        order.note_found(NOTHING);
        let found = match self.find(key, &order).await {
            Some(found) => Some(found),
            None => self.recall(key, &order).await,
        };
        let Some(object) = found else {
            return Ok(None);
        };
        order.drop_speculation();
        order.note_found(object.generation());
        let board = self.fills.board(&object);
        if board.ended().is_some() || board.is_withdrawn() {
            return Ok(None);
        }
        let reader = Reader::new(self.fills.clone(), board.clone(), order.clone());
        if board.comes_once() {
            reader.come();
        }
        if !board.is_whole_or_coming() {
            self.fills.withdraw(&board);
            return Ok(None);
        }
        object.note_found(SystemTime::now());
        if order.errand.catalogue.is_some() {
            board.share();
            if let Some(sink) = self.fills.sink() {
                sink.found(object.id().0, object.generation(), object.found().0);
            }
        }
        Ok(Some((meta::announced(&object)?, Box::new(reader))))
    }

    async fn lookup_streaming_write(
        &'static self,
        key: &CacheKey,
        _tag: Option<&[u8]>,
        _trace: &SpanHandle,
    ) -> Result<Option<(CacheMeta, HitHandler)>> {
        // Not by the table: the object may have been replaced or removed since, and this
        // request reads what it writes.
        let order = order(key)?;
        let Some(board) = order.leads.lock().clone() else {
            return Ok(None);
        };
        let meta = meta::announced(board.object())?;
        let reader = Reader::leading(self.fills.clone(), board, order);
        Ok(Some((meta, Box::new(reader))))
    }

    async fn get_miss_handler(
        &'static self,
        key: &CacheKey,
        meta: &CacheMeta,
        _trace: &SpanHandle,
    ) -> Result<MissHandler> {
        let order = order(key)?;
        let same = match order.renews() {
            true => None,
            false => self.same(key, meta, &order).await,
        };
        let is_new = same.is_none();
        let object = same.unwrap_or_else(|| self.conceive(key, meta, &order));
        let board = self.fills.board(&object);
        if order.errand.catalogue.is_some() {
            board.share();
        }
        let incoming = incoming(meta);
        if incoming.ignores_ranges {
            board.comes_whole();
        }
        if object.total().is_none() {
            board.keep_only(order.sizes);
        }
        let run = run_of(&board, incoming.part);
        let is_whole = incoming.part.is_none();
        let body = order.take_offered(&object);
        let held = order.over_http2 && body.is_none();
        order.leash(is_whole || !held);
        // The flight departs before the object can be found, or whoever finds it would begin
        // another.
        let intake = Intake::of_client(self.fills.clone(), board.clone(), run, held);
        let intake = intake.on_behalf_of(order.errand.client);
        if is_new {
            object.note_asked(order.asked_at());
            self.fills.store().publish(&object, order.asked()).await;
        }
        let end = incoming.part.map(ByteRange::end).or(object.total());
        *order.leads.lock() = Some(board);
        *order.brings.lock() = Some(run);
        Ok(Box::new(match body {
            Some(body) => {
                // Who brings it in may be faster than its reader comes, and must not find nobody.
                let visit = Visit::planned(
                    self.fills.clone(),
                    intake.board().clone(),
                    order.errand.clone(),
                );
                visit.come();
                intake.take_in(body, end);
                Writer::beside(order, visit)
            }
            None => Writer::new(intake, order),
        }))
    }

    async fn purge(
        &'static self,
        target: PurgeTarget<'_>,
        _purge_type: PurgeType,
        _trace: &SpanHandle,
    ) -> Result<PurgeOutcome> {
        let id = match target {
            PurgeTarget::Active(key) => ObjectId(key.combined_bin()),
            // Eviction is the store's own; nothing of pingora-cache's evicts here.
            PurgeTarget::Exact(_) => return Ok(PurgeOutcome::NotFound),
        };
        let store = self.fills.store();
        let removed = store
            .find_by_id(id)
            .await
            .is_some_and(|object| store.remove(&object));
        Ok(match removed {
            true => PurgeOutcome::Purged(None),
            false => PurgeOutcome::NotFound,
        })
    }

    async fn update_meta(
        &'static self,
        key: &CacheKey,
        meta: &CacheMeta,
        _trace: &SpanHandle,
    ) -> Result<bool> {
        let store = self.fills.store();
        let Some(object) = store.find(id_of(key), key.primary_key()).await else {
            return Ok(false);
        };
        // A newer generation may have come while this one was validated.
        let order = order(key)?;
        if order.found() != object.generation() {
            return Ok(false);
        }
        Ok(self.refresh(&object, meta, &order).await)
    }

    fn support_streaming_partial_write(&self) -> bool {
        true
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync + 'static) {
        self
    }
}

/// The order that the key callback put beside the key.
fn order(key: &CacheKey) -> Result<Arc<Order>> {
    let order = key.extensions.get::<Arc<Order>>();
    order
        .cloned()
        .ok_or_else(|| Error::explain(ErrorType::InternalError, "a cache key without its order"))
}

/// What the response filter said of the answer: the whole, of unknown length, if nothing.
fn incoming(meta: &CacheMeta) -> Incoming {
    let said = meta.extensions().get::<Incoming>().copied();
    said.unwrap_or(Incoming {
        total: None,
        part: None,
        ignores_ranges: false,
    })
}

/// The chunks that an answer brings.
fn run_of(board: &Board, part: Option<ByteRange>) -> ChunkRun {
    let endless = ChunkRun {
        start: ChunkIndex(0),
        end: ChunkIndex(u32::MAX),
    };
    match (board.object().grid(), part) {
        (Some(grid), Some(part)) => grid.run_over(part),
        (Some(grid), None) => grid.all().unwrap_or(endless),
        (None, _) => endless,
    }
}
