//! How often the same is said: a flood of one message becomes a few lines and their number.

use log::Level;
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

/// What has been said of late.
#[derive(Debug)]
pub struct Flood {
    said: HashMap<u64, Said>,
    hasher: RandomState,
    /// Messages that found no place here.
    others: u64,
    looked: Instant,
}

/// One message of late.
#[derive(Debug)]
struct Said {
    since: Instant,
    times: u32,
    left_out: Option<Summary>,
}

/// A message that has been left out, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its level.
    pub level: Level,
    /// Where it comes from.
    pub target: String,
    /// What it says.
    pub text: String,
    /// How often it was left out.
    pub count: u64,
}

/// How often one message is written within [`WINDOW`].
const TIMES: u32 = 5;
/// The time over which messages are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// Different messages that are counted at a time; further ones are left out.
const MESSAGES: usize = 128;
/// How often it is looked what is to be summed up.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Flood {
    /// Nothing has been said.
    pub fn new(now: Instant) -> Self {
        Self {
            said: HashMap::new(),
            hasher: RandomState::new(),
            others: 0,
            looked: now,
        }
    }

    /// Whether a message is to be written now.
    pub fn admit(&mut self, level: Level, target: &str, text: &str, now: Instant) -> bool {
        let key = self.hasher.hash_one((level, target, text));
        if !self.said.contains_key(&key) && self.said.len() >= MESSAGES {
            self.others += 1;
            return false;
        }
        let said = self.said.entry(key).or_insert(Said {
            since: now,
            times: 0,
            left_out: None,
        });
        if said.times < TIMES {
            said.times += 1;
            return true;
        }
        let summary = said.left_out.get_or_insert_with(|| Summary {
            level,
            target: target.to_owned(),
            text: text.to_owned(),
            count: 0,
        });
        summary.count += 1;
        false
    }

    /// What has been left out long enough to be summed up. All of it where `ends`.
    pub fn due(&mut self, now: Instant, ends: bool) -> Vec<Summary> {
        if !ends && now.saturating_duration_since(self.looked) < LOOK_EVERY {
            return Vec::new();
        }
        self.looked = now;
        let mut due = Vec::new();
        self.said.retain(|_, said| {
            if !ends && now.saturating_duration_since(said.since) < WINDOW {
                return true;
            }
            due.extend(said.left_out.take());
            false
        });
        let others = std::mem::take(&mut self.others);
        if others > 0 {
            due.push(Summary {
                level: Level::Warn,
                target: module_path!().to_owned(),
                text: "too many different messages".to_owned(),
                count: others,
            });
        }
        due
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} more of these left out)", self.text, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_few_lines_and_their_number() {
        let start = Instant::now();
        let mut flood = Flood::new(start);
        let (mut written, mut summed) = (0, 0);
        // A thousand a second, for a minute.
        for tick in 0..60_000 {
            let now = start + Duration::from_millis(tick);
            summed += flood
                .due(now, false)
                .iter()
                .map(|due| due.count)
                .sum::<u64>();
            written += u64::from(flood.admit(Level::Warn, "origin", "it is down", now));
        }
        summed += flood
            .due(start, true)
            .iter()
            .map(|due| due.count)
            .sum::<u64>();
        assert!(written <= 6 * u64::from(TIMES), "{written}");
        assert_eq!(written + summed, 60_000);
    }

    #[test]
    fn one_message_does_not_hide_another_and_all_together_have_a_bound() {
        let now = Instant::now();
        let mut flood = Flood::new(now);
        for _ in 0..100 {
            flood.admit(Level::Warn, "a", "x", now);
        }
        assert!(flood.admit(Level::Warn, "a", "y", now));
        assert!(flood.admit(Level::Error, "a", "x", now));
        let many = (0..10_000).filter(|n| flood.admit(Level::Warn, "a", &n.to_string(), now));
        let written = many.count();
        assert_eq!(written, MESSAGES - 3);
        let due = flood.due(now + LOOK_EVERY, false);
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].count as usize, 10_000 - written);
        let later = flood.due(now + WINDOW, false);
        assert_eq!((later.len(), later[0].count), (1, 95));
        assert_eq!(later[0].to_string(), "x (95 more of these left out)");
        assert!(flood.said.is_empty());
    }
}
