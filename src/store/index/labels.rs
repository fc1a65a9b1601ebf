//! Tags and who bears them. A tag's text is kept once, however many objects bear it.

use super::ObjectId;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// A tag's number, as long as somebody bears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Label(u32);

/// All tags that are borne.
#[derive(Debug, Default)]
pub(super) struct Labels {
    numbers: HashMap<Arc<str>, Label>,
    /// By number: the text and how many bear it; `None` where the number is free.
    texts: Vec<Option<(Arc<str>, u32)>>,
    free: Vec<Label>,
    borne: BTreeSet<(Label, ObjectId)>,
}

const FIRST: ObjectId = ObjectId([0; 16]);
const LAST: ObjectId = ObjectId([0xff; 16]);

impl Labels {
    /// An object bears a tag from now on.
    pub fn attach(&mut self, tag: &str, id: ObjectId) -> Label {
        let label = match self.numbers.get(tag) {
            Some(label) => *label,
            None => self.begin(tag.into()),
        };
        if self.borne.insert((label, id))
            && let Some((_, bearers)) = &mut self.texts[label.0 as usize]
        {
            *bearers += 1;
        }
        label
    }

    /// It bears it no more.
    pub fn detach(&mut self, label: Label, id: ObjectId) {
        let slot = &mut self.texts[label.0 as usize];
        let Some((text, bearers)) = slot.as_mut().filter(|_| self.borne.remove(&(label, id)))
        else {
            return;
        };
        *bearers -= 1;
        if *bearers == 0 {
            self.numbers.remove(text);
            *slot = None;
            self.free.push(label);
        }
    }

    /// All that bear a tag.
    pub fn objects(&self, tag: &str) -> impl Iterator<Item = ObjectId> {
        let label = self.numbers.get(tag).copied();
        let borne = label.map(|label| self.borne.range((label, FIRST)..=(label, LAST)));
        borne.into_iter().flatten().map(|(_, id)| *id)
    }

    /// How many tags are borne.
    pub fn count(&self) -> usize {
        self.numbers.len()
    }

    fn begin(&mut self, text: Arc<str>) -> Label {
        let next = u32::try_from(self.texts.len()).expect("tags in memory are far below 2^32");
        let label = self.free.pop().unwrap_or(Label(next));
        if label.0 == next {
            self.texts.push(None);
        }
        self.texts[label.0 as usize] = Some((text.clone(), 0));
        self.numbers.insert(text, label);
        label
    }
}
