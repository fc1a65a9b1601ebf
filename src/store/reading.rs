//! Reading chunks, without ever blocking the thread of an event loop.

use super::{Object, Store, body, stats::Waiting};
use crate::domain::{ByteRange, ChunkIndex};
use bytes::Bytes;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// What a read of a chunk came to.
#[derive(Debug)]
pub enum Read {
    /// The bytes, from the hot-chunk tier.
    Memory(Bytes),
    /// The bytes, from the page cache.
    Ready(Bytes),
    /// The bytes will come from the disk, or be checked first.
    Slow(SlowRead),
    /// Not here.
    Missing,
}

/// A read that waits for its turn at the disk, then for the disk; `None` where it failed. Dropped,
/// it gives its turn up.
pub struct SlowRead(Pin<Box<dyn Future<Output = Option<Bytes>> + Send + Sync>>);

impl Future for SlowRead {
    type Output = Option<Bytes>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for SlowRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlowRead").finish_non_exhaustive()
    }
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
                return Read::Memory(bytes);
            }
        } else if ticket.verified && !self.is_given_away() {
            let now = object.read_cached(range).ok().flatten();
            let stayed = || object.end_read(chunk, ticket) && !self.is_given_away();
            if let Some(bytes) = now.filter(|_| stayed()) {
                return Read::Ready(bytes);
            }
        }
        let read = self.clone().read_in_turn(object.clone(), chunk, range);
        Read::Slow(SlowRead(Box::pin(read)))
    }

    /// A chunk is of use to somebody beside whom it was fetched for: eviction goes by that. Reading
    /// alone says nothing of it: a chunk is read in pieces, or to be uploaded.
    pub fn used(&self, object: &Object, chunk: ChunkIndex) {
        self.budget.lock().touch(object.name_of(chunk));
    }

    async fn read_in_turn(
        self: Arc<Self>,
        object: Arc<Object>,
        chunk: ChunkIndex,
        range: ByteRange,
    ) -> Option<Bytes> {
        let turn = {
            let _waits = Waiting::in_line(&self.stats.reads_waiting);
            self.reads.clone().acquire_owned().await.ok()?
        };
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            self.read_slow(&object, chunk, range)
        });
        read.await.ok().flatten()
    }

    /// Has the disk bring a chunk into the page cache, for a reader that will come to it. Where
    /// the disk has enough to do for those who wait, nothing is done.
    pub fn will_need(self: &Arc<Self>, object: &Arc<Object>, chunk: ChunkIndex) {
        if self.memory.is_some() {
            return;
        }
        let Ok(turn) = self.reads.clone().try_acquire_owned() else {
            self.stats.read_ahead_dropped.inc();
            return;
        };
        let object = object.clone();
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            // Only a hint: what comes of it shows when the chunk is read.
            let _ = object.will_need(chunk);
        });
    }

    pub(super) fn read_slow(
        &self,
        object: &Arc<Object>,
        chunk: ChunkIndex,
        range: ByteRange,
    ) -> Option<Bytes> {
        let ticket = object.begin_read(chunk)?;
        let is_trusted = ticket.verified && !self.is_given_away();
        let read = match (is_trusted, &self.memory) {
            (true, None) => object.read_blocking(range).map_err(body::ReadError::from),
            // A client that is slow must not pin all of what was read to be checked.
            (false, None) => object
                .read_verified(chunk)
                .map(|whole| body::copied(&part(&whole, range, object.chunk_size()))),
            (_, Some(memory)) => object.read_verified(chunk).map(|whole| {
                // A copy: what was read counts as pinned, and is read into again.
                memory.insert(object, chunk, Bytes::copy_from_slice(&whole));
                part(&whole, range, object.chunk_size())
            }),
        };
        match read {
            // The next owner may have been at it meanwhile.
            _ if is_trusted && self.memory.is_none() && self.is_given_away() => {
                self.read_slow(object, chunk, range)
            }
            Ok(bytes) if object.end_read(chunk, ticket) => {
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

/// The bytes of `range` in the chunk that it lies in.
fn part(chunk: &Bytes, range: ByteRange, chunk_size: u32) -> Bytes {
    let skip = (range.start() % u64::from(chunk_size)) as usize;
    let end = skip + range.len() as usize;
    chunk.slice(skip.min(chunk.len())..end.min(chunk.len()))
}
