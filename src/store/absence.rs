//! A directory that goes away while the process runs: removed, or its disk unmounted.
//!
//! ```text
//!            it is not in its place            it is there again, or can be made
//!   there ────────────────────────────► lost ──────────────────────────────────► there, being read
//! ```
//!
//! It is in its place as long as its lock is the very file that this process holds and none of its
//! folders is missing. Once it is not, nothing of it is believed: no look-up finds what lay in it,
//! nothing is kept, and who reads goes on with the files that it has open, each read of which is
//! checked. So clients are served from the origins, and all files are let go in time, so that a disk
//! can be unmounted.
//!
//! It is used again as after a start. Where it lies on another file system than before it must have
//! been a Tidegate's already: an empty mount point is not filled in the place of the disk. What comes
//! back with a disk may be what was purged meanwhile. It is compared with what is remembered of
//! purges and clients' writes before it is found.

use super::{DISK_PATIENCE, Mark, Store};
use parking_lot::Mutex;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// Whether the directory is gone, and since when.
#[derive(Debug)]
pub(super) struct Absence {
    is_lost: AtomicBool,
    /// The file system of the directory.
    home: AtomicU64,
    /// The moment among purges at which it was last seen.
    last_seen: Mutex<Mark>,
    /// Something speaks for its being gone.
    suspected: Notify,
    /// Why it can't be used, as it was last said.
    said: Mutex<String>,
}

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(2);

impl Absence {
    /// The directory is there, on this file system.
    pub fn none(home: u64) -> Self {
        Self {
            is_lost: AtomicBool::new(false),
            home: AtomicU64::new(home),
            last_seen: Mutex::default(),
            suspected: Notify::new(),
            said: Mutex::default(),
        }
    }

    /// A write has failed: where that is for want of the directory it is looked at once.
    pub fn suspect(&self, error: &io::Error) {
        use io::ErrorKind::{NotADirectory, NotFound, StaleNetworkFileHandle};
        if matches!(
            error.kind(),
            NotFound | NotADirectory | StaleNetworkFileHandle
        ) {
            self.suspected.notify_one();
        }
    }
}

impl Store {
    /// Whether the directory is gone, so that nothing can be kept.
    pub fn is_lost(&self) -> bool {
        self.absence.is_lost.load(SeqCst)
    }

    /// The same, and it is no other process's to find.
    pub(super) fn is_absent(&self) -> bool {
        self.is_lost() && !self.is_given_away()
    }

    /// Sees to it, until the store is closed, that a directory that goes away is noticed, and used
    /// again when that is possible.
    pub async fn watch(self: Arc<Self>) {
        while !self.queue.is_closed() {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.absence.suspected.notified() => {}
            }
            let store = self.clone();
            // A disk that hangs is waited for: there is nothing else to do here.
            let _ = tokio::task::spawn_blocking(move || store.look()).await;
        }
    }

    /// Looks at the directory. Blocks.
    pub(super) fn look(&self) {
        let now = self.mark();
        if !self.is_lost() {
            match self.is_in_place() {
                true => *self.absence.last_seen.lock() = now,
                false => self.lose(),
            }
        }
        if self.is_absent() && !self.queue.is_closed() {
            self.look_for_another();
        }
    }

    /// Whether it is there, as far as that is this process's business.
    fn is_in_place(&self) -> bool {
        let lock = self.lock.lock();
        lock.as_ref()
            .is_none_or(|lock| self.paths.are_in_place(lock))
    }

    fn lose(&self) {
        {
            // What is being written comes to an end before, or there is another look.
            let Some(mut owned) = self.owned.try_write_for(DISK_PATIENCE) else {
                return;
            };
            if !*owned || self.is_given_away() {
                return;
            }
            self.table.lock().lose(*self.absence.last_seen.lock());
            *owned = false;
            self.absence.is_lost.store(true, SeqCst);
        }
        self.lock.lock().take();
        self.forget_all();
        // There is nothing to be learned, and nobody waits for that.
        self.recovered.send_replace(true);
        self.stats.lost.set(1);
        self.stats.refusing.set(0);
        self.absence.said.lock().clear();
        log::error!(
            "cache directory {} is gone; clients are served from the origins and nothing is kept until it is there again",
            self.config.directory.display()
        );
    }

    fn look_for_another(&self) {
        match self.take_another() {
            Ok(true) => {
                log::warn!(
                    "cache directory {} is there again; what lies in it is used, and what comes in is kept",
                    self.config.directory.display()
                );
                self.recover();
            }
            Ok(false) => {}
            Err(why) => self.say(&why.to_string()),
        }
    }

    /// False where it is too late for that.
    fn take_another(&self) -> io::Result<bool> {
        let home = self.paths.device()?;
        if home != self.absence.home.load(SeqCst) && !self.paths.is_begun() {
            return Err(io::Error::other(
                "it would lie on another file system than before; mount the disk, or restart to begin anew where it is",
            ));
        }
        self.paths.make()?;
        let lock = self.paths.lock()?.ok_or_else(|| {
            io::Error::other(format!(
                "it is in use by {}",
                super::owner(self.paths.owner())
            ))
        })?;
        self.paths.sign(&lock)?;
        let mut owned = self.owned.write();
        if self.is_given_away() || self.queue.is_closed() {
            return Ok(false);
        }
        *self.lock.lock() = Some(lock);
        self.absence.home.store(home, SeqCst);
        // What has come in meanwhile is on no disk; what is on this one counts.
        self.forget_all();
        *owned = true;
        self.absence.is_lost.store(false, SeqCst);
        self.stats.lost.set(0);
        Ok(true)
    }

    /// Logs why the directory can't be used, once.
    fn say(&self, why: &str) {
        let mut said = self.absence.said.lock();
        if *said != why {
            *said = why.to_owned();
            log::error!(
                "cache directory {} can't be used: {why}; it is tried again every {LOOK_EVERY:?}",
                self.config.directory.display()
            );
        }
    }
}

#[cfg(test)]
mod tests;
