//! How much to ask of the origin at a time, for one reader.
//!
//! A reader that goes on where it was proves that it is sequential: its window grows, up to a
//! limit. A seek makes it small again. A reader that said where it ends never makes the origin
//! send more than that, and its window doubles. One that did not may leave at any moment, as
//! players do that ask for all, hang up and ask again further on: its window is a share of what it
//! has read, so that what was fetched for nothing stays one, too.

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
    /// Chunks read in a row, for a reader that did not say where it ends.
    open: Option<u32>,
    /// Chunks that were fetched last, where they are more than a window.
    lead: u32,
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
        let open = (!closed).then_some(0);
        Self {
            window: window.clamp(1, max),
            max,
            at: None,
            limit: run.end,
            several: wanted > 1,
            open,
            lead: 0,
        }
    }

    /// The reader has come to `chunk`. Returns the first chunk worth fetching ahead, if the
    /// reader has earned it: half a window on.
    pub fn reached(&mut self, chunk: ChunkIndex) -> Option<ChunkIndex> {
        let before = self.at.replace(chunk);
        match before {
            Some(at) if at == chunk => None,
            Some(at) if at.next() == chunk => {
                self.read_on();
                let ahead = ChunkIndex(
                    chunk
                        .0
                        .saturating_add((self.window.max(self.lead) / 2).max(1)),
                );
                (ahead < self.limit).then_some(ahead)
            }
            Some(_) => {
                (self.window, self.lead) = (1, 0);
                self.open = self.open.map(|_| 0);
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

    /// One past the last chunk that the reader has asked for.
    pub fn limit(&self) -> ChunkIndex {
        self.limit
    }

    /// One past the last chunk that the reader is sure to come to: where it said that it ends or,
    /// where it did not, anywhere once it has read on at all.
    pub fn certain_end(&self) -> ChunkIndex {
        match self.open {
            Some(0) => self.at.map_or(ChunkIndex(0), ChunkIndex::next),
            _ => self.limit,
        }
    }

    /// One past the last chunk to fetch in a request that begins at `from`.
    pub fn end_of_window(&self, from: ChunkIndex) -> ChunkIndex {
        ChunkIndex(from.0.saturating_add(self.window))
            .min(self.limit)
            .max(from.next())
    }

    /// The same as far as it is near.
    pub fn end_of_near_window(&self, from: ChunkIndex) -> ChunkIndex {
        let read = self.open.unwrap_or(0).min(self.max);
        let end = ChunkIndex(from.0.saturating_add(read)).min(self.limit);
        end.max(self.end_of_window(from))
    }

    /// A request for `run` was made for this reader: the next may be larger.
    pub fn fetched(&mut self, run: ChunkRun) {
        let chunks = run.end.0.saturating_sub(run.start.0);
        self.lead = if chunks > self.window { chunks } else { 0 };
        self.window = match self.open {
            None => self.window.saturating_mul(2).min(self.max),
            Some(read) => (read / SHARE).clamp(1, self.max),
        };
    }

    /// One more chunk of a row.
    fn read_on(&mut self) {
        if let Some(read) = &mut self.open {
            *read = read.saturating_add(1);
        }
    }
}

/// Chunks in the first window of a reader that did not say where it ends. One that is left is
/// brought in to its end, and kept, and so is the connection; of two the second would be on its way
/// when it is left, and be fetched again.
const FIRST_OPEN_WINDOW: u32 = 1;
/// A window is a twelfth of what was read: with the next one under way before it is used up, that
/// is a sixth too much at worst, but for the first few chunks.
const SHARE: u32 = 12;

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
    fn windows_double_for_a_reader_that_said_where_it_ends() {
        let mut ahead = ReadAhead::new(run(0, 1000), true, 1 << 20, 16 << 20);
        ahead.reached(ChunkIndex(10));
        ahead.reached(ChunkIndex(500));
        let mut sizes = Vec::new();
        for _ in 0..6 {
            let end = ahead.end_of_window(ChunkIndex(500));
            sizes.push(end.0 - 500);
            ahead.fetched(run(500, end.0));
        }
        assert_eq!(sizes, [1, 2, 4, 8, 16, 16]);
    }

    /// Reads chunk by chunk, each at once; returns how many have been fetched when so many are read.
    /// `near` is one past the last chunk that is near.
    fn fetched_for(ahead: &mut ReadAhead, from: u32, chunks: u32, near: u32) -> u32 {
        let mut there = from;
        for chunk in (from..from + chunks).map(ChunkIndex) {
            let early = ahead.reached(chunk).filter(|early| early.0 >= there);
            if chunk.0 >= there || early.is_some() {
                let start = ChunkIndex(there);
                let near = ahead.end_of_near_window(start).min(ChunkIndex(near));
                there = ahead.end_of_window(start).max(near).0;
                ahead.fetched(run(start.0, there));
            }
        }
        there - from
    }

    #[test]
    fn windows_grow_with_what_was_read_and_collapse_on_a_seek() {
        let mut ahead = ReadAhead::new(run(0, 10_000), false, 1 << 20, 16 << 20);
        fetched_for(&mut ahead, 0, 300, 0);
        assert_eq!(ahead.end_of_window(ChunkIndex(400)), ChunkIndex(416));
        ahead.reached(ChunkIndex(500));
        assert_eq!(ahead.end_of_window(ChunkIndex(500)), ChunkIndex(501));
    }

    #[test]
    fn whoever_hangs_up_has_not_cost_much_more_than_what_was_read() {
        for read in 1..500 {
            let mut ahead = ReadAhead::new(run(0, 10_000), false, 1 << 20, 64 << 20);
            let fetched = fetched_for(&mut ahead, 0, read, 0);
            assert!(fetched <= read + 1 + read / 5, "{fetched} for {read}");
        }
    }

    #[test]
    fn what_is_near_is_fetched_in_large_windows_soon_and_never_more_than_twice_what_was_read() {
        let mut requests = Vec::new();
        for read in 1..500 {
            let mut ahead = ReadAhead::new(run(0, 10_000), false, 1 << 20, 16 << 20);
            let fetched = fetched_for(&mut ahead, 0, read, 10_000);
            assert!(fetched <= 2 * read + 1 && fetched <= read + 32);
            if requests.last() != Some(&fetched) {
                requests.push(fetched);
            }
        }
        assert_eq!(requests[..6], [1, 2, 4, 7, 13, 23]);
    }

    #[test]
    fn where_it_is_near_no_more_windows_are_small_again() {
        let mut ahead = ReadAhead::new(run(0, 10_000), false, 1 << 20, 16 << 20);
        let fetched = fetched_for(&mut ahead, 0, 60, 60);
        assert!(fetched <= 60 + 5, "{fetched}");
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
                ahead.fetched(run(at + step, at + step + 1));
            }
            let at = ChunkIndex(at.clamp(start, start + length - 1));
            for end in [ahead.end_of_window(at), ahead.end_of_near_window(at)] {
                prop_assert!(at < end && end.0 <= start + length && end.0 - at.0 <= 16);
            }
        }
    }
}
