//! Which parts of a row are worth fetching before they are asked for.
//!
//! Who asks for number 7 after 6 was asked for will hardly stop there. A row whose numbers are not
//! asked for one after the other, as they are times, or a player jumps, is left alone.

use lru::LruCache;
use std::{num::NonZeroUsize, ops::RangeInclusive};

/// Names a row of parts.
pub type Row = u64;

/// What was asked for of late, and what was fetched because of that.
#[derive(Debug)]
pub struct Sequels {
    asked: LruCache<(Row, u64), ()>,
    fetched: LruCache<(Row, u64), Sequel>,
}

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

    /// A client asks for a part. Returns how many bytes of it were fetched ahead for nobody else
    /// before, and the parts to fetch now: those of the next `ahead` that nobody was sent for.
    pub fn asked(&mut self, row: Row, number: u64, ahead: u64) -> (Option<u64>, Vec<u64>) {
        let used = match self.fetched.pop(&(row, number)) {
            Some(Sequel::Waiting(bytes)) => Some(bytes),
            Some(Sequel::Tried) | None => None,
        };
        let follows = number
            .checked_sub(1)
            .is_some_and(|before| self.asked.contains(&(row, before)));
        self.asked.put((row, number), ());
        let next: RangeInclusive<u64> = number.saturating_add(1)..=number.saturating_add(ahead);
        let unknown =
            |n: &u64| !self.asked.contains(&(row, *n)) && !self.fetched.contains(&(row, *n));
        let next = match follows {
            true => next.filter(unknown).collect(),
            false => Vec::new(),
        };
        (used, next)
    }

    /// Somebody is sent for a part. Returns the bytes of another that are forgotten by that and
    /// that nobody has asked for.
    pub fn sent(&mut self, row: Row, number: u64) -> Option<u64> {
        self.note(row, number, Sequel::Tried)
    }

    /// A part has come whole.
    pub fn came(&mut self, row: Row, number: u64, bytes: u64) -> Came {
        match self.asked.contains(&(row, number)) {
            true => Came::Used,
            false => Came::Waits(self.note(row, number, Sequel::Waiting(bytes))),
        }
    }

    fn note(&mut self, row: Row, number: u64, sequel: Sequel) -> Option<u64> {
        match self.fetched.push((row, number), sequel) {
            Some((other, Sequel::Waiting(bytes))) if other != (row, number) => Some(bytes),
            _ => None,
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
        let mut parts = sequels(100);
        assert_eq!(parts.asked(1, 7, 2), (None, vec![]));
        assert_eq!(parts.asked(2, 8, 2), (None, vec![]));
        assert_eq!(parts.asked(1, 8, 2), (None, vec![9, 10]));
        parts.sent(1, 9);
        parts.sent(1, 10);
        // Another client, at the same place.
        assert_eq!(parts.asked(1, 8, 2), (None, vec![]));
        assert_eq!(parts.came(1, 9, 500), Came::Waits(None));
        assert_eq!(parts.asked(1, 9, 2), (Some(500), vec![11]));
        // Nobody could be sent for it: the next one tries again.
        assert_eq!(parts.asked(1, 9, 2), (None, vec![11]));
        parts.sent(1, 11);
        assert_eq!(parts.asked(1, 10, 1), (None, vec![]));
        // It was still under way.
        assert_eq!(parts.came(1, 10, 500), Came::Used);
    }

    #[test]
    fn times_and_jumps_are_no_rows() {
        let mut parts = sequels(100);
        for number in [0, 6006, 12012, 18018, 100, 50] {
            assert_eq!(parts.asked(1, number, 4), (None, vec![]));
        }
        assert_eq!(parts.asked(1, u64::MAX, 4), (None, vec![]));
        parts.asked(1, u64::MAX - 1, 4);
        assert_eq!(parts.asked(1, u64::MAX, 4).0, None);
    }

    proptest! {
        /// Whatever comes, bytes that were fetched ahead are said to be used or forgotten once.
        #[test]
        fn no_byte_is_counted_twice(steps in prop::collection::vec((0u64..3, 0u64..12, 0u8..3), 1..200)) {
            let mut parts = sequels(4);
            let (mut came, mut told) = (0, 0);
            for (row, number, action) in steps {
                match action {
                    0 => told += parts.asked(row, number, 2).0.unwrap_or(0),
                    1 => told += parts.sent(row, number).unwrap_or(0),
                    _ => {
                        came += 1;
                        told += match parts.came(row, number, 1) {
                            Came::Used => 1,
                            Came::Waits(forgotten) => forgotten.unwrap_or(0),
                        };
                    }
                }
                prop_assert!(told <= came);
            }
        }
    }
}
