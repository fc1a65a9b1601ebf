//! Keeping chunks: a place in the queue, room within the budget, files, bytes, and only then a
//! chunk that can be read.

use super::{
    DISK_PATIENCE, FULL_FOR, KeepError, Object, QUEUE_PATIENCE, Store, budget, stats::Waiting,
    usage::Usage,
};
use crate::domain::ChunkIndex;
use bytes::Bytes;
use std::{io, sync::Arc, time::Instant};

impl Store {
    /// Whether chunks of an object have to wait until it is known how full the disk is: see
    /// [`Store::read_through`].
    pub fn must_learn_first(&self, object: &Object) -> bool {
        self.is_being_read() && object.private().is_none()
    }

    /// Writes a complete chunk; on return it is visible, or it is known why not.
    pub async fn keep(
        self: &Arc<Self>,
        object: &Arc<Object>,
        chunk: ChunkIndex,
        segments: Vec<Bytes>,
        checksum: u32,
    ) -> Result<(), KeepError> {
        let is_private = object.private().is_some();
        if self.is_given_away() && !is_private && !object.comes_once() {
            return Err(KeepError::Closed);
        }
        if self.is_lost() {
            return Err(KeepError::Lost);
        }
        let waits = Waiting::in_line(&self.stats.writes_waiting);
        let place = tokio::time::timeout(QUEUE_PATIENCE, self.queue.acquire()).await;
        let _place = place
            .map_err(|_| KeepError::QueueFull)?
            .map_err(|_| KeepError::Closed)?;
        let mut recovered = self.recovered.subscribe();
        let turn = async {
            if !is_private {
                let _ = recovered.wait_for(|done| *done).await;
            }
            self.writes.acquire().await
        };
        let turn = tokio::time::timeout(DISK_PATIENCE, turn).await;
        let _permit = turn
            .map_err(|_| KeepError::QueueFull)?
            .map_err(|_| KeepError::Closed)?;
        drop(waits);
        let (store, object) = (self.clone(), object.clone());
        let write = move || store.write(&object, chunk, &segments, checksum);
        let kept = tokio::task::spawn_blocking(write).await;
        kept.unwrap_or(Err(KeepError::Unwanted))
    }

    pub(super) fn write(
        &self,
        object: &Arc<Object>,
        chunk: ChunkIndex,
        segments: &[Bytes],
        checksum: u32,
    ) -> Result<(), KeepError> {
        // Who gives the directory away comes first.
        let owned = self.owned.read();
        if self.is_lost() {
            return Err(KeepError::Lost);
        }
        if !*owned || object.private().is_some() {
            return self.write_privately(object, chunk, segments, checksum);
        }
        if !object.begin_change(chunk) {
            return Err(KeepError::Unwanted);
        }
        let name = object.name_of(chunk);
        let length = segments.iter().map(|s| s.len() as u64).sum();
        let room = self.make_room(name, length, object.usage().clone());
        let done = room.and_then(|()| {
            self.create_files(object)?;
            Ok(object.write_chunk(chunk, segments, checksum)?)
        });
        if let Err(KeepError::Disk(e)) = &done {
            self.stats.refusing.set(1);
            self.stats.disk_error("write", e);
            self.absence.suspect(e);
            // What was written of it takes room.
            let _ = object.punch(chunk);
        }
        // A chunk may be chosen as a victim only once it counts as there, and counts as there
        // only while it is in the budget.
        if done.is_ok() {
            self.stats.refusing.set(0);
            object.end_change(chunk, true);
        }
        self.budget.lock().settle(name, done.is_ok());
        if done.is_err() {
            object.end_change(chunk, false);
        }
        if object.is_retired() {
            self.budget.lock().forget(name);
        }
        if matches!(&done, Err(KeepError::Disk(e)) if e.kind() == io::ErrorKind::StorageFull) {
            self.note_full();
        }
        done
    }

    /// The files that an object lacks. A manifest that could not be written is tried again with
    /// the next chunk: without it the body would be nobody's.
    pub(super) fn create_files(&self, object: &Object) -> Result<(), KeepError> {
        if !object.is_on_disk() {
            let _files = self.files(object.id());
            if object.is_retired() {
                return Err(KeepError::Unwanted);
            }
            object.create_body(&self.paths)?;
        }
        if object.total().is_some() && !object.has_manifest() {
            self.write_manifest(object)?;
        }
        Ok(())
    }

    /// Holds the budget before anything is written.
    pub(super) fn make_room(
        &self,
        name: budget::Key,
        length: u64,
        usage: Arc<Usage>,
    ) -> Result<(), KeepError> {
        // One at a time: the victims of one writer must be gone before another counts on the
        // room that they leave.
        let mut last_full = self.making_room.lock();
        if last_full.is_some_and(|at| at.elapsed() >= FULL_FOR) {
            *last_full = None;
            self.budget.lock().relax();
        }
        let reservation = self.budget.lock().reserve(name, length, usage);
        for victim in reservation.victims {
            self.evict(victim);
        }
        match reservation.granted {
            true => Ok(()),
            false => Err(KeepError::NoRoom),
        }
    }

    /// The disk has less room than the budget. What comes in takes the place of what is there, as if
    /// that were all there may be; now and then it is tried whether there is more.
    fn note_full(&self) {
        let mut last_full = self.making_room.lock();
        if last_full.is_none() {
            log::warn!(
                "cache directory: the disk is full with {} of cache.max_size {} bytes in use; what is wanted least makes room. Free some, or lower cache.max_size",
                self.size(),
                self.max_size()
            );
        }
        *last_full = Some(Instant::now());
        let victims = self.budget.lock().squeeze();
        victims.into_iter().for_each(|victim| self.evict(victim));
    }

    /// Gives a chunk's bytes back to the file system. The budget has forgotten it already; a
    /// generation that is not the current one has no files, or is losing them.
    pub(super) fn evict(&self, (id, generation, chunk): budget::Key) {
        let object = self.open_object(id).or_else(|| self.find_on_disk(id));
        if let Some(object) = object.filter(|object| object.generation() == generation) {
            self.stats.evictions.inc();
            self.drop_chunk(&object, chunk);
        }
    }

    /// A damaged or unreadable chunk: as if it had never been.
    pub(super) fn forget(&self, object: &Arc<Object>, chunk: ChunkIndex) {
        self.drop_chunk(object, chunk);
        if !object.is_cast_off() {
            self.budget.lock().forget(object.name_of(chunk));
        }
    }

    pub(super) fn drop_chunk(&self, object: &Arc<Object>, chunk: ChunkIndex) {
        if object.begin_removal(chunk) {
            // Who has only its own word for what the file holds leaves it alone.
            if let Some(_own) = self.own().filter(|_| !object.is_cast_off())
                && let Err(e) = object.punch(chunk)
            {
                self.stats.disk_error("punch", &e);
            }
            object.end_change(chunk, false);
        }
        if object.is_empty_on_disk() && self.table.lock().remove_idle(object) {
            self.erase(object);
        }
    }
}
