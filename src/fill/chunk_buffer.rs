//! The bytes of one chunk while it comes in and until it is on disk.

use super::{FillError, budget::Share};
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use tokio::sync::Notify;

/// A chunk on its way: written by one flight, read by any number of readers.
#[derive(Debug)]
pub struct ChunkBuffer {
    /// Offset in the object of the chunk's first byte.
    start: u64,
    content: Mutex<Content>,
    grown: Notify,
    /// The disk did not take it.
    unkept: AtomicBool,
    /// Its share of the budget of bytes in flight, when it has it.
    budget: OnceLock<Share>,
}

#[derive(Debug, Default)]
struct Content {
    segments: Vec<Bytes>,
    /// Small pieces on their way to becoming a segment.
    tail: BytesMut,
    length: u64,
    checksum: u32,
    end: Option<Result<(), FillError>>,
}

/// Pieces smaller than this are put together: each costs a place in a list, and an origin may
/// send a byte at a time.
const SMALL: usize = 16 << 10;

impl Content {
    fn push(&mut self, bytes: Bytes) {
        if bytes.len() < SMALL {
            self.tail.extend_from_slice(&bytes);
            if self.tail.len() >= SMALL {
                self.seal_tail();
            }
        } else {
            self.seal_tail();
            self.segments.push(bytes);
        }
    }

    fn seal_tail(&mut self) {
        if !self.tail.is_empty() {
            self.segments.push(self.tail.split().freeze());
        }
    }
}

/// What a reader finds at an offset.
#[derive(Debug)]
pub enum Found {
    /// Bytes.
    Bytes(Bytes),
    /// Nothing yet.
    NotYet,
    /// The flight broke before this offset.
    Broken(FillError),
    /// The chunk ended before this offset.
    Past,
}

impl ChunkBuffer {
    /// An empty chunk that will hold the bytes from `start` on.
    pub fn new(start: u64) -> Self {
        Self {
            start,
            content: Mutex::default(),
            grown: Notify::new(),
            unkept: AtomicBool::new(false),
            budget: OnceLock::new(),
        }
    }

    /// Its share of the budget, once it has it.
    pub(super) fn share(&self) -> Option<&Share> {
        self.budget.get()
    }

    /// Takes its share of the budget, and holds it until it goes.
    pub(super) fn hold(&self, share: Share) {
        let _ = self.budget.set(share);
    }

    /// Adds bytes at the end; with the last of them it is complete. Who reads these finds it so.
    pub fn append(&self, bytes: Bytes, is_last: bool) {
        let mut content = self.content.lock();
        if is_last {
            content.end.get_or_insert(Ok(()));
        }
        content.checksum = crc32c::crc32c_append(content.checksum, &bytes);
        content.length += bytes.len() as u64;
        content.push(bytes);
        drop(content);
        self.grown.notify_waiters();
    }

    /// No more bytes: the chunk is complete, or its flight broke.
    pub fn end(&self, how: Result<(), FillError>) {
        self.content.lock().end.get_or_insert(how);
        self.grown.notify_waiters();
    }

    /// Whether all of it has come.
    pub fn is_complete(&self) -> bool {
        matches!(self.content.lock().end, Some(Ok(())))
    }

    /// It stays here only: the disk did not take it.
    pub fn note_unkept(&self) {
        self.unkept.store(true, Relaxed);
    }

    /// Whether the disk did not take it.
    pub fn is_unkept(&self) -> bool {
        self.unkept.load(Relaxed)
    }

    /// Number of bytes so far.
    pub fn length(&self) -> u64 {
        self.content.lock().length
    }

    /// The segments, and their checksum.
    pub fn segments(&self) -> (Vec<Bytes>, u32) {
        let mut content = self.content.lock();
        content.seal_tail();
        (content.segments.clone(), content.checksum)
    }

    /// What is at `offset` of the object, at most `max` bytes of it.
    pub fn read(&self, offset: u64, max: usize) -> Found {
        let content = self.content.lock();
        let Some(mut skip) = offset.checked_sub(self.start) else {
            return Found::Past;
        };
        if skip >= content.length {
            return match &content.end {
                None => Found::NotYet,
                Some(Ok(())) => Found::Past,
                Some(Err(e)) => Found::Broken(e.clone()),
            };
        }
        for segment in &content.segments {
            let length = segment.len() as u64;
            if skip < length {
                let from = skip as usize;
                let to = segment.len().min(from.saturating_add(max));
                return Found::Bytes(segment.slice(from..to));
            }
            skip -= length;
        }
        let tail = &content.tail[skip as usize..];
        Found::Bytes(Bytes::copy_from_slice(&tail[..tail.len().min(max)]))
    }

    /// Waits until there may be more at `offset` than there was.
    pub async fn grown(&self, offset: u64) {
        let notified = self.grown.notified();
        let mut notified = std::pin::pin!(notified);
        notified.as_mut().enable();
        if matches!(self.read(offset, 1), Found::NotYet) {
            notified.await;
        }
    }
}
