//! What is kept after the directory was given away, for the answers that are still under way.
//!
//! What an origin gives without a validator, or without a length, can't be asked for again: who
//! reads it slowly needs all that has come in meanwhile. To the next owner a part of such an object
//! is of no use. So its file loses its name before the directory passes, and is this process's
//! alone from then on: what comes in is written there, and the file goes with its last reader.

use super::{KeepError, Object, Store};
use crate::domain::ChunkIndex;
use bytes::Bytes;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// What is written into files without a name is together at most this part of what the directory
/// may hold: the next owner does not know of it.
const PART: u64 = 8;

/// The bytes that were written for one object since its file has no name, until this is dropped.
#[derive(Debug)]
pub(super) struct Private {
    own: AtomicU64,
    all: Arc<AtomicU64>,
}

impl Private {
    /// Takes so many more where all have no more than `most` then.
    fn take(&self, bytes: u64, most: u64) -> bool {
        let more = |all| Some(all + bytes).filter(|all| *all <= most);
        let taken = self.all.fetch_update(Relaxed, Relaxed, more).is_ok();
        if taken {
            self.own.fetch_add(bytes, Relaxed);
        }
        taken
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.all.fetch_sub(*self.own.get_mut(), Relaxed);
    }
}

impl Store {
    /// Takes what the next owner has no use for out of the directory. To be called when this process
    /// writes nothing there any more, and before the next owner does.
    pub(super) fn take_out_private(&self) {
        let open = self.table.lock().open();
        for object in open.iter().filter(|object| object.stays_partial()) {
            let _files = self.files(object.id());
            self.remove_manifest(object);
            let _ = std::fs::remove_file(self.paths.body(object.id(), object.generation()));
            self.make_private(object);
        }
    }

    /// Only while nobody can become the directory's owner, or cease to be it.
    fn make_private(&self, object: &Object) {
        object.make_private(Private {
            own: AtomicU64::new(0),
            all: self.private.clone(),
        });
        // Where nobody reads it, it need not be there.
        self.table.lock().let_go(object.id());
    }

    /// Writes a chunk into a file without a name, where its object has or is to have such a one;
    /// the directory is another's, and stays so. Blocks.
    pub(super) fn write_privately(
        &self,
        object: &Object,
        chunk: ChunkIndex,
        segments: &[Bytes],
        checksum: u32,
    ) -> Result<(), KeepError> {
        // What has begun since has no file yet.
        if !object.is_on_disk() && object.comes_once() {
            self.make_private(object);
        }
        let private = object.private().ok_or(KeepError::Closed)?;
        if !object.begin_change(chunk) {
            return Err(KeepError::Unwanted);
        }
        let length = segments.iter().map(|s| s.len() as u64).sum();
        let written = match private.take(length, self.max_size() / PART) {
            true => object
                .create_body(&self.paths)
                .and_then(|()| object.write_chunk(chunk, segments, checksum))
                .map_err(KeepError::Disk),
            false => Err(KeepError::NoRoom),
        };
        object.end_change(chunk, written.is_ok());
        written.inspect_err(|e| {
            if let KeepError::Disk(e) = e {
                self.stats.disk_error("write", e);
            }
        })
    }
}
