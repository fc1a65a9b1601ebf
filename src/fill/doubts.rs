//! Objects of which the caches before the origin have shown different versions.

use lru::LruCache;
use parking_lot::Mutex;
use std::num::NonZeroUsize;

/// What is to be asked of the origin itself the next time, by the digests of the objects' keys.
///
/// Servers that are caches learn of a new version one after the other. One that is behind would
/// give an object its old version back as soon as the newer part of another has ended that, again
/// and again until its copy is stale. One request past the caches brings it up to date instead.
#[derive(Debug)]
pub struct Doubts(Mutex<LruCache<u64, ()>>);

/// Objects remembered at a time. One that is forgotten may change its version once more.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");

impl Doubts {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }

    /// Caches differ about an object.
    pub(super) fn note(&self, key: u64) {
        self.0.lock().put(key, ());
    }

    /// Whether they do, for the one request that is to settle it.
    pub fn take(&self, key: u64) -> bool {
        self.0.lock().pop(&key).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_settles_it_and_the_oldest_is_forgotten() {
        let doubts = Doubts::new();
        doubts.note(7);
        assert!(!doubts.take(8) && doubts.take(7) && !doubts.take(7));
        for key in 0..=CAPACITY.get() as u64 {
            doubts.note(key);
        }
        assert!(!doubts.take(0) && doubts.take(1));
    }
}
