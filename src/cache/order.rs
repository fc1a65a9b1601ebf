//! What travels beside a request through pingora-cache: its extensions carry it from the hooks to
//! the storage and back.

use super::Attendance;
use crate::{
    domain::{ByteRange, ChunkRun, Sizes},
    fill::{Board, Body, Detachable, Errand, Need, Tally, Visit},
    store::{Mark, Object},
    traffic::{Habit, Pace, Sending, Untaken},
};
use parking_lot::Mutex;
use std::{
    any::Any,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{self, SystemTime},
};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

/// One request's order to the cache.
#[derive(Debug)]
pub struct Order {
    /// Where missing chunks come from.
    pub errand: Errand,
    /// Grid of an object that this request may create, in bytes.
    pub chunk_size: u32,
    /// Whether the client itself said where its range ends.
    pub closed: bool,
    /// Whether a client that stands still holds up what it leads: over HTTP/2 its response is
    /// written by the task that also reads the origin.
    pub over_http2: bool,
    /// The sizes of objects that this request may create.
    pub sizes: Sizes,
    /// Its client, where one waits for it that can be watched.
    pub client: Option<Arc<dyn Attendance>>,
    /// How its answer is sent.
    pub sending: Sending,
    /// What its client is used to.
    pub habit: Arc<Habit>,
    /// What all answers on its connection hold, where there may be many.
    pub untaken: Option<Arc<Untaken>>,
    /// How fast, where not as fast as the client takes it.
    pub pace: Option<Pace>,
    /// Bytes given to this request, by where they came from.
    pub tally: Arc<Tally>,
    /// Who needs what it asks the origin for.
    pub need: Arc<Need>,
    /// The object that this request creates.
    pub(super) leads: Mutex<Option<Arc<Board>>>,
    /// The chunks that this request's own answer brings.
    pub(super) brings: Mutex<Option<ChunkRun>>,
    visit: Mutex<Weak<Visit>>,
    landed: watch::Sender<bool>,
    left: AtomicBool,
    absent: AtomicBool,
    /// The generation that it found.
    found: AtomicU64,
    /// The moment among the purges at which the origin was asked last.
    asked: AtomicU64,
    asked_at: Mutex<Option<time::Instant>>,
    /// What the origin was asked for before this moment is not enough.
    asked_since: OnceLock<time::Instant>,
    leashed: AtomicBool,
    insists: AtomicBool,
    /// What the origin said before this moment is not enough.
    validated_since: Mutex<Option<SystemTime>>,
    unwanted: AtomicBool,
    /// In bytes, for what this request brings in.
    room: AtomicU64,
    head_only: AtomicBool,
    prepared: Mutex<Option<Box<dyn Any + Send + Sync>>>,
    offer: Mutex<Offered>,
    renews: AtomicBool,
}

/// The body of this request's own answer, for somebody else to bring in.
#[derive(Debug, Default)]
struct Offered {
    body: Option<Arc<dyn Detachable>>,
    /// Whatever it is of.
    always: bool,
}

/// What the origin's answer brings of an object, decided before it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Incoming {
    /// Length of the object, where it was announced.
    pub total: Option<u64>,
    /// The part that the answer's body holds; the whole where absent.
    pub part: Option<ByteRange>,
    /// The origin answered a range request with the whole.
    pub ignores_ranges: bool,
}

impl Order {
    /// An order of nothing yet.
    pub fn new(errand: Errand, chunk_size: u32, closed: bool, over_http2: bool) -> Self {
        Self {
            errand,
            chunk_size,
            closed,
            over_http2,
            sizes: Sizes::default(),
            client: None,
            sending: Sending::default(),
            habit: Arc::default(),
            untaken: None,
            pace: None,
            tally: Arc::default(),
            need: Arc::default(),
            leads: Mutex::new(None),
            brings: Mutex::new(None),
            visit: Mutex::new(Weak::new()),
            landed: watch::Sender::new(false),
            left: AtomicBool::new(false),
            absent: AtomicBool::new(false),
            found: AtomicU64::new(0),
            asked: AtomicU64::new(Mark::default().number()),
            asked_at: Mutex::new(None),
            asked_since: OnceLock::new(),
            leashed: AtomicBool::new(false),
            insists: AtomicBool::new(false),
            validated_since: Mutex::new(None),
            unwanted: AtomicBool::new(false),
            room: AtomicU64::new(0),
            head_only: AtomicBool::new(false),
            prepared: Mutex::new(None),
            offer: Mutex::default(),
            renews: AtomicBool::new(false),
        }
    }

    /// What this request's own answer brings may be brought in apart from it; it is to be, where
    /// `always`.
    pub fn offer(&self, body: Arc<dyn Detachable>, always: bool) {
        let body = Some(body);
        *self.offer.lock() = Offered { body, always };
    }

    /// The body of its own answer, where that is to be brought in apart from it. What can't be asked
    /// for again is in any case: it waits for its reader where there is no room, and the task that
    /// brings it in for Pingora is the one that reads.
    pub(super) fn take_offered(&self, object: &Object) -> Option<Box<dyn Body>> {
        let Offered { body, always } = std::mem::take(&mut *self.offer.lock());
        let body = body?;
        if !always && !object.comes_once() {
            body.leave();
            return None;
        }
        body.detach()
    }

    /// What is stored is to be replaced, even by the same.
    pub fn renew(&self) {
        self.renews.store(true, Relaxed);
        self.insist();
    }

    pub(super) fn renews(&self) -> bool {
        self.renews.load(Relaxed)
    }

    /// Whether the object that this request brings in has turned out not to be one to keep.
    pub fn is_withdrawn(&self) -> bool {
        let leads = self.leads.lock();
        leads.as_ref().is_some_and(|board| board.is_withdrawn())
    }

    /// A look-up takes its time: what a miss will need is prepared meanwhile.
    pub(super) fn speculate(&self) {
        let (source, request) = (self.errand.source.clone(), &self.errand.request);
        *self.prepared.lock() = source.prepare(request);
    }

    /// It is a hit: what was prepared is not needed.
    pub(super) fn drop_speculation(&self) {
        *self.prepared.lock() = None;
    }

    /// The client has left, though the request goes on for the sake of the cache.
    pub fn client_left(&self) {
        let visit = self.visit.lock();
        self.left.store(true, Relaxed);
        if let Some(visit) = visit.upgrade() {
            visit.leave();
        }
    }

    /// Waits until its client is gone; for ever where nobody can tell. It may be dropped at any
    /// await.
    pub async fn gone(&self) {
        match &self.client {
            Some(client) => client.gone().await,
            None => std::future::pending().await,
        }
        self.note_absent();
    }

    /// Waits until its client takes more, at most so long; whether it does. It may be dropped at any
    /// await.
    pub(super) async fn room(&self, late: Instant) -> bool {
        match &self.client {
            Some(client) => timeout_at(late, client.room()).await.is_ok(),
            None => true,
        }
    }

    /// Its client was found to be gone, or not to want the answer any more.
    pub fn note_absent(&self) {
        self.absent.store(true, Relaxed);
    }

    /// Whether its client was found to be gone while it waited.
    pub fn is_absent(&self) -> bool {
        self.absent.load(Relaxed)
    }

    /// Whether what this request brings in was of no use to anybody at the last edge of a chunk,
    /// and still is not.
    pub fn is_unwanted(&self) -> bool {
        let wanted = || {
            self.leads
                .lock()
                .as_ref()
                .is_some_and(|board| board.is_wanted())
        };
        self.unwanted.load(Relaxed) && !wanted()
    }

    /// Whether this request has begun to bring its object in.
    pub fn is_leading(&self) -> bool {
        self.leads.lock().is_some()
    }

    /// What is stored was found to be of no use: the origin is to be asked, whatever else is
    /// found.
    pub fn insist(&self) {
        self.insists.store(true, Relaxed);
    }

    /// The client wants the origin's word, though what is stored is fresh: one that came at
    /// `since` or later will do.
    pub fn want_word_since(&self, since: SystemTime) {
        *self.validated_since.lock() = Some(since);
    }

    pub(super) fn wants_word_since(&self) -> Option<SystemTime> {
        *self.validated_since.lock()
    }

    pub(super) fn insists(&self) -> bool {
        self.insists.load(Relaxed)
    }

    /// The origin is about to be asked: what it answers can't undo a later purge.
    pub fn asks(&self, now: Mark) {
        self.asked.store(now.number(), Relaxed);
        *self.asked_at.lock() = Some(time::Instant::now());
    }

    pub(super) fn asked_at(&self) -> Option<time::Instant> {
        *self.asked_at.lock()
    }

    /// What is stored may have been purged without our knowing: only what the origin was asked for
    /// at this moment or later will do.
    pub fn want_asked_since(&self, moment: time::Instant) {
        let _ = self.asked_since.set(moment);
    }

    /// Whether what the origin said of an object will do.
    pub fn is_content_with(&self, object: &Object) -> bool {
        let since = self.asked_since.get();
        since.is_none_or(|moment| object.is_asked_since(*moment))
    }

    pub(super) fn asked(&self) -> Mark {
        Mark::from_number(self.asked.load(Relaxed))
    }

    pub(super) fn note_found(&self, generation: u64) {
        self.found.store(generation, Relaxed);
    }

    pub(super) fn found(&self) -> u64 {
        self.found.load(Relaxed)
    }

    /// A leader of a window is held back until it has come in; one of a whole object, which may
    /// be long, is not.
    pub(super) fn leash(&self, is_whole: bool) {
        self.leashed.store(self.over_http2 && !is_whole, Relaxed);
    }

    pub(super) fn is_leashed(&self) -> bool {
        self.leashed.load(Relaxed)
    }

    /// The answer turned out to have no body: its reader is at its end.
    pub fn answer_without_body(&self) {
        self.head_only.store(true, Relaxed);
    }

    pub(super) fn has_no_body(&self) -> bool {
        self.head_only.load(Relaxed)
    }

    pub(super) fn has_left(&self) -> bool {
        self.left.load(Relaxed)
    }

    pub(super) fn attend(&self, visit: &Arc<Visit>) {
        let mut own = self.visit.lock();
        *own = Arc::downgrade(visit);
        if self.left.load(Relaxed) {
            visit.leave();
        }
    }

    pub(super) fn mark_unwanted(&self, unwanted: bool) {
        self.unwanted.store(unwanted, Relaxed);
    }

    /// What it brings in next has room for so many bytes.
    pub(super) fn has_room_for(&self, bytes: u64) {
        self.room.store(bytes, Relaxed);
    }

    /// Bytes for which what it brings in has room.
    pub fn room_for_more(&self) -> u64 {
        self.room.load(Relaxed)
    }

    pub(super) fn mark_landed(&self) {
        self.landed.send_replace(true);
    }

    /// Whether nothing more of this request's own answer is kept.
    pub fn has_landed(&self) -> bool {
        *self.landed.borrow()
    }

    /// Waits until this request's own part of the object has come in.
    pub(super) async fn landed(&self) {
        // The sender lives in `self`: it can't be gone.
        let _ = self.landed.subscribe().wait_for(|landed| *landed).await;
    }
}
