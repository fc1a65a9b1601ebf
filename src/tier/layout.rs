//! What things are called in the tier.
//!
//! ```text
//! PREFIX/fleet                      whose it is, and the format
//! PREFIX/purges/NUMBER              each purge of the fleet, by its number (`purge_log.rs`)
//! PREFIX/vVERSION/ID/manifest       what is known of an object, and which runs are there
//! PREFIX/vVERSION/ID/FIRST-NONCE    a run of its chunks, from the chunk FIRST on
//! ```
//!
//! `VERSION` is the cache's, `ID` the hash of an object's key, so that names spread evenly. Runs
//! are never overwritten: their names are never used again.

use crate::store::ObjectId;
use object_store::path::Path;

/// Names below one prefix.
#[derive(Clone, Debug)]
pub struct Layout {
    prefix: Path,
}

impl Layout {
    /// Names below `prefix`.
    pub fn new(prefix: &str) -> Self {
        Self {
            prefix: Path::from(prefix),
        }
    }

    /// Whose it is.
    pub fn fleet(&self) -> Path {
        self.prefix.clone().join("fleet")
    }

    /// Where what a probe writes goes.
    pub fn probe(&self, nonce: u64) -> Path {
        self.prefix
            .clone()
            .join("probes")
            .join(format!("{nonce:016x}"))
    }

    /// All purges.
    pub fn purges(&self) -> Path {
        self.prefix.clone().join("purges")
    }

    /// The purge of this number.
    pub fn purge(&self, number: u64) -> Path {
        // Names sort as their numbers do.
        self.purges().join(format!("{number:020}"))
    }

    /// The number of a purge by its name.
    pub fn number_of(&self, purge: &Path) -> Option<u64> {
        purge.filename()?.parse().ok()
    }

    /// Whether it is of what edges tell each other, as against what they have: whose the tier is, what
    /// it can do, and what was purged.
    pub fn is_told(&self, path: &Path) -> bool {
        let probes = self.prefix.clone().join("probes");
        let told = [self.fleet(), self.purges(), probes];
        told.iter().any(|told| path.prefix_matches(told))
    }

    /// All of a version of the cache.
    pub fn version(&self, version: u32) -> Path {
        self.prefix.clone().join(format!("v{version}"))
    }

    /// All there is.
    pub fn all(&self) -> Path {
        self.prefix.clone()
    }

    /// All of an object.
    pub fn object(&self, version: u32, id: ObjectId) -> Path {
        self.version(version).join(id.to_string())
    }

    /// Its manifest.
    pub fn manifest(&self, version: u32, id: ObjectId) -> Path {
        self.object(version, id).join("manifest")
    }

    /// One run of it.
    pub fn run(&self, version: u32, id: ObjectId, name: &str) -> Path {
        self.object(version, id).join(name)
    }
}

/// A name for a run from this chunk on, which no other has.
pub fn run_name(first: u32, nonce: u64) -> String {
    format!("{first:08}-{nonce:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_edges_tell_each_other_is_told_from_what_they_have() {
        let layout = Layout::new("a/b");
        let told = [
            layout.fleet(),
            layout.probe(7),
            layout.purges(),
            layout.purge(7),
        ];
        let id = ObjectId([7; 16]);
        let others = [
            layout.all(),
            layout.manifest(1, id),
            layout.run(1, id, "fleet"),
        ];
        assert!(told.iter().all(|path| layout.is_told(path)));
        assert!(!others.iter().any(|path| layout.is_told(path)));
    }
}
