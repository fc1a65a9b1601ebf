//! What the store may be told.

use std::path::PathBuf;

/// Settings of the chunk store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The one directory that belongs to this store.
    pub directory: PathBuf,
    /// Bytes that the store may take on disk, chunks being written included.
    pub max_size: u64,
    /// Bytes of memory for the hot-chunk tier; 0 turns it off.
    pub memory: u64,
    /// Grid of new objects, in bytes. An object keeps the grid that it was stored with.
    pub chunk_size: u32,
    /// Chunk writes under way at a time.
    pub writes: usize,
    /// Chunks that may wait for a write before further ones are given up.
    pub write_queue: usize,
    /// Reads that go to the disk itself, not the page cache, at a time.
    pub reads: usize,
    /// Objects held open (manifest in memory, data file open) while nobody reads them.
    pub open_objects: usize,
}

impl Config {
    /// Everything at its default but the directory.
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            max_size: 10 << 30,
            memory: 0,
            chunk_size: 1 << 20,
            writes: 5,
            write_queue: 64,
            reads: 16,
            open_objects: 1024,
        }
    }
}
