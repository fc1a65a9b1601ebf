//! Runs that were found damaged, which are left alone for a while. Pure.
//!
//! One object says nothing of the others, nor one run of the next: whoever reads goes on with what is
//! sound, and whoever has the chunks of a run that is not brings them up in its place. Names of runs
//! are never used again, so that what was repaired is not in doubt.

use super::entry::{Entry, Run};
use crate::store::ObjectId;
use lru::LruCache;
use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

/// What is in doubt of late.
#[derive(Debug)]
pub struct Doubts {
    objects: LruCache<ObjectId, Doubt>,
}

/// What is in doubt of one object.
#[derive(Debug)]
struct Doubt {
    runs: Vec<String>,
    until: Instant,
}

/// Objects that are remembered; the one that was longest ago makes room.
const MOST_OBJECTS: NonZeroUsize = NonZeroUsize::new(1024).expect("it is not 0");
/// Runs of one object; with more all of it is in doubt.
const MOST_RUNS: usize = 64;
/// For so long from the first doubt on. A bit that was turned on the way is another the next time.
const LEFT_ALONE: Duration = Duration::from_secs(600);

impl Default for Doubts {
    fn default() -> Self {
        Self {
            objects: LruCache::new(MOST_OBJECTS),
        }
    }
}

impl Doubts {
    /// A run was found damaged. Whether it is the first of its object.
    pub fn add(&mut self, id: ObjectId, run: &str, now: Instant) -> bool {
        let known = self.objects.get_mut(&id).filter(|doubt| now < doubt.until);
        if let Some(doubt) = known {
            let is_new = !doubt.runs.iter().any(|known| known == run);
            if is_new && doubt.runs.len() <= MOST_RUNS {
                doubt.runs.push(run.to_owned());
            }
            return false;
        }
        let doubt = Doubt {
            runs: vec![run.to_owned()],
            until: now + LEFT_ALONE,
        };
        self.objects.put(id, doubt);
        true
    }

    /// The runs of an object that were found damaged.
    pub fn of(&self, id: ObjectId, now: Instant) -> Vec<String> {
        let doubt = self.objects.peek(&id).filter(|doubt| now < doubt.until);
        doubt.map_or_else(Vec::new, |doubt| doubt.runs.clone())
    }

    /// An object without what is in doubt.
    pub fn without(&self, entry: Arc<Entry>, now: Instant) -> Arc<Entry> {
        let doubt = self.objects.peek(&entry.object.id);
        let Some(doubt) = doubt.filter(|doubt| now < doubt.until) else {
            return entry;
        };
        if entry.runs.iter().all(|run| !doubt.is_of(run)) {
            return entry;
        }
        let mut sound = Entry::clone(&entry);
        sound.runs.retain(|run| !doubt.is_of(run));
        Arc::new(sound)
    }
}

impl Doubt {
    fn is_of(&self, run: &Run) -> bool {
        self.runs.len() > MOST_RUNS || self.runs.contains(&run.name)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::entry::tests::entry, *};

    const RUNS: &[(u32, u32, &str)] = &[(0, 4, "a"), (4, 4, "b"), (8, 4, "c")];

    fn left(doubts: &Doubts, now: Instant) -> String {
        let sound = doubts.without(Arc::new(entry("\"a\"", 1, RUNS)), now);
        sound.runs.iter().map(|run| run.name.as_str()).collect()
    }

    #[test]
    fn a_damaged_run_is_left_alone_for_a_while_and_the_others_are_not() {
        let now = Instant::now();
        let id = entry("\"a\"", 1, RUNS).object.id;
        let mut doubts = Doubts::default();
        assert_eq!(left(&doubts, now), "abc");
        assert!(doubts.add(id, "b", now));
        assert_eq!(left(&doubts, now), "ac");
        // The breaker hears of an object once.
        assert!(!doubts.add(id, "b", now) && !doubts.add(id, "a", now));
        assert_eq!(left(&doubts, now), "c");
        let later = now + LEFT_ALONE;
        assert_eq!(left(&doubts, later), "abc");
        assert!(doubts.add(id, "a", later));
        assert_eq!(left(&doubts, later), "bc");
    }

    #[test]
    fn an_object_with_too_much_in_doubt_is_so_as_a_whole() {
        let now = Instant::now();
        let id = entry("\"a\"", 1, RUNS).object.id;
        let mut doubts = Doubts::default();
        for nth in 0..MOST_RUNS {
            doubts.add(id, &format!("{nth}"), now);
        }
        assert_eq!(left(&doubts, now), "abc");
        for nth in 0..2 * MOST_RUNS {
            doubts.add(id, &format!("{nth}"), now);
        }
        assert_eq!(left(&doubts, now), "");
        let most = MOST_RUNS + 1;
        assert_eq!(
            doubts.objects.peek(&id).map(|doubt| doubt.runs.len()),
            Some(most)
        );
    }

    #[test]
    fn so_many_objects_are_remembered() {
        let mut doubts = Doubts::default();
        for nth in 0..=u8::MAX {
            for other in 0..8 {
                let mut id = [nth; 16];
                id[0] = other;
                doubts.add(ObjectId(id), "a", Instant::now());
            }
        }
        assert_eq!(doubts.objects.len(), MOST_OBJECTS.get());
    }
}
