//! What lies on disk, by place and by tag: how a purge finds its objects without reading a file.
//!
//! An object stands here exactly as long as its manifest lies in the directory; both change under
//! the lock on the object's files. What is open but has no manifest yet is not known here.

mod labels;

use super::{Manifest, ObjectId};
use crate::domain::{Selector, Tags, place_of};
use labels::{Label, Labels};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// All manifests on disk.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: HashMap<ObjectId, Entry>,
    places: BTreeSet<(Arc<str>, ObjectId)>,
    labels: Labels,
    crowded: BTreeSet<ObjectId>,
}

/// One manifest, as far as a purge needs to know it.
#[derive(Debug)]
struct Entry {
    written: Written,
    place: Arc<str>,
    labels: Box<[Label]>,
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
    /// A manifest has been written, perhaps over another.
    pub fn insert(&mut self, manifest: &Manifest) {
        let id = manifest.id;
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
