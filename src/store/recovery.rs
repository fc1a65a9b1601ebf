//! The walk over the directory after a start.
//!
//! It runs behind: lookups and reads do not wait for it, writes do, since only after it is it
//! known how much room is left. It sweeps what a killed process left: manifests half written,
//! bodies without a manifest, manifests without a body. And it sweeps what another version wrote,
//! older or newer: a manifest whose first line is not that of this version is never guessed at, and
//! its object is fetched again.
//!
//! What can't be read at this moment is left as it is, since it may be sound: a process short of
//! files or memory would sweep away its cache otherwise. The store knows that it is blind then.

use super::{Object, ObjectId, Store, purges::Force};
use crate::domain::{Grid, count_of};
use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    sync::atomic::Ordering::Relaxed,
    time::SystemTime,
};

/// What the file's name says that it is.
enum Named {
    Manifest(ObjectId),
    Body(ObjectId),
    Other,
}

pub(super) fn walk(store: &Store) {
    let mut objects = 0;
    let mut unreadable = 0;
    for folder in store.paths.folders() {
        let Some(_own) = store.own() else {
            break;
        };
        match files_in(&folder) {
            Ok(files) => {
                let (found, not) = walk_folder(store, files);
                objects += found;
                unreadable += not;
            }
            Err(e) => miss(store, "reading a folder", &e),
        }
    }
    let found = count_of(objects as u64, "object");
    log::info!("{found} found on disk, {} bytes", store.size());
    if unreadable > 0 {
        let unreadable = count_of(unreadable as u64, "object");
        log::warn!(
            "removed {unreadable} from disk, damaged or of another version of Tidegate: to be fetched again"
        );
    }
}

/// All files of a folder, or none: of a part of them it can't be told what belongs together.
fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// There is something in the directory that is not known.
fn miss(store: &Store, doing: &str, error: &io::Error) {
    store.is_blind.store(true, Relaxed);
    store.stats.disk_error(doing, error);
}

/// Returns the number of objects in the folder, and of those that can't be read.
fn walk_folder(store: &Store, files: Vec<PathBuf>) -> (usize, usize) {
    let mut owned = HashSet::new();
    let mut unread = HashSet::new();
    let mut objects = 0;
    let mut unreadable = 0;
    for path in &files {
        if let Named::Manifest(id) = named(path) {
            match store.learn(id) {
                Ok(Some(object)) if is_over(store, &object) => {}
                Ok(Some(object)) => {
                    owned.insert(store.paths.body(id, object.generation()));
                    enter(store, &object);
                    objects += 1;
                }
                Ok(None) => unreadable += usize::from(remove_unless_open(store, id, path)),
                Err(e) => {
                    miss(store, "reading an object", &e);
                    unread.insert(id);
                }
            }
        }
    }
    for path in files {
        let orphan = match named(&path) {
            Named::Manifest(_) => false,
            Named::Body(id) => {
                !owned.contains(&path) && !unread.contains(&id) && !is_open(store, id)
            }
            Named::Other => true,
        };
        if orphan {
            let _ = std::fs::remove_file(&path);
        }
    }
    (objects, unreadable)
}

/// Whether an object was replaced without being found before, or purged while the directory was gone;
/// then it goes. It is in the index already, where a purge that comes now finds it.
fn is_over(store: &Store, object: &Object) -> bool {
    let (id, generation) = (object.id(), object.generation());
    let (open, purged) = {
        let mut table = store.table.lock();
        (table.find(id), table.purged_meanwhile(object))
    };
    let is_replaced = open.is_some_and(|open| open.generation() != generation);
    if purged == Some(Force::Soft)
        && let Err(e) = store.soften_on_disk(id, generation, SystemTime::now())
    {
        store.stats.disk_error("manifest", &e);
    }
    let is_over = is_replaced || purged == Some(Force::Hard);
    if is_over {
        if let Err(e) = store.unlink(id, generation) {
            store.stats.disk_error("removing a manifest", &e);
        }
        let _ = std::fs::remove_file(store.paths.body(id, generation));
    }
    is_over
}

/// Makes an object's chunks known to the budget. What no longer fits goes.
fn enter(store: &Store, object: &Object) {
    for chunk in object.present().iter() {
        let bytes = object.grid().and_then(|grid: Grid| grid.bytes_of(chunk));
        let length = bytes.map_or(0, |bytes| bytes.len());
        let usage = object.usage().clone();
        let victims = store
            .budget
            .lock()
            .found(object.name_of(chunk), length, usage);
        for victim in victims {
            store.evict(victim);
        }
    }
}

/// A manifest that leads nowhere goes, unless a request has just brought the object to life.
fn remove_unless_open(store: &Store, id: ObjectId, path: &Path) -> bool {
    !is_open(store, id) && std::fs::remove_file(path).is_ok()
}

/// Whether a request opened an object since the start.
fn is_open(store: &Store, id: ObjectId) -> bool {
    store.table.lock().find(id).is_some()
}

fn named(path: &Path) -> Named {
    let parts = || Some((path.file_stem()?.to_str()?, path.extension()?.to_str()?));
    match parts().map(|(stem, extension)| (ObjectId::parse(stem), extension)) {
        Some((Some(id), "manifest")) => Named::Manifest(id),
        Some((Some(id), generation)) if u64::from_str_radix(generation, 16).is_ok() => {
            Named::Body(id)
        }
        _ => Named::Other,
    }
}
