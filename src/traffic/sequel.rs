//! Which parts of a row are worth fetching before they are asked for.
//!
//! Who asks for number 7 after 6 was asked for will hardly stop there. A row whose numbers are not
//! asked for one after the other, as they are times, or a player jumps, is left alone.

use lru::LruCache;
use std::{
    num::NonZeroUsize,
    ops::RangeInclusive,
    time::{Duration, Instant},
};

/// Names a row of parts.
pub type Row = u64;

/// What was asked for of late, and what was fetched because of that.
#[derive(Debug)]
pub struct Sequels {
    asked: LruCache<(Row, u64), Instant>,
    fetched: LruCache<(Row, u64), (Sequel, Instant)>,
}

/// For so long what was asked for, or sent for, counts as there. Later it may have been purged or
/// evicted, or its time be over: the next player has it looked for again.
const LATELY: Duration = Duration::from_secs(60);

/// What became of a part that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// It was asked for while it came.
    Used,
    /// It waits to be asked for; with the bytes of another that are forgotten because of that.
    Waits(Option<u64>),
}

/// What became of a part that was to be fetched ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sequel {
    /// It is being fetched, or could not be.
    Tried,
    /// So many bytes of it came, and nobody has asked for it yet.
    Waiting(u64),
}

impl Sequels {
    /// With a memory of so many parts.
    pub fn of(most: NonZeroUsize) -> Self {
        Self {
            asked: LruCache::new(most),
            fetched: LruCache::new(most),
        }
    }

    /// A client asks for a part, which is one of a row if the `run` before it were asked for of late.
    /// Returns how many bytes of it were fetched ahead for nobody else before, and the parts to fetch
    /// now: those of the next `ahead` that nobody was sent for.
    pub fn asked(
        &mut self,
        row: Row,
        number: u64,
        run: u64,
        ahead: u64,
        now: Instant,
    ) -> (Option<u64>, Vec<u64>) {
        let fetched = self.fetched.pop(&(row, number));
        let used = fetched.and_then(|(sequel, _)| sequel.waiting());
        let mut run = (1..=run).map(|back| number.checked_sub(back));
        let follows = run.all(|n| n.is_some_and(|before| self.was_asked(row, before, now)));
        self.asked.put((row, number), now);
        let next: RangeInclusive<u64> = number.saturating_add(1)..=number.saturating_add(ahead);
        let unknown = |n: &u64| !self.was_asked(row, *n, now) && !self.was_sent(row, *n, now);
        let next = match follows {
            true => next.filter(unknown).collect(),
            false => Vec::new(),
        };
        (used, next)
    }

    /// Somebody is sent for a part. Returns the bytes of another that are forgotten by that and
    /// that nobody has asked for.
    pub fn sent(&mut self, row: Row, number: u64, now: Instant) -> Option<u64> {
        let before = self.fetched.peek(&(row, number));
        let sequel = before.map_or(Sequel::Tried, |(sequel, _)| *sequel);
        let (forgotten, (other, _)) = self.fetched.push((row, number), (sequel, now))?;
        other.waiting().filter(|_| forgotten != (row, number))
    }

    /// A part has come whole.
    pub fn came(&mut self, row: Row, number: u64, bytes: u64, now: Instant) -> Came {
        let waits = self.fetched.contains(&(row, number));
        if !waits && self.was_asked(row, number, now) {
            return Came::Used;
        }
        // What waited under this name is not there any more.
        let waiting = (Sequel::Waiting(bytes), now);
        let forgotten = self.fetched.push((row, number), waiting);
        Came::Waits(forgotten.and_then(|(_, (sequel, _))| sequel.waiting()))
    }

    fn was_asked(&self, row: Row, number: u64, now: Instant) -> bool {
        let at = self.asked.peek(&(row, number));
        at.is_some_and(|at| is_of_late(*at, now))
    }

    fn was_sent(&self, row: Row, number: u64, now: Instant) -> bool {
        let sent = self.fetched.peek(&(row, number));
        sent.is_some_and(|(_, at)| is_of_late(*at, now))
    }
}

/// Whether something was not long ago.
fn is_of_late(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < LATELY
}

impl Sequel {
    /// The bytes that wait to be asked for.
    fn waiting(self) -> Option<u64> {
        match self {
            Self::Waiting(bytes) => Some(bytes),
            Self::Tried => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sequels(most: usize) -> Sequels {
        Sequels::of(NonZeroUsize::new(most).unwrap())
    }

    #[test]
    fn a_row_is_fetched_ahead_once_it_is_one() {
        let (mut parts, now) = (sequels(100), Instant::now());
        assert_eq!(parts.asked(1, 7, 1, 2, now), (None, vec![]));
        assert_eq!(parts.asked(2, 8, 1, 2, now), (None, vec![]));
        assert_eq!(parts.asked(1, 8, 1, 2, now), (None, vec![9, 10]));
        parts.sent(1, 9, now);
        parts.sent(1, 10, now);
        // Another client, at the same place.
        assert_eq!(parts.asked(1, 8, 1, 2, now), (None, vec![]));
        assert_eq!(parts.came(1, 9, 500, now), Came::Waits(None));
        assert_eq!(parts.asked(1, 9, 1, 2, now), (Some(500), vec![11]));
        // Nobody could be sent for it: the next one tries again.
        assert_eq!(parts.asked(1, 9, 1, 2, now), (None, vec![11]));
        parts.sent(1, 11, now);
        assert_eq!(parts.asked(1, 10, 1, 1, now), (None, vec![]));
        // It was still under way.
        assert_eq!(parts.came(1, 10, 500, now), Came::Used);
    }

    #[test]
    fn what_was_there_long_ago_is_looked_for_again() {
        let (mut parts, then) = (sequels(100), Instant::now());
        for number in 1..=4 {
            parts.asked(1, number, 1, 1, then);
        }
        parts.sent(1, 5, then);
        parts.came(1, 5, 500, then);
        let now = then + LATELY;
        assert_eq!(parts.asked(1, 1, 1, 2, now), (None, vec![]));
        assert_eq!(parts.asked(1, 2, 1, 2, now), (None, vec![3, 4]));
        parts.sent(1, 3, now);
        // That somebody asked for it the last time is not that anybody does now.
        assert_eq!(parts.came(1, 3, 100, now), Came::Waits(None));
        assert_eq!(parts.asked(1, 3, 1, 2, now), (Some(100), vec![4, 5]));
        // What nobody has asked for since is still there,
        assert_eq!(parts.sent(1, 5, now), None);
        assert_eq!(parts.asked(1, 4, 1, 1, now), (None, vec![]));
        // or has come anew.
        assert_eq!(parts.came(1, 5, 700, now), Came::Waits(Some(500)));
        assert_eq!(parts.asked(1, 5, 1, 1, now), (Some(700), vec![6]));
    }

    #[test]
    fn a_longer_run_may_be_asked_for() {
        let (mut parts, now) = (sequels(100), Instant::now());
        let mut asked = |number| parts.asked(1, number, 2, 1, now).1;
        assert_eq!((asked(0), asked(1)), (vec![], vec![]));
        assert_eq!((asked(2), asked(4)), (vec![3], vec![]));
    }

    #[test]
    fn times_and_jumps_are_no_rows() {
        let (mut parts, now) = (sequels(100), Instant::now());
        for number in [0, 6006, 12012, 18018, 100, 50] {
            assert_eq!(parts.asked(1, number, 1, 4, now), (None, vec![]));
        }
        assert_eq!(parts.asked(1, u64::MAX, 1, 4, now), (None, vec![]));
        parts.asked(1, u64::MAX - 1, 1, 4, now);
        assert_eq!(parts.asked(1, u64::MAX, 1, 4, now).0, None);
        // Nor is where somebody has played before, and another jumps to.
        parts.asked(1, 7, 1, 4, now);
        assert_eq!(parts.asked(1, 8, 1, 4, now + LATELY), (None, vec![]));
    }

    proptest! {
        /// Whatever comes, bytes that were fetched ahead are said to be used or forgotten once.
        #[test]
        fn no_byte_is_counted_twice(steps in prop::collection::vec((0u64..3, 0u64..12, 0u8..3, 0u64..50), 1..200)) {
            let (mut parts, mut now) = (sequels(4), Instant::now());
            let (mut came, mut told) = (0, 0);
            for (row, number, action, pause) in steps {
                now += Duration::from_secs(pause);
                match action {
                    0 => told += parts.asked(row, number, 1, 2, now).0.unwrap_or(0),
                    1 => told += parts.sent(row, number, now).unwrap_or(0),
                    _ => {
                        came += 1;
                        told += match parts.came(row, number, 1, now) {
                            Came::Used => 1,
                            Came::Waits(forgotten) => forgotten.unwrap_or(0),
                        };
                    }
                }
                prop_assert!(told <= came);
            }
            let waiting = parts.fetched.iter().filter_map(|(_, (it, _))| it.waiting());
            prop_assert_eq!(told + waiting.sum::<u64>(), came, "each is told, or waits");
        }
    }
}
