//! What a survey finds, how far it has come, and how its outcome is told.

use crate::domain::count_of;
use object_store::path::Path;
use serde::Serialize;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt,
};

/// What was found, and done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Why edges can't use what lies there, if they can't.
    pub unusable: Option<String>,
    /// Objects in use.
    pub objects: u64,
    /// Their runs.
    pub runs: u64,
    /// Bytes of all that lies there.
    pub bytes: u64,
    /// Objects by the version of the cache: those in use, and the purged and outdated ones.
    pub versions: BTreeMap<u32, u64>,
    /// Purges of the fleet that are kept.
    pub purges: u64,
    /// The number of the last one.
    pub last_purge: u64,
    /// Objects that a purge took out of service.
    pub purged: u64,
    /// Objects of earlier versions of the cache, or too old.
    pub outdated: u64,
    /// Runs that no manifest names; those of the last hour may be uploads under way.
    pub strays: u64,
    /// Manifests that can't be read.
    pub unreadable: u64,
    /// Runs that were read and compared.
    pub verified: u64,
    /// Runs that are damaged or missing, and damaged manifests where all is verified, by path.
    pub damaged: Vec<String>,
    /// Manifests that were written anew, as they have survived purges that are to be forgotten.
    pub renewed: u64,
    /// Things that are of no use, and were left where they are.
    pub useless: u64,
    /// Bytes of these.
    pub useless_bytes: u64,
    /// Things removed.
    pub erased: u64,
    /// Bytes of these.
    pub erased_bytes: u64,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoFar {
    /// Objects that are dealt with.
    pub objects: u64,
    /// Bytes of these, and of the runs that were read of others.
    pub bytes: u64,
}

/// Tells how far it has come: with each object, and with each run that is read, as a film may take
/// longer than all else.
pub(super) struct Tally<T> {
    so_far: Cell<SoFar>,
    tell: RefCell<T>,
}

/// Damaged things that are listed by name.
const LISTED: usize = 1000;

impl Report {
    pub(super) fn found_damaged(&mut self, path: &Path) {
        if self.damaged.len() < LISTED {
            self.damaged.push(path.to_string());
        }
    }

    /// What was found beside.
    pub(super) fn add(&mut self, other: Self) {
        self.objects += other.objects;
        self.runs += other.runs;
        self.bytes += other.bytes;
        for (version, objects) in other.versions {
            *self.versions.entry(version).or_default() += objects;
        }
        self.purged += other.purged;
        self.outdated += other.outdated;
        self.strays += other.strays;
        self.unreadable += other.unreadable;
        self.verified += other.verified;
        let room = LISTED - self.damaged.len().min(LISTED);
        self.damaged.extend(other.damaged.into_iter().take(room));
        self.renewed += other.renewed;
        self.useless += other.useless;
        self.useless_bytes += other.useless_bytes;
        self.erased += other.erased;
        self.erased_bytes += other.erased_bytes;
    }

    pub(super) fn has_erased(&mut self, bytes: u64) {
        self.erased += 1;
        self.erased_bytes += bytes;
    }
}

impl<T: FnMut(SoFar)> Tally<T> {
    pub fn new(tell: T) -> Self {
        Self {
            so_far: Cell::default(),
            tell: RefCell::new(tell),
        }
    }

    pub fn add(&self, objects: u64, bytes: u64) {
        let SoFar {
            objects: others,
            bytes: before,
        } = self.so_far.get();
        self.so_far.set(SoFar {
            objects: others + objects,
            bytes: before + bytes,
        });
        (self.tell.borrow_mut())(self.so_far.get());
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |bytes: u64| bytesize::ByteSize(bytes).display().iec();
        let runs = count_of(self.runs, "run");
        writeln!(f, "objects      {} in {runs}", self.objects)?;
        writeln!(f, "bytes        {}", size(self.bytes))?;
        for (version, objects) in &self.versions {
            let others = match self.purged + self.outdated {
                0 => "",
                _ => ", in use or not",
            };
            let objects = count_of(*objects, "object");
            writeln!(f, "  version {version}  {objects}{others}")?;
        }
        writeln!(
            f,
            "purges       {} kept, the last is number {}",
            self.purges, self.last_purge
        )?;
        let useless = [
            ("purged", self.purged, "object", " out of service"),
            (
                "outdated",
                self.outdated,
                "object",
                " of earlier versions, or too old",
            ),
            (
                "strays",
                self.strays,
                "run",
                " that no manifest names (uploads under way among them)",
            ),
            ("unreadable", self.unreadable, "manifest", ""),
        ];
        for (name, count, thing, which) in useless.iter().filter(|(_, count, _, _)| *count > 0) {
            writeln!(f, "{name:<12} {}{which}", count_of(*count, thing))?;
        }
        if self.verified > 0 || !self.damaged.is_empty() {
            writeln!(
                f,
                "verified     {}, {} damaged",
                count_of(self.verified, "run"),
                self.damaged.len()
            )?;
        }
        for path in &self.damaged {
            writeln!(f, "  damaged    {path}")?;
        }
        if self.renewed > 0 {
            writeln!(
                f,
                "renewed      {}, which have survived what is forgotten",
                count_of(self.renewed, "manifest")
            )?;
        }
        if self.useless > 0 {
            writeln!(
                f,
                "to remove    {} ({}), by tidegate tier gc",
                self.useless,
                size(self.useless_bytes)
            )?;
        }
        if self.erased > 0 {
            writeln!(
                f,
                "erased       {} ({})",
                self.erased,
                size(self.erased_bytes)
            )?;
        }
        Ok(())
    }
}
