//! Whose the directory is, and how it passes from one process to the next.
//!
//! Only the process that owns the directory writes in it, and every write of it is made under
//! [`Store::own`]. Whoever gives the directory away waits for those writes, so that none of its own
//! comes after the lock has passed.
//!
//! ```text
//!            give                    the next process has opened it
//!   owned ───────────► given away ─────────────────────────────────► (until this process ends)
//!     ▲                    │
//!     └────────────────────┘ take_back: the next process is dead
//! ```
//!
//! A store that has been given away still reads, since answers under way go on, but believes nothing
//! that it knows: the next owner may punch a hole wherever it reads. Each read is then of a whole
//! chunk, checked against the record beside it. Of what comes in only that is kept which can't be
//! asked for again, and aside: see `private`. Files that are removed under a reader stay readable, as
//! it holds them open.
//!
//! A client's write that passes through this process afterwards must reach the next owner: see
//! [`Superseded`].

use super::{DISK_PATIENCE, ObjectId, PURGES, PurgeError, Store, budget::Budget};
use parking_lot::{RwLockReadGuard, RwLockWriteGuard};
use std::{
    fs::File,
    io,
    sync::{Arc, atomic::Ordering::SeqCst},
};
use tokio::sync::{mpsc, oneshot};

/// A directory on its way to another process.
#[derive(Debug)]
pub struct Given {
    /// The lock, shared with the store until that is closed: at no time is the directory nobody's.
    pub lock: File,
    /// What clients' writes put out of date from now on; to be told to the next owner.
    pub writes: mpsc::Receiver<Superseded>,
}

/// A place that a client's write has changed at the origin.
#[derive(Debug)]
pub struct Superseded {
    /// The place, as [`Store::supersede`] takes it.
    pub place: String,
    /// The object that the place itself finds.
    pub id: Option<ObjectId>,
    /// To be told when the next owner does not give the old object out any more.
    pub done: oneshot::Sender<()>,
}

/// Writes that wait to be told to the next owner; further ones are told that it is too late.
const TOLD_AT_A_TIME: usize = 256;

/// The right to write in the directory, for as long as it is held.
pub(super) type Own<'a> = RwLockReadGuard<'a, bool>;

impl Store {
    /// The right to write in the directory; `None` where it is another process's. It may be taken
    /// by who has it already. What begins something large asks [`Store::is_given_away`] before, so
    /// that giving need not wait for what comes after it.
    pub(super) fn own(&self) -> Option<Own<'_>> {
        let owned = self.owned.read_recursive();
        owned.then_some(owned)
    }

    /// Whether another process may be writing in the directory.
    pub(super) fn is_given_away(&self) -> bool {
        self.given_away.load(SeqCst)
    }

    /// Ends the writes and purges under way and leaves the directory to another process, which gets
    /// the lock. Readers go on. Where the disk does not come to an end in time nothing has happened.
    pub async fn give(self: &Arc<Self>) -> io::Result<Given> {
        let lock = match &*self.lock.lock() {
            Some(lock) => lock.try_clone()?,
            // The lock of no directory: the next process finds out by itself what is there.
            None if self.is_lost() => File::open("/dev/null")?,
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        let purges = self.purging.acquire_many(PURGES as u32);
        let purges = tokio::time::timeout(DISK_PATIENCE, purges).await;
        // Clients' writes wait to be told from the moment on that they are not this process's.
        let (tell, writes) = mpsc::channel(TOLD_AT_A_TIME);
        *self.next_owner.lock() = Some(tell);
        let stopped = purges.is_ok() && self.disown().await;
        drop(purges);
        if !stopped {
            self.given_away.store(false, SeqCst);
            *self.next_owner.lock() = None;
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(Given { lock, writes })
    }

    /// Stops all writing; false where what is under way does not end in time.
    pub(super) async fn disown(self: &Arc<Self>) -> bool {
        self.given_away.store(true, SeqCst);
        let store = self.clone();
        let stopped = tokio::task::spawn_blocking(move || {
            let owned = store.owned.try_write_for(DISK_PATIENCE);
            let stopped = |mut owned: RwLockWriteGuard<bool>| {
                *owned = false;
                store.take_out_private();
            };
            owned.map(stopped).is_some()
        });
        stopped.await.unwrap_or(false)
    }

    /// Owns the directory again, after the process that it was given to is dead. It may have changed
    /// anything, so that nothing is known; call [`Store::recover`] as after opening. Whoever reads
    /// goes on with what it has open and goes on checking all of it.
    pub fn take_back(&self) {
        self.forget_all();
        *self.owned.write() = !self.is_lost();
        self.given_away.store(false, SeqCst);
        *self.next_owner.lock() = None;
    }

    /// Nothing is known any more of what lies in the directory; [`Store::recover`] learns it.
    /// Whoever reads goes on with what it has open, and checks all of it.
    pub(super) fn forget_all(&self) {
        let open = self.table.lock().forget_all();
        for object in open.iter().filter(|object| object.private().is_none()) {
            object.cast_off();
        }
        let max_size = self.max_size();
        *self.budget.lock() = Budget::new(max_size, self.config.chunk_size);
        *self.index.lock() = Default::default();
        self.is_blind.store(false, SeqCst);
        self.recovered.send_replace(false);
    }

    /// Has the next owner forget what a client's write has changed; `None` where the directory is
    /// this process's again before that one has done so.
    pub(super) async fn tell_next_owner(
        &self,
        place: String,
        id: Option<ObjectId>,
    ) -> Option<Result<(), PurgeError>> {
        let next = self.next_owner.lock().clone();
        let told = async {
            let (done, told) = oneshot::channel();
            let write = Superseded { place, id, done };
            let next = next.ok_or(PurgeError::Closed)?;
            next.send(write).await.map_err(|_| PurgeError::Closed)?;
            told.await.map_err(|_| PurgeError::Closed)
        };
        let told = tokio::time::timeout(DISK_PATIENCE, told).await;
        let told = told.unwrap_or(Err(PurgeError::Late));
        let is_told = told != Err(PurgeError::Closed) || self.is_given_away();
        is_told.then_some(told)
    }
}

#[cfg(test)]
mod tests;
