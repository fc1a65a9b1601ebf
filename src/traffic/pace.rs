//! Pacing: a burst at once, then a fixed rate.
//!
//! A player fills its buffer with the burst and then plays; what would run far ahead of it is
//! often never watched. The level of a bucket that is full at first: it fills at the rate, and
//! what is sent is taken out of it.

use std::time::{Duration, Instant};

/// How fast readers of a route may be served, each by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// What may be sent at once.
    pub burst: Burst,
    /// Bytes per second after that, where the medium's own rate is not known or does not count.
    pub rate: u64,
    /// Multiple of the medium's own rate, where that is known.
    pub times: Option<f64>,
}

/// What may be sent at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Burst {
    /// So many bytes.
    Bytes(u64),
    /// So much playing time at the rate.
    Time(Duration),
}

impl Pace {
    /// The pacer of one reader of a medium that takes `own` bytes per second to play, where that
    /// is known.
    pub fn pacer(&self, own: Option<f64>) -> Pacer {
        let multiple = self.times.zip(own).map(|(times, own)| times * own);
        let multiple = multiple.filter(|rate| rate.is_finite());
        let rate = multiple.unwrap_or(self.rate as f64).max(SLOWEST);
        let burst = match self.burst {
            Burst::Bytes(bytes) => bytes as f64,
            Burst::Time(time) => time.as_secs_f64() * rate,
        };
        let burst = burst.max(1.0);
        Pacer {
            rate,
            burst,
            level: burst,
            since: None,
        }
    }

    /// The most to hold back at a time, in bytes, where the medium's own rate is not known: the wait
    /// for so much is short.
    pub fn step(&self) -> usize {
        (self.pacer(None).rate / STEPS) as usize
    }
}

/// The pace of one reader.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    rate: f64,
    burst: f64,
    /// Bytes that may be sent at once, as of `since`.
    level: f64,
    since: Option<Instant>,
}

/// Bytes per second below which nobody is paced, whatever is said of the medium: nothing that
/// plays takes less.
const SLOWEST: f64 = 1024.0;
/// A reader is served so often in a second at its rate.
const STEPS: f64 = 8.0;
/// Least that is worth sending, in bytes.
const LEAST: f64 = 4096.0;

impl Pacer {
    /// How many bytes may be sent now, or how long to wait before asking again.
    pub fn next(&mut self, now: Instant) -> Result<usize, Duration> {
        self.fill(now);
        let step = (self.rate / STEPS).max(LEAST);
        // A burst that is less than a step would never reach it.
        let step = step.min(self.burst);
        match self.level >= step {
            true => Ok(self.level as usize),
            false => Err(Duration::from_secs_f64((step - self.level) / self.rate) + TICK),
        }
    }

    /// So many bytes are at hand already: how long to hold them back.
    pub fn hold(&mut self, now: Instant, bytes: usize) -> Option<Duration> {
        self.fill(now);
        self.sent(bytes);
        let lacks = -self.level;
        (lacks > 0.0).then(|| Duration::from_secs_f64(lacks / self.rate))
    }

    /// Goes on at the pace of another, as if it had been that from the beginning.
    pub fn become_like(&mut self, other: Self) {
        let level = self.level + other.burst - self.burst;
        *self = Self {
            level: level.min(other.burst),
            since: self.since,
            ..other
        };
    }

    /// So many bytes are being sent.
    pub fn sent(&mut self, bytes: usize) {
        self.level -= bytes as f64;
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since.unwrap_or(now));
        self.level = (self.level + passed.as_secs_f64() * self.rate).min(self.burst);
        self.since = Some(now);
    }
}

/// Waits are a little longer than they must be: rounding is never to make two of one.
const TICK: Duration = Duration::from_micros(1);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pace(burst: u64, rate: u64) -> Pace {
        Pace {
            burst: Burst::Bytes(burst),
            rate,
            times: None,
        }
    }

    #[test]
    fn the_burst_goes_at_once_and_the_rest_at_the_rate() {
        let mut now = Instant::now();
        let mut pacer = pace(8 << 20, 1 << 20).pacer(None);
        assert_eq!(pacer.next(now), Ok(8 << 20));
        pacer.sent(8 << 20);
        let wait = pacer.next(now).unwrap_err();
        assert_eq!(wait.as_millis(), 125);
        now += wait;
        assert_eq!(pacer.next(now).map(|bytes| bytes >> 10), Ok(128));
        // Who pauses saves up no more than a burst.
        assert_eq!(pacer.next(now + Duration::from_secs(900)), Ok(8 << 20));
    }

    #[test]
    fn the_rate_is_a_multiple_of_the_mediums_own_where_that_is_known() {
        let pace = Pace {
            burst: Burst::Time(Duration::from_secs(10)),
            rate: 1000,
            times: Some(1.5),
        };
        let now = Instant::now();
        assert_eq!(pace.pacer(Some(200_000.0)).next(now), Ok(3_000_000));
        assert_eq!(pace.pacer(None).next(now), Ok(10_240));
        assert_eq!(pace.pacer(Some(f64::INFINITY)).next(now), Ok(10_240));
    }

    #[test]
    fn bytes_at_hand_are_held_back_for_as_long_as_they_are_early() {
        let now = Instant::now();
        let mut pacer = pace(1000, 2000).pacer(None);
        assert_eq!(pacer.hold(now, 1000), None);
        assert_eq!(pacer.hold(now, 1000), Some(Duration::from_millis(500)));
        let later = now + Duration::from_millis(500);
        assert_eq!(pacer.hold(later, 500), Some(Duration::from_millis(250)));
    }

    #[test]
    fn what_was_sent_counts_at_another_pace_too() {
        let now = Instant::now();
        let mut pacer = pace(1000, 2000).pacer(None);
        assert_eq!(pacer.next(now), Ok(1000));
        pacer.sent(1000);
        pacer.become_like(pace(50_000, 80_000).pacer(None));
        assert_eq!(pacer.next(now), Ok(49_000));
    }

    proptest! {
        /// In no interval more than a burst and what the rate gives; and whoever waits as told
        /// gets on.
        #[test]
        fn never_faster_than_burst_and_rate_and_never_starved(
            burst in 1u64..10 << 20,
            rate in 1024u64..10 << 20,
            moves in prop::collection::vec((0u64..3000, 1usize..2 << 20), 1..60),
        ) {
            let mut now = Instant::now();
            let mut pacer = pace(burst, rate).pacer(None);
            let mut history = vec![(now, 0u64)];
            let mut sent = 0u64;
            for (pause, wanted) in moves {
                now += Duration::from_millis(pause);
                let given = match pacer.next(now) {
                    Ok(given) => given,
                    Err(wait) => {
                        now += wait;
                        let given = pacer.next(now);
                        prop_assert!(given.is_ok(), "{wait:?} was not enough");
                        given.unwrap()
                    }
                };
                prop_assert!(given >= 1);
                let given = given.min(wanted);
                for (then, before) in &history {
                    let allowed = burst as f64 + rate as f64 * (now - *then).as_secs_f64();
                    prop_assert!((sent - before + given as u64) as f64 <= allowed + 1.0);
                }
                pacer.sent(given);
                history.push((now, sent));
                sent += given as u64;
            }
        }
    }
}
