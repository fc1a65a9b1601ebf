//! The system's clock, watched for jumps.
//!
//! Freshness, tokens and certificates are judged by the time of day. When that jumps, what is stored
//! is stale at once, or fresh for longer than it should be, and nobody would know why. Nothing is
//! undone here, as nobody knows which of the two times was right; it is only said, and counted.

use prometheus::IntCounter;
use std::time::{Duration, Instant, SystemTime};

/// A moment by both clocks.
#[derive(Clone, Copy, Debug)]
struct Moment {
    steady: Instant,
    day: SystemTime,
}

/// Where the time of day has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Jump {
    Ahead(Duration),
    Back(Duration),
}

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(5);
/// What is less is a clock that is being set right bit by bit, or a process that had to wait between
/// its two looks.
const LEAST: Duration = Duration::from_secs(2);

impl Moment {
    fn now() -> Self {
        Self {
            steady: Instant::now(),
            day: SystemTime::now(),
        }
    }

    /// What the time of day has done since, beside passing.
    fn jumped(self, later: Self) -> Option<Jump> {
        let expected = self.day + later.steady.saturating_duration_since(self.steady);
        let jump = match later.day.duration_since(expected) {
            Ok(ahead) => Jump::Ahead(ahead),
            Err(back) => Jump::Back(back.duration()),
        };
        let (Jump::Ahead(by) | Jump::Back(by)) = jump;
        (by >= LEAST).then_some(jump)
    }
}

/// Counts jumps, as long as the process runs.
pub(super) async fn watch(jumps: IntCounter) {
    let mut before = Moment::now();
    loop {
        tokio::time::sleep(LOOK).await;
        let now = Moment::now();
        match before.jumped(now) {
            Some(Jump::Ahead(by)) => {
                jumps.inc();
                log::warn!(
                    "the system's clock jumped {by:?} ahead: what is stored goes stale earlier"
                );
            }
            Some(Jump::Back(by)) => {
                jumps.inc();
                log::warn!(
                    "the system's clock jumped {by:?} back: what is stored stays fresh for longer; purge it softly if that matters"
                );
            }
            None => {}
        }
        before = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_clock_did_by_itself_is_a_jump() {
        let before = Moment::now();
        let after = |steady: u64, day: i64| {
            let second = Duration::from_secs(1);
            let by = second * day.unsigned_abs() as u32;
            Moment {
                steady: before.steady + second * steady as u32,
                day: if day < 0 {
                    before.day - by
                } else {
                    before.day + by
                },
            }
        };
        let seconds = Duration::from_secs;
        let table = [
            (5, 5, None),
            (5, 6, None),
            (5, 4, None),
            (3600, 3600, None),
            (5, 3605, Some(Jump::Ahead(seconds(3600)))),
            (5, -3595, Some(Jump::Back(seconds(3600)))),
            (5, 0, Some(Jump::Back(seconds(5)))),
        ];
        for (steady, day, expected) in table {
            assert_eq!(
                before.jumped(after(steady, day)),
                expected,
                "{steady} {day}"
            );
        }
    }
}
