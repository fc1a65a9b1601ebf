//! The demo's line between origin and proxy: as slow as wanted, shared by all that it carries.

use parking_lot::Mutex;
use std::{num::NonZeroU64, time::Duration};
use tokio::time::Instant;

/// A line that carries so many bytes a second.
#[derive(Debug)]
pub struct Link {
    rate: Option<NonZeroU64>,
    /// When all that was accepted so far will have gone.
    free_at: Mutex<Option<Instant>>,
}

impl Link {
    /// A line of this rate in bytes per second, or without a limit.
    pub fn new(rate: Option<NonZeroU64>) -> Self {
        Self {
            rate,
            free_at: Mutex::new(None),
        }
    }

    /// Accepts some bytes and says when they may go. A line that was idle takes them at once: it
    /// saves nothing up.
    pub fn accept(&self, bytes: usize, now: Instant) -> Instant {
        let Some(rate) = self.rate else {
            return now;
        };
        let mut free_at = self.free_at.lock();
        let start = free_at.map_or(now, |at| at.max(now));
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(rate.get());
        *free_at = Some(start + Duration::from_nanos(nanos as u64));
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_one_after_the_other_and_idleness_is_not_saved() {
        let link = Link::new(NonZeroU64::new(1000));
        let now = Instant::now();
        let after = |millis| now + Duration::from_millis(millis);
        assert_eq!(link.accept(100, now), now);
        assert_eq!(link.accept(50, now), after(100));
        assert_eq!(link.accept(50, after(20)), after(150));
        assert_eq!(link.accept(50, after(9000)), after(9000));
        assert_eq!(link.accept(50, after(9000)), after(9050));
    }

    #[test]
    fn without_a_limit_everything_goes_at_once() {
        let link = Link::new(None);
        let now = Instant::now();
        assert_eq!(link.accept(usize::MAX, now), now);
        assert_eq!(link.accept(1, now), now);
    }
}
