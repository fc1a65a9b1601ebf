//! What may stay on disk, and what goes to make room.
//!
//! The policy is `quick_cache`'s, of the CLOCK-PRO and S3-FIFO family: a chunk must be used again
//! before it can push out what is used, so that one viewer of a long film (or a crawler) can't
//! empty the cache of everybody else. It decides on chunks, not objects.

use super::{ObjectId, usage::Usage};
use crate::domain::ChunkIndex;
use parking_lot::Mutex;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter, unsync::Cache};
use std::sync::Arc;

/// A chunk of a generation of an object.
pub(super) type Key = (ObjectId, u64, ChunkIndex);

/// One chunk on disk, or on its way there.
#[derive(Clone, Debug)]
struct Entry {
    /// Bytes that it takes on disk.
    weight: u32,
    /// Being written: can't be evicted.
    pinned: bool,
    /// What its object is used for: it says what of it can't be evicted either.
    usage: Arc<Usage>,
}

#[derive(Clone, Debug)]
struct ByWeight;

impl Weighter<Key, Entry> for ByWeight {
    fn weight(&self, _: &Key, entry: &Entry) -> u64 {
        u64::from(entry.weight)
    }
}

/// Chunks that went to make room: of an insertion they are returned, of a smaller limit they are
/// left here.
#[derive(Clone, Debug, Default)]
struct Victims(Arc<Mutex<Vec<Key>>>);

impl Lifecycle<Key, Entry> for Victims {
    type RequestState = Vec<Key>;

    fn is_pinned(&self, (_, _, chunk): &Key, entry: &Entry) -> bool {
        entry.pinned || entry.usage.is_spared(*chunk)
    }

    fn begin_request(&self) -> Vec<Key> {
        Vec::new()
    }

    fn on_evict(&self, victims: &mut Vec<Key>, key: Key, _: Entry) {
        victims.push(key);
    }

    fn end_request(&self, victims: Vec<Key>) {
        self.0.lock().extend(victims);
    }
}

/// All chunks on disk, weighed against the budget.
pub(super) struct Budget {
    chunks: Cache<Key, Entry, ByWeight, DefaultHashBuilder, Victims>,
    left: Victims,
    limit: u64,
    /// The limit, or less of it while the disk has no more.
    capacity: u64,
}

impl std::fmt::Debug for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Budget({} of {})", self.used(), self.limit)
    }
}

/// What asking for room came to. The victims are to be removed in either case.
#[derive(Debug)]
pub(super) struct Reservation {
    /// Whether the chunk may be written.
    pub granted: bool,
    /// Chunks that the budget has forgotten; they must be gone before the chunk is written.
    pub victims: Vec<Key>,
}

/// File systems allocate in blocks of this size.
const BLOCK: u64 = 4096;
/// What comes with every chunk, at worst: a manifest and a page of records, if it is the only
/// one of its object.
const OVERHEAD: u64 = 2 * BLOCK;

impl Budget {
    /// A budget of `limit` bytes, sized for chunks of about `chunk_size`.
    pub fn new(limit: u64, chunk_size: u32) -> Self {
        let items = (limit / u64::from(chunk_size)).clamp(64, 1 << 20) as usize;
        let options = OptionsBuilder::new()
            .estimated_items_capacity(items)
            .weight_capacity(limit)
            .shards(1)
            .build()
            .expect("all required options are set");
        let left = Victims::default();
        let chunks = Cache::with_options(options, ByWeight, Default::default(), left.clone());
        Self {
            chunks,
            left,
            limit,
            capacity: limit,
        }
    }

    /// The most that may be in use.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Another limit; what is returned must go.
    pub fn resize(&mut self, limit: u64) -> Vec<Key> {
        self.limit = limit;
        self.set_capacity(limit)
    }

    /// The disk has no more room: what is in use is all that there is, until [`Budget::relax`].
    pub fn squeeze(&mut self) -> Vec<Key> {
        self.set_capacity(self.used().clamp(1, self.limit))
    }

    /// The limit counts again.
    pub fn relax(&mut self) {
        self.set_capacity(self.limit);
    }

    fn set_capacity(&mut self, capacity: u64) -> Vec<Key> {
        self.capacity = capacity;
        self.left.0.lock().clear();
        self.chunks.set_capacity(capacity);
        std::mem::take(&mut self.left.0.lock())
    }

    /// Bytes in use, those being written included.
    pub fn used(&self) -> u64 {
        self.chunks.weight()
    }

    /// Takes room for a chunk that is about to be written.
    pub fn reserve(&mut self, key: Key, length: u64, usage: Arc<Usage>) -> Reservation {
        self.enter(key, length, usage, true)
    }

    /// A chunk that was found on disk at start-up; it is a victim itself where it has no room.
    pub fn found(&mut self, key: Key, length: u64, usage: Arc<Usage>) -> Vec<Key> {
        let mut reservation = self.enter(key, length, usage, false);
        if !reservation.granted {
            reservation.victims.push(key);
        }
        reservation.victims
    }

    /// The write has ended: the chunk stays, or its room is free again.
    pub fn settle(&mut self, key: Key, kept: bool) {
        match kept {
            true => {
                if let Some(mut entry) = self.chunks.peek_mut(&key) {
                    entry.pinned = false;
                }
            }
            false => self.forget(key),
        }
    }

    /// A chunk was of use once more.
    pub fn touch(&mut self, key: Key) {
        self.chunks.get(&key);
    }

    /// A chunk is gone.
    pub fn forget(&mut self, key: Key) {
        self.chunks.remove(&key);
    }

    fn enter(&mut self, key: Key, length: u64, usage: Arc<Usage>, pinned: bool) -> Reservation {
        let bytes = length.next_multiple_of(BLOCK) + OVERHEAD;
        let Ok(weight) = u32::try_from(bytes) else {
            return Reservation {
                granted: false,
                victims: Vec::new(),
            };
        };
        let entry = Entry {
            weight,
            pinned,
            usage,
        };
        let mut victims = self.chunks.insert_with_lifecycle(key, entry);
        let mut granted = !victims.contains(&key);
        victims.retain(|victim| *victim != key);
        if granted && self.used() > self.capacity {
            self.forget(key);
            granted = false;
        }
        Reservation { granted, victims }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const ID: ObjectId = ObjectId([1; 16]);

    fn usage() -> Arc<Usage> {
        Arc::default()
    }

    proptest! {
        /// The disk as it would be if victims were removed and kept chunks written never holds
        /// more than the budget, and the budget knows exactly what is there.
        #[test]
        fn never_more_than_the_limit(steps in prop::collection::vec((0u32..60, 1u64..200_000, 0u8..4), 1..400)) {
            let limit = 2_000_000;
            let mut budget = Budget::new(limit, 65536);
            let mut disk = BTreeMap::new();
            for (chunk, length, action) in steps {
                let chunk = ChunkIndex(chunk);
                match (action, disk.contains_key(&chunk)) {
                    (0, true) => {
                        disk.remove(&chunk);
                        budget.forget((ID, 1, chunk));
                    }
                    (1, true) => budget.touch((ID, 1, chunk)),
                    (_, false) => {
                        let reservation = budget.reserve((ID, 1, chunk), length, usage());
                        for (_, _, victim) in reservation.victims {
                            prop_assert!(disk.remove(&victim).is_some());
                        }
                        if reservation.granted {
                            disk.insert(chunk, length.next_multiple_of(BLOCK) + OVERHEAD);
                            budget.settle((ID, 1, chunk), true);
                        }
                    }
                    _ => {}
                }
                let used: u64 = disk.values().sum();
                prop_assert!(used <= limit);
                prop_assert_eq!(used, budget.used());
            }
        }
    }

    #[test]
    fn a_smaller_limit_names_what_must_go() {
        let mut budget = Budget::new(10_000_000, 65536);
        for chunk in 0..100 {
            budget.reserve((ID, 1, ChunkIndex(chunk)), 65536, usage());
            budget.settle((ID, 1, ChunkIndex(chunk)), true);
        }
        let before = budget.used();
        let gone = budget.resize(1_000_000);
        assert!(budget.used() <= 1_000_000, "{budget:?}");
        let each = before / 100;
        assert_eq!(gone.len() as u64 * each, before - budget.used());
        assert_eq!(budget.resize(20_000_000), []);
        for chunk in 100..300 {
            assert!(
                budget
                    .reserve((ID, 1, ChunkIndex(chunk)), 65536, usage())
                    .granted
            );
        }
        assert!(budget.used() > 10_000_000);
    }

    #[test]
    fn a_full_disk_makes_victims_below_the_limit_until_it_has_room() {
        let mut budget = Budget::new(10_000_000, 65536);
        let write = |budget: &mut Budget, chunk| {
            let reservation = budget.reserve((ID, 1, ChunkIndex(chunk)), 65536, usage());
            budget.settle((ID, 1, ChunkIndex(chunk)), reservation.granted);
            reservation.victims.len()
        };
        for chunk in 0..20 {
            assert_eq!(write(&mut budget, chunk), 0);
        }
        let used = budget.used();
        assert_eq!(budget.squeeze(), []);
        let victims: usize = (20..40).map(|chunk| write(&mut budget, chunk)).sum();
        assert!(victims > 0 && budget.used() <= used, "{budget:?}");
        budget.relax();
        for chunk in 40..60 {
            assert_eq!(write(&mut budget, chunk), 0);
        }
        assert!(budget.used() > used);
    }

    #[test]
    fn what_is_being_written_is_never_a_victim() {
        let mut budget = Budget::new(1_000_000, 65536);
        for chunk in 0..100 {
            assert!(
                budget
                    .reserve((ID, 1, ChunkIndex(chunk)), 65536, usage())
                    .victims
                    .is_empty()
            );
        }
        assert!(budget.used() <= 1_000_000);
        budget.settle((ID, 1, ChunkIndex(0)), true);
        let reservation = budget.reserve((ID, 1, ChunkIndex(200)), 65536, usage());
        assert!(
            reservation
                .victims
                .iter()
                .all(|v| *v == (ID, 1, ChunkIndex(0)))
        );
    }

    #[test]
    fn what_is_spared_is_never_a_victim_as_long_as_it_is() {
        let mut budget = Budget::new(1_000_000, 65536);
        let key = |chunk| (ID, 1, ChunkIndex(chunk));
        let read = usage();
        read.spare(Some(ChunkIndex(3)));
        for chunk in 0..10 {
            assert!(budget.reserve(key(chunk), 65536, read.clone()).granted);
            budget.settle(key(chunk), true);
        }
        let mut victims = Vec::new();
        for other in 100..130 {
            let reservation = budget.reserve(key(other), 65536, usage());
            victims.extend(reservation.victims);
            budget.settle(key(other), reservation.granted);
        }
        let gone = |chunk| victims.contains(&key(chunk));
        assert!((0..3).all(gone) && !(3..10).any(gone), "{victims:?}");
        read.spare(None);
        for other in 200..300 {
            let reservation = budget.reserve(key(other), 65536, usage());
            victims.extend(reservation.victims);
            budget.settle(key(other), reservation.granted);
            budget.touch(key(other));
        }
        assert!(
            (0..10).all(|chunk| victims.contains(&key(chunk))),
            "{victims:?}"
        );
    }
}
