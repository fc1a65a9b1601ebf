//! The sparse file that holds the chunks of one generation.
//!
//! The file is a row of groups. A group is one page of 512 records, then the places of its 512
//! chunks:
//!
//! ```text
//! | records 0–511 | chunk 0 | chunk 1 | … | chunk 511 | records 512–1023 | chunk 512 | …
//! ```
//!
//! A record is eight bytes, little-endian: the CRC32C of the chunk, and the CRC32C of
//! (generation, index, that checksum), which makes a record of another file or place, or a torn
//! one, no record. Zeroes are no record either. Since the layout does not depend on the length of
//! the object, a stream of unknown length is stored as it comes.

use crate::domain::ChunkIndex;
use bytes::Bytes;
use parking_lot::Mutex;
use rustix::{
    fs::{Advice, FallocateFlags, fadvise, fallocate},
    io::{Errno, ReadWriteFlags, preadv2, pwritev},
};
use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut},
    num::NonZeroU64,
    os::unix::fs::FileExt,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Records in one page.
const GROUP: u64 = 512;
const RECORD: u64 = 8;
/// A page of records; chunks stay aligned to the blocks of the file system.
const PAGE: u64 = GROUP * RECORD;

/// Most slices that one call to the kernel takes.
const IOV_MAX: usize = 1024;

/// A chunk whose bytes are not those of its record.
#[derive(Debug, thiserror::Error)]
#[error("chunk {} of generation {generation:016x} does not match its checksum", chunk.0)]
pub struct CorruptChunk {
    pub(super) generation: u64,
    pub(super) chunk: ChunkIndex,
}

/// Why a chunk could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Corrupt(#[from] CorruptChunk),
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// An open body.
#[derive(Debug)]
pub(super) struct Body {
    file: File,
    generation: u64,
    chunk_size: u32,
}

impl Body {
    pub fn new(file: File, generation: u64, chunk_size: u32) -> Self {
        Self {
            file,
            generation,
            chunk_size,
        }
    }

    /// The chunks among the first `count` that have a record.
    pub fn recorded(&self, count: u32) -> io::Result<Vec<ChunkIndex>> {
        let mut found = Vec::new();
        for group in 0..u64::from(count).div_ceil(GROUP) {
            let mut page = [0; PAGE as usize];
            let read = read_fully(&self.file, &mut page, self.group_start(group))?;
            for (place, record) in page[..read].chunks_exact(RECORD as usize).enumerate() {
                let chunk = ChunkIndex((group * GROUP) as u32 + place as u32);
                if chunk.0 < count && self.checksum_in(record, chunk).is_some() {
                    found.push(chunk);
                }
            }
        }
        Ok(found)
    }

    /// Writes a chunk's bytes, then its record.
    pub fn write(&self, chunk: ChunkIndex, segments: &[Bytes], checksum: u32) -> io::Result<()> {
        let mut at = self.chunk_start(chunk);
        let mut slices: Vec<_> = segments.iter().map(|s| IoSlice::new(s)).collect();
        let mut left = &mut slices[..];
        while !left.is_empty() {
            let batch = &left[..left.len().min(IOV_MAX)];
            let written = match pwritev(&self.file, batch, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(Errno::INTR) => 0,
                Err(e) => return Err(e.into()),
            };
            at += written as u64;
            IoSlice::advance_slices(&mut left, written);
        }
        self.file
            .write_all_at(&self.record(chunk, checksum), self.record_start(chunk))
    }

    /// Bytes of one chunk, if the page cache has them all; `None` where reading would block.
    pub fn read_cached(
        &self,
        chunk: ChunkIndex,
        skip: u64,
        length: usize,
    ) -> io::Result<Option<Bytes>> {
        let mut buffer = Buffer::take(length);
        let mut slices = [IoSliceMut::new(&mut buffer.bytes[..length])];
        let at = self.chunk_start(chunk) + skip;
        match preadv2(&self.file, &mut slices, at, ReadWriteFlags::NOWAIT) {
            Ok(read) if read == length => Ok(Some(buffer.freeze(length))),
            Ok(_) | Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Bytes of one chunk.
    pub fn read(&self, chunk: ChunkIndex, skip: u64, length: usize) -> io::Result<Bytes> {
        let mut buffer = Buffer::take(length);
        let at = self.chunk_start(chunk) + skip;
        self.file.read_exact_at(&mut buffer.bytes[..length], at)?;
        Ok(buffer.freeze(length))
    }

    /// Has the disk bring a chunk into the page cache; whoever reads it later need not wait so long.
    pub fn will_need(&self, chunk: ChunkIndex) -> io::Result<()> {
        let length = NonZeroU64::new(self.chunk_size.into());
        Ok(fadvise(
            &self.file,
            self.chunk_start(chunk),
            length,
            Advice::WillNeed,
        )?)
    }

    /// All bytes of one chunk, checked against its record.
    pub fn read_verified(&self, chunk: ChunkIndex, length: usize) -> Result<Bytes, ReadError> {
        let mut record = [0; RECORD as usize];
        self.file
            .read_exact_at(&mut record, self.record_start(chunk))?;
        let bytes = self.read(chunk, 0, length)?;
        match self.checksum_in(&record, chunk) {
            Some(checksum) if checksum == crc32c::crc32c(&bytes) => Ok(bytes),
            _ => Err(CorruptChunk {
                generation: self.generation,
                chunk,
            }
            .into()),
        }
    }

    /// Takes a chunk's record back, then its bytes.
    pub fn punch(&self, chunk: ChunkIndex) -> io::Result<()> {
        self.file
            .write_all_at(&[0; RECORD as usize], self.record_start(chunk))?;
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let size = u64::from(self.chunk_size);
        Ok(fallocate(&self.file, hole, self.chunk_start(chunk), size)?)
    }

    fn group_start(&self, group: u64) -> u64 {
        group * (PAGE + GROUP * u64::from(self.chunk_size))
    }

    fn record_start(&self, chunk: ChunkIndex) -> u64 {
        let index = u64::from(chunk.0);
        self.group_start(index / GROUP) + index % GROUP * RECORD
    }

    fn chunk_start(&self, chunk: ChunkIndex) -> u64 {
        let index = u64::from(chunk.0);
        (index / GROUP + 1) * PAGE + index * u64::from(self.chunk_size)
    }

    fn record(&self, chunk: ChunkIndex, checksum: u32) -> [u8; RECORD as usize] {
        let mut signed = [0; 16];
        signed[..8].copy_from_slice(&self.generation.to_le_bytes());
        signed[8..12].copy_from_slice(&chunk.0.to_le_bytes());
        signed[12..].copy_from_slice(&checksum.to_le_bytes());
        let mut record = [0; RECORD as usize];
        record[..4].copy_from_slice(&checksum.to_le_bytes());
        record[4..].copy_from_slice(&crc32c::crc32c(&signed).to_le_bytes());
        record
    }

    fn checksum_in(&self, record: &[u8], chunk: ChunkIndex) -> Option<u32> {
        let checksum = u32::from_le_bytes(record.get(..4)?.try_into().ok()?);
        (record == self.record(chunk, checksum) && record != [0; RECORD as usize])
            .then_some(checksum)
    }
}

/// Reads up to the end of the file.
fn read_fully(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], at + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

/// A read buffer. Large ones are used again: allocating and clearing them for each read would
/// cost about as much as the read itself.
struct Buffer {
    bytes: Vec<u8>,
}

/// Sizes of the buffers that are used again: usual segments of an answer.
const CLASSES: [usize; 5] = [32 << 10, 64 << 10, 128 << 10, 256 << 10, 1 << 20];
/// Shorter reads are cheaper with a buffer of their own.
const SMALLEST_POOLED: usize = 16 << 10;
/// Bytes of each size kept for the next reads.
const POOL: usize = 2 << 20;

static FREE: [Mutex<Vec<Vec<u8>>>; CLASSES.len()] =
    [const { Mutex::new(Vec::new()) }; CLASSES.len()];

/// Bytes in buffers that are read into, or that clients have not taken yet.
static GIVEN_OUT: AtomicUsize = AtomicUsize::new(0);

/// The same bytes in a buffer of their own.
pub(super) fn copied(bytes: &[u8]) -> Bytes {
    let mut buffer = Buffer::take(bytes.len());
    buffer.bytes[..bytes.len()].copy_from_slice(bytes);
    buffer.freeze(bytes.len())
}

/// What all clients pin together, in bytes.
pub(super) fn given_out() -> usize {
    GIVEN_OUT.load(Relaxed)
}

impl Buffer {
    fn take(length: usize) -> Self {
        let class = CLASSES.iter().position(|size| length <= *size);
        let bytes = match class.filter(|_| length > SMALLEST_POOLED) {
            Some(class) => {
                let free = FREE[class].lock().pop();
                free.unwrap_or_else(|| vec![0; CLASSES[class]])
            }
            None => vec![0; length],
        };
        GIVEN_OUT.fetch_add(bytes.len(), Relaxed);
        Self { bytes }
    }

    fn freeze(self, length: usize) -> Bytes {
        match self.bytes.len() == length {
            true => Bytes::from_owner(self),
            false => Bytes::from_owner(self).slice(..length),
        }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        GIVEN_OUT.fetch_sub(self.bytes.len(), Relaxed);
        let class = CLASSES.iter().position(|size| *size == self.bytes.len());
        if let Some(class) = class {
            let mut free = FREE[class].lock();
            if free.len() < POOL / CLASSES[class] {
                free.push(std::mem::take(&mut self.bytes));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u32 = 8192;

    fn body() -> Body {
        Body::new(tempfile::tempfile().unwrap(), 7, SIZE)
    }

    fn fill(body: &Body, chunk: u32) -> Bytes {
        let bytes = Bytes::from(vec![(chunk % 251) as u8 + 1; SIZE as usize]);
        let halves = [bytes.slice(..100), bytes.slice(100..)];
        body.write(ChunkIndex(chunk), &halves, crc32c::crc32c(&bytes))
            .unwrap();
        bytes
    }

    #[test]
    fn chunks_come_back_from_any_group() {
        let body = body();
        for chunk in [0, 1, 511, 512, 1500] {
            let bytes = fill(&body, chunk);
            let chunk = ChunkIndex(chunk);
            assert_eq!(body.read_verified(chunk, SIZE as usize).unwrap(), bytes);
            assert_eq!(body.read(chunk, 10, 20).unwrap(), bytes.slice(10..30));
            let cached = body.read_cached(chunk, 10, 20).unwrap();
            assert!(cached.is_none_or(|b| b == bytes.slice(10..30)));
        }
        let found = body.recorded(1501).unwrap();
        assert_eq!(found, [0, 1, 511, 512, 1500].map(ChunkIndex));
    }

    #[test]
    fn a_damaged_byte_is_noticed() {
        let body = body();
        fill(&body, 3);
        body.file
            .write_all_at(b"x", body.chunk_start(ChunkIndex(3)) + 5000)
            .unwrap();
        let read = body.read_verified(ChunkIndex(3), SIZE as usize);
        assert!(matches!(read, Err(ReadError::Corrupt(_))));
    }

    #[test]
    fn records_of_another_generation_or_place_are_none() {
        let body = body();
        fill(&body, 3);
        let mut record = [0; RECORD as usize];
        body.file
            .read_exact_at(&mut record, body.record_start(ChunkIndex(3)))
            .unwrap();
        body.file
            .write_all_at(&record, body.record_start(ChunkIndex(4)))
            .unwrap();
        assert_eq!(body.recorded(10).unwrap(), [ChunkIndex(3)]);
        let other = Body {
            generation: 8,
            ..body
        };
        assert_eq!(other.recorded(10).unwrap(), []);
    }

    #[test]
    fn a_punched_chunk_is_gone_and_its_neighbours_are_not() {
        let body = body();
        fill(&body, 0);
        let kept = fill(&body, 1);
        body.punch(ChunkIndex(0)).unwrap();
        assert_eq!(body.recorded(2).unwrap(), [ChunkIndex(1)]);
        assert_eq!(
            body.read_verified(ChunkIndex(1), SIZE as usize).unwrap(),
            kept
        );
    }
}
