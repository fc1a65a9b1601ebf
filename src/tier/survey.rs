//! Housekeeping: what is there, whether it is sound, and what can go.

use super::{
    entry::{Entry, Run},
    folders::{Folder, walk},
    history::{History, REMEMBERED, Standing},
    purges,
    remote::{Put, Remote, Trouble},
};
use futures_util::StreamExt;
use object_store::PutMode;
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    time::{Duration, SystemTime},
};
use tokio::time::timeout;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
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

/// What was found, and done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Objects in use.
    pub objects: u64,
    /// Their runs.
    pub runs: u64,
    /// Bytes of all that lies there.
    pub bytes: u64,
    /// Objects by the version of the cache.
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
    /// Runs that are damaged or missing, by path.
    pub damaged: Vec<String>,
    /// Things removed.
    pub erased: u64,
    /// Bytes of these.
    pub erased_bytes: u64,
}

/// What is younger may belong to an upload under way.
const YOUNG: Duration = Duration::from_secs(60 * 60);
/// Damaged runs that are listed by name.
const LISTED: usize = 1000;

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

/// Goes through the tier. `tell` hears of progress.
pub async fn survey(
    remote: &Remote,
    task: &Task,
    now: SystemTime,
    mut tell: impl FnMut(&Report),
) -> Result<Report, Trouble> {
    let mut report = Report::default();
    let history = known_purges(remote, task, now, &mut report).await?;
    let all = remote.layout().all();
    walk(remote, &all, async |folder| {
        look(remote, task, &history, folder, now, &mut report).await?;
        tell(&report);
        Ok(())
    })
    .await?;
    Ok(report)
}

/// The purges that are kept; those that are too old are removed, the earliest first.
async fn known_purges(
    remote: &Remote,
    task: &Task,
    now: SystemTime,
    report: &mut Report,
) -> Result<History, Trouble> {
    let layout = remote.layout();
    let mut numbers = purges::numbers(remote).await?;
    numbers.sort_unstable();
    let last = numbers.last().copied().unwrap_or(0);
    let from = numbers.len().saturating_sub(REMEMBERED);
    let notices = purges::read_notices(remote, numbers[from..].iter().copied()).await?;
    (report.purges, report.last_purge) = (numbers.len() as u64, last);
    if task.erase == Erase::Useless {
        // The last one stays: it says how far the numbers have come.
        for number in numbers.iter().filter(|number| **number != last) {
            let path = layout.purge(*number);
            let written = remote.written_at(&path).await?.unwrap_or(now);
            if now.duration_since(written).unwrap_or_default() < task.purges {
                break;
            }
            remote.delete(&path).await?;
            (report.erased, report.purges) = (report.erased + 1, report.purges - 1);
        }
    }
    let mut history = History::default();
    history.begin(last - notices.len() as u64, notices);
    Ok(history)
}

async fn look(
    remote: &Remote,
    task: &Task,
    history: &History,
    folder: Folder,
    now: SystemTime,
    report: &mut Report,
) -> Result<(), Trouble> {
    report.bytes += folder.bytes();
    *report.versions.entry(folder.version).or_default() += 1;
    let entry = match &folder.manifest {
        None => None,
        Some(meta) => {
            let got = remote.get(&meta.location).await?;
            let entry = got.and_then(|(document, _)| Entry::decode(&document, folder.id, None));
            report.unreadable += u64::from(entry.is_none());
            entry
        }
    };
    let age = |meta: &object_store::ObjectMeta| {
        let written = SystemTime::from(meta.last_modified);
        now.duration_since(written).unwrap_or_default()
    };
    let fate = match &entry {
        _ if folder.version < task.version => Fate::Outdated,
        Some(entry) if history.standing(&entry.object, entry.purges) == Standing::Gone => {
            Fate::Purged
        }
        Some(_) => match folder.manifest.as_ref().zip(task.max_age) {
            Some((meta, most)) if age(meta) > most => Fate::Outdated,
            _ => Fate::Kept,
        },
        None => Fate::Kept,
    };
    let mut gone: Vec<&object_store::ObjectMeta> = Vec::new();
    match fate {
        Fate::Kept => {
            let runs = entry.iter().flat_map(|entry| &entry.runs);
            let named: HashSet<&str> = runs.map(|run| run.name.as_str()).collect();
            let is_stray = |meta: &&object_store::ObjectMeta| {
                !meta
                    .location
                    .filename()
                    .is_some_and(|name| named.contains(name))
            };
            let strays: Vec<_> = folder.others.iter().filter(is_stray).collect();
            report.strays += strays.len() as u64;
            gone.extend(strays.into_iter().filter(|meta| age(meta) > YOUNG));
            let unreadable = folder.manifest.iter().filter(|_| entry.is_none());
            gone.extend(unreadable.filter(|meta| age(meta) > YOUNG));
            if let Some(entry) = entry {
                report.objects += 1;
                report.runs += entry.runs.len() as u64;
                if task.verify {
                    verify(remote, task, &folder, entry, report).await?;
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
            report.erased += 1;
            report.erased_bytes += meta.size;
        }
    }
    Ok(())
}

/// Reads all runs of an object; those that are damaged leave its manifest, if they are to.
async fn verify(
    remote: &Remote,
    task: &Task,
    folder: &Folder,
    entry: Entry,
    report: &mut Report,
) -> Result<(), Trouble> {
    let mut bad = Vec::new();
    for run in &entry.runs {
        let path = remote.layout().run(folder.version, folder.id, &run.name);
        report.verified += 1;
        if !is_sound(remote, &path, &entry, run).await? {
            if report.damaged.len() < LISTED {
                report.damaged.push(path.to_string());
            }
            bad.push(run.name.clone());
        }
    }
    if bad.is_empty() || !task.repair {
        return Ok(());
    }
    let path = remote.layout().manifest(folder.version, folder.id);
    let Some((document, version)) = remote.get(&path).await? else {
        return Ok(());
    };
    let Some(mut there) = Entry::decode(&document, folder.id, None) else {
        return Ok(());
    };
    there.runs.retain(|run| !bad.contains(&run.name));
    let document = there.encode().into();
    // Somebody else may be writing it at this moment: then the next time will do.
    match remote
        .put_if(&path, document, PutMode::Update(version))
        .await?
    {
        Put::Conflict => {}
        Put::Done => {
            for name in &bad {
                remote
                    .delete(&remote.layout().run(folder.version, folder.id, name))
                    .await?;
                report.erased += 1;
            }
        }
    }
    Ok(())
}

async fn is_sound(
    remote: &Remote,
    path: &object_store::path::Path,
    entry: &Entry,
    run: &Run,
) -> Result<bool, Trouble> {
    let Some(grid) = entry.grid() else {
        return Ok(false);
    };
    let lengths = (run.first..run.end()).map(crate::domain::ChunkIndex);
    let lengths = lengths.filter_map(|chunk| grid.bytes_of(chunk).map(|bytes| bytes.len()));
    let lengths: Vec<u64> = lengths.collect();
    let Some(mut stream) = remote.open(path, 0..lengths.iter().sum()).await? else {
        return Ok(false);
    };
    let (mut sums, mut sum, mut left) = (Vec::new(), 0, lengths.first().copied().unwrap_or(0));
    loop {
        let next = timeout(remote.timeout(), stream.next()).await;
        let mut part = match next.map_err(|_| Trouble::Late)? {
            None => break,
            // An answer that breaks off says nothing of what lies there.
            Some(part) => part.map_err(|e| Trouble::Failed(e.to_string()))?,
        };
        while !part.is_empty() && left > 0 {
            let now = part.split_to(part.len().min(left as usize));
            sum = crc32c::crc32c_append(sum, &now);
            left -= now.len() as u64;
            if left == 0 {
                sums.push(std::mem::take(&mut sum));
                left = lengths.get(sums.len()).copied().unwrap_or(0);
            }
        }
    }
    Ok(sums == run.checksums)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |bytes: u64| bytesize::ByteSize(bytes).display().iec();
        writeln!(f, "objects      {} in {} runs", self.objects, self.runs)?;
        writeln!(f, "bytes        {}", size(self.bytes))?;
        for (version, objects) in &self.versions {
            writeln!(f, "  version {version}  {objects} objects")?;
        }
        writeln!(
            f,
            "purges       {} kept, the last is number {}",
            self.purges, self.last_purge
        )?;
        let useless = [
            ("purged", self.purged, "objects out of service"),
            (
                "outdated",
                self.outdated,
                "objects of earlier versions, or too old",
            ),
            (
                "strays",
                self.strays,
                "runs that no manifest names (uploads under way among them)",
            ),
            ("unreadable", self.unreadable, "manifests"),
        ];
        for (name, count, what) in useless.iter().filter(|(_, count, _)| *count > 0) {
            writeln!(f, "{name:<12} {count} {what}")?;
        }
        if self.verified > 0 {
            writeln!(
                f,
                "verified     {} runs, {} damaged",
                self.verified,
                self.damaged.len()
            )?;
        }
        for path in &self.damaged {
            writeln!(f, "  damaged    {path}")?;
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
