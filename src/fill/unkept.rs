//! Complete chunks that are only in memory.
//!
//! A disk that fails must not fail readers: a chunk that it did not take stays readable for those who
//! follow its flight. So does one that comes in before it is known how full the disk is, which is
//! kept then. Each holds its share of the bytes in flight, and goes, oldest first, when there are too
//! many of them or when a flight needs the room.

use super::{Board, budget::Share, chunk_buffer::ChunkBuffer};
use crate::domain::ChunkIndex;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
};
use tokio::sync::{Notify, futures::Notified};

/// Chunks that are only in memory, oldest first.
#[derive(Debug)]
pub(super) struct Unkept {
    chunks: Mutex<VecDeque<Chunk>>,
    /// Bytes.
    limit: u64,
    more: Notify,
}

#[derive(Debug)]
struct Chunk {
    board: Weak<Board>,
    chunk: ChunkIndex,
    buffer: Arc<ChunkBuffer>,
    /// The board of one that is to be kept yet, also where nobody reads the object any more.
    to_keep: Option<Arc<Board>>,
}

impl Unkept {
    /// Room for `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            chunks: Mutex::default(),
            limit,
            more: Notify::new(),
        }
    }

    /// A chunk that was not kept; the oldest makes room for it.
    pub fn push(&self, board: &Arc<Board>, chunk: ChunkIndex, buffer: Arc<ChunkBuffer>) {
        if !board.is_wanted() {
            return board.end_chunk(chunk, &buffer);
        }
        self.add(board, chunk, buffer, false);
    }

    /// A chunk that is to be kept when that can be; the oldest makes room for it.
    pub fn push_to_keep(&self, board: &Arc<Board>, chunk: ChunkIndex, buffer: Arc<ChunkBuffer>) {
        self.add(board, chunk, buffer, true);
    }

    fn add(&self, board: &Arc<Board>, chunk: ChunkIndex, buffer: Arc<ChunkBuffer>, keep: bool) {
        let mut chunks = self.chunks.lock();
        chunks.push_back(Chunk {
            board: Arc::downgrade(board),
            chunk,
            buffer,
            to_keep: keep.then(|| board.clone()),
        });
        let bytes: u64 = chunks.iter().map(|chunk| chunk.buffer.length()).sum();
        drop(chunks);
        if bytes > self.limit {
            self.give_up_oldest(None);
        }
        self.more.notify_waiters();
    }

    /// Gives the oldest one up that is not spared, of one object or of all; false where there is none.
    pub fn give_up_oldest(&self, of: Option<&Board>) -> bool {
        let is_of = |chunk: &Chunk| {
            let is_of = of.is_none_or(|board| chunk.board.as_ptr() == &raw const *board);
            is_of && !chunk.is_spared()
        };
        let oldest = {
            let mut chunks = self.chunks.lock();
            let at = chunks.iter().position(is_of);
            at.and_then(|at| chunks.remove(at))
        };
        oldest.map(forget).is_some()
    }

    /// The room of those that are not to be kept, and would be given up, in KiB.
    pub fn size(&self) -> usize {
        let chunks = self.chunks.lock();
        let is_idle = |chunk: &&Chunk| chunk.to_keep.is_none() && !chunk.is_spared();
        let given_up = chunks.iter().filter(is_idle);
        let shares = given_up.filter_map(|chunk| chunk.buffer.share());
        shares.map(Share::size).sum()
    }

    /// Those that are to be kept: they are the caller's now.
    pub fn take_to_keep(&self) -> Vec<(Arc<Board>, ChunkIndex, Arc<ChunkBuffer>)> {
        let mut chunks = self.chunks.lock();
        let (to_keep, others) = std::mem::take(&mut *chunks)
            .into_iter()
            .partition::<VecDeque<_>, _>(|chunk| chunk.to_keep.is_some());
        *chunks = others;
        let to_keep = to_keep.into_iter();
        to_keep
            .filter_map(|chunk| Some((chunk.to_keep?, chunk.chunk, chunk.buffer)))
            .collect()
    }

    /// Waits for one to be added, from the first poll or [`Notified::enable`] on.
    pub fn more(&self) -> Notified<'_> {
        self.more.notified()
    }
}

impl Chunk {
    fn is_spared(&self) -> bool {
        let board = self.board.upgrade();
        board.is_some_and(|board| board.object().is_spared(self.chunk))
    }
}

/// From now on the chunk is fetched anew by whoever needs it.
fn forget(chunk: Chunk) {
    if let Some(board) = chunk.board.upgrade() {
        board.end_chunk(chunk.chunk, &chunk.buffer);
    }
}
