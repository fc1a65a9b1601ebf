//! What somebody still holds, by a key.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Weak},
};

/// A map that keeps nothing alive. What nobody holds any more is not found, and its entry goes when
/// there are twice as many as were left the last time, so that an insertion costs the same on average
/// however many there are.
#[derive(Debug)]
pub struct WeakMap<K, V> {
    entries: HashMap<K, Weak<V>>,
    sweep_at: usize,
}

/// The least number of entries at which those that nobody holds are looked for.
const SWEEP_FLOOR: usize = 1024;

impl<K, V> Default for WeakMap<K, V> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            sweep_at: SWEEP_FLOOR,
        }
    }
}

impl<K: Eq + Hash, V> WeakMap<K, V> {
    /// What is held under a key.
    pub fn get(&self, key: &K) -> Option<Arc<V>> {
        self.entries.get(key)?.upgrade()
    }

    /// What is held under a key, or what is made for it.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> Arc<V>) -> Arc<V> {
        self.get(&key).unwrap_or_else(|| {
            let made = make();
            self.insert(key, &made);
            made
        })
    }

    /// From now on this is found under a key.
    pub fn insert(&mut self, key: K, value: &Arc<V>) {
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|_, value| value.strong_count() > 0);
            self.sweep_at = SWEEP_FLOOR.max(self.entries.len() * 2);
        }
        self.entries.insert(key, Arc::downgrade(value));
    }

    /// Nothing is found under a key any more.
    pub fn remove(&mut self, key: &K) {
        self.entries.remove(key);
    }

    /// Nothing is found any more.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// All that is held.
    pub fn all(&self) -> Vec<Arc<V>> {
        self.entries.values().filter_map(Weak::upgrade).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_held_is_found() {
        let mut map = WeakMap::default();
        let held = map.get_or_insert_with(1, || Arc::new("held"));
        map.insert(2, &Arc::new("left"));
        assert!(Arc::ptr_eq(
            &map.get_or_insert_with(1, || unreachable!()),
            &held
        ));
        assert_eq!(map.get(&2), None);
        assert_eq!(map.all(), [held]);
        map.remove(&1);
        assert_eq!(map.get(&1), None);
    }

    #[test]
    fn what_was_left_takes_no_place_for_long() {
        let mut map = WeakMap::default();
        let held: Vec<_> = (0..3 * SWEEP_FLOOR).map(Arc::new).collect();
        for (key, value) in held.iter().enumerate() {
            map.insert(key, value);
        }
        for key in 0..20 * SWEEP_FLOOR {
            map.insert(held.len() + key, &Arc::new(key));
            assert!(map.entries.len() <= 2 * held.len() + SWEEP_FLOOR);
        }
        assert_eq!(map.all().len(), held.len());
    }
}
