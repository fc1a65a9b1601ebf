//! Which chunks the disk is to bring into the page cache before a reader comes to them.
//!
//! It is for readers of what is on disk and not in the page cache: they would wait for the disk
//! at the beginning of every chunk. Who reads chunk after chunk, and has waited once, has the next
//! ones brought: one, and up to three where the reader is faster than that. Nothing of it is held
//! in our memory, and nothing has to be dropped when the reader leaves or seeks.

use crate::domain::{ChunkIndex, ChunkRun};

/// The reading ahead from disk of one reader.
#[derive(Clone, Debug, Default)]
pub struct DiskAhead {
    /// Chunks that are brought ahead of the one that is read; none before the reader has waited.
    depth: u32,
    /// The chunk that is read.
    at: Option<ChunkIndex>,
    /// One past the last chunk that was asked for.
    told: ChunkIndex,
}

/// Most chunks ahead.
const DEEPEST: u32 = 3;

impl DiskAhead {
    /// The reader had to wait for the disk at `chunk`.
    pub fn waited(&mut self, chunk: ChunkIndex) {
        let expected = self.depth == 0 || chunk < self.told;
        if expected {
            self.depth = (self.depth + 1).min(DEEPEST);
        }
    }

    /// The reader is at `chunk`, and will go on to `end`. Returns what is to be brought now.
    pub fn reads(&mut self, chunk: ChunkIndex, end: ChunkIndex) -> Option<ChunkRun> {
        let before = self.at.replace(chunk);
        if before.is_some_and(|before| before != chunk && before.next() != chunk) {
            // A seek.
            *self = Self {
                at: Some(chunk),
                ..Self::default()
            };
        }
        let start = self.told.max(chunk.next());
        let end = ChunkIndex(chunk.0.saturating_add(1 + self.depth)).min(end);
        (self.depth > 0 && start < end).then(|| {
            self.told = end;
            ChunkRun { start, end }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const END: ChunkIndex = ChunkIndex(100);

    fn reads(ahead: &mut DiskAhead, chunk: u32) -> Vec<u32> {
        let run = ahead.reads(ChunkIndex(chunk), END);
        run.map_or_else(Vec::new, |run| (run.start.0..run.end.0).collect())
    }

    #[test]
    fn who_never_waits_has_nothing_brought() {
        let mut ahead = DiskAhead::default();
        assert!((0..10).all(|chunk| reads(&mut ahead, chunk).is_empty()));
    }

    #[test]
    fn who_has_waited_has_the_next_ones_brought_each_once() {
        let mut ahead = DiskAhead::default();
        reads(&mut ahead, 4);
        ahead.waited(ChunkIndex(4));
        assert_eq!(reads(&mut ahead, 4), [5]);
        assert!(reads(&mut ahead, 4).is_empty());
        assert_eq!(reads(&mut ahead, 5), [6]);
        // It was faster than the disk, again and again.
        ahead.waited(ChunkIndex(6));
        assert_eq!(reads(&mut ahead, 6), [7, 8]);
        ahead.waited(ChunkIndex(7));
        assert_eq!(reads(&mut ahead, 7), [9, 10]);
        ahead.waited(ChunkIndex(8));
        assert_eq!(reads(&mut ahead, 8), [11]);
    }

    #[test]
    fn a_seek_begins_anew() {
        let mut ahead = DiskAhead::default();
        ahead.waited(ChunkIndex(4));
        reads(&mut ahead, 4);
        assert!(reads(&mut ahead, 50).is_empty());
        ahead.waited(ChunkIndex(50));
        assert_eq!(reads(&mut ahead, 50), [51]);
    }

    proptest! {
        #[test]
        fn never_beyond_the_end_nor_further_than_three(
            steps in prop::collection::vec((0u32..20, any::<bool>()), 1..60),
            end in 1u32..20,
        ) {
            let mut ahead = DiskAhead::default();
            for (chunk, waited) in steps {
                if waited {
                    ahead.waited(ChunkIndex(chunk));
                }
                if let Some(run) = ahead.reads(ChunkIndex(chunk), ChunkIndex(end)) {
                    prop_assert!(chunk < run.start.0 && run.start < run.end);
                    prop_assert!(run.end.0 <= end.min(chunk + 1 + DEEPEST));
                }
            }
        }
    }
}
