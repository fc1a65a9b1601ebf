//! Complete chunks that the disk did not take.
//!
//! A disk that fails must not fail readers: such a chunk stays readable in memory for those who
//! follow its flight. It holds its share of the bytes in flight, and goes, oldest first, when
//! there are too many of them or when a flight needs the room.

use super::{Board, chunk_buffer::ChunkBuffer};
use crate::domain::ChunkIndex;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
};

/// Chunks that are only in memory, oldest first.
#[derive(Debug)]
pub(super) struct Unkept {
    chunks: Mutex<VecDeque<Chunk>>,
    /// Bytes.
    limit: u64,
}

type Chunk = (Weak<Board>, ChunkIndex, Arc<ChunkBuffer>);

impl Unkept {
    /// Room for `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            chunks: Mutex::default(),
            limit,
        }
    }

    /// A chunk that was not kept; the oldest makes room for it.
    pub fn push(&self, board: &Arc<Board>, chunk: ChunkIndex, buffer: Arc<ChunkBuffer>) {
        if !board.is_wanted() {
            return board.end_chunk(chunk, &buffer);
        }
        let mut chunks = self.chunks.lock();
        chunks.push_back((Arc::downgrade(board), chunk, buffer));
        let bytes: u64 = chunks.iter().map(|(_, _, buffer)| buffer.length()).sum();
        drop(chunks);
        if bytes > self.limit {
            self.give_up_oldest();
        }
    }

    /// Gives the oldest one up; false where there is none.
    pub fn give_up_oldest(&self) -> bool {
        let oldest = self.chunks.lock().pop_front();
        oldest.map(forget).is_some()
    }
}

/// From now on the chunk is fetched anew by whoever needs it.
fn forget((board, chunk, buffer): Chunk) {
    if let Some(board) = board.upgrade() {
        board.end_chunk(chunk, &buffer);
    }
}
