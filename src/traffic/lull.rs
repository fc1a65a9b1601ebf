//! Whether the processors have time for what can wait.
//!
//! What goes up to a second tier costs about what its coming in did. While those who serve clients
//! take more than half of the processors' time, there is none for both.

use parking_lot::Mutex;
use std::{
    fmt,
    time::{Duration, Instant},
};

/// How much of the processors' time is taken by those who can't wait.
pub struct Lull {
    processors: u32,
    worked: Box<dyn Fn() -> Duration + Send + Sync>,
    seen: Mutex<Option<Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Instant,
    worked: Duration,
    /// What came of it; a first look says nothing.
    is_lull: bool,
}

/// Of a time as long as this an average says nothing of now.
const LONG_AGO: Duration = Duration::from_secs(1);

impl Lull {
    /// Time between two looks; one that comes earlier is told what the last one was.
    pub const LOOK_AGAIN: Duration = Duration::from_millis(100);

    /// `worked` says how long those who serve have worked in all, on this many processors.
    pub fn new(processors: usize, worked: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self {
            processors: u32::try_from(processors.max(1)).unwrap_or(u32::MAX),
            worked: Box::new(worked),
            seen: Mutex::default(),
        }
    }

    /// Whether there is time by now, as far as is known: not for some time after the first look, or
    /// after a long while without one.
    pub fn is_now(&self, now: Instant) -> bool {
        let mut seen = self.seen.lock();
        let last = *seen;
        let passed = last.map_or(LONG_AGO, |last| now.saturating_duration_since(last.at));
        if let Some(last) = last.filter(|_| passed < Self::LOOK_AGAIN) {
            return last.is_lull;
        }
        let worked = (self.worked)();
        let is_lull = last.is_some_and(|last| {
            let taken = worked.saturating_sub(last.worked);
            passed < LONG_AGO && taken * 2 <= passed * self.processors
        });
        *seen = Some(Seen {
            at: now,
            worked,
            is_lull,
        });
        is_lull
    }
}

impl fmt::Debug for Lull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.seen.lock();
        f.debug_struct("Lull")
            .field("seen", &*seen)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    };

    #[test]
    fn there_is_time_where_half_of_it_is_not_taken() {
        let worked = Arc::<AtomicU64>::default();
        let counted = worked.clone();
        let lull = Lull::new(2, move || Duration::from_millis(counted.load(SeqCst)));
        let mut now = Instant::now();
        let mut after = |passed: u64, work: u64| {
            worked.fetch_add(work, SeqCst);
            now += Duration::from_millis(passed);
            lull.is_now(now)
        };
        let table = [
            // Milliseconds that have passed, those that were worked in them, and whether it is a lull.
            (0, 500, false),
            (50, 0, false),
            (50, 100, true),
            // Not looked again so soon.
            (90, 180, true),
            (10, 0, false),
            (400, 400, true),
            (100, 101, false),
            (100, 0, true),
            // Nobody knows after so long.
            (5000, 0, false),
            (100, 90, true),
        ];
        for (passed, work, expected) in table {
            assert_eq!(after(passed, work), expected, "{work} ms of {passed}");
        }
    }
}
