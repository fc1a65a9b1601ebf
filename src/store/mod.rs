//! The disk: layout, codec, data files, eviction and recovery.
//!
//! An object is two files. The *manifest* says what the object is: key, generation, length,
//! validators, response header. It is written aside and renamed, and carries a checksum. The
//! *body* is a sparse file that holds the chunks at their place, and in front of every 512 of
//! them a page of records that say which are there and what their checksums are.
//!
//! What this room promises:
//! * A chunk is visible only after its bytes and its record are written. Records name their
//!   generation and position and check themselves, so that a torn or stale one is no chunk.
//! * Bytes on disk never exceed the budget: room is made before a chunk is written.
//! * A chunk that was not written by this process is checked against its record before its
//!   first byte is given out. A mismatch is a missing chunk.
//! * Nothing is ever synced: all that a power failure can do to a self-checking record is to
//!   make it a missing one, and a missing chunk is fetched again. A killed process loses
//!   nothing, since the kernel has what it wrote.
//! * A directory that goes away while the process runs makes it slower, and is used again when it
//!   is back: see `absence`.
//! * One process at a time writes in the directory. Another may take it over while this one's
//!   readers go on: see `ownership` and `private`.
//! * A lookup opens one manifest by its name. Start-up walks nothing before serving; the walk
//!   that learns what is there for eviction, and sweeps orphans, runs behind.
//!
//! What it never does: fetch, wait for a client, or fail a request because the disk does.

mod absence;
pub mod aside;
mod body;
mod budget;
mod config;
mod files;
mod index;
mod listing;
mod manifest;
mod memory;
mod object;
mod obstacle;
mod ownership;
mod paths;
mod private;
mod purge;
mod purges;
mod reading;
mod recovery;
mod room;
pub mod sealed;
mod stats;
mod table;
#[cfg(test)]
mod tests;
mod usage;
mod weak_map;
mod writing;

pub use body::CorruptChunk;
pub use config::Config;
pub use listing::{Cursor, Listed, Listing, Order, Query};
pub use manifest::{Manifest, Meta};
pub use object::{Object, ObjectId};
pub use obstacle::Obstacle;
pub use ownership::{Given, Superseded};
pub use purge::{How, PurgeError, Purged};
pub use purges::Mark;
pub use reading::{Read, SlowRead};
pub use room::Room;
pub use stats::Stats;
pub use weak_map::WeakMap;

use crate::domain::{AsOf, Selector, Tags, place_of};
use absence::Absence;
use async_trait::async_trait;
use budget::Budget;
use index::Index;
use memory::Memory;
use parking_lot::{Mutex, RwLock};
use paths::Paths;
use purges::Force;
use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64},
    },
    time::{Duration, Instant, SystemTime},
};
use table::Table;
use tokio::sync::{Semaphore, mpsc, watch};

/// Who is told of what is about to be taken out of service here, for others that have it too.
#[async_trait]
pub trait Herald: Send + Sync + std::fmt::Debug {
    /// A purge, or a client's write, means these objects. Returns at once.
    fn takes_out(&self, selector: &Selector, soft: bool);

    /// It is over; `done` tells whether all that was meant is out of service.
    fn has_taken_out(&self, done: bool);

    /// Waits, and no longer than this, until the others can know of all that was taken out by now.
    /// The number that the last of it has with them; `None` where they have yet to be told.
    async fn known(&self, within: Duration) -> Option<u64>;

    /// How far whoever is asked must be with the purges of all, so that no answer of what lies at
    /// this place brings back what was taken out by now; `None` where nothing was.
    fn as_of(&self, place: &str) -> Option<AsOf>;

    /// Whether all these purges have been carried out here, as far as they are any of ours.
    fn is_at(&self, as_of: AsOf) -> bool;

    /// Waits until they have been, for a moment at most; whether they have.
    async fn catch_up(&self, as_of: AsOf) -> bool;

    /// The start of this process, where purges of before it may be missing: what the origin was asked
    /// for earlier may be purged. `None` once all of them have been carried out.
    fn may_lack_since(&self) -> Option<Instant>;
}

/// What a herald is told of, from its beginning to its end, however that comes.
struct Telling<'a> {
    herald: Option<&'a Arc<dyn Herald>>,
    done: bool,
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if let Some(herald) = self.herald {
            herald.has_taken_out(self.done);
        }
    }
}

/// The chunk store: one directory, one owner.
#[derive(Debug)]
pub struct Store {
    config: Config,
    paths: Paths,
    table: Mutex<Table>,
    budget: Mutex<Budget>,
    /// Held while room is made; when the disk was last found full.
    making_room: Mutex<Option<Instant>>,
    /// Taken after [`Store::owned`].
    files: [Mutex<()>; FILE_LOCKS],
    memory: Option<Memory>,
    writes: Semaphore,
    queue: Semaphore,
    reads: Arc<Semaphore>,
    manifests: Arc<Semaphore>,
    recovered: watch::Sender<bool>,
    /// Whether the walk met a folder or an object that it could not read.
    is_blind: AtomicBool,
    /// Every manifest in the directory. Taken last of all locks, and never kept.
    index: Mutex<Index>,
    /// One purge at a time.
    purging: Arc<Semaphore>,
    /// One list at a time.
    listing: Arc<Semaphore>,
    stats: Stats,
    /// Held as long as this process owns the directory.
    lock: Mutex<Option<std::fs::File>>,
    /// Whether this process may write in the directory. Taken first of all locks.
    owned: RwLock<bool>,
    /// Whether another process may be writing in it.
    given_away: AtomicBool,
    /// Bytes written into files without a name.
    private: Arc<AtomicU64>,
    absence: Absence,
    /// Who is told of clients' writes once the directory is another's.
    next_owner: Mutex<Option<mpsc::Sender<Superseded>>>,
    herald: OnceLock<Arc<dyn Herald>>,
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory can't be made or used.
    #[error(
        "cache directory {0} can't be used: {1}; create it, or give the user that runs tidegate the right to write there"
    )]
    Directory(std::path::PathBuf, #[source] io::Error),
    /// Another process owns the directory.
    #[error(
        "cache directory {} is in use by {}; stop that one, or give this one a directory of its own",
        .0.display(), owner(*.1)
    )]
    InUse(std::path::PathBuf, Option<u32>),
}

/// A process, as far as it is known.
fn owner(process: Option<u32>) -> String {
    match process {
        Some(id) => format!("process {id}"),
        None => "another process".into(),
    }
}

/// Why a chunk was not kept. Readers are served all the same.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// More chunks wait for the disk than are let wait.
    #[error("the write queue is full")]
    QueueFull,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// The directory is gone.
    #[error("the cache directory is gone")]
    Lost,
    /// No room could be made for it within the budget.
    #[error("no room within the budget")]
    NoRoom,
    /// The object has been replaced or removed, or the chunk is being written or evicted.
    #[error("the chunk is not wanted any more")]
    Unwanted,
    /// The disk failed.
    #[error("disk: {0}")]
    Disk(#[from] io::Error),
}

/// How long the disk is waited for: the start-up walk, which knows how full it is, a turn to
/// write, a manifest.
const DISK_PATIENCE: Duration = Duration::from_secs(5);
/// How long a chunk waits for a place in the write queue. It holds its share of the bytes in
/// flight meanwhile, so that fills slow down before chunks are given up.
const QUEUE_PATIENCE: Duration = Duration::from_secs(1);
/// How long a disk that was full is not expected to hold more than it does.
const FULL_FOR: Duration = Duration::from_secs(60);
/// How often an object is loaded that is replaced while it is.
const LOADS: usize = 3;
/// Locks on the files of objects: enough that writers seldom share one.
const FILE_LOCKS: usize = 64;

/// How many manifests are read and written for requests at a time. A disk that hangs has so many of
/// the threads that may block, and not all of them.
const MANIFESTS: usize = 64;

/// How many purges may be under way at a time. What they do to the table is one step each; the
/// files of a large one take their time, and a small one need not wait for that.
const PURGES: usize = 8;

impl Store {
    /// Opens the directory, making it where it is missing. Serves at once; call
    /// [`Store::recover`] on a thread of its own to let the walk begin.
    pub fn open(config: Config) -> Result<Arc<Self>, OpenError> {
        Self::open_with(config, None)
    }

    /// The same with the lock that another process has given away. A lock of another directory is
    /// let go.
    pub fn open_with(config: Config, lock: Option<std::fs::File>) -> Result<Arc<Self>, OpenError> {
        let unusable = |e| OpenError::Directory(config.directory.clone(), e);
        let paths = Paths::prepare(&config.directory).map_err(unusable)?;
        let lock = match lock.filter(|lock| paths.is_lock(lock)) {
            Some(lock) => Some(lock),
            None => paths.lock().map_err(unusable)?,
        };
        let lock = lock.ok_or_else(|| OpenError::InUse(config.directory.clone(), paths.owner()))?;
        paths.sign(&lock).map_err(unusable)?;
        let absence = Absence::none(paths.device().map_err(unusable)?);
        Ok(Arc::new(Self {
            paths,
            table: Mutex::new(Table::new(config.open_objects)),
            memory: Memory::new(config.memory, config.chunk_size),
            budget: Mutex::new(Budget::new(config.max_size, config.chunk_size)),
            making_room: Mutex::default(),
            files: [const { Mutex::new(()) }; FILE_LOCKS],
            writes: Semaphore::new(config.writes),
            queue: Semaphore::new(config.write_queue),
            reads: Arc::new(Semaphore::new(config.reads)),
            manifests: Arc::new(Semaphore::new(MANIFESTS)),
            recovered: watch::Sender::new(false),
            is_blind: AtomicBool::new(false),
            index: Mutex::default(),
            purging: Arc::new(Semaphore::new(PURGES)),
            listing: Arc::new(Semaphore::new(1)),
            stats: Stats::default(),
            lock: Mutex::new(Some(lock)),
            owned: RwLock::new(true),
            given_away: AtomicBool::new(false),
            private: Arc::default(),
            absence,
            next_owner: Mutex::default(),
            herald: OnceLock::new(),
            config,
        }))
    }

    /// Walks the directory: what is there becomes known to eviction, orphans are removed.
    /// Blocks; until it has ended chunks wait for it before they are written.
    pub fn recover(&self) {
        recovery::walk(self);
        self.index.lock().is_complete();
        self.recovered.send_replace(true);
        self.doubt_size(self.max_size());
    }

    /// Says so where the file system has no room for so many bytes. Blocks.
    fn doubt_size(&self, max_size: u64) {
        let room = Room::around(&self.config.directory, self.size());
        if let Some(why) = room.ok().and_then(|room| room.doubt(max_size)) {
            log::warn!("{why}");
        }
    }

    /// Ends the writes under way and gives the directory free. Nothing is kept from then on.
    pub async fn close(self: &Arc<Self>) {
        // Places are given in turn: who has all of them has waited for all writes before.
        let all = u32::try_from(self.config.write_queue).unwrap_or(u32::MAX);
        let _all = tokio::time::timeout(DISK_PATIENCE, self.queue.acquire_many(all)).await;
        let purges = self.purging.acquire_many(PURGES as u32);
        let _none = tokio::time::timeout(DISK_PATIENCE, purges).await;
        self.purging.close();
        self.queue.close();
        self.writes.close();
        self.disown().await;
        self.lock.lock().take();
    }

    /// The settings that this store was opened with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What has happened so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Bytes that were read and that clients have not taken yet, over all stores.
    pub fn bytes_given_out() -> usize {
        body::given_out()
    }

    /// Bytes that may be on disk.
    pub fn max_size(&self) -> u64 {
        self.budget.lock().limit()
    }

    /// Another limit from now on. Where it is lower, what is wanted least makes room at once.
    pub async fn set_max_size(self: &Arc<Self>, bytes: u64) {
        // What is being written can't make room.
        let writes = u32::try_from(self.config.writes).unwrap_or(u32::MAX);
        let Ok(_none) = self.writes.acquire_many(writes).await else {
            return;
        };
        let store = self.clone();
        let resized = tokio::task::spawn_blocking(move || {
            let _one_at_a_time = store.making_room.lock();
            let victims = store.budget.lock().resize(bytes);
            victims.into_iter().for_each(|victim| store.evict(victim));
            store.doubt_size(bytes);
        });
        let _ = resized.await;
    }

    /// Bytes on disk, chunks being written included.
    pub fn size(&self) -> u64 {
        self.budget.lock().used()
    }

    /// The object stored under `id`, from memory or from its manifest; `None` where there is
    /// none, or where what the disk holds is not to be trusted.
    pub async fn find(self: &Arc<Self>, id: ObjectId, key: &[u8]) -> Option<Arc<Object>> {
        self.find_by_id(id)
            .await
            .filter(|object| object.key() == key)
    }

    /// The object stored under `id`, if it is open.
    pub fn open_object(&self, id: ObjectId) -> Option<Arc<Object>> {
        self.table.lock().find(id)
    }

    /// The object stored under `id`, whatever its key. A disk that does not answer in time has
    /// nothing.
    pub async fn find_by_id(self: &Arc<Self>, id: ObjectId) -> Option<Arc<Object>> {
        if let Some(open) = self.open_object(id) {
            return Some(open);
        }
        self.in_turn(move |store| store.find_on_disk(id)).await?
    }

    /// Has something done with a manifest on disk, behind others for which that is done. What is not
    /// done in time, and has begun, goes on for nobody.
    async fn in_turn<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        let done = async {
            let turn = self.manifests.clone().acquire_owned().await.ok()?;
            let store = self.clone();
            let work = move || {
                let _turn = turn;
                work(&store)
            };
            tokio::task::spawn_blocking(work).await.ok()
        };
        tokio::time::timeout(DISK_PATIENCE, done).await.ok()?
    }

    /// Loads an object and makes it the one instance, unless it was replaced or removed
    /// meanwhile. Blocks.
    fn find_on_disk(&self, id: ObjectId) -> Option<Arc<Object>> {
        for _ in 0..LOADS {
            let removals = self.table.lock().removals(id);
            let is_known = *self.recovered.borrow() && !self.is_lost();
            let loaded = self.load(id).ok().flatten().map(Arc::new);
            let loaded = loaded.filter(|_| !self.is_lost());
            let mut table = self.table.lock();
            if let Some(open) = table.find(id) {
                return Some(open);
            }
            if table.removals(id) == removals {
                let loaded = loaded
                    .filter(|o| !table.is_leaving(o.id(), o.generation()))
                    .filter(|o| is_known || table.still_counts(o));
                return loaded.map(|object| {
                    self.count_on(&object);
                    table.insert_if_absent(object)
                });
            }
        }
        None
    }

    /// Goes on with what has been counted of an object before it was closed.
    fn count_on(&self, object: &Object) {
        let (id, generation) = (object.id(), object.generation());
        let mut index = self.index.lock();
        match index.usage(id, generation) {
            Some(usage) => object.count_in(usage),
            None if *self.recovered.borrow() => {}
            None => index.expect(id, generation, object.usage().clone()),
        }
    }

    /// A new generation, which nobody finds yet.
    pub fn conceive(&self, manifest: Manifest) -> Arc<Object> {
        Arc::new(Object::new(manifest))
    }

    /// Puts a new generation in the place of the one that is there, which goes behind. It reaches
    /// the disk with its first chunk; an object without `total` reaches it with
    /// [`Store::complete`].
    ///
    /// What was `asked` for before a purge that means it is not kept and nobody finds it, or is
    /// stale from the start: then the answer is false.
    pub async fn publish(self: &Arc<Self>, object: &Arc<Object>, asked: Mark) -> bool {
        // What is only on disk has to be known before its manifest is overwritten.
        let old = self.find_by_id(object.id()).await;
        let (place, tags) = (place_of(object.key()), object.tags());
        let (replaced, purged) = {
            let mut table = self.table.lock();
            let purged = table.purges.since(asked, &[(&place, &tags)]);
            match purged {
                Some(Force::Hard) => {
                    object.retire();
                    return false;
                }
                Some(Force::Soft) => object.soften(SystemTime::now()),
                None => {}
            }
            (table.replace(object.clone()), purged)
        };
        let generations = replaced.into_iter().chain(old);
        for old in generations.filter(|old| old.generation() != object.generation()) {
            let store = self.clone();
            tokio::task::spawn_blocking(move || store.retire(&old));
        }
        purged.is_none()
    }

    /// Puts a generation of which others have told in, where there is none: what is found from now
    /// on comes back. Nothing does where it was asked for before a purge that means it.
    pub fn adopt(&self, object: Arc<Object>, asked: Mark) -> Option<Arc<Object>> {
        let (place, tags) = (place_of(object.key()), object.tags());
        let mut table = self.table.lock();
        match table.purges.since(asked, &[(&place, &tags)]) {
            Some(Force::Hard) => return None,
            Some(Force::Soft) => object.soften(SystemTime::now()),
            None => {}
        }
        Some(table.insert_if_absent(object))
    }

    /// Whoever is to know of purges and writes here, before they take place.
    pub fn tell(&self, herald: Arc<dyn Herald>) {
        let _ = self.herald.set(herald);
    }

    /// Who is told, where somebody is.
    pub fn herald(&self) -> Option<&Arc<dyn Herald>> {
        self.herald.get()
    }

    /// These are about to be taken out; until what comes back is dropped they are not yet.
    fn telling(&self, selector: &Selector, soft: bool) -> Telling<'_> {
        let herald = self.herald();
        if let Some(herald) = herald {
            herald.takes_out(selector, soft);
        }
        Telling {
            herald,
            done: false,
        }
    }

    /// Gives an object its manifest, now that its length is known.
    pub async fn complete(self: &Arc<Self>, object: &Arc<Object>) {
        self.write_manifest_behind(object).await;
    }

    /// New response metadata for an object whose bytes stay: what a 304 brings. What was `asked`
    /// for before a purge that means the object changes nothing; then the answer is false.
    pub async fn update(self: &Arc<Self>, object: &Arc<Object>, meta: Meta, asked: Mark) -> bool {
        let place = place_of(object.key());
        let (before, after) = (object.tags(), Tags::of(&meta.headers));
        {
            let table = self.table.lock();
            let faces = [(&*place, &before), (&*place, &after)];
            if table.purges.since(asked, &faces).is_some() {
                return false;
            }
            object.set_meta(meta);
        }
        self.write_manifest_behind(object).await;
        true
    }

    /// A disk that does not answer in time is not waited for.
    async fn write_manifest_behind(self: &Arc<Self>, object: &Arc<Object>) {
        let object = object.clone();
        let write = move |store: &Self| {
            let written = object.is_on_disk().then(|| store.write_manifest(&object));
            if let Some(Err(e)) = written {
                store.stats.disk_error("manifest", &e);
            }
        };
        let _ = self.in_turn(write).await;
    }

    /// Takes an object out, if it is still the one stored under its key. Its readers keep what
    /// they have open; the files go behind.
    pub fn remove(self: &Arc<Self>, object: &Arc<Object>) -> bool {
        let removed = self.table.lock().remove(object);
        // A process that is going down may drop what it holds outside of its runtime.
        if removed && let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (store, object) = (self.clone(), object.clone());
            runtime.spawn_blocking(move || store.erase(&object));
        }
        removed
    }
}
