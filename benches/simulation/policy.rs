//! What a disk keeps: three ways to answer a request from it, and to choose what goes.

mod chunks;
mod slices;
mod whole;

use crate::catalogue::Object;
use chunks::Chunks;
use slices::Slices;
use std::ops::Range;
use whole::Whole;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Objects are fetched, kept and evicted as a whole, the least recently used one first.
    Whole,
    /// Each slice is an object by itself, evicted likewise.
    Slices,
    /// Tidegate's chunks, with the policy that evicts them there. Who has a chunk fetched does not
    /// count as using what is on disk.
    Chunks,
}

/// What a request came to, in chunks.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// From the disk.
    pub hit: u64,
    /// Brought to the disk.
    pub written: u64,
    /// What had to be fetched: ranges of the object's chunks.
    pub missing: Vec<Range<u32>>,
}

/// The disk of one edge or shield.
pub enum Disk {
    Whole(Whole),
    Slices(Slices),
    Chunks(Box<Chunks>),
}

impl Disk {
    /// An empty one for `bytes` of a catalogue of `catalogue` chunks of `chunk` bytes.
    pub fn new(kind: Kind, bytes: u64, chunk: u32, catalogue: u32) -> Self {
        match kind {
            Kind::Whole => Self::Whole(Whole::new(bytes / u64::from(chunk))),
            Kind::Slices => Self::Slices(Slices::new(bytes / u64::from(chunk))),
            Kind::Chunks => Self::Chunks(Box::new(Chunks::new(bytes, chunk, catalogue))),
        }
    }

    /// Answers a request, and keeps what that brings.
    pub fn serve(&mut self, object: Object, wanted: Range<u32>) -> Served {
        match self {
            Self::Whole(whole) => whole.serve(object, wanted),
            Self::Slices(slices) => slices.serve(object, wanted),
            Self::Chunks(chunks) => chunks.serve(object, wanted),
        }
    }

    /// Chunks that it holds.
    pub fn used(&self) -> u64 {
        match self {
            Self::Whole(whole) => whole.used(),
            Self::Slices(slices) => slices.used(),
            Self::Chunks(chunks) => chunks.used(),
        }
    }
}

impl Served {
    /// One more chunk that has to be fetched, behind those before it.
    fn lacks(&mut self, chunk: u32) {
        match self.missing.last_mut() {
            Some(run) if run.end == chunk => run.end += 1,
            _ => self.missing.push(chunk..chunk + 1),
        }
    }
}
