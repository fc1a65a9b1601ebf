//! What lies on disk, by place and by tag: how a purge finds its objects without reading a file.
//!
//! An object stands here exactly as long as its manifest lies in the directory; both change under
//! the lock on the object's files. What is open but has no manifest yet is not known here.

mod labels;

use super::{Listed, Manifest, ObjectId, usage::Usage};
use crate::domain::{Selector, Tags, place_of};
use labels::{Label, Labels};
use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
    time::SystemTime,
};

/// All manifests on disk.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: HashMap<ObjectId, Entry>,
    places: BTreeSet<(Arc<str>, ObjectId)>,
    labels: Labels,
    crowded: BTreeSet<ObjectId>,
    /// Counts of what was opened before the walk after the start came by.
    early: HashMap<ObjectId, (u64, Arc<Usage>)>,
}

/// One manifest, as far as a purge or a list needs to know it.
#[derive(Debug)]
struct Entry {
    written: Written,
    place: Arc<str>,
    labels: Box<[Label]>,
    created: SystemTime,
    usage: Arc<Usage>,
}

/// Which generation a manifest speaks of, and the grid of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub generation: u64,
    pub total: u64,
    pub chunk_size: u32,
}

/// The least of all names: where a place's objects begin.
const FIRST: ObjectId = ObjectId([0; 16]);

impl Index {
    /// A manifest has been written, perhaps over another. What has been counted of its generation
    /// already goes on.
    pub fn insert(&mut self, manifest: &Manifest, usage: Arc<Usage>) {
        let id = manifest.id;
        let usage = self.usage(id, manifest.generation).unwrap_or(usage);
        self.take_out(id);
        let tags = Tags::of(&manifest.meta.headers);
        let place: Arc<str> = place_of(&manifest.key).into();
        self.places.insert((place.clone(), id));
        if tags.crowded {
            self.crowded.insert(id);
        }
        let labels = tags.known.iter().map(|tag| self.labels.attach(tag, id));
        let entry = Entry {
            labels: labels.collect(),
            created: manifest.meta.created,
            usage,
            place,
            written: Written {
                generation: manifest.generation,
                total: manifest.total.unwrap_or_default(),
                chunk_size: manifest.chunk_size,
            },
        };
        self.entries.insert(id, entry);
    }

    /// The manifest of this generation has been removed.
    pub fn remove(&mut self, id: ObjectId, generation: u64) {
        if self.written(id).is_some_and(|w| w.generation == generation) {
            self.take_out(id);
        }
    }

    /// What the manifest of an object speaks of.
    pub fn written(&self, id: ObjectId) -> Option<Written> {
        self.entries.get(&id).map(|entry| entry.written)
    }

    /// All that is meant, by name; none stands twice.
    pub fn select(&self, selector: &Selector) -> BTreeSet<ObjectId> {
        match selector {
            Selector::Url(place) => self.from(place, |found| found == place),
            Selector::Prefix(all) => {
                let below = |prefix: &String| self.from(prefix, |p| p.starts_with(prefix.as_str()));
                all.iter().flat_map(below).collect()
            }
            Selector::Tag(tag) => {
                let tagged = self.labels.objects(tag);
                tagged.chain(self.crowded.iter().copied()).collect()
            }
            Selector::All => self.entries.keys().copied().collect(),
        }
    }

    /// What is counted of a generation.
    pub fn usage(&mut self, id: ObjectId, generation: u64) -> Option<Arc<Usage>> {
        if let Some((early, usage)) = self.early.remove(&id)
            && early == generation
        {
            return Some(usage);
        }
        let entry = self.entries.get(&id);
        let entry = entry.filter(|entry| entry.written.generation == generation);
        entry.map(|entry| entry.usage.clone())
    }

    /// What is counted of a generation that the walk has yet to come by.
    pub fn expect(&mut self, id: ObjectId, generation: u64, usage: Arc<Usage>) {
        self.early.insert(id, (generation, usage));
    }

    /// The walk has come by everything.
    pub fn is_complete(&mut self) {
        self.early = HashMap::new();
    }

    /// The first `most` objects behind one, by place and name; all begins before `None`.
    pub fn page(&self, after: Option<&(Arc<str>, ObjectId)>, most: usize) -> Vec<Listed> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let places = self.places.range((from, Bound::Unbounded)).take(most);
        let listed = |(place, id): &(Arc<str>, ObjectId)| {
            let entry = self.entries.get(id)?;
            let (written, usage) = (entry.written, &entry.usage);
            Some(Listed {
                id: *id,
                place: place.clone(),
                total: written.total,
                chunk_size: written.chunk_size,
                stored: usage.stored(),
                created: entry.created,
                finds: usage.finds(),
                last_found: usage.last(),
            })
        };
        places.filter_map(listed).collect()
    }

    /// How many objects and how many tags are known.
    pub fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.labels.count())
    }

    fn from(&self, start: &str, meant: impl Fn(&str) -> bool) -> BTreeSet<ObjectId> {
        let from = self.places.range((Arc::from(start), FIRST)..);
        let meant = from.take_while(|(place, _)| meant(place));
        meant.map(|(_, id)| *id).collect()
    }

    fn take_out(&mut self, id: ObjectId) {
        let Some(entry) = self.entries.remove(&id) else {
            return;
        };
        self.places.remove(&(entry.place, id));
        self.crowded.remove(&id);
        for label in &entry.labels {
            self.labels.detach(*label, id);
        }
    }
}

#[cfg(test)]
mod tests;
