//! Whether the file system has the room that the store may take.

use rustix::fs::statvfs;
use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// A file system, and what of it is the store's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of the file system.
    pub total: u64,
    /// Bytes that may still be written there.
    pub free: u64,
    /// Bytes that the store has taken already.
    pub held: u64,
}

impl Room {
    /// The room for a directory, which need not be there yet and holds so much.
    pub fn around(directory: &Path, held: u64) -> io::Result<Self> {
        let there = directory.ancestors().find(|path| path.exists());
        let system = statvfs(there.unwrap_or(Path::new("/")))?;
        Ok(Self {
            total: system.f_blocks * system.f_frsize,
            free: system.f_bavail * system.f_frsize,
            held,
        })
    }

    /// The same for a directory that is looked through for what it holds. Blocks, for long where that
    /// is much.
    pub fn of(directory: &Path) -> io::Result<Self> {
        Self::around(directory, held(directory))
    }

    /// Why so many bytes will not fit, where they will not.
    pub fn doubt(&self, max_size: u64) -> Option<String> {
        let size = |bytes| bytesize::ByteSize(bytes).display().iec();
        let (free, held) = (size(self.free), size(self.held));
        let most = self.total.min(self.free.saturating_add(self.held));
        (max_size > most).then(|| {
            format!(
                "cache.max_size {} does not fit: of the file system's {} there are {free} free, and {held} are the cache's; what is wanted least makes room when it is full, for all who write there. {} would fit, and leave a tenth",
                size(max_size),
                size(self.total),
                size(most.min(self.free.saturating_add(self.held) / 10 * 9)),
            )
        })
    }
}

/// What lies below a directory, in bytes on disk.
fn held(directory: &Path) -> u64 {
    /// The unit of `st_blocks`, whatever the file system's own blocks are.
    const UNIT: u64 = 512;
    let mut folders = vec![PathBuf::from(directory)];
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) => bytes += found.blocks() * UNIT,
                // It has just been evicted.
                Err(_) => {}
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn what_fits_is_what_is_free_and_what_is_held() {
        let room = Room {
            total: 100 * GIB,
            free: 30 * GIB,
            held: 20 * GIB,
        };
        for fits in [0, GIB, 50 * GIB] {
            assert_eq!(room.doubt(fits), None, "{fits}");
        }
        let said = room.doubt(50 * GIB + 1).unwrap();
        for part in [
            "100.0 GiB",
            "30.0 GiB free",
            "20.0 GiB are",
            "45.0 GiB would",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
        assert!(room.doubt(200 * GIB).is_some());
    }

    #[test]
    fn a_directory_that_is_yet_to_be_made_has_its_parents_room() {
        let folder = tempfile::tempdir().unwrap();
        let none = Room::of(&folder.path().join("a/b")).unwrap();
        assert!(none.total > 0 && none.held == 0 && none.free <= none.total);
        assert!(none.doubt(u64::MAX).is_some() && none.doubt(0).is_none());
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/file"), [7; 100_000]).unwrap();
        assert!(Room::of(folder.path()).unwrap().held >= 100_000);
    }
}
