//! How many of a kind there are: each counts until it is dropped.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

/// How many there are; clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Count(Arc<AtomicUsize>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted(Count);

impl Count {
    /// How many there are.
    pub fn now(&self) -> usize {
        self.0.load(SeqCst)
    }

    /// One more.
    pub fn enter(&self) -> Counted {
        self.0.fetch_add(1, SeqCst);
        Counted(self.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counts_until_it_is_dropped() {
        let count = Count::default();
        let (one, other) = (count.enter(), count.clone().enter());
        assert_eq!(count.now(), 2);
        drop(one);
        assert_eq!(count.now(), 1);
        drop(other);
        assert_eq!(count.now(), 0);
    }
}
