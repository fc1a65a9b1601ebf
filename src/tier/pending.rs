//! What waits to go up: a plain value.
//!
//! Chunks go up in runs: groups of neighbours on a grid of their own, so that edges agree on them.
//! A group goes when all of it is here, or when nothing of its object has come for a while. An
//! object may also wait as a whole, to be looked through for what the tier does not know of it: what
//! did not go up waits so, and longer each time.

use crate::{domain::ChunkIndex, store::ObjectId};
use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

/// Names one generation of an object.
pub type Generation = (ObjectId, u64);

/// Groups that wait, and objects that do as a whole.
#[derive(Debug)]
pub struct Pending {
    objects: HashMap<Generation, Waiting>,
    count: usize,
    most: usize,
    linger: Duration,
    /// The process is about to end.
    is_last: bool,
}

#[derive(Debug)]
struct Waiting {
    /// Chunks that make a group.
    per_group: usize,
    /// Chunks that have come, by their group.
    groups: HashMap<u32, BTreeSet<u32>>,
    as_a_whole: bool,
    last: Instant,
    /// It is being uploaded.
    busy: bool,
    /// How often in a row it did not go up, and until when it is not tried again.
    failures: u32,
    not_before: Instant,
}

/// What is to go up of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// These groups, in order.
    Groups(Vec<u32>),
    /// Whatever is here of it and not there.
    Whole,
}

/// What becomes of what did not go up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It is tried again later.
    Later,
    /// It is not: it has failed too often, or there is no time left.
    GivenUp,
    /// It is not, as too many wait.
    Full,
}

/// The wait after the first failure, as long as a tier that fails is left alone; it doubles with
/// each one more.
const AGAIN: Duration = Duration::from_secs(10);
/// The longest wait: so long after a tier is back all is on its way, and by then what can never
/// succeed costs little.
const LONGEST: Duration = Duration::from_secs(600);
/// Failures in a row after which it is given up: those of about a day.
const MOST: u32 = 150;

impl Pending {
    /// Nothing waits. At most so many groups may, and none longer than `linger` for neighbours.
    pub fn new(most: usize, linger: Duration) -> Self {
        Self {
            objects: HashMap::new(),
            count: 0,
            most,
            linger,
            is_last: false,
        }
    }

    /// How much waits: groups, and objects as a whole.
    pub fn len(&self) -> usize {
        self.count
    }

    /// How much of the longest time a run may give way to others, where so many were taken and are not
    /// sent yet: less, the more wait, so that none is lost for it.
    pub fn leisure(&self, longest: Duration, unsent: usize) -> Duration {
        let waiting = self.count.saturating_add(unsent);
        let room = self.most.saturating_sub(waiting.saturating_mul(2));
        match self.is_last {
            true => Duration::ZERO,
            false => longest.mul_f64(room as f64 / self.most.max(1) as f64),
        }
    }

    /// Whether nothing waits, and nothing is on its way.
    pub fn is_done(&self) -> bool {
        self.objects.is_empty()
    }

    /// A chunk has come, of a group of so many. False where too many wait.
    pub fn add(&mut self, of: Generation, chunk: ChunkIndex, per_group: u32, now: Instant) -> bool {
        let group = chunk.0 / per_group.max(1);
        let known = self.objects.get(&of);
        let is_new = known.is_none_or(|waiting| !waiting.groups.contains_key(&group));
        if is_new && self.count >= self.most {
            return false;
        }
        let waiting = self.waiting(of, now);
        waiting.per_group = per_group as usize;
        waiting.groups.entry(group).or_default().insert(chunk.0);
        waiting.last = now;
        self.count += usize::from(is_new);
        true
    }

    /// An object is to be looked through. False where too many wait.
    pub fn look_through(&mut self, of: Generation, now: Instant) -> bool {
        let known = self.objects.get(&of);
        if known.is_some_and(|waiting| waiting.as_a_whole) {
            return true;
        }
        if self.count >= self.most {
            return false;
        }
        self.waiting(of, now).as_a_whole = true;
        self.count += 1;
        true
    }

    fn waiting(&mut self, of: Generation, now: Instant) -> &mut Waiting {
        self.objects.entry(of).or_insert_with(|| Waiting {
            per_group: 1,
            groups: HashMap::new(),
            as_a_whole: false,
            last: now,
            busy: false,
            failures: 0,
            not_before: now,
        })
    }

    /// An object of which something is to go up, and what, which waits no more. Until
    /// [`Pending::done`] it is not named again.
    pub fn take(&mut self, now: Instant) -> Option<(Generation, What)> {
        let (linger, mut found) = (self.linger, None);
        for (of, waiting) in &self.objects {
            if waiting.busy || (now < waiting.not_before && !self.is_last) {
                continue;
            }
            let is_over = now.saturating_duration_since(waiting.last) >= linger;
            if waiting.as_a_whole && is_over {
                found = Some((*of, What::Whole));
                break;
            }
            let due = waiting.groups.iter();
            let due = due.filter(|(_, chunks)| is_over || chunks.len() >= waiting.per_group);
            let mut due: Vec<u32> = due.map(|(group, _)| *group).collect();
            if !due.is_empty() {
                due.sort_unstable();
                found = Some((*of, What::Groups(due)));
                break;
            }
        }
        let (of, due) = found?;
        let waiting = self.objects.get_mut(&of)?;
        waiting.busy = true;
        self.count -= match &due {
            What::Groups(groups) => {
                for group in groups {
                    waiting.groups.remove(group);
                }
                groups.len()
            }
            What::Whole => {
                waiting.as_a_whole = false;
                waiting.groups.drain().count() + 1
            }
        };
        Some((of, due))
    }

    /// What was taken of an object did not go up.
    pub fn failed(&mut self, of: Generation, now: Instant) -> Failed {
        let Some(waiting) = self.objects.get_mut(&of) else {
            return Failed::GivenUp;
        };
        let failures = waiting.failures + 1;
        let failed = if self.is_last || failures >= MOST {
            Failed::GivenUp
        } else if !waiting.as_a_whole && self.count >= self.most {
            Failed::Full
        } else {
            Failed::Later
        };
        if failed != Failed::Later {
            self.done(of);
            return failed;
        }
        self.count += usize::from(!waiting.as_a_whole);
        waiting.as_a_whole = true;
        waiting.busy = false;
        waiting.failures = failures;
        let doubled = AGAIN * 2u32.saturating_pow(failures - 1).min(64);
        waiting.not_before = now + doubled.min(LONGEST);
        failed
    }

    /// What was taken of an object has gone up, or been given up.
    pub fn done(&mut self, of: Generation) {
        if let Some(waiting) = self.objects.get_mut(&of) {
            waiting.busy = false;
            waiting.failures = 0;
            if waiting.groups.is_empty() && !waiting.as_a_whole {
                self.objects.remove(&of);
            }
        }
    }

    /// Nothing waits for neighbours, or for better times, any more: the process is about to end.
    pub fn hurry(&mut self) {
        self.linger = Duration::ZERO;
        self.is_last = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINGER: Duration = Duration::from_secs(10);

    fn film(n: u8) -> Generation {
        (ObjectId([n; 16]), 1)
    }

    #[test]
    fn a_group_goes_when_it_is_whole_or_left_alone() {
        let mut pending = Pending::new(100, LINGER);
        let start = Instant::now();
        for chunk in [0, 1, 2, 4] {
            assert!(pending.add(film(1), ChunkIndex(chunk), 4, start));
        }
        assert_eq!(pending.take(start), None);
        assert!(pending.add(film(1), ChunkIndex(3), 4, start));
        assert_eq!(pending.take(start), Some((film(1), What::Groups(vec![0]))));
        assert_eq!((pending.take(start + LINGER), pending.len()), (None, 1));
        pending.done(film(1));
        assert_eq!(pending.take(start + LINGER / 2), None);
        let rest = Some((film(1), What::Groups(vec![1])));
        assert_eq!(pending.take(start + LINGER), rest);
        pending.done(film(1));
        assert_eq!((pending.len(), pending.objects.len()), (0, 0));
    }

    #[test]
    fn an_object_as_a_whole_has_its_groups_in_it() {
        let mut pending = Pending::new(100, LINGER);
        let start = Instant::now();
        assert!(pending.look_through(film(1), start));
        assert!(pending.look_through(film(1), start));
        assert!(pending.add(film(1), ChunkIndex(5), 4, start));
        assert_eq!((pending.take(start), pending.len()), (None, 2));
        assert_eq!(pending.take(start + LINGER), Some((film(1), What::Whole)));
        assert_eq!(pending.len(), 0);
        // What comes meanwhile is for the next time.
        assert!(pending.look_through(film(1), start));
        pending.done(film(1));
        assert_eq!(pending.take(start + LINGER), Some((film(1), What::Whole)));
        pending.done(film(1));
        assert!(pending.is_done());
    }

    #[test]
    fn what_is_too_much_is_not_taken() {
        let mut pending = Pending::new(2, LINGER);
        let now = Instant::now();
        assert!(pending.add(film(1), ChunkIndex(0), 4, now));
        assert!(pending.add(film(2), ChunkIndex(0), 4, now));
        assert!(!pending.add(film(1), ChunkIndex(4), 4, now));
        assert!(pending.add(film(1), ChunkIndex(1), 4, now));
    }

    #[test]
    fn the_more_wait_the_less_time_they_have() {
        let mut pending = Pending::new(8, LINGER);
        let (now, longest) = (Instant::now(), Duration::from_secs(8));
        let seconds = [0, 1, 2, 3, 4].map(|nth| {
            let leisure = pending.leisure(longest, 0).as_secs();
            assert!(pending.add(film(nth), ChunkIndex(0), 1, now));
            leisure
        });
        assert_eq!(seconds, [8, 6, 4, 2, 0]);
        let taken = Pending::new(8, LINGER);
        let seconds = [0, 1, 2, 9].map(|unsent| taken.leisure(longest, unsent).as_secs());
        assert_eq!(seconds, [8, 6, 4, 0]);
        let mut last = Pending::new(8, LINGER);
        last.hurry();
        assert_eq!(last.leisure(longest, 0), Duration::ZERO);
    }

    #[test]
    fn at_the_end_all_goes_at_once() {
        let mut pending = Pending::new(2, LINGER);
        let now = Instant::now();
        assert!(pending.add(film(1), ChunkIndex(0), 4, now));
        pending.hurry();
        let all = Some((film(1), What::Groups(vec![0])));
        assert_eq!(pending.take(now), all);
    }

    #[test]
    fn what_fails_waits_as_a_whole_and_longer_each_time() {
        let mut pending = Pending::new(2, LINGER);
        let mut now = Instant::now();
        assert!(pending.add(film(1), ChunkIndex(0), 1, now));
        let group = Some((film(1), What::Groups(vec![0])));
        assert_eq!(pending.take(now), group);
        let mut waits = Vec::new();
        for failures in 1..MOST {
            assert_eq!(pending.failed(film(1), now), Failed::Later);
            // What comes meanwhile waits with it.
            assert!(pending.add(film(1), ChunkIndex(failures), 1, now));
            assert_eq!(pending.len(), 2);
            let failed = now;
            while pending.take(now).is_none() {
                now += Duration::from_secs(1);
            }
            waits.push((now - failed).as_secs());
        }
        assert_eq!(waits[..7], [10, 20, 40, 80, 160, 320, 600]);
        assert_eq!(waits.last(), Some(&600));
        assert_eq!(pending.failed(film(1), now), Failed::GivenUp);
        assert!(pending.is_done());
    }

    #[test]
    fn what_fails_and_finds_no_room_is_let_go() {
        let mut pending = Pending::new(1, LINGER);
        let now = Instant::now();
        assert!(pending.add(film(1), ChunkIndex(0), 1, now));
        assert!(pending.take(now).is_some());
        assert!(pending.add(film(2), ChunkIndex(0), 1, now));
        assert_eq!(pending.failed(film(1), now), Failed::Full);
        assert!(pending.take(now).is_some());
        pending.hurry();
        assert_eq!(pending.failed(film(2), now), Failed::GivenUp);
        assert!(pending.is_done());
    }

    #[test]
    fn at_the_end_what_has_failed_is_tried_once_more() {
        let mut pending = Pending::new(2, LINGER);
        let now = Instant::now();
        assert!(pending.look_through(film(1), now));
        assert!(pending.take(now + LINGER).is_some());
        assert_eq!(pending.failed(film(1), now + LINGER), Failed::Later);
        assert_eq!(pending.take(now + LINGER), None);
        pending.hurry();
        assert!(pending.take(now + LINGER).is_some());
    }

    proptest! {
        #[test]
        fn every_chunk_goes_once_and_the_count_is_right(
            steps in prop::collection::vec((0u8..4, 0u32..24, 0u64..6), 1..200),
        ) {
            let mut pending = Pending::new(6, LINGER);
            let mut now = Instant::now();
            let mut waiting = std::collections::HashSet::new();
            for (object, chunk, seconds) in steps {
                now += Duration::from_secs(seconds);
                let is_taken = match chunk < 20 {
                    true => pending.add(film(object), ChunkIndex(chunk), 4, now),
                    false => pending.look_through(film(object), now),
                };
                if is_taken {
                    waiting.insert((film(object), chunk / 4));
                }
                prop_assert_eq!(pending.len(), waiting.len());
                prop_assert!(pending.len() <= 6);
                if seconds % 2 == 0 && let Some((of, what)) = pending.take(now) {
                    match what {
                        What::Groups(groups) => for group in groups {
                            prop_assert!(waiting.remove(&(of, group)));
                        }
                        What::Whole => {
                            prop_assert!(waiting.contains(&(of, 5)));
                            waiting.retain(|(other, _)| *other != of);
                        }
                    }
                    pending.done(of);
                }
            }
        }
    }
}
