//! pingora-cache's lock, closed at one gap.
//!
//! A request looks its object up first and takes the lock after. Between the two another request
//! may have stored the object and given the lock back: the first would then be let through to the
//! origin and bring in the whole object a second time. Here, whoever gets the lock looks once
//! more, and is sent back to look up where the answer has come in the meantime.
//!
//! And whoever waits for the lock stops when its client leaves, which pingora-cache does not look
//! at.

use super::{Order, id_of};
use crate::{
    fill::Fills,
    store::ObjectId,
    traces::{Step, Told},
};
use lru::LruCache;
use parking_lot::Mutex;
use pingora_cache::{
    CacheKey,
    lock::{
        CacheKeyLock, CacheLock, LockCore, LockStatus, LockStub, Locked, ReadLock, WritePermit,
    },
};
use std::{
    num::NonZeroUsize,
    sync::{Arc, Weak},
    time::{Duration, Instant, SystemTime},
};

/// Why an answer is not stored, where that says nothing of answers to other requests.
pub const OF_THE_REQUEST: &str = "of-the-request";

/// The lock before first contact and revalidation.
#[derive(Debug)]
pub struct ContactLock {
    inner: CacheLock,
    age: Duration,
    fills: Arc<Fills>,
    leaders: Leaders,
}

/// The requests that hold locks: whoever waits for one needs what it asks for, and has a link to
/// it where it is recorded.
#[derive(Debug)]
struct Leaders(Mutex<LruCache<ObjectId, Weak<Order>>>);

/// Locks whose holders are known at a time. One that is forgotten may end when its own client
/// leaves, and those who wait for it ask by themselves.
const MOST_LEADERS: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

impl Leaders {
    fn note(&self, key: &CacheKey) {
        if let Some(order) = key.extensions.get::<Arc<Order>>() {
            self.0.lock().put(id_of(key), Arc::downgrade(order));
        }
    }

    fn forget(&self, key: &CacheKey) {
        self.0.lock().pop(&id_of(key));
    }

    fn of(&self, key: &CacheKey) -> Option<Arc<Order>> {
        self.0.lock().peek(&id_of(key))?.upgrade()
    }
}

impl ContactLock {
    /// A lock that one request may hold for `age`.
    pub fn new(age: Duration, fills: Arc<Fills>) -> Self {
        Self {
            inner: CacheLock::new(age),
            age,
            fills,
            leaders: Leaders(Mutex::new(LruCache::new(MOST_LEADERS))),
        }
    }

    /// Whether the object has been stored, or found to be fresh, since the request looked it up.
    fn is_answered(&self, key: &CacheKey, stale_writer: bool) -> bool {
        let order = key.extensions.get::<Arc<Order>>();
        let Some(order) = order.filter(|order| !order.insists()) else {
            return false;
        };
        let open = self.fills.store().open_object(id_of(key));
        open.is_some_and(|object| {
            let newer = object.generation() != order.found();
            let meta = object.meta();
            let fresh = match order.wants_word_since() {
                Some(since) => meta.validated >= since,
                None => meta.fresh_until >= SystemTime::now(),
            };
            let kept = !self.fills.board(&object).is_withdrawn();
            let known = object.key() == key.primary_key() && order.is_content_with(&object);
            kept && known && if stale_writer { fresh } else { newer }
        })
    }
}

impl ContactLock {
    /// The lock, or a wait for it, whoever waits.
    fn take(&self, key: &CacheKey, stale_writer: bool) -> Locked {
        let permit = match self.inner.lock(key, stale_writer) {
            Locked::Write(permit) if self.is_answered(key, stale_writer) => permit,
            locked => return locked,
        };
        // A second lock on the key is one to wait for the first, which is given back at once.
        let wait = self.inner.lock(key, stale_writer);
        self.inner.release(key, permit, LockStatus::Done);
        wait
    }

    /// A wait that ends with this one, or when its client leaves: then the request goes on by
    /// itself, to be ended by the next hook.
    fn attended(&self, wait: ReadLock, key: &CacheKey) -> ReadLock {
        let order = key.extensions.get::<Arc<Order>>();
        let Some(order) = order.filter(|order| order.client.is_some()).cloned() else {
            return wait;
        };
        // This one never ends by its own age.
        let core = LockCore::new_arc(self.age * 2, false, Default::default());
        let own = LockStub(core.clone()).read_lock();
        let began = Instant::now();
        let leader = self.leaders.of(key);
        let link = leader
            .as_ref()
            .and_then(|leader| leader.errand.trace()?.link());
        let follower = leader.map(|leader| leader.need.follow());
        tokio::spawn(async move {
            let (status, outcome) = tokio::select! {
                biased;
                () = wait.wait() => {
                    let status = wait.lock_status();
                    (status, label(status))
                }
                () = order.gone() => (LockStatus::GiveUp, "left"),
            };
            drop(follower);
            if let Some(trace) = order.errand.trace() {
                let said = || Told {
                    attributes: vec![("tidegate.outcome", outcome.into())],
                    has_failed: false,
                    link,
                };
                trace.step(Step::Lock, began..Instant::now(), said);
            }
            core.unlock(status);
        });
        own
    }
}

impl CacheKeyLock for ContactLock {
    fn lock(&self, key: &CacheKey, stale_writer: bool) -> Locked {
        match self.take(key, stale_writer) {
            Locked::Read(wait) => Locked::Read(self.attended(wait, key)),
            write => {
                self.leaders.note(key);
                write
            }
        }
    }

    fn release(&self, key: &CacheKey, permit: WritePermit, reason: LockStatus) {
        self.leaders.forget(key);
        self.inner.release(key, permit, reason);
    }

    /// An answer that says something of its own request only lets one of those who wait try
    /// next; any other that is not to be stored lets them all go.
    fn custom_lock_status(&self, reason: &'static str) -> LockStatus {
        match reason {
            OF_THE_REQUEST => LockStatus::TransientError,
            _ => LockStatus::GiveUp,
        }
    }
}

/// How a wait has ended, in a word.
fn label(status: LockStatus) -> &'static str {
    match status {
        LockStatus::Done => "answered",
        LockStatus::TransientError => "next",
        LockStatus::GiveUp => "unkept",
        LockStatus::Dangling => "dropped",
        LockStatus::Waiting | LockStatus::WaitTimeout | LockStatus::AgeTimeout => "timeout",
    }
}
