//! The hot-chunk tier: whole chunks in memory, for disks that are slow even with a page cache.
//!
//! It holds chunks of a generation, whose bytes never change: nothing in it can be out of date.

use super::Object;
use crate::domain::{ByteRange, ChunkIndex};
use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};

type Key = (u64, ChunkIndex);

#[derive(Clone, Debug)]
struct ByLength;

impl Weighter<Key, Bytes> for ByLength {
    fn weight(&self, _: &Key, bytes: &Bytes) -> u64 {
        bytes.len() as u64
    }
}

/// Chunks in memory, the least wanted making room.
#[derive(Debug)]
pub(super) struct Memory(Cache<Key, Bytes, ByLength>);

impl Memory {
    /// Room for `limit` bytes in chunks of about `chunk_size`; `None` where that is off.
    pub fn new(limit: u64, chunk_size: u32) -> Option<Self> {
        let items = (limit / u64::from(chunk_size)).max(1) as usize;
        (limit > 0).then(|| Self(Cache::with_weighter(items, limit, ByLength)))
    }

    /// The bytes of `range`, which lies within `chunk`.
    pub fn read(&self, object: &Object, chunk: ChunkIndex, range: ByteRange) -> Option<Bytes> {
        let bytes = self.0.get(&(object.generation(), chunk))?;
        let skip = (range.start() % u64::from(object.chunk_size())) as usize;
        let end = skip + range.len() as usize;
        (end <= bytes.len()).then(|| bytes.slice(skip..end))
    }

    /// Takes a whole chunk in.
    pub fn insert(&self, object: &Object, chunk: ChunkIndex, bytes: Bytes) {
        self.0.insert((object.generation(), chunk), bytes);
    }
}
