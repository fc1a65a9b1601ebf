//! Housekeeping: what is there, whether it is sound, and what can go.

mod purges;
mod report;
mod verify;

pub use report::{Report, SoFar};

use super::{
    entry::Entry,
    fleet::{self, Stranger},
    folders::{Folder, walk},
    history::Standing,
    remote::{Remote, Trouble},
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use object_store::ObjectMeta;
use purges::{Purges, known_purges, renew};
use report::Tally;
use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};
use verify::{repair_manifest, verify};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Whose it is to be: nothing is changed that is another's.
    pub fleet: String,
    /// The version of the cache in force; objects of earlier ones can go.
    pub version: u32,
    /// All runs are read, and their checksums compared.
    pub verify: bool,
    /// What is damaged is taken out of its manifest.
    pub repair: bool,
    /// What is removed.
    pub erase: Erase,
    /// Objects of which nothing was written for so long are of no use either.
    pub max_age: Option<Duration>,
    /// Purges older than this are forgotten: edges that were off for longer drop what they have.
    pub purges: Duration,
}

/// What is removed of what is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erase {
    /// None of it.
    Nothing,
    /// Objects that were purged.
    Purged,
    /// All of it.
    Useless,
}

/// What is younger may belong to an upload under way.
const YOUNG: Duration = Duration::from_secs(60 * 60);
/// Objects that are looked at at a time. Each has a few requests one after another.
const AT_ONCE: usize = 8;

/// What is to become of what lies there of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// It stays.
    Kept,
    /// A purge took it out of service.
    Purged,
    /// It is of an earlier version of the cache, or too old.
    Outdated,
}

impl Task {
    /// Whether anything is changed.
    fn changes(&self) -> bool {
        self.erase != Erase::Nothing || self.repair
    }
}

/// Goes through the tier. `tell` hears of progress.
///
/// # Errors
/// Fails where it can't be asked, and where what is to be changed is another's.
pub async fn survey(
    remote: &Remote,
    task: &Task,
    now: SystemTime,
    tell: impl FnMut(SoFar),
) -> Result<Report, Stranger> {
    let tally = Tally::new(tell);
    let mut report = Report::default();
    match fleet::inspect(remote, &task.fleet).await {
        Ok(()) => {}
        Err(why @ Stranger::Trouble(_)) => return Err(why),
        Err(why) if task.changes() => return Err(why),
        Err(why) => report.unusable = Some(why.to_string()),
    }
    let erases_all = task.erase == Erase::Useless;
    if erases_all || task.repair {
        remote.find_out().await?;
    }
    let purges = known_purges(remote, task, now, &mut report).await?;
    let mut all_dealt_with = true;
    let all = remote.layout().all();
    let mut looks = FuturesUnordered::new();
    let mut take = |found: Result<(Report, bool), Trouble>| {
        let (found, is_dealt_with) = found?;
        report.add(found);
        all_dealt_with &= is_dealt_with;
        Ok::<_, Trouble>(())
    };
    walk(remote, &all, async |folder| {
        if looks.len() >= AT_ONCE
            && let Some(found) = looks.next().await
        {
            take(found)?;
        }
        looks.push(look(remote, task, &purges, folder, now, &tally));
        Ok(())
    })
    .await?;
    while let Some(found) = looks.next().await {
        take(found)?;
    }
    // What an edge enters behind the walk has survived later ones. Where not all could be renewed
    // the next time will do, and where this ends before its end as well.
    if erases_all && all_dealt_with {
        for number in &purges.old {
            remote.delete(&remote.layout().purge(*number)).await?;
            report.has_erased(0);
            report.purges -= 1;
        }
    }
    Ok(report)
}

/// What is found of an object, and whether it is dealt with: no purge that is to be forgotten is
/// needed to judge it any more.
async fn look(
    remote: &Remote,
    task: &Task,
    purges: &Purges,
    folder: Folder,
    now: SystemTime,
    tally: &Tally<impl FnMut(SoFar)>,
) -> Result<(Report, bool), Trouble> {
    let mut found = Report::default();
    let report = &mut found;
    report.bytes += folder.bytes();
    let entry = manifest_of(remote, task, &folder, report).await?;
    let fate = fate_of(task, purges, &folder, entry.as_ref(), now);
    // What only strays are left of is none.
    if entry.is_some() || fate != Fate::Kept {
        *report.versions.entry(folder.version).or_default() += 1;
    }
    let mut is_dealt_with = true;
    let mut told = 0;
    let mut gone: Vec<&ObjectMeta> = Vec::new();
    match fate {
        Fate::Kept => {
            let strays = strays_in(&folder, entry.as_ref());
            report.strays += strays.len() as u64;
            let unreadable = folder.manifest.iter().filter(|_| entry.is_none());
            let is_old = |meta: &&ObjectMeta| age(meta, now) > YOUNG;
            gone.extend(strays.into_iter().chain(unreadable).filter(is_old));
            if let Some(entry) = entry {
                report.objects += 1;
                report.runs += entry.runs.len() as u64;
                if task.erase == Erase::Useless && entry.purges < purges.floor {
                    is_dealt_with = renew(remote, purges, &folder, now, report).await?;
                }
                if task.verify {
                    told = verify(remote, task, &folder, entry, report, tally).await?;
                }
            }
        }
        Fate::Purged | Fate::Outdated => {
            match fate {
                Fate::Purged => report.purged += 1,
                _ => report.outdated += 1,
            }
            // The manifest first: what it names is not to be looked for any more.
            gone.extend(folder.manifest.iter().chain(&folder.others));
        }
    }
    let is_erased = match task.erase {
        Erase::Nothing => false,
        Erase::Purged => fate == Fate::Purged,
        Erase::Useless => true,
    };
    if is_erased {
        for meta in gone {
            remote.delete(&meta.location).await?;
            report.has_erased(meta.size);
        }
    } else {
        report.useless += gone.len() as u64;
        report.useless_bytes += gone.iter().map(|meta| meta.size).sum::<u64>();
    }
    tally.add(1, folder.bytes().saturating_sub(told));
    Ok((found, is_dealt_with))
}

/// The manifest of an object, if there is one that can be read.
async fn manifest_of(
    remote: &Remote,
    task: &Task,
    folder: &Folder,
    report: &mut Report,
) -> Result<Option<Entry>, Trouble> {
    let Some(meta) = &folder.manifest else {
        return Ok(None);
    };
    // One that has gone since is none.
    let Some((document, _)) = remote.get(&meta.location).await? else {
        return Ok(None);
    };
    let entry = Entry::decode(&document, folder.id, None);
    if entry.is_none() {
        report.unreadable += 1;
        if task.verify {
            report.found_damaged(&meta.location);
            repair_manifest(remote, task, folder, meta, report).await?;
        }
    }
    Ok(entry)
}

fn fate_of(
    task: &Task,
    purges: &Purges,
    folder: &Folder,
    entry: Option<&Entry>,
    now: SystemTime,
) -> Fate {
    let is_gone = |entry: &Entry| {
        let standing = purges.history.standing(&entry.object, entry.purges);
        standing == Standing::Gone
    };
    let is_too_old = |entry: &Entry| {
        task.max_age
            .is_some_and(|most| unused_for(entry, folder, now) > most)
    };
    match entry {
        _ if folder.version < task.version => Fate::Outdated,
        Some(entry) if is_gone(entry) => Fate::Purged,
        Some(entry) if is_too_old(entry) => Fate::Outdated,
        _ => Fate::Kept,
    }
}

/// The runs that no manifest names.
fn strays_in<'f>(folder: &'f Folder, entry: Option<&Entry>) -> Vec<&'f ObjectMeta> {
    let runs = entry.into_iter().flat_map(|entry| &entry.runs);
    let named: HashSet<&str> = runs.map(|run| run.name.as_str()).collect();
    let is_named = |name: &str| named.contains(name);
    let others = folder.others.iter();
    others
        .filter(|meta| !meta.location.filename().is_some_and(is_named))
        .collect()
}

fn age(meta: &ObjectMeta, now: SystemTime) -> Duration {
    let written = SystemTime::from(meta.last_modified);
    now.duration_since(written).unwrap_or_default()
}

/// For how long nobody has added to an object: no run, and no later word of the origin. When its
/// manifest was written does not count, as that is done here as well.
fn unused_for(entry: &Entry, folder: &Folder, now: SystemTime) -> Duration {
    let runs = folder.others.iter();
    let runs = runs.map(|meta| SystemTime::from(meta.last_modified));
    let last = runs.fold(entry.object.meta.validated, SystemTime::max);
    now.duration_since(last).unwrap_or_default()
}

#[cfg(test)]
mod tests;
