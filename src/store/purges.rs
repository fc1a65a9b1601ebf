//! The last purges and writes, kept so that none of them can be undone by an answer that had been
//! asked for before it.

use crate::domain::{Selector, Tags};
use lru::LruCache;
use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    num::NonZeroUsize,
};

/// A moment among the purges and writes. The least of all is before any of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

impl Mark {
    /// The mark as a number, for who must keep it in an atomic.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The mark of a number.
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// What a purge does with the objects that it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Force {
    /// They become stale.
    Soft,
    /// They go.
    Hard,
}

/// The purges of this process, the last of them with what they meant, and the last writes.
#[derive(Debug)]
pub(super) struct Purges {
    count: u64,
    recent: VecDeque<(Mark, Selector, Force)>,
    /// What happened up to then is not known any more.
    forgotten: Mark,
    /// When a place was last written to, by the hash of the place.
    writes: LruCache<u64, Mark>,
    hasher: RandomState,
}

/// How many purges are remembered. What was asked for before all of them is not kept: that takes
/// an origin that answers after more purges than this.
const REMEMBERED: usize = 1024;
/// How many places that were written to are remembered, likewise: clients write far more often
/// than operators purge.
const WRITTEN: NonZeroUsize = NonZeroUsize::new(16 * 1024).unwrap();

impl Default for Purges {
    fn default() -> Self {
        Self {
            count: 0,
            recent: VecDeque::new(),
            forgotten: Mark::default(),
            writes: LruCache::new(WRITTEN),
            hasher: RandomState::new(),
        }
    }
}

impl Purges {
    /// The present moment.
    pub fn mark(&self) -> Mark {
        Mark(self.count)
    }

    /// A purge takes place.
    pub fn note(&mut self, selector: Selector, force: Force) {
        self.count += 1;
        if self.recent.len() == REMEMBERED
            && let Some((at, _, _)) = self.recent.pop_front()
        {
            self.forgotten = self.forgotten.max(at);
        }
        self.recent.push_back((self.mark(), selector, force));
    }

    /// What lies at a place has been changed at the origin.
    pub fn note_write(&mut self, place: &str) {
        self.count += 1;
        let place = self.hasher.hash_one(place);
        let now = self.mark();
        // What it gives back may be what is known of this place already.
        let old = self.writes.push(place, now);
        if let Some((_, at)) = old.filter(|(other, _)| *other != place) {
            self.forgotten = self.forgotten.max(at);
        }
    }

    /// What has happened since a moment to an object with one of these: a place and tags.
    pub fn since(&self, asked: Mark, object: &[(&str, &Tags)]) -> Option<Force> {
        if asked < self.forgotten || object.iter().any(|(place, _)| self.wrote(asked, place)) {
            return Some(Force::Hard);
        }
        let later = self.recent.iter().rev().take_while(|(at, ..)| *at > asked);
        let meant = later.filter(|(_, selector, _)| {
            let mut faces = object.iter();
            faces.any(|(place, tags)| selector.takes(place, tags))
        });
        let forces: Vec<Force> = meant.map(|(_, _, force)| *force).collect();
        match forces.contains(&Force::Hard) {
            true => Some(Force::Hard),
            false => forces.first().copied(),
        }
    }

    /// Whether a place has been written to since a moment.
    fn wrote(&self, asked: Mark, place: &str) -> bool {
        let at = self.writes.peek(&self.hasher.hash_one(place));
        at.is_some_and(|at| *at > asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since(purges: &Purges, asked: Mark, place: &str) -> Option<Force> {
        purges.since(asked, &[(place, &Tags::default())])
    }

    #[test]
    fn only_what_came_later_and_was_meant_counts() {
        let url = |place: &str| Selector::Url(place.into());
        let mut purges = Purges::default();
        let first = purges.mark();
        assert_eq!(since(&purges, first, "a"), None);
        purges.note(url("a"), Force::Hard);
        let second = purges.mark();
        purges.note(url("a"), Force::Soft);
        purges.note(url("b"), Force::Soft);
        assert_eq!(since(&purges, first, "a"), Some(Force::Hard));
        assert_eq!(since(&purges, second, "a"), Some(Force::Soft));
        assert_eq!(since(&purges, first, "c"), None);
        assert_eq!(since(&purges, purges.mark(), "b"), None);
    }

    #[test]
    fn what_is_older_than_the_memory_is_not_trusted() {
        let mut purges = Purges::default();
        let first = purges.mark();
        for _ in 0..REMEMBERED {
            purges.note(Selector::Url("a".into()), Force::Soft);
        }
        assert_eq!(since(&purges, first, "b"), None);
        purges.note(Selector::Url("a".into()), Force::Soft);
        assert_eq!(since(&purges, first, "b"), Some(Force::Hard));
        assert_eq!(purges.recent.len(), REMEMBERED);
    }
    #[test]
    fn a_write_counts_for_its_place_alone() {
        let mut purges = Purges::default();
        let first = purges.mark();
        purges.note_write("a");
        let second = purges.mark();
        assert_eq!(since(&purges, first, "a"), Some(Force::Hard));
        assert_eq!(since(&purges, first, "b"), None);
        assert_eq!(since(&purges, second, "a"), None);
        purges.note(Selector::Url("b".into()), Force::Soft);
        purges.note_write("a");
        assert_eq!(since(&purges, second, "a"), Some(Force::Hard));
        assert_eq!(since(&purges, first, "b"), Some(Force::Soft));
    }

    #[test]
    fn writes_push_neither_purges_nor_each_other_out_soon() {
        let mut purges = Purges::default();
        let first = purges.mark();
        purges.note(Selector::Url("a".into()), Force::Soft);
        for nth in 0..2 * WRITTEN.get() {
            purges.note_write(&format!("w{}", nth % WRITTEN));
        }
        assert_eq!(since(&purges, first, "a"), Some(Force::Soft));
        assert_eq!(since(&purges, first, "b"), None);
        let before = purges.mark();
        purges.note_write("one more");
        assert_eq!(since(&purges, first, "b"), Some(Force::Hard));
        assert_eq!(since(&purges, before, "b"), None);
        assert_eq!(purges.writes.len(), WRITTEN.get());
    }
}
