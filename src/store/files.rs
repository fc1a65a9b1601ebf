//! The files of objects: made, replaced and removed under a lock of their own, so that what one
//! generation does never undoes what another has done.

use super::{FILE_LOCKS, Manifest, Object, ObjectId, Store};
use parking_lot::MutexGuard;
use std::{io, sync::Arc};

impl Store {
    /// All files of an object go; a manifest that a newer generation has written stays.
    pub(super) fn erase(&self, object: &Arc<Object>) {
        self.remove_body(object);
        if let Some(_own) = self.own() {
            let _files = self.files(object.id());
            self.remove_manifest(object);
        }
        self.table.lock().has_left(object);
    }

    /// The manifest of this generation goes, if it has one; for whoever holds its files.
    pub(super) fn remove_manifest(&self, object: &Object) {
        let (id, generation) = (object.id(), object.generation());
        let written = self.load_manifest(id).ok().flatten();
        if written.is_some_and(|manifest| manifest.generation == generation) {
            let _ = std::fs::remove_file(self.paths.manifest(id));
            self.index.lock().remove(id, generation);
        }
    }

    /// The body of a generation that has been replaced goes; its manifest is overwritten by the
    /// new one's.
    pub(super) fn retire(&self, object: &Arc<Object>) {
        self.remove_body(object);
        self.table.lock().has_left(object);
    }

    /// Nothing is kept for a generation any more, and its body goes; those who have it open keep
    /// it.
    pub(super) fn remove_body(&self, object: &Arc<Object>) {
        let chunks = {
            let own = self.own();
            let _files = self.files(object.id());
            let body = self.paths.body(object.id(), object.generation());
            let chunks = object.retire();
            if own.is_some() {
                let _ = std::fs::remove_file(body);
            }
            chunks
        };
        let mut budget = self.budget.lock();
        for chunk in chunks.iter() {
            budget.forget(object.name_of(chunk));
        }
    }

    pub(super) fn write_manifest(&self, object: &Object) -> io::Result<()> {
        // The next owner of the directory writes its own; what nobody else can find needs none.
        let Some(_own) = self.own().filter(|_| object.private().is_none()) else {
            return Ok(());
        };
        let _files = self.files(object.id());
        match object.manifest().filter(|_| !object.is_retired()) {
            Some(manifest) => {
                self.paths.write_manifest(object.id(), &manifest.encode())?;
                object.note_manifest();
                let usage = object.usage().clone();
                self.index.lock().insert(&manifest, usage);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Held while the files of an object are made, replaced or removed.
    pub(super) fn files(&self, id: ObjectId) -> MutexGuard<'_, ()> {
        self.files[usize::from(id.0[0]) % FILE_LOCKS].lock()
    }

    /// What lies on disk of an object; `None` where there is nothing, or nothing that can be used.
    /// An error says nothing of what lies there: it can't be read at this moment.
    pub(super) fn load(&self, id: ObjectId) -> io::Result<Option<Object>> {
        let Some(manifest) = self.load_manifest(id)? else {
            return Ok(None);
        };
        if_there(Object::load(manifest, &self.paths))
    }

    /// What lies on disk of an object becomes known to purges, if anything does.
    pub(super) fn learn(&self, id: ObjectId) -> io::Result<Option<Object>> {
        let _files = self.files(id);
        let object = self.load(id)?;
        let object = object.filter(|object| !object.present().is_empty());
        if let Some(object) = &object
            && let Some(manifest) = object.manifest()
        {
            let usage = object.usage().clone();
            self.index.lock().insert(&manifest, usage);
        }
        Ok(object)
    }

    pub(super) fn load_manifest(&self, id: ObjectId) -> io::Result<Option<Manifest>> {
        let encoded = if_there(std::fs::read(self.paths.manifest(id)))?;
        let manifest = encoded.and_then(|encoded| Manifest::decode(&encoded));
        Ok(manifest.filter(|manifest| manifest.id == id))
    }
}

/// A file that is not there is no failure of the disk.
fn if_there<T>(opened: io::Result<T>) -> io::Result<Option<T>> {
    match opened {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}
