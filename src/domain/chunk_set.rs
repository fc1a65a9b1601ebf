//! A set of chunks of one object.

use super::{ChunkIndex, ChunkRun};

/// A growing bitmap: one bit a chunk, so 1 TB in chunks of 1 MiB takes 128 KB, and no object on a
/// [`super::Grid`] more than 2 MiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkSet {
    words: Vec<u64>,
    count: u32,
}

impl ChunkSet {
    /// Whether `chunk` is in the set.
    pub fn contains(&self, chunk: ChunkIndex) -> bool {
        let (word, bit) = place(chunk);
        self.words.get(word).is_some_and(|w| w & bit != 0)
    }

    /// Adds `chunk`; true where it was not there.
    pub fn insert(&mut self, chunk: ChunkIndex) -> bool {
        let (word, bit) = place(chunk);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let added = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += u32::from(added);
        added
    }

    /// Takes `chunk` out; true where it was there.
    pub fn remove(&mut self, chunk: ChunkIndex) -> bool {
        let removed = self.contains(chunk);
        if removed {
            let (word, bit) = place(chunk);
            self.words[word] &= !bit;
            self.count -= 1;
        }
        removed
    }

    /// Number of chunks in the set.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The chunks, ascending.
    pub fn iter(&self) -> impl Iterator<Item = ChunkIndex> + '_ {
        let chunks = 0..(self.words.len() * 64) as u32;
        chunks.map(ChunkIndex).filter(|c| self.contains(*c))
    }

    /// The first chunk of `run` that is not in the set.
    pub fn first_missing(&self, run: ChunkRun) -> Option<ChunkIndex> {
        run.iter().find(|chunk| !self.contains(*chunk))
    }
}

fn place(chunk: ChunkIndex) -> (usize, u64) {
    ((chunk.0 / 64) as usize, 1 << (chunk.0 % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn behaves_like_a_set(steps in prop::collection::vec((any::<bool>(), 0u32..200), 0..200)) {
            let mut set = ChunkSet::default();
            let mut model = BTreeSet::new();
            for (add, chunk) in steps {
                let chunk = ChunkIndex(chunk);
                match add {
                    true => prop_assert_eq!(set.insert(chunk), model.insert(chunk)),
                    false => prop_assert_eq!(set.remove(chunk), model.remove(&chunk)),
                }
                prop_assert_eq!(set.len() as usize, model.len());
            }
            prop_assert!(set.iter().eq(model.iter().copied()));
        }
    }
}
