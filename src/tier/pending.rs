//! What waits to go up: a plain value.
//!
//! Chunks go up in runs: groups of neighbours on a grid of their own, so that edges agree on them.
//! A group goes when all of it is here, or when nothing of its object has come for a while.

use crate::{domain::ChunkIndex, store::ObjectId};
use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

/// Names one generation of an object.
pub type Generation = (ObjectId, u64);

/// Groups that wait.
#[derive(Debug)]
pub struct Pending {
    objects: HashMap<Generation, Waiting>,
    groups: usize,
    most: usize,
    linger: Duration,
}

#[derive(Debug)]
struct Waiting {
    /// Chunks that make a group.
    per_group: usize,
    /// Chunks that have come, by their group.
    groups: HashMap<u32, BTreeSet<u32>>,
    last: Instant,
    /// It is being uploaded.
    busy: bool,
}

impl Pending {
    /// Nothing waits. At most so many groups may, and none longer than `linger` for neighbours.
    pub fn new(most: usize, linger: Duration) -> Self {
        Self {
            objects: HashMap::new(),
            groups: 0,
            most,
            linger,
        }
    }

    /// Groups that wait.
    pub fn len(&self) -> usize {
        self.groups
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
        if is_new && self.groups >= self.most {
            return false;
        }
        let waiting = self.objects.entry(of).or_insert_with(|| Waiting {
            per_group: per_group as usize,
            groups: HashMap::new(),
            last: now,
            busy: false,
        });
        waiting.groups.entry(group).or_default().insert(chunk.0);
        waiting.last = now;
        self.groups += usize::from(is_new);
        true
    }

    /// An object of which something is to go up, with the groups that are, which wait no more.
    /// Until [`Pending::done`] it is not named again.
    pub fn take(&mut self, now: Instant) -> Option<(Generation, Vec<u32>)> {
        let (linger, mut found) = (self.linger, None);
        for (of, waiting) in &self.objects {
            if waiting.busy {
                continue;
            }
            let is_over = now.saturating_duration_since(waiting.last) >= linger;
            let due = waiting.groups.iter();
            let due = due.filter(|(_, chunks)| is_over || chunks.len() >= waiting.per_group);
            let mut due: Vec<u32> = due.map(|(group, _)| *group).collect();
            if !due.is_empty() {
                due.sort_unstable();
                found = Some((*of, due));
                break;
            }
        }
        let (of, due) = found?;
        let waiting = self.objects.get_mut(&of)?;
        for group in &due {
            waiting.groups.remove(group);
        }
        waiting.busy = true;
        self.groups -= due.len();
        Some((of, due))
    }

    /// What was taken of an object has gone up, or been given up.
    pub fn done(&mut self, of: Generation) {
        if let Some(waiting) = self.objects.get_mut(&of) {
            waiting.busy = false;
            if waiting.groups.is_empty() {
                self.objects.remove(&of);
            }
        }
    }

    /// Nothing waits for neighbours any more: the process is about to end.
    pub fn hurry(&mut self) {
        self.linger = Duration::ZERO;
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
        assert_eq!(pending.take(start), Some((film(1), vec![0])));
        assert_eq!((pending.take(start + LINGER), pending.len()), (None, 1));
        pending.done(film(1));
        assert_eq!(pending.take(start + LINGER / 2), None);
        assert_eq!(pending.take(start + LINGER), Some((film(1), vec![1])));
        pending.done(film(1));
        assert_eq!((pending.len(), pending.objects.len()), (0, 0));
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
    fn at_the_end_all_goes_at_once() {
        let mut pending = Pending::new(2, LINGER);
        let now = Instant::now();
        assert!(pending.add(film(1), ChunkIndex(0), 4, now));
        pending.hurry();
        assert_eq!(pending.take(now), Some((film(1), vec![0])));
    }

    proptest! {
        #[test]
        fn every_chunk_goes_once_and_the_count_is_right(
            steps in prop::collection::vec((0u8..4, 0u32..20, 0u64..6), 1..200),
        ) {
            let mut pending = Pending::new(6, LINGER);
            let mut now = Instant::now();
            let mut waiting = std::collections::HashSet::new();
            for (object, chunk, seconds) in steps {
                now += Duration::from_secs(seconds);
                if pending.add(film(object), ChunkIndex(chunk), 4, now) {
                    waiting.insert((film(object), chunk / 4));
                }
                prop_assert_eq!(pending.len(), waiting.len());
                prop_assert!(pending.len() <= 6);
                if seconds % 2 == 0 && let Some((of, groups)) = pending.take(now) {
                    for group in groups {
                        prop_assert!(waiting.remove(&(of, group)));
                    }
                    pending.done(of);
                }
            }
        }
    }
}
