//! Where the files of objects lie, and with which rights.
//!
//! ```text
//! tidegate.lock                      held by the process that owns the directory; its number
//! objects/3f/3f9a….manifest          one for each stored object
//! objects/3f/3f9a….0123456789abcdef  its body; the suffix is the generation
//! objects/3f/….tmp                   a manifest being written
//! ```
//!
//! Names are the hash of the key, never a URL: nothing that a client sends can name a file.

use super::{ObjectId, aside};
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// The directory of a store.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    root: PathBuf,
}

/// Only the owner reads what the origin gave to its clients.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

impl Paths {
    /// Makes the directory and its 256 folders where they are missing.
    pub fn prepare(root: &Path) -> io::Result<Self> {
        let paths = Self {
            root: root.to_owned(),
        };
        paths.make()?;
        Ok(paths)
    }

    /// The same once more.
    pub fn make(&self) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(DIRECTORY_MODE);
        for folder in self.folders() {
            builder.create(&folder)?;
        }
        std::fs::set_permissions(self.objects(), Permissions::from_mode(DIRECTORY_MODE))
    }

    /// Takes the directory for this process; `None` where another has it.
    pub fn lock(&self) -> io::Result<Option<File>> {
        let file = create_options()
            .create(true)
            .truncate(false)
            .open(self.lock_file())?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Whether a file is the lock of this directory.
    pub fn is_lock(&self, file: &File) -> bool {
        let own = std::fs::metadata(self.lock_file());
        let named = |m: std::fs::Metadata| (m.dev(), m.ino());
        let own = own.map(named).ok();
        own.is_some() && own == file.metadata().map(named).ok()
    }

    /// Whether the directory is still the one that this lock was taken of, with all its folders.
    pub fn are_in_place(&self, lock: &File) -> bool {
        self.is_lock(lock) && self.folders().all(|folder| folder.is_dir())
    }

    /// The file system that the directory lies on, or would lie on.
    pub fn device(&self) -> io::Result<u64> {
        let mut found = Err(io::ErrorKind::NotFound.into());
        for path in self.root.ancestors() {
            found = std::fs::metadata(path).map(|there| there.dev());
            if found.is_ok() {
                break;
            }
        }
        found
    }

    /// Whether a process has had the directory before.
    pub fn is_begun(&self) -> bool {
        self.lock_file().exists()
    }

    /// Writes into the lock who has it, for those who find it taken.
    pub fn sign(&self, lock: &File) -> io::Result<()> {
        let name = format!("{}\n", std::process::id());
        lock.write_all_at(name.as_bytes(), 0)?;
        lock.set_len(name.len() as u64)
    }

    /// The process that has the lock, where that is told.
    pub fn owner(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.lock_file()).ok()?;
        text.trim().parse().ok()
    }

    /// All folders that hold objects.
    pub fn folders(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let objects = self.objects();
        (0..=u8::MAX).map(move |byte| objects.join(format!("{byte:02x}")))
    }

    /// The manifest of an object.
    pub fn manifest(&self, id: ObjectId) -> PathBuf {
        self.folder(id).join(format!("{id}.manifest"))
    }

    /// The body of a generation of an object.
    pub fn body(&self, id: ObjectId, generation: u64) -> PathBuf {
        self.folder(id).join(format!("{id}.{generation:016x}"))
    }

    /// Creates the body of a new generation.
    pub fn create_body(&self, id: ObjectId, generation: u64) -> io::Result<File> {
        create_options()
            .create_new(true)
            .open(self.body(id, generation))
    }

    /// A body that loses its name at once, and goes when it is closed.
    pub fn create_unnamed_body(&self, id: ObjectId, generation: u64) -> io::Result<File> {
        let file = self.create_body(id, generation)?;
        // Where the directory is another's, that one may have found it first.
        let _ = std::fs::remove_file(self.body(id, generation));
        Ok(file)
    }

    /// Bytes that the body of a generation takes on disk.
    pub fn allocated(&self, id: ObjectId, generation: u64) -> u64 {
        /// The unit of `st_blocks`, whatever the file system's own blocks are.
        const UNIT: u64 = 512;
        let body = std::fs::metadata(self.body(id, generation));
        body.map_or(0, |body| body.blocks() * UNIT)
    }

    /// Opens the body of a generation.
    pub fn open_body(&self, id: ObjectId, generation: u64) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.body(id, generation))
    }

    /// Writes a manifest aside and puts it in place in one step.
    pub fn write_manifest(&self, id: ObjectId, encoded: &[u8]) -> io::Result<()> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let aside = self
            .folder(id)
            .join(format!("{id}.{}.tmp", NEXT.fetch_add(1, Relaxed)));
        aside::replace(&self.manifest(id), &aside, encoded)
    }

    fn lock_file(&self) -> PathBuf {
        self.root.join("tidegate.lock")
    }

    fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    fn folder(&self, id: ObjectId) -> PathBuf {
        self.objects().join(format!("{:02x}", id.0[0]))
    }
}

pub(super) fn create_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(FILE_MODE);
    options
}
