//! Which parts of a row are worth fetching before they are asked for.
//!
//! Who asks for number 7 after 6 was asked for will hardly stop there. Where numbers are times, as in
//! segment templates of DASH with `$Time$` (ISO/IEC 23009-1, section 5.3.9.4), parts that play equally
//! long are as far from each other. A row that is asked for in no such way, as a player jumps, is left
//! alone, and so for a while is one whose times went on in another way than was thought.

use lru::LruCache;
use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    time::{Duration, Instant},
};

/// Names a row of parts.
pub type Row = u64;

/// What was asked for of late, and what was fetched because of that.
#[derive(Debug)]
pub struct Sequels {
    asked: LruCache<(Row, u64), Instant>,
    fetched: LruCache<(Row, u64), (Sequel, Instant)>,
    times: LruCache<Row, Times>,
}

/// What is known of the numbers of a row as times.
#[derive(Debug, Default)]
struct Times {
    /// Some that were asked for, the last one last: one of several clients' each may follow on.
    asked: VecDeque<u64>,
    /// When one that was thought to follow did not.
    failed: Option<Instant>,
}

/// Clients of one row that are told from each other by what they ask for.
const CLIENTS: usize = 4;

/// For so long what was asked for, or sent for, counts as there. Later it may have been purged or
/// evicted, or its time be over: the next player has it looked for again.
const LATELY: Duration = Duration::from_secs(60);

/// How the numbers of a row go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// One by one, where so many before were asked for.
    pub run: u64,
    /// Or as times do.
    pub may_be_time: bool,
}

/// Times before one that were asked for, as far from each other, where it is one of a row.
const TIMES: u64 = 2;

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
            times: LruCache::new(most),
        }
    }

    /// A client asks for a part, which is one of a row if it goes on in this way. Returns how many bytes
    /// of it were fetched ahead for nobody else before, and the parts to fetch now: those of the next
    /// `ahead` that nobody was sent for.
    pub fn asked(
        &mut self,
        row: Row,
        number: u64,
        way: Way,
        ahead: u64,
        now: Instant,
    ) -> (Option<u64>, Vec<u64>) {
        let fetched = self.fetched.pop(&(row, number));
        let used = fetched.and_then(|(sequel, _)| sequel.waiting());
        let step = match self.follows(row, number, 1, way.run, now) {
            true => Some(1),
            false if way.may_be_time => self.step(row, number, now),
            false => None,
        };
        self.asked.put((row, number), now);
        let unknown = |n: &u64| !self.was_asked(row, *n, now) && !self.was_sent(row, *n, now);
        let next =
            |step: u64| (1..=ahead).map_while(move |n| number.checked_add(step.checked_mul(n)?));
        let next = step.into_iter().flat_map(next).filter(unknown).collect();
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

    /// A part that was sent for is not there.
    pub fn failed(&mut self, row: Row, now: Instant) {
        if let Some(times) = self.times.get_mut(&row) {
            times.failed = Some(now);
        }
    }

    /// Whether as many before a number, so far from each other, were asked for of late.
    fn follows(&self, row: Row, number: u64, step: u64, run: u64, now: Instant) -> bool {
        let mut before = (1..=run).map(|n| number.checked_sub(step.checked_mul(n)?));
        before.all(|n| n.is_some_and(|n| self.was_asked(row, n, now)))
    }

    /// How far the next one of a row of times is, where the last ones were as far from each other.
    fn step(&mut self, row: Row, number: u64, now: Instant) -> Option<u64> {
        let times = self.times.get_or_insert_mut(row, Times::default);
        let left_alone = times.failed.is_some_and(|at| is_of_late(at, now));
        let before: Vec<u64> = times.asked.iter().rev().copied().collect();
        times.asked.retain(|n| *n != number);
        times.asked.push_back(number);
        if times.asked.len() > CLIENTS {
            times.asked.pop_front();
        }
        let steps = before.iter().filter_map(|n| number.checked_sub(*n));
        let mut steps = steps.filter(|step| *step > 0 && !left_alone);
        steps.find(|step| self.follows(row, number, *step, TIMES, now))
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

    const ONE: Way = Way {
        run: 1,
        may_be_time: true,
    };
    const TWO: Way = Way {
        run: 2,
        may_be_time: false,
    };

    fn sequels(most: usize) -> Sequels {
        Sequels::of(NonZeroUsize::new(most).unwrap())
    }

    #[test]
    fn a_row_is_fetched_ahead_once_it_is_one() {
        let (mut parts, now) = (sequels(100), Instant::now());
        assert_eq!(parts.asked(1, 7, ONE, 2, now), (None, vec![]));
        assert_eq!(parts.asked(2, 8, ONE, 2, now), (None, vec![]));
        assert_eq!(parts.asked(1, 8, ONE, 2, now), (None, vec![9, 10]));
        parts.sent(1, 9, now);
        parts.sent(1, 10, now);
        // Another client, at the same place.
        assert_eq!(parts.asked(1, 8, ONE, 2, now), (None, vec![]));
        assert_eq!(parts.came(1, 9, 500, now), Came::Waits(None));
        assert_eq!(parts.asked(1, 9, ONE, 2, now), (Some(500), vec![11]));
        // Nobody could be sent for it: the next one tries again.
        assert_eq!(parts.asked(1, 9, ONE, 2, now), (None, vec![11]));
        parts.sent(1, 11, now);
        assert_eq!(parts.asked(1, 10, ONE, 1, now), (None, vec![]));
        // It was still under way.
        assert_eq!(parts.came(1, 10, 500, now), Came::Used);
    }

    #[test]
    fn what_was_there_long_ago_is_looked_for_again() {
        let (mut parts, then) = (sequels(100), Instant::now());
        for number in 1..=4 {
            parts.asked(1, number, ONE, 1, then);
        }
        parts.sent(1, 5, then);
        parts.came(1, 5, 500, then);
        let now = then + LATELY;
        assert_eq!(parts.asked(1, 1, ONE, 2, now), (None, vec![]));
        assert_eq!(parts.asked(1, 2, ONE, 2, now), (None, vec![3, 4]));
        parts.sent(1, 3, now);
        // That somebody asked for it the last time is not that anybody does now.
        assert_eq!(parts.came(1, 3, 100, now), Came::Waits(None));
        assert_eq!(parts.asked(1, 3, ONE, 2, now), (Some(100), vec![4, 5]));
        // What nobody has asked for since is still there,
        assert_eq!(parts.sent(1, 5, now), None);
        assert_eq!(parts.asked(1, 4, ONE, 1, now), (None, vec![]));
        // or has come anew.
        assert_eq!(parts.came(1, 5, 700, now), Came::Waits(Some(500)));
        assert_eq!(parts.asked(1, 5, ONE, 1, now), (Some(700), vec![6]));
    }

    #[test]
    fn a_longer_run_may_be_asked_for() {
        let (mut parts, now) = (sequels(100), Instant::now());
        let mut asked = |number| parts.asked(1, number, TWO, 1, now).1;
        assert_eq!((asked(0), asked(1)), (vec![], vec![]));
        assert_eq!((asked(2), asked(4)), (vec![3], vec![]));
    }

    #[test]
    fn times_are_a_row_where_they_are_as_far_from_each_other() {
        let (mut parts, now) = (sequels(100), Instant::now());
        let mut asked = |number, now| parts.asked(1, number, ONE, 1, now).1;
        assert_eq!((asked(0, now), asked(6006, now)), (vec![], vec![]));
        assert_eq!(asked(12_012, now), [18_018]);
        // Another client is elsewhere in it.
        for (number, expected) in [
            (600_600, None),
            (18_018, Some(24_024)),
            (606_606, None),
            (24_024, Some(30_030)),
            (612_612, Some(618_618)),
            (30_030, Some(36_036)),
        ] {
            assert_eq!(asked(number, now), Vec::from_iter(expected), "{number}");
        }
        // A last one may be shorter, and who asks for it again goes nowhere.
        assert_eq!((asked(33_333, now), asked(33_333, now)), (vec![], vec![]));
        let mut parts = sequels(100);
        for number in [0, 50, 100] {
            parts.asked(1, number, TWO, 1, now);
        }
        assert!(parts.asked(1, 150, TWO, 4, now).1.is_empty());
    }

    #[test]
    fn times_that_go_on_otherwise_are_left_alone() {
        let (mut parts, now) = (sequels(100), Instant::now());
        for number in [0, 6006] {
            parts.asked(1, number, ONE, 2, now);
        }
        assert_eq!(parts.asked(1, 12_012, ONE, 2, now).1, [18_018, 24_024]);
        parts.sent(1, 18_018, now);
        parts.failed(1, now);
        let next = |parts: &mut Sequels, number, now| parts.asked(1, number, ONE, 1, now).1;
        for number in [18_000, 24_006, 30_012] {
            assert!(next(&mut parts, number, now).is_empty());
        }
        let later = now + LATELY;
        for number in [36_018, 42_024] {
            assert!(next(&mut parts, number, later).is_empty());
        }
        assert_eq!(next(&mut parts, 48_030, later), [54_036]);
    }

    #[test]
    fn jumps_are_no_rows() {
        let (mut parts, now) = (sequels(100), Instant::now());
        for number in [0, 6006, 12_013, 18_018, 100, 50] {
            assert_eq!(parts.asked(1, number, ONE, 4, now), (None, vec![]));
        }
        assert_eq!(parts.asked(1, u64::MAX, ONE, 4, now), (None, vec![]));
        parts.asked(1, u64::MAX - 1, ONE, 4, now);
        assert_eq!(parts.asked(1, u64::MAX, ONE, 4, now).0, None);
        // Nor is where somebody has played before, and another jumps to.
        parts.asked(1, 7, ONE, 4, now);
        assert_eq!(parts.asked(1, 8, ONE, 4, now + LATELY), (None, vec![]));
    }

    proptest! {
        /// Whatever comes, bytes that were fetched ahead are said to be used or forgotten once.
        #[test]
        fn no_byte_is_counted_twice(steps in prop::collection::vec((0u64..3, 0u64..12, 0u8..4, 0u64..50), 1..200)) {
            let (mut parts, mut now) = (sequels(4), Instant::now());
            let (mut came, mut told) = (0, 0);
            for (row, number, action, pause) in steps {
                now += Duration::from_secs(pause);
                match action {
                    0 => told += parts.asked(row, number, ONE, 2, now).0.unwrap_or(0),
                    3 => parts.failed(row, now),
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
