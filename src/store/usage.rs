//! How much an object is used and what it takes on disk, for operators to look at; and what of it is
//! not to make room for others.

use crate::domain::ChunkIndex;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, SystemTime},
};

/// Counts of one generation, since this process first met it. They outlive the open object: the
/// index keeps them until the files are gone.
#[derive(Debug, Default)]
pub(super) struct Usage {
    finds: AtomicU64,
    /// Seconds since 1970; 0 before the first find.
    last: AtomicU64,
    stored: AtomicU64,
    /// One more than the first chunk that is not to make room; 0 for none.
    spared: AtomicU64,
}

impl Usage {
    /// A request found the object.
    pub fn found(&self, now: SystemTime) {
        let since = now.duration_since(SystemTime::UNIX_EPOCH);
        self.last
            .store(since.map_or(0, |since| since.as_secs()), Relaxed);
        self.finds.fetch_add(1, Relaxed);
    }

    /// From this chunk on it is not to make room for others; all of it may with `None`.
    pub fn spare(&self, from: Option<ChunkIndex>) {
        let from = from.map_or(0, |chunk| u64::from(chunk.0) + 1);
        // It is nearly always nothing: who only reads leaves the line to the other cores.
        if self.spared.load(Relaxed) != from {
            self.spared.store(from, Relaxed);
        }
    }

    /// Whether a chunk is not to make room for others.
    pub fn is_spared(&self, chunk: ChunkIndex) -> bool {
        let from = self.spared.load(Relaxed);
        from > 0 && u64::from(chunk.0) + 1 >= from
    }

    /// Requests that found it.
    pub fn finds(&self) -> u64 {
        self.finds.load(Relaxed)
    }

    /// When one last did.
    pub fn last(&self) -> Option<SystemTime> {
        let seconds = self.last.load(Relaxed);
        (seconds > 0).then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    /// From now on it has so many bytes on disk.
    pub fn takes(&self, bytes: u64) {
        self.stored.store(bytes, Relaxed);
    }

    /// Bytes of its chunks on disk.
    pub fn stored(&self) -> u64 {
        self.stored.load(Relaxed)
    }
}
