//! Purges that the fleet has not been told of yet, kept in the cache's directory: however this
//! process ends, the next one tells of them, and believes nothing of the tier that they mean.
//!
//! Each process has a file of its own there, `tier.untold.NONCE`, as at an upgrade the old one still
//! tells what it has to tell while the new one begins. Whoever begins takes all of them over; a
//! purge may so be told twice, and never not at all.

use super::history::{History, Notice};
use crate::store::{aside, sealed};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What is owed to the fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untold {
    /// In their order.
    pub notices: Vec<Notice>,
    /// There were more, or they can't be read: everything may be meant.
    pub is_lost: bool,
}

/// The file of this process.
#[derive(Debug)]
pub struct Ledger {
    file: PathBuf,
    /// One writer at a time, each with what is true then.
    alone: Mutex<()>,
}

const MAGIC: &[u8] = b"tidegate tier untold 1\n";
const BEGIN: &str = "tier.untold.";
/// What was being written aside.
const ASIDE: &str = "tmp";

impl Untold {
    fn is_empty(&self) -> bool {
        self.notices.is_empty() && !self.is_lost
    }

    fn encode(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).expect("plain data always serialises");
        sealed::seal(MAGIC, &json)
    }

    /// Reads a document. One that can't be read may have held anything; one of no bytes is what a
    /// power failure leaves of one that was never finished.
    fn decode(document: &[u8]) -> Self {
        if document.is_empty() {
            return Self::default();
        }
        let json = sealed::unseal(MAGIC, document);
        let read = json.and_then(|json| serde_json::from_slice(json).ok());
        read.unwrap_or(Self {
            notices: Vec::new(),
            is_lost: true,
        })
    }

    fn add(&mut self, other: Self) {
        self.notices.extend(other.notices);
        self.is_lost |= other.is_lost;
    }
}

impl Ledger {
    /// The file of a new process in this directory, and what all before it still owed.
    pub fn take_over(directory: &Path) -> (Self, Untold) {
        let own = Self {
            file: directory.join(format!("{BEGIN}{:016x}", fastrand::u64(..))),
            alone: Mutex::new(()),
        };
        let (mut owed, others) = (Untold::default(), files(directory));
        for file in others.iter().filter(|file| !is_aside(file)) {
            owed.add(match fs::read(file) {
                Ok(document) => Untold::decode(&document),
                // Its process has just told all of it.
                Err(e) if e.kind() == io::ErrorKind::NotFound => Untold::default(),
                Err(e) => {
                    log::error!("{} can't be read: {e}", file.display());
                    Untold::decode(b"unreadable")
                }
            });
        }
        if own.write(&owed) {
            others.iter().for_each(|file| remove(file));
        }
        (own, owed)
    }

    /// Keeps what is owed now.
    pub fn keep(&self, history: &Mutex<History>) {
        let _alone = self.alone.lock();
        let owed = history.lock().owed();
        self.write(&owed);
    }

    /// This process's own, too: the one before may be writing at this moment.
    fn aside(&self) -> PathBuf {
        self.file.with_added_extension(ASIDE)
    }

    /// Whether it is on disk now.
    fn write(&self, owed: &Untold) -> bool {
        if owed.is_empty() {
            remove(&self.file);
            return true;
        }
        let written = aside::replace(&self.file, &self.aside(), &owed.encode());
        if let Err(e) = &written {
            let file = self.file.display();
            log::error!(
                "{file} can't be written: {e}; a restart forgets what the fleet is to be told"
            );
        }
        written.is_ok()
    }
}

/// The files of all processes there.
fn files(directory: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(directory).into_iter().flatten().flatten();
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(BEGIN))
    };
    listed.map(|entry| entry.path()).filter(is_ours).collect()
}

fn is_aside(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == ASIDE)
}

fn remove(file: &Path) {
    match fs::remove_file(file) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            log::warn!("{} can't be removed: {e}", file.display());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Selector;

    fn notice(path: &str) -> Notice {
        Notice {
            selector: Selector::at("a.example", path),
            soft: false,
            from: "here".into(),
            at: 7,
            begins: false,
        }
    }

    fn owing(notices: &[Notice]) -> Mutex<History> {
        let mut history = History::default();
        notices
            .iter()
            .cloned()
            .for_each(|notice| history.owe(notice));
        Mutex::new(history)
    }

    #[test]
    fn the_next_process_owes_what_this_one_did() {
        let directory = tempfile::tempdir().unwrap();
        let (first, owed) = Ledger::take_over(directory.path());
        assert_eq!(owed, Untold::default());
        let history = owing(&[notice("/a"), notice("/b")]);
        first.keep(&history);
        let (second, owed) = Ledger::take_over(directory.path());
        assert_eq!(owed.notices, [notice("/a"), notice("/b")]);
        // The first one has told of all of it at last; the second one has still to.
        first.keep(&owing(&[]));
        let (third, owed) = Ledger::take_over(directory.path());
        assert_eq!(owed.notices.len(), 2);
        assert_ne!(second.aside(), third.aside());
        assert!(is_aside(&third.aside()));
        second.keep(&owing(&[]));
        third.keep(&owing(&[]));
        assert_eq!(files(directory.path()), Vec::<PathBuf>::new());
    }

    #[test]
    fn what_cannot_be_read_may_have_meant_everything() {
        let directory = tempfile::tempdir().unwrap();
        let (first, _) = Ledger::take_over(directory.path());
        first.keep(&owing(&[notice("/a")]));
        let mut document = fs::read(&first.file).unwrap();
        *document.last_mut().unwrap() ^= 1;
        fs::write(&first.file, document).unwrap();
        let (second, owed) = Ledger::take_over(directory.path());
        assert!(owed.is_lost);
        fs::write(&second.file, "").unwrap();
        assert_eq!(Ledger::take_over(directory.path()).1, Untold::default());
    }
}
