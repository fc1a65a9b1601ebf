//! Taking objects out of service, many at a time.
//!
//! A purge is one step for who looks up: under the lock on the table its objects leave it, what
//! lies on disk is marked as leaving, and the purge is noted against what has been asked for
//! before. Then the manifests go, before the purge is answered, so that a killed process does not
//! find them again; the bodies, and their share of the budget, go behind.
//!
//! What a client's write puts out of date goes the same way, but is noted apart: there are far more
//! writes than purges, and they must not push those out of memory.

use super::{
    DISK_PATIENCE, Object, ObjectId, Store,
    body::Body,
    index::Written,
    ownership::Own,
    purges::{Force, Mark},
    table::Table,
};
use crate::domain::{Grid, Selector, Tags};
use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::sync::watch;

/// How a purge is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// Objects become stale instead of going: still to be revalidated, or served when the origin
    /// fails where that is allowed.
    pub soft: bool,
    /// Nothing is done; it is only said what would be.
    pub dry_run: bool,
    /// Others have told of it: they are not told again.
    pub is_told: bool,
}

/// What a purge found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Objects that were meant; a variant is an object.
    pub objects: u64,
    /// Bytes that they take on disk.
    pub bytes: u64,
}

/// Why a purge did nothing, or not all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PurgeError {
    /// The walk after the start has not ended: not all that is on disk is known.
    #[error(
        "the cache directory is still being read after the start; nothing was purged, try again"
    )]
    Learning,
    /// Others are under way.
    #[error("other purges are under way; nothing was purged, try again")]
    Busy,
    /// The walk could not read everything.
    #[error(
        "a part of the cache directory can't be read, so that not all that is in it is known; nothing was purged"
    )]
    Blind,
    /// The store is closed.
    #[error("the store is closed, or another process has it by now; nothing was purged, try again")]
    Closed,
    /// The disk does not answer in time.
    #[error("the disk is too slow; what was purged may come back with a restart")]
    Late,
    /// The file system refused.
    #[error(
        "{0} objects are out of service, but their files can't be changed: they may come back with a restart"
    )]
    Disk(u64),
}

/// An object that a purge means.
#[derive(Debug, Default)]
struct Victim {
    /// What its manifest says, where it has one.
    written: Option<Written>,
    /// The object, where it is open.
    open: Option<Arc<Object>>,
    /// It is out of service already, replaced or taken out: only files are left of it.
    is_out: bool,
}

/// How many owners of the directory a client's write is brought to, where it passes on and comes back
/// meanwhile.
const OWNERS: usize = 3;

type Victims = BTreeMap<(ObjectId, u64), Victim>;

impl Store {
    /// The present moment among the purges; to be taken before the origin is asked.
    pub fn mark(&self) -> Mark {
        self.table.lock().purges.mark()
    }

    /// Purges what is meant. When it returns no look-up finds it, nor does one after a restart.
    pub async fn purge(
        self: &Arc<Self>,
        selector: Selector,
        how: How,
    ) -> Result<Purged, PurgeError> {
        let is_news = !how.dry_run && !how.is_told;
        let mut telling = is_news.then(|| self.telling(&selector, how.soft));
        let done = self.carry_out(selector, how).await;
        if let Some(telling) = &mut telling {
            telling.done = done.is_ok();
        }
        done
    }

    /// The right to change what lies in the directory, for as long as this lives; `None` where it is
    /// another process's. Where the directory is gone there is nothing to hold: what is gone is purged
    /// when it comes back.
    fn right_to_purge(&self) -> Option<Option<Own<'_>>> {
        let own = self.own().filter(|_| !self.is_given_away());
        (own.is_some() || self.is_absent()).then_some(own)
    }

    async fn carry_out(
        self: &Arc<Self>,
        selector: Selector,
        how: How,
    ) -> Result<Purged, PurgeError> {
        self.wait_until_known().await?;
        let turn = self.purging.clone().acquire_owned();
        let turn = tokio::time::timeout(DISK_PATIENCE, turn).await;
        let turn = turn
            .map_err(|_| PurgeError::Busy)?
            .map_err(|_| PurgeError::Closed)?;
        let store = self.clone();
        // To its end, whether or not somebody waits for it.
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let _right = store.right_to_purge().ok_or(PurgeError::Closed)?;
            match (how.dry_run, how.soft) {
                (true, _) => Ok(store.weigh(&store.list(&selector))),
                (false, true) => store.soften(selector),
                (false, false) => store.expel(selector),
            }
        });
        done.await.unwrap_or(Err(PurgeError::Closed))
    }

    /// Takes out of service what lies at a place that was changed at the origin. When it returns no
    /// look-up finds it, nor does one after a restart, and what has been asked for before is not
    /// kept. As long as not all that is on disk is known, that holds for `id` only, the object that
    /// the place itself finds.
    pub async fn supersede(
        self: &Arc<Self>,
        place: String,
        id: Option<ObjectId>,
    ) -> Result<(), PurgeError> {
        if self.purging.is_closed() {
            return Err(PurgeError::Closed);
        }
        if self.is_given_away()
            && let Some(told) = self.tell_next_owner(place.clone(), id).await
        {
            return told;
        }
        let mut telling = self.telling(&Selector::Url(place.clone()), false);
        self.table.lock().purges.note_write(&place);
        let done = self.supersede_with_owner(&place, id).await;
        telling.done = done.is_ok();
        done
    }

    /// Whoever owns the directory takes out what lies at a place. It may pass on at any moment, and
    /// come back where the next process dies.
    async fn supersede_with_owner(
        self: &Arc<Self>,
        place: &str,
        id: Option<ObjectId>,
    ) -> Result<(), PurgeError> {
        for _ in 0..OWNERS {
            if let Some(done) = self.supersede_here(place.to_owned(), id).await {
                return done;
            }
            if let Some(told) = self.tell_next_owner(place.to_owned(), id).await {
                return told;
            }
        }
        Err(PurgeError::Closed)
    }

    /// Takes out what lies at a place; `None` where the directory is another process's by now.
    async fn supersede_here(
        self: &Arc<Self>,
        place: String,
        id: Option<ObjectId>,
    ) -> Option<Result<(), PurgeError>> {
        let store = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _right = store.right_to_purge()?;
            let unknown = id.filter(|_| !store.knows_all());
            let learned = unknown.map(|id| store.learn(id));
            let unread = learned
                .and_then(Result::err)
                .inspect(|e| store.stats.disk_error("reading an object", e));
            let victims = {
                let mut table = store.table.lock();
                store.take_out(&mut table, &Selector::Url(place))
            };
            match store.unlink_all(victims) + u64::from(unread.is_some()) {
                0 => Some(Ok(())),
                stuck => Some(Err(PurgeError::Disk(stuck))),
            }
        });
        match tokio::time::timeout(DISK_PATIENCE, done).await {
            Ok(done) => done.unwrap_or(Some(Err(PurgeError::Closed))),
            Err(_) => Some(Err(PurgeError::Late)),
        }
    }

    /// The objects that a purge would mean, at most so many of them, opened.
    pub async fn select(
        self: &Arc<Self>,
        selector: Selector,
        most: usize,
    ) -> Result<Vec<Arc<Object>>, PurgeError> {
        self.wait_until_known().await?;
        let store = self.clone();
        let found = tokio::task::spawn_blocking(move || {
            let victims = store.list(&selector).into_iter();
            let current = victims.filter(|(_, victim)| !victim.is_out);
            let open =
                |((id, _), victim): (_, Victim)| victim.open.or_else(|| store.find_on_disk(id));
            current.filter_map(open).take(most).collect()
        });
        found.await.map_err(|_| PurgeError::Closed)
    }

    /// How many objects and how many tags purges know.
    pub fn index_size(&self) -> (usize, usize) {
        self.index.lock().size()
    }

    /// Whether all that lies in the directory is known: the walk after the start has ended, and
    /// could read everything.
    pub fn knows_all(&self) -> bool {
        *self.recovered.borrow() && !self.is_blind.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Whether the walk over the directory is under way.
    pub fn is_being_read(&self) -> bool {
        !*self.recovered.borrow()
    }

    /// Whether the walk over the directory has ended. It begins anew where the directory was away.
    pub fn recovery(&self) -> watch::Receiver<bool> {
        self.recovered.subscribe()
    }

    /// Waits until the walk over the directory has ended.
    pub async fn read_through(&self) {
        let mut recovered = self.recovery();
        // It is not over before the store is.
        let _ = recovered.wait_for(|done| *done).await;
    }

    async fn wait_until_known(&self) -> Result<(), PurgeError> {
        let mut recovered = self.recovered.subscribe();
        let known = recovered.wait_for(|done| *done);
        let known = tokio::time::timeout(DISK_PATIENCE, known).await;
        match known {
            Err(_) => Err(PurgeError::Learning),
            Ok(_) if self.is_blind.load(std::sync::atomic::Ordering::Relaxed) => {
                Err(PurgeError::Blind)
            }
            Ok(_) => Ok(()),
        }
    }

    fn list(&self, selector: &Selector) -> Victims {
        let table = self.table.lock();
        self.victims(&table, selector)
    }

    /// What is meant of all that is open, and of all that lies on disk.
    fn victims(&self, table: &Table, selector: &Selector) -> Victims {
        let mut victims = Victims::new();
        {
            let index = self.index.lock();
            for id in index.select(selector) {
                let Some(written) = index.written(id) else {
                    continue;
                };
                let victim = victims.entry((id, written.generation)).or_default();
                victim.written = Some(written);
            }
        }
        for object in table.open() {
            let (id, generation) = (object.id(), object.generation());
            let tags = match selector.minds_tags() {
                true => object.tags(),
                false => Tags::default(),
            };
            if selector.takes(object.named_place(), &tags) {
                victims.entry((id, generation)).or_default().open = Some(object);
                continue;
            }
            // Its manifest may still be that of the generation before, or its tags others.
            let others = victims.range_mut((id, 0)..=(id, u64::MAX));
            others.for_each(|(_, victim)| victim.is_out = victim.open.is_none());
        }
        mark_replaced(&mut victims);
        for ((id, generation), victim) in &mut victims {
            victim.is_out |= table.is_leaving(*id, *generation);
        }
        victims
    }

    fn expel(self: &Arc<Self>, selector: Selector) -> Result<Purged, PurgeError> {
        let victims = {
            let mut table = self.table.lock();
            table.purges.note(selector.clone(), Force::Hard);
            self.take_out(&mut table, &selector)
        };
        let purged = self.weigh(&victims);
        let stuck = self.unlink_all(victims);
        self.stats.purged(purged);
        match stuck {
            0 => Ok(purged),
            stuck => Err(PurgeError::Disk(stuck)),
        }
    }

    /// No look-up finds what is meant any more.
    fn take_out(&self, table: &mut Table, selector: &Selector) -> Victims {
        let victims = self.victims(table, selector);
        for ((id, generation), victim) in &victims {
            table.expel(*id, *generation);
            if let Some(object) = &victim.open {
                object.retire();
            }
        }
        victims
    }

    /// The manifests of what was taken out go, the rest of it behind. Returns how many could not
    /// be removed.
    fn unlink_all(self: &Arc<Self>, victims: Victims) -> u64 {
        let mut stuck = 0;
        let mut gone = Vec::with_capacity(victims.len());
        for ((id, generation), victim) in victims {
            match self.unlink(id, generation) {
                Ok(()) => gone.push((id, generation, victim)),
                Err(e) => {
                    self.stats.disk_error("removing a manifest", &e);
                    stuck += 1;
                }
            }
        }
        // What is stuck stays marked as leaving: no look-up believes what the disk shows of it.
        self.table
            .lock()
            .have_left(gone.iter().map(|(id, generation, _)| (*id, *generation)));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let store = self.clone();
            runtime.spawn_blocking(move || gone.into_iter().for_each(|gone| store.clear(gone)));
        }
        stuck
    }

    fn soften(&self, selector: Selector) -> Result<Purged, PurgeError> {
        let now = SystemTime::now();
        let victims = {
            let mut table = self.table.lock();
            table.purges.note(selector.clone(), Force::Soft);
            let victims = self.victims(&table, &selector);
            let open = victims.values().filter_map(|victim| victim.open.as_ref());
            open.for_each(|object| object.soften(now));
            victims
        };
        let purged = self.weigh(&victims);
        let mut stuck = 0;
        for ((id, generation), victim) in &victims {
            let written = match &victim.open {
                Some(object) => self.soften_open(object),
                None => self.soften_on_disk(*id, *generation, now),
            };
            if let Err(e) = written {
                self.stats.disk_error("manifest", &e);
                stuck += 1;
            }
        }
        self.soften_newly_opened(&victims, now);
        self.stats.purged(purged);
        match stuck {
            0 => Ok(purged),
            stuck => Err(PurgeError::Disk(stuck)),
        }
    }

    /// What was read from disk while its manifest was still that from before the purge.
    fn soften_newly_opened(&self, victims: &Victims, now: SystemTime) {
        let mut table = self.table.lock();
        for ((id, generation), _) in victims.iter().filter(|(_, victim)| victim.open.is_none()) {
            table.distrust(*id);
            let open = table
                .find(*id)
                .filter(|open| open.generation() == *generation);
            if let Some(object) = open {
                object.soften(now);
            }
        }
    }

    /// Writes down that an open object is stale, where anything of it is written.
    fn soften_open(&self, object: &Object) -> io::Result<()> {
        // Whoever is just writing it does so with what was true before; whoever comes later sees
        // what is true now.
        drop(self.files(object.id()));
        match object.has_manifest() {
            true => self.write_manifest(object),
            false => Ok(()),
        }
    }

    pub(super) fn soften_on_disk(
        &self,
        id: ObjectId,
        generation: u64,
        now: SystemTime,
    ) -> io::Result<()> {
        let _files = self.files(id);
        let manifest = self.load_manifest(id)?;
        let Some(mut manifest) = manifest.filter(|m| m.generation == generation) else {
            return Ok(());
        };
        manifest.meta.soften(now);
        self.paths.write_manifest(id, &manifest.encode())
    }

    /// What victims take on disk.
    fn weigh(&self, victims: &Victims) -> Purged {
        let current = victims.iter().filter(|(_, victim)| !victim.is_out);
        current.fold(Purged::default(), |sum, ((id, generation), _)| Purged {
            objects: sum.objects + 1,
            bytes: sum.bytes + self.paths.allocated(*id, *generation),
        })
    }

    /// A manifest goes, unless it is another generation's by now.
    pub(super) fn unlink(&self, id: ObjectId, generation: u64) -> io::Result<()> {
        let _files = self.files(id);
        let written = self.index.lock().written(id);
        if written.is_none_or(|written| written.generation != generation) {
            return Ok(());
        }
        match std::fs::remove_file(self.paths.manifest(id)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => {
                self.index.lock().remove(id, generation);
                Ok(())
            }
        }
    }

    /// The body of a purged generation goes, and what the budget holds for it.
    fn clear(&self, (id, generation, victim): (ObjectId, u64, Victim)) {
        if let Some(object) = victim.open {
            return self.remove_body(&object);
        }
        let Some(written) = victim.written else {
            return;
        };
        let count = Grid::new(written.chunk_size, written.total).map_or(0, Grid::count);
        let body = self.paths.open_body(id, generation);
        let body = body.map(|file| Body::new(file, generation, written.chunk_size));
        let chunks = body
            .and_then(|body| body.recorded(count))
            .unwrap_or_default();
        if let Some(_own) = self.own() {
            let _ = std::fs::remove_file(self.paths.body(id, generation));
        }
        let mut budget = self.budget.lock();
        for chunk in chunks {
            budget.forget((id, generation, chunk));
        }
    }
}

impl Object {
    /// The tags that the origin gave it.
    pub(super) fn tags(&self) -> Tags {
        Tags::of(&self.meta().headers)
    }
}

/// Of two generations of one object the older only has its manifest left.
fn mark_replaced(victims: &mut Victims) {
    let open: Vec<_> = victims
        .iter()
        .filter(|(_, v)| v.open.is_some())
        .map(|(name, _)| *name)
        .collect();
    for (id, generation) in open {
        for ((_, other), victim) in victims.range_mut((id, 0)..=(id, u64::MAX)) {
            victim.is_out |= *other != generation && victim.open.is_none();
        }
    }
}

/// A moment that is past whatever the file rounds to.
pub(super) fn just_before(now: SystemTime) -> SystemTime {
    now - Duration::from_millis(2)
}

#[cfg(test)]
mod tests;
