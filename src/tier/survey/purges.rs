//! The purges of a fleet, and manifests that need not remember the old ones.

use super::{
    super::{
        entry::Entry,
        folders::Folder,
        history::{History, REMEMBERED, Standing},
        purge_log,
        remote::{Put, Remote, Trouble},
    },
    Erase, Report, Task,
};
use object_store::PutMode;
use std::time::SystemTime;

/// How often a manifest is written anew that others write at the same moment.
const ATTEMPTS: usize = 5;
/// Manifests that lag so many purges behind are written anew, as edges remember no more than twice
/// as many.
const LAG: u64 = REMEMBERED as u64 / 2;

/// The purges of the fleet, and which of them are to be forgotten.
#[derive(Debug)]
pub(super) struct Purges {
    pub history: History,
    /// Old ones, the earliest first.
    pub old: Vec<u64>,
    /// What has survived all up to this one may stay as it is.
    pub floor: u64,
}

/// The purges that are kept, and which of them are too old to be kept for longer.
pub(super) async fn known_purges(
    remote: &Remote,
    task: &Task,
    now: SystemTime,
    report: &mut Report,
) -> Result<Purges, Trouble> {
    let mut kept = purge_log::kept(remote, None).await?;
    kept.sort_unstable();
    let numbers: Vec<_> = kept.iter().map(|(number, _)| *number).collect();
    let (removed, last) = purge_log::bounds(&numbers);
    // All of them, as many as there are: it is here that their number is bounded.
    let notices = purge_log::read_notices(remote, removed + 1..=last).await?;
    (report.purges, report.last_purge) = (numbers.len() as u64, last);
    let mut old = Vec::new();
    // The last one stays: it says how far the numbers have come.
    for (number, written) in kept.into_iter().filter(|(number, _)| *number != last) {
        if now.duration_since(written).unwrap_or_default() < task.purges {
            break;
        }
        old.push(number);
    }
    if task.erase != Erase::Useless {
        report.useless += old.len() as u64;
    }
    let mut history = History::whole();
    history.begin(removed, notices);
    let floor = old.last().copied().unwrap_or(0);
    Ok(Purges {
        history,
        old,
        floor: floor.max(last.saturating_sub(LAG)),
    })
}

/// Writes into a manifest that it has survived the purges that are known. Whether no purge that is
/// to be forgotten is needed to judge it any more.
pub(super) async fn renew(
    remote: &Remote,
    purges: &Purges,
    folder: &Folder,
    now: SystemTime,
    report: &mut Report,
) -> Result<bool, Trouble> {
    let path = remote.layout().manifest(folder.version, folder.id);
    for _ in 0..ATTEMPTS {
        let Some((document, version)) = remote.get(&path).await? else {
            return Ok(true);
        };
        let there = Entry::decode(&document, folder.id, None);
        let Some(entry) = there.and_then(|there| renewed(there, purges, now)) else {
            return Ok(true);
        };
        let mode = PutMode::Update(version);
        if remote.put_if(&path, entry.encode().into(), mode).await? == Put::Done {
            report.renewed += 1;
            return Ok(true);
        }
    }
    Ok(false)
}

/// What is to be written for it; nothing where it may stay as it is: it is late enough, or a purge
/// took it out, which forgetting that one does not change.
pub(super) fn renewed(mut entry: Entry, purges: &Purges, now: SystemTime) -> Option<Entry> {
    if entry.purges >= purges.floor {
        return None;
    }
    match purges.history.standing(&entry.object, entry.purges) {
        Standing::Gone => return None,
        Standing::Stale => Entry::expire(&mut entry.object, now),
        Standing::Valid => {}
    }
    entry.purges = purges.history.last();
    Some(entry)
}
