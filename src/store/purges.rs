//! The last purges, kept so that none of them can be undone by an answer that had been asked for
//! before it.

use crate::domain::{Selector, Tags};
use std::collections::VecDeque;

/// A moment among the purges. The least of all is before any purge.
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

/// The purges of this process, the last of them with what they meant.
#[derive(Debug, Default)]
pub(super) struct Purges {
    count: u64,
    recent: VecDeque<(Selector, Force)>,
}

/// How many are remembered. What was asked for before all of them is not kept: that takes an
/// origin that answers after more purges than this.
const REMEMBERED: usize = 1024;

impl Purges {
    /// The present moment.
    pub fn mark(&self) -> Mark {
        Mark(self.count)
    }

    /// A purge takes place.
    pub fn note(&mut self, selector: Selector, force: Force) {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((selector, force));
        self.count += 1;
    }

    /// What has happened since a moment to an object with one of these: a place and tags.
    pub fn since(&self, asked: Mark, object: &[(&str, &Tags)]) -> Option<Force> {
        let behind = self.count.saturating_sub(asked.0);
        if behind > self.recent.len() as u64 {
            return Some(Force::Hard);
        }
        let later = self.recent.iter().rev().take(behind as usize);
        let meant = later.filter(|(selector, _)| {
            let mut faces = object.iter();
            faces.any(|(place, tags)| selector.takes(place, tags))
        });
        let forces: Vec<Force> = meant.map(|(_, force)| *force).collect();
        match forces.contains(&Force::Hard) {
            true => Some(Force::Hard),
            false => forces.first().copied(),
        }
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
}
