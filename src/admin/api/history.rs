//! The last minutes, so that a page that has just been opened shows more than a moment.

use super::{Rooms, Use, Window, window::Totals};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio::sync::watch;

/// `GET /api/history`: the last five minutes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// Seconds between two samples.
    pub every: f64,
    /// The samples, the oldest first.
    pub samples: Vec<Sample>,
}

/// What happened between two looks, and what was in use at the second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// Its number; each is one more than the one before.
    pub number: u64,
    /// When it was taken, in seconds since 1970.
    pub at: f64,
    /// What happened since the sample before.
    pub over: Window,
    /// What was in use.
    pub now: Use,
}

/// Looks at the counters and keeps what it sees.
#[derive(Debug)]
pub struct Keeper {
    rooms: Rooms,
    began: Instant,
    kept: Mutex<Kept>,
}

/// Readings, the oldest first; there is always one, that of the start.
#[derive(Debug)]
struct Kept {
    readings: VecDeque<Reading>,
    /// The number of the oldest.
    first: u64,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    taken: Instant,
    at: SystemTime,
    totals: Totals,
    now: Use,
}

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(2);
/// Looks that are kept: five minutes, at about half a kilobyte each.
const MOST: usize = 151;

impl Reading {
    fn of(rooms: &Rooms) -> Self {
        Self {
            taken: Instant::now(),
            at: SystemTime::now(),
            totals: rooms.totals(),
            now: rooms.in_use(),
        }
    }

    fn since(&self, earlier: &Self) -> Window {
        let taken = self.taken.saturating_duration_since(earlier.taken);
        self.totals.since(&earlier.totals, taken.as_secs_f64())
    }
}

impl Kept {
    fn beginning_with(reading: Reading) -> Self {
        Self {
            readings: VecDeque::from([reading]),
            first: 0,
        }
    }

    fn note(&mut self, reading: Reading) {
        self.readings.push_back(reading);
        if self.readings.len() > MOST {
            self.readings.pop_front();
            self.first += 1;
        }
    }

    /// What was seen after the sample of this number.
    fn after(&self, number: u64) -> Vec<Sample> {
        let pairs = self.readings.iter().zip(self.readings.iter().skip(1));
        let numbered = (self.first + 1..).zip(pairs);
        let newer = numbered.filter(|(at, _)| *at > number);
        let sample = |(number, (before, reading)): (u64, (&Reading, &Reading))| {
            let at = reading.at.duration_since(SystemTime::UNIX_EPOCH);
            Sample {
                number,
                at: at.map_or(0.0, |at| at.as_secs_f64()),
                over: reading.since(before),
                now: reading.now,
            }
        };
        newer.map(sample).collect()
    }
}

impl Keeper {
    /// Begins with how things are.
    pub fn new(rooms: Rooms) -> Arc<Self> {
        let reading = Reading::of(&rooms);
        Arc::new(Self {
            rooms,
            began: reading.taken,
            kept: Mutex::new(Kept::beginning_with(reading)),
        })
    }

    /// Looks every two seconds, until it is told to end.
    pub async fn keep(self: Arc<Self>, mut end: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval_at((Instant::now() + EVERY).into(), EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.kept.lock().note(Reading::of(&self.rooms)),
                _ = end.changed() => return,
            }
        }
    }

    /// What was seen after the sample of this number; of 0, all that is kept.
    pub fn history(&self, after: u64) -> History {
        History {
            every: EVERY.as_secs_f64(),
            samples: self.kept.lock().after(after),
        }
    }

    /// Time since the start, what is in use now, what happened in the last minutes, and what since
    /// the start.
    pub(in crate::admin) fn summary(&self) -> (Duration, Use, Window, Window) {
        let reading = Reading::of(&self.rooms);
        let up = reading.taken.saturating_duration_since(self.began);
        let kept = self.kept.lock();
        let oldest = kept.readings.front().unwrap_or(&reading);
        let all = reading.totals.since(&Totals::default(), up.as_secs_f64());
        (up, reading.now, reading.since(oldest), all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::{Amount, Answers, Directory, Queued};

    fn reading(second: u64, requests: u64, start: Instant) -> Reading {
        let amount = Amount { bytes: 0, limit: 1 };
        Reading {
            taken: start + Duration::from_secs(second),
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(second),
            totals: Totals {
                requests: Answers {
                    store: requests,
                    ..Answers::default()
                },
                ..Totals::default()
            },
            now: Use {
                streams: requests,
                connections: 0,
                fills: 0,
                queued: Queued::default(),
                in_flight: amount,
                store: amount,
                directory: Directory::Known,
                objects: 0,
                tags: 0,
                disk_queue: 0,
                memory: None,
                tier: None,
            },
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_numbered_on() {
        let start = Instant::now();
        let mut kept = Kept::beginning_with(reading(0, 0, start));
        assert_eq!(kept.after(0), []);
        for second in 1..=MOST as u64 + 9 {
            kept.note(reading(second * 2, second * second, start));
        }
        let all = kept.after(0);
        assert_eq!((all.len(), all[0].number), (MOST - 1, 11));
        assert_eq!(all[0].over.requests.store, 11 * 11 - 10 * 10);
        assert_eq!(all[0].over.seconds, 2.0);
        let last = all[all.len() - 1].number;
        assert_eq!(kept.after(last), []);
        assert_eq!(kept.after(last - 1), all[all.len() - 1..]);
    }
}
