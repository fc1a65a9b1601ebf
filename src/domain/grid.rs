//! The fixed grid of chunks that lies over an object.

use super::ByteRange;

/// The position of a chunk on its object's grid, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkIndex(pub u32);

impl ChunkIndex {
    /// The neighbour to the right.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Neighbouring chunks, `start..end`, the end excluded; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRun {
    /// The first chunk.
    pub start: ChunkIndex,
    /// One past the last chunk.
    pub end: ChunkIndex,
}

impl ChunkRun {
    /// Whether `chunk` is one of these.
    pub fn contains(self, chunk: ChunkIndex) -> bool {
        self.start <= chunk && chunk < self.end
    }

    /// The chunks, ascending.
    pub fn iter(self) -> impl Iterator<Item = ChunkIndex> {
        (self.start.0..self.end.0).map(ChunkIndex)
    }
}

/// The grid of an object of known length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    chunk_size: u32,
    total: u64,
}

/// The most chunks of an object: 16 TiB in chunks of 1 MiB. What is known of each of them takes
/// memory, and an origin can announce any length without having it.
pub const MOST_CHUNKS: u32 = 1 << 24;

impl Grid {
    /// A grid of `chunk_size` bytes a chunk over `total` bytes; `None` where the size is 0 or
    /// the object would have more than [`MOST_CHUNKS`].
    pub fn new(chunk_size: u32, total: u64) -> Option<Self> {
        let most = u64::from(chunk_size) * u64::from(MOST_CHUNKS);
        (chunk_size > 0 && total <= most).then_some(Self { chunk_size, total })
    }

    /// Length of the object in bytes.
    pub fn total(self) -> u64 {
        self.total
    }

    /// Length of every chunk but perhaps the last, in bytes.
    pub fn chunk_size(self) -> u32 {
        self.chunk_size
    }

    /// Number of chunks; 0 for an empty object.
    pub fn count(self) -> u32 {
        self.total.div_ceil(u64::from(self.chunk_size)) as u32
    }

    /// The chunk that holds the byte at `offset`.
    pub fn chunk_at(self, offset: u64) -> ChunkIndex {
        chunk_at(self.chunk_size, offset)
    }

    /// The bytes of a chunk; `None` beyond the end.
    pub fn bytes_of(self, chunk: ChunkIndex) -> Option<ByteRange> {
        let start = u64::from(chunk.0) * u64::from(self.chunk_size);
        ByteRange::new(start, (start + u64::from(self.chunk_size)).min(self.total))
    }

    /// The bytes of neighbouring chunks; `None` beyond the end.
    pub fn bytes_of_run(self, run: ChunkRun) -> Option<ByteRange> {
        let start = u64::from(run.start.0) * u64::from(self.chunk_size);
        let end = u64::from(run.end.0) * u64::from(self.chunk_size);
        ByteRange::new(start, end.min(self.total))
    }

    /// The chunks that hold these bytes.
    pub fn run_over(self, range: ByteRange) -> ChunkRun {
        ChunkRun {
            start: self.chunk_at(range.start()),
            end: self.chunk_at(range.last()).next(),
        }
    }

    /// All chunks; `None` for an empty object.
    pub fn all(self) -> Option<ChunkRun> {
        ByteRange::new(0, self.total).map(|bytes| self.run_over(bytes))
    }
}

/// The chunk that holds the byte at `offset` on a grid whose length is not known yet.
pub fn chunk_at(chunk_size: u32, offset: u64) -> ChunkIndex {
    ChunkIndex(u32::try_from(offset / u64::from(chunk_size)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn chunks_tile_the_object(size in 1u32..50, total in 0u64..500) {
            let grid = Grid::new(size, total).unwrap();
            let mut next = 0;
            for chunk in (0..grid.count()).map(ChunkIndex) {
                let bytes = grid.bytes_of(chunk).unwrap();
                prop_assert_eq!(bytes.start(), next);
                prop_assert!(bytes.len() <= u64::from(size));
                prop_assert_eq!(grid.chunk_at(bytes.start()), chunk);
                prop_assert_eq!(grid.chunk_at(bytes.last()), chunk);
                next = bytes.end();
            }
            prop_assert_eq!(next, total);
            prop_assert_eq!(grid.bytes_of(ChunkIndex(grid.count())), None);
        }

        #[test]
        fn a_run_covers_its_bytes(size in 1u32..50, a in 0u64..400, b in 0u64..400) {
            let grid = Grid::new(size, 400).unwrap();
            if let Some(range) = ByteRange::new(a.min(b), a.max(b)) {
                let run = grid.run_over(range);
                prop_assert!(grid.bytes_of_run(run).unwrap().covers(range));
                prop_assert_eq!(run.iter().filter(|c| !run.contains(*c)).count(), 0);
            }
        }
    }

    #[test]
    fn refuses_what_has_no_or_too_many_chunks() {
        let most = u64::from(MOST_CHUNKS);
        for (size, total) in [
            (0, 0),
            (0, 1),
            (1, u64::MAX),
            (1, most + 1),
            (1 << 20, 1 << 51),
        ] {
            assert_eq!(Grid::new(size, total), None, "{total} in {size}");
        }
        for (size, total) in [(1, most), (1 << 20, most << 20), (u32::MAX, 1 << 51)] {
            let grid = Grid::new(size, total).unwrap();
            assert!(grid.count() <= MOST_CHUNKS);
        }
    }
}
