//! How much to ask of the origin at a time, for one reader.
//!
//! A reader that goes on where it was proves that it is sequential: its window doubles, up to a
//! limit. A seek makes it small again. A reader that said where it ends never makes the origin
//! send more than that.

use crate::domain::{ChunkIndex, ChunkRun};

/// The read-ahead of one reader.
#[derive(Clone, Debug)]
pub struct ReadAhead {
    window: u32,
    max: u32,
    at: Option<ChunkIndex>,
    /// One past the last chunk that the reader has asked for.
    limit: ChunkIndex,
    several: bool,
}

impl ReadAhead {
    /// A reader of `run` on a grid of `chunk_size`. One that is known to read on (`whole`)
    /// begins with a larger window than one that may be scrubbing.
    pub fn new(run: ChunkRun, closed: bool, chunk_size: u32, max_window: u64) -> Self {
        let max = u32::try_from(max_window / u64::from(chunk_size))
            .unwrap_or(u32::MAX)
            .max(1);
        let wanted = run.end.0 - run.start.0;
        let window = if closed { wanted } else { FIRST_OPEN_WINDOW };
        Self {
            window: window.clamp(1, max),
            max,
            at: None,
            limit: run.end,
            several: wanted > 1,
        }
    }

    /// The reader has come to `chunk`. Returns the first chunk worth fetching ahead, if the
    /// reader has earned it: half a window on.
    pub fn reached(&mut self, chunk: ChunkIndex) -> Option<ChunkIndex> {
        let before = self.at.replace(chunk);
        match before {
            Some(at) if at == chunk => None,
            Some(at) if at.next() == chunk => {
                let ahead = ChunkIndex(chunk.0.saturating_add((self.window / 2).max(1)));
                (ahead < self.limit).then_some(ahead)
            }
            Some(_) => {
                self.window = 1;
                None
            }
            None => None,
        }
    }

    /// Whether the reader wants more than the chunk that it began with: a probe of the first bytes
    /// does not show that the rest is wanted.
    pub fn goes_on(&self) -> bool {
        self.several
    }

    /// One past the last chunk to fetch in a request that begins at `from`.
    pub fn end_of_window(&self, from: ChunkIndex) -> ChunkIndex {
        ChunkIndex(from.0.saturating_add(self.window))
            .min(self.limit)
            .max(from.next())
    }

    /// A request was made for this reader: the next may be larger.
    pub fn fetched(&mut self) {
        self.window = self.window.saturating_mul(2).min(self.max);
    }
}

/// Chunks in the first window of a reader that did not say where it ends: a player that probes,
/// or one that reads on. The window doubles soon enough for the latter.
const FIRST_OPEN_WINDOW: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(start: u32, end: u32) -> ChunkRun {
        ChunkRun {
            start: ChunkIndex(start),
            end: ChunkIndex(end),
        }
    }

    #[test]
    fn windows_double_for_a_sequential_reader_and_collapse_on_a_seek() {
        let mut ahead = ReadAhead::new(run(0, 1000), false, 1 << 20, 16 << 20);
        let mut at = ChunkIndex(0);
        let mut sizes = Vec::new();
        for _ in 0..6 {
            let end = ahead.end_of_window(at);
            sizes.push(end.0 - at.0);
            ahead.fetched();
            at = end;
        }
        assert_eq!(sizes, [2, 4, 8, 16, 16, 16]);
        ahead.reached(ChunkIndex(10));
        ahead.reached(ChunkIndex(500));
        assert_eq!(ahead.end_of_window(ChunkIndex(500)), ChunkIndex(501));
    }

    #[test]
    fn a_closed_range_is_asked_for_at_once_and_not_exceeded() {
        let ahead = ReadAhead::new(run(200, 203), true, 1 << 20, 16 << 20);
        assert_eq!(ahead.end_of_window(ChunkIndex(200)), ChunkIndex(203));
    }

    proptest! {
        #[test]
        fn never_beyond_what_was_asked(start in 0u32..100, length in 1u32..100, at in 0u32..200, steps in 0u32..10) {
            let mut ahead = ReadAhead::new(run(start, start + length), false, 1 << 20, 16 << 20);
            for step in 0..steps {
                if let Some(chunk) = ahead.reached(ChunkIndex(at + step)) {
                    prop_assert!(chunk.0 < start + length);
                }
                ahead.fetched();
            }
            let at = ChunkIndex(at.clamp(start, start + length - 1));
            let end = ahead.end_of_window(at);
            prop_assert!(at < end && end.0 <= start + length && end.0 - at.0 <= 16);
        }
    }
}
