//! What is remembered of answers that could not be stored.
//!
//! While a key is remembered its requests go past the cache, with the client's own header and
//! without waiting for one another ("hit-for-miss"). It is remembered for a minute at most: an
//! origin that changes its mind is believed soon.

use lru::LruCache;
use parking_lot::Mutex;
use pingora_cache::{CacheKey, NoCacheReason, key::CacheHashKey, predictor::CacheablePredictor};
use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

/// Keys whose last answer was not to be stored.
#[derive(Debug)]
pub struct HitForMiss {
    keys: Mutex<LruCache<[u8; 16], Instant>>,
}

/// Keys remembered at a time.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(65536).expect("not zero");
/// How long a key is remembered.
const REMEMBERED: Duration = Duration::from_secs(60);

impl HitForMiss {
    /// Nothing is remembered yet.
    pub fn new() -> Self {
        Self {
            keys: Mutex::new(LruCache::new(CAPACITY)),
        }
    }

    /// How long a key is still remembered.
    pub fn remembered(&self, key: &CacheKey) -> Option<Duration> {
        let since = self.keys.lock().peek(&key.primary_bin()).copied()?;
        REMEMBERED
            .checked_sub(since.elapsed())
            .filter(|left| !left.is_zero())
    }
}

impl CacheablePredictor for HitForMiss {
    fn cacheable_prediction(&self, key: &CacheKey) -> bool {
        self.remembered(key).is_none()
    }

    fn predicted_uncacheable_reason(&self, key: &CacheKey) -> Option<NoCacheReason> {
        (!self.cacheable_prediction(key)).then_some(NoCacheReason::OriginNotCache)
    }

    fn mark_cacheable(&self, key: &CacheKey) -> bool {
        self.keys.lock().pop(&key.primary_bin()).is_some()
    }

    /// Only what the origin said of its answer counts; what happened on the way does not.
    fn mark_uncacheable(&self, key: &CacheKey, reason: NoCacheReason) -> Option<bool> {
        let said = reason == NoCacheReason::OriginNotCache;
        said.then(|| {
            self.keys
                .lock()
                .put(key.primary_bin(), Instant::now())
                .is_none()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_origin_said_of_its_answer_is_remembered() {
        let remembered = HitForMiss::new();
        let key = CacheKey::new("key", "");
        let passing = NoCacheReason::Custom("status");
        assert_eq!(remembered.mark_uncacheable(&key, passing), None);
        assert!(remembered.cacheable_prediction(&key));
        let said = NoCacheReason::OriginNotCache;
        assert_eq!(remembered.mark_uncacheable(&key, said), Some(true));
        assert_eq!(remembered.mark_uncacheable(&key, said), Some(false));
        assert!(!remembered.cacheable_prediction(&key));
        assert!(remembered.mark_cacheable(&key));
        assert!(remembered.cacheable_prediction(&key));
    }
}
