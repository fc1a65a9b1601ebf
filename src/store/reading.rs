//! Reading chunks, without ever blocking the thread of an event loop.

use super::{Object, Store, body};
use crate::domain::{ByteRange, ChunkIndex};
use bytes::Bytes;
use std::sync::Arc;

/// What a read of a chunk came to.
#[derive(Debug)]
pub enum Read {
    /// The bytes, from the hot-chunk tier.
    Memory(Bytes),
    /// The bytes, from the page cache.
    Ready(Bytes),
    /// The bytes will come from the disk, or be checked first; `None` where that failed.
    Slow(tokio::task::JoinHandle<Option<Bytes>>),
    /// Not here.
    Missing,
}

impl Store {
    /// Bytes of one chunk, at most those of `range` (offsets in the object). `None` where the
    /// chunk is not there, or is found damaged, in which case it is forgotten.
    ///
    /// Never blocks: what is not in the page cache comes back as [`Read::Slow`].
    pub fn read(
        self: &Arc<Self>,
        object: &Arc<Object>,
        chunk: ChunkIndex,
        range: ByteRange,
    ) -> Read {
        let Some(ticket) = object.begin_read(chunk) else {
            return Read::Missing;
        };
        if let Some(memory) = &self.memory {
            if let Some(bytes) = memory.read(object, chunk, range) {
                self.budget.lock().touch(object.name_of(chunk));
                return Read::Memory(bytes);
            }
        } else if ticket.verified {
            let now = object.read_cached(range).ok().flatten();
            if let Some(bytes) = now.filter(|_| object.end_read(chunk, ticket)) {
                self.budget.lock().touch(object.name_of(chunk));
                return Read::Ready(bytes);
            }
        }
        let (store, object) = (self.clone(), object.clone());
        let task = tokio::task::spawn_blocking(move || store.read_slow(&object, chunk, range));
        Read::Slow(task)
    }

    pub(super) fn read_slow(
        &self,
        object: &Arc<Object>,
        chunk: ChunkIndex,
        range: ByteRange,
    ) -> Option<Bytes> {
        let ticket = object.begin_read(chunk)?;
        let read = match (ticket.verified, &self.memory) {
            (true, None) => object.read_blocking(range).map_err(body::ReadError::from),
            _ => object.read_verified(chunk).map(|whole| {
                if let Some(memory) = &self.memory {
                    memory.insert(object, chunk, whole.clone());
                }
                let skip = (range.start() % u64::from(object.chunk_size())) as usize;
                let end = skip + range.len() as usize;
                whole.slice(skip.min(whole.len())..end.min(whole.len()))
            }),
        };
        match read {
            Ok(bytes) if object.end_read(chunk, ticket) => {
                self.budget.lock().touch(object.name_of(chunk));
                (bytes.len() as u64 == range.len()).then_some(bytes)
            }
            Ok(_) => None,
            // Removed and perhaps written anew while it was read: that says nothing of it.
            Err(_) if !object.end_read(chunk, ticket) => None,
            Err(e) => {
                self.stats.read_failed(&e);
                self.forget(object, chunk);
                None
            }
        }
    }
}
