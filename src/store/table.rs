//! The objects that are open: one instance for each key, and the recently used kept for the next
//! request.

use super::{
    Mark, Object, ObjectId,
    purges::{Force, Purges},
    weak_map::WeakMap,
};
use crate::domain::place_of;
use lru::LruCache;
use std::{collections::HashSet, num::NonZeroUsize, sync::Arc, time::SystemTime};

/// Who has what open. Every object with a reader or a fill is in `live`; `recent` keeps some of
/// them alive after the last has left.
#[derive(Debug)]
pub(super) struct Table {
    live: WeakMap<ObjectId, Object>,
    recent: LruCache<ObjectId, Arc<Object>>,
    removals: Box<[u64; STRIPES]>,
    /// Generations whose files are about to go.
    leaving: HashSet<(ObjectId, u64)>,
    /// What has been purged.
    pub purges: Purges,
    /// When the directory was last known to be there, before it went away for the first time.
    lost_since: Option<Mark>,
}

/// Counters of removals: enough that objects seldom share one.
const STRIPES: usize = 1024;

fn stripe(id: ObjectId) -> usize {
    usize::from(u16::from_be_bytes([id.0[0], id.0[1]])) % STRIPES
}

impl Table {
    pub fn new(open_objects: usize) -> Self {
        Self {
            live: WeakMap::default(),
            recent: LruCache::new(NonZeroUsize::new(open_objects).unwrap_or(NonZeroUsize::MIN)),
            removals: Box::new([0; STRIPES]),
            leaving: HashSet::new(),
            purges: Purges::default(),
            lost_since: None,
        }
    }

    /// Counts the replacements and removals of objects with such names: a load from disk that
    /// began before one of them may have seen what is no longer true.
    pub fn removals(&self, id: ObjectId) -> u64 {
        self.removals[stripe(id)]
    }

    pub fn find(&mut self, id: ObjectId) -> Option<Arc<Object>> {
        if let Some(found) = self.recent.get(&id) {
            return Some(found.clone());
        }
        let found = self.live.get(&id)?;
        if found.private().is_none() {
            self.recent.put(id, found.clone());
        }
        Some(found)
    }

    /// It goes with whoever has it.
    pub fn let_go(&mut self, id: ObjectId) {
        self.recent.pop(&id);
    }

    /// The instance that is open, or this one from now on.
    pub fn insert_if_absent(&mut self, object: Arc<Object>) -> Arc<Object> {
        if let Some(open) = self.find(object.id()) {
            return open;
        }
        self.insert(object.clone());
        object
    }

    /// Puts a new generation in the place of an old one, which is returned.
    pub fn replace(&mut self, object: Arc<Object>) -> Option<Arc<Object>> {
        let old = self.find(object.id());
        if let Some(old) = &old {
            self.leaving.insert((old.id(), old.generation()));
        }
        self.removals[stripe(object.id())] += 1;
        self.insert(object);
        old
    }

    /// Takes out exactly this generation.
    pub fn remove(&mut self, object: &Arc<Object>) -> bool {
        let is_current = self
            .find(object.id())
            .is_some_and(|open| Arc::ptr_eq(&open, object));
        if is_current {
            self.leaving.insert((object.id(), object.generation()));
            self.live.remove(&object.id());
            self.recent.pop(&object.id());
            self.removals[stripe(object.id())] += 1;
        }
        is_current
    }

    /// The directory has gone away since a moment. What comes back with it may be what was purged
    /// since.
    pub fn lose(&mut self, last_seen: Mark) {
        self.lost_since.get_or_insert(last_seen);
    }

    /// What was purged of an object, which lies in a directory that had gone away, since it had.
    pub fn purged_meanwhile(&self, object: &Object) -> Option<Force> {
        let place = place_of(object.key());
        self.purges
            .since(self.lost_since?, &[(&place, &object.tags())])
    }

    /// Whether an object that was read from such a directory is one still; it may be stale.
    pub fn still_counts(&self, object: &Object) -> bool {
        let force = self.purged_meanwhile(object);
        if force == Some(Force::Soft) {
            object.soften(SystemTime::now());
        }
        force != Some(Force::Hard)
    }

    /// Nobody finds anything any more of what is open, which is returned.
    pub fn forget_all(&mut self) -> Vec<Arc<Object>> {
        let open = self.open();
        self.live.clear();
        self.recent.clear();
        self.leaving.clear();
        self.removals.iter_mut().for_each(|count| *count += 1);
        open
    }

    /// All that is open.
    pub fn open(&self) -> Vec<Arc<Object>> {
        self.live.all()
    }

    /// Takes out this generation, be it open or only on disk: its files are about to go.
    pub fn expel(&mut self, id: ObjectId, generation: u64) {
        self.leaving.insert((id, generation));
        self.distrust(id);
        let open = self.live.get(&id);
        if open.is_some_and(|open| open.generation() == generation) {
            self.live.remove(&id);
            self.recent.pop(&id);
        }
    }

    /// What is being loaded of an object at this moment is not believed.
    pub fn distrust(&mut self, id: ObjectId) {
        self.removals[stripe(id)] += 1;
    }

    /// Whether a generation was taken out and its files are about to go: what the disk still
    /// shows of it is not to be believed.
    pub fn is_leaving(&self, id: ObjectId, generation: u64) -> bool {
        self.leaving.contains(&(id, generation))
    }

    /// Its files are gone.
    pub fn has_left(&mut self, object: &Object) {
        self.leaving.remove(&(object.id(), object.generation()));
    }

    /// The files of all these are gone.
    pub fn have_left(&mut self, generations: impl Iterator<Item = (ObjectId, u64)>) {
        for generation in generations {
            self.leaving.remove(&generation);
        }
    }

    /// Takes out exactly this generation, if nobody but the caller and this table has it.
    pub fn remove_idle(&mut self, object: &Arc<Object>) -> bool {
        let own = 1 + usize::from(self.recent.contains(&object.id()));
        Arc::strong_count(object) <= own && self.remove(object)
    }

    fn insert(&mut self, object: Arc<Object>) {
        self.live.insert(object.id(), &object);
        self.recent.put(object.id(), object);
    }
}
