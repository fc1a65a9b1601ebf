//! Housekeeping: what is there, whether it is sound, and what can go.

use super::{
    entry::{Entry, Run},
    fleet::{self, Stranger},
    folders::{Folder, walk},
    history::{History, REMEMBERED, Standing},
    purge_log,
    remote::{Put, Remote, Trouble},
};
use crate::domain::count_of;
use futures_util::{StreamExt, stream::FuturesUnordered};
use object_store::{ObjectMeta, PutMode, path::Path};
use serde::Serialize;
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    time::{Duration, SystemTime},
};
use tokio::time::timeout;

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
struct Tally<T> {
    so_far: Cell<SoFar>,
    tell: RefCell<T>,
}

/// What is younger may belong to an upload under way.
const YOUNG: Duration = Duration::from_secs(60 * 60);
/// Objects that are looked at at a time. Each has a few requests one after another.
const AT_ONCE: usize = 8;
/// Damaged things that are listed by name.
const LISTED: usize = 1000;

/// How often a manifest is written anew that others write at the same moment.
const ATTEMPTS: usize = 5;
/// Manifests that lag so many purges behind are written anew, as edges remember no more than twice
/// as many.
const LAG: u64 = REMEMBERED as u64 / 2;

/// The purges of the fleet, and which of them are to be forgotten.
#[derive(Debug)]
struct Purges {
    history: History,
    /// Old ones, the earliest first.
    old: Vec<u64>,
    /// What has survived all up to this one may stay as it is.
    floor: u64,
}

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

impl Report {
    fn found_damaged(&mut self, path: &Path) {
        if self.damaged.len() < LISTED {
            self.damaged.push(path.to_string());
        }
    }

    /// What was found beside.
    fn add(&mut self, other: Self) {
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

    fn has_erased(&mut self, bytes: u64) {
        self.erased += 1;
        self.erased_bytes += bytes;
    }
}

impl<T: FnMut(SoFar)> Tally<T> {
    fn new(tell: T) -> Self {
        Self {
            so_far: Cell::default(),
            tell: RefCell::new(tell),
        }
    }

    fn add(&self, objects: u64, bytes: u64) {
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

/// The purges that are kept, and which of them are too old to be kept for longer.
async fn known_purges(
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

/// Writes into a manifest that it has survived the purges that are known. Whether no purge that is
/// to be forgotten is needed to judge it any more.
async fn renew(
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
fn renewed(mut entry: Entry, purges: &Purges, now: SystemTime) -> Option<Entry> {
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

/// Takes a manifest out that can't be read, unless somebody has written another one since.
async fn repair_manifest(
    remote: &Remote,
    task: &Task,
    folder: &Folder,
    meta: &ObjectMeta,
    report: &mut Report,
) -> Result<(), Trouble> {
    if !task.repair {
        return Ok(());
    }
    let there = remote.get(&meta.location).await?;
    let is_damaged =
        there.is_some_and(|(document, _)| Entry::decode(&document, folder.id, None).is_none());
    if is_damaged {
        remote.delete(&meta.location).await?;
        report.has_erased(meta.size);
    }
    Ok(())
}

/// Reads all runs of an object; those that are damaged leave its manifest, if they are to. Comes back
/// with the bytes of which the tally has been told.
async fn verify(
    remote: &Remote,
    task: &Task,
    folder: &Folder,
    entry: Entry,
    report: &mut Report,
    tally: &Tally<impl FnMut(SoFar)>,
) -> Result<u64, Trouble> {
    let sizes: HashMap<&Path, u64> = folder
        .others
        .iter()
        .map(|meta| (&meta.location, meta.size))
        .collect();
    let (mut bad, mut told) = (Vec::new(), 0);
    for run in &entry.runs {
        let path = remote.layout().run(folder.version, folder.id, &run.name);
        report.verified += 1;
        if !is_sound(remote, &path, &entry, run).await? {
            report.found_damaged(&path);
            bad.push(run.name.clone());
        }
        let size = sizes.get(&path).copied().unwrap_or(0);
        tally.add(0, size);
        told += size;
    }
    if bad.is_empty() || !task.repair {
        return Ok(told);
    }
    let path = remote.layout().manifest(folder.version, folder.id);
    let Some((document, version)) = remote.get(&path).await? else {
        return Ok(told);
    };
    let Some(mut there) = Entry::decode(&document, folder.id, None) else {
        return Ok(told);
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
                report.has_erased(0);
            }
        }
    }
    Ok(told)
}

async fn is_sound(remote: &Remote, path: &Path, entry: &Entry, run: &Run) -> Result<bool, Trouble> {
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
        let mut part = match next.map_err(|_| remote.late())? {
            None => break,
            // An answer that breaks off says nothing of what lies there.
            Some(part) => part.map_err(|e| remote.trouble(&e))?,
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

#[cfg(test)]
mod tests {
    use super::{
        super::{
            entry::tests::{entry, key_at},
            history::tests::notice,
            remote::{self, Remote},
        },
        *,
    };
    use crate::{domain::Selector, store::ObjectId};

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    const GC: Task = Task {
        fleet: String::new(),
        version: 1,
        verify: false,
        repair: false,
        erase: Erase::Useless,
        max_age: None,
        purges: DAY,
    };

    /// A tier with nothing in it.
    async fn tier() -> Remote {
        let remote = remote::tests::tier();
        fleet::claim(&remote, "").await.unwrap();
        remote
    }

    fn path_of(nth: u8) -> String {
        format!("/{nth}")
    }

    /// An object that has survived so many purges.
    async fn put(remote: &Remote, nth: u8, purges: u64) {
        let mut entry = entry("\"a\"", 1, &[]);
        let object = &mut entry.object;
        (object.id, object.key) = (ObjectId([nth; 16]), key_at(&path_of(nth)));
        object.meta.fresh_until = SystemTime::now() + 100 * DAY;
        entry.purges = purges;
        let path = remote.layout().manifest(1, ObjectId([nth; 16]));
        remote.put(&path, entry.encode().into()).await.unwrap();
    }

    async fn read(remote: &Remote, nth: u8) -> Option<Entry> {
        let id = ObjectId([nth; 16]);
        let got = remote.get(&remote.layout().manifest(1, id)).await.unwrap();
        got.map(|(document, _)| Entry::decode(&document, id, None).unwrap())
    }

    async fn purge(remote: &Remote, number: u64, nth: u8, soft: bool) {
        let notice = notice(Selector::at("a.example", &path_of(nth)), soft);
        let path = remote.layout().purge(number);
        remote.put(&path, notice.encode().into()).await.unwrap();
    }

    async fn gc(remote: &Remote, in_days: u32) -> Report {
        let now = SystemTime::now() + in_days * DAY;
        survey(remote, &GC, now, |_| ()).await.unwrap()
    }

    #[tokio::test]
    async fn forgetting_purges_takes_out_only_what_they_meant() {
        let remote = tier().await;
        for nth in 1..=3 {
            put(&remote, nth, 0).await;
        }
        purge(&remote, 1, 2, false).await;
        purge(&remote, 2, 3, true).await;
        purge(&remote, 3, 9, false).await;
        let report = gc(&remote, 2).await;
        assert_eq!((report.purges, report.purged, report.renewed), (1, 1, 2));
        assert_eq!(purge_log::numbers(&remote).await.unwrap(), [3]);
        // Whoever looks now knows only the last of them.
        let report = gc(&remote, 2).await;
        assert_eq!((report.objects, report.purged, report.renewed), (2, 0, 0));
        assert_eq!(read(&remote, 2).await, None);
        let fresh = |entry: &Entry| entry.object.meta.fresh_until > SystemTime::now() + 3 * DAY;
        let (kept, stale) = (read(&remote, 1).await, read(&remote, 3).await);
        assert!(kept.is_some_and(|entry| fresh(&entry) && entry.purges == 3));
        assert!(stale.is_some_and(|entry| !fresh(&entry) && entry.purges == 3));
    }

    #[tokio::test]
    async fn what_would_be_removed_is_counted_as_what_is() {
        let remote = tier().await;
        // More than are looked at at once.
        for nth in 1..=40 {
            put(&remote, nth, 0).await;
        }
        for number in 1..=20 {
            purge(&remote, number, number as u8, false).await;
        }
        let dry = Task {
            erase: Erase::Nothing,
            ..GC
        };
        let now = SystemTime::now() + 2 * DAY;
        let told = survey(&remote, &dry, now, |_| ()).await.unwrap();
        assert_eq!((told.objects, told.purged, told.useless), (20, 20, 39));
        assert!(told.to_string().contains("to remove    39 ("), "{told}");
        let done = gc(&remote, 2).await;
        assert_eq!((done.erased, done.useless), (told.useless, 0));
        assert_eq!(done.erased_bytes, told.useless_bytes);
    }

    #[tokio::test]
    async fn objects_of_all_versions_are_those_in_use_and_those_of_no_use() {
        let remote = tier().await;
        for nth in 1..=3 {
            put(&remote, nth, 0).await;
        }
        purge(&remote, 1, 2, false).await;
        // What no manifest names is no object, but where all of its version goes.
        for version in 0..=1 {
            let path = remote.layout().run(version, ObjectId([7; 16]), "0-a");
            remote.put(&path, vec![7].into()).await.unwrap();
        }
        let look = Task {
            erase: Erase::Nothing,
            ..GC
        };
        let report = survey(&remote, &look, SystemTime::now(), |_| ()).await;
        let report = report.unwrap();
        assert_eq!((report.objects, report.purged, report.outdated), (2, 1, 1));
        assert_eq!(report.versions, BTreeMap::from([(0, 1), (1, 3)]));
        let said = report.to_string();
        assert!(
            said.contains("version 1  3 objects, in use or not"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn what_need_not_be_forgotten_leaves_manifests_alone() {
        let remote = tier().await;
        put(&remote, 1, 0).await;
        purge(&remote, 1, 2, false).await;
        purge(&remote, 2, 2, false).await;
        let report = gc(&remote, 0).await;
        assert_eq!((report.purges, report.renewed), (2, 0));
        assert_eq!(read(&remote, 1).await.unwrap().purges, 0);
    }

    #[tokio::test]
    async fn writing_it_anew_makes_nothing_younger() {
        let remote = tier().await;
        put(&remote, 1, 0).await;
        purge(&remote, 1, 2, false).await;
        purge(&remote, 2, 2, false).await;
        assert_eq!(gc(&remote, 2).await.renewed, 1);
        let task = Task {
            max_age: Some(DAY),
            ..GC
        };
        // Its origin's last word is of 1970.
        let report = survey(&remote, &task, SystemTime::now(), |_| ()).await;
        assert_eq!(report.unwrap().outdated, 1);
    }

    #[tokio::test]
    async fn what_is_another_fleets_is_left_alone() {
        let remote = tier().await;
        put(&remote, 1, 0).await;
        purge(&remote, 1, 1, false).await;
        let now = SystemTime::now() + 2 * DAY;
        let theirs = |erase, repair| Task {
            fleet: "another".into(),
            verify: repair,
            version: 9,
            erase,
            repair,
            ..GC
        };
        for task in [
            theirs(Erase::Useless, false),
            theirs(Erase::Purged, false),
            theirs(Erase::Nothing, true),
        ] {
            let why = survey(&remote, &task, now, |_| ()).await.unwrap_err();
            assert_eq!(why, Stranger::Fleet("".into(), "another".into()));
        }
        let look = theirs(Erase::Nothing, false);
        let report = survey(&remote, &look, now, |_| ()).await.unwrap();
        assert!(report.unusable.is_some_and(|why| why.contains("another")));
        assert!(read(&remote, 1).await.is_some());
        remote.delete(&remote.layout().fleet()).await.unwrap();
        let nobodys = survey(&remote, &GC, now, |_| ()).await;
        assert_eq!(nobodys, Err(Stranger::Nobody));
    }

    #[tokio::test]
    async fn a_run_of_whatever_length_is_looked_at_and_the_others_too() {
        let remote = tier().await;
        for nth in 1..=4 {
            put(&remote, nth, 0).await;
            let mut entry = read(&remote, nth).await.unwrap();
            let chunk = vec![nth; entry.object.chunk_size as usize];
            entry.runs = vec![Run {
                name: "0-a".into(),
                first: 0,
                checksums: vec![crc32c::crc32c(&chunk); 2],
            }];
            let layout = remote.layout();
            let (manifest, run) = (
                layout.manifest(1, entry.object.id),
                layout.run(1, entry.object.id, "0-a"),
            );
            remote.put(&manifest, entry.encode().into()).await.unwrap();
            let mut bytes = chunk.repeat(2);
            // One is empty, one ends in the second chunk, one goes on behind it.
            match nth {
                1 => bytes.clear(),
                2 => bytes.truncate(chunk.len() + 7),
                3 => bytes.push(0),
                _ => {}
            }
            remote.put(&run, bytes.into()).await.unwrap();
        }
        let verify = |repair| Task {
            verify: true,
            repair,
            erase: Erase::Nothing,
            ..GC
        };
        let now = SystemTime::now();
        let found = survey(&remote, &verify(false), now, |_| ()).await.unwrap();
        assert_eq!((found.verified, found.damaged.len()), (4, 2));
        let path = |nth| remote.layout().run(1, ObjectId([nth; 16]), "0-a");
        for nth in 1..=2 {
            assert!(found.damaged.contains(&path(nth).to_string()), "{found}");
        }
        // Each is told of for itself, and so is each object, with what is left of it.
        let mut told: Vec<SoFar> = Vec::new();
        let task = verify(false);
        let again = survey(&remote, &task, now, |so_far| told.push(so_far)).await;
        let bytes = again.unwrap().bytes;
        assert_eq!(told.len(), 8);
        assert!(told.is_sorted_by_key(|so_far| (so_far.objects, so_far.bytes)));
        assert_eq!(told.last(), Some(&SoFar { objects: 4, bytes }));
        let done = survey(&remote, &verify(true), now, |_| ()).await.unwrap();
        assert_eq!(done.erased, 2);
        let left = survey(&remote, &verify(false), now, |_| ()).await.unwrap();
        assert_eq!((left.runs, left.damaged.len()), (2, 0));
    }

    #[test]
    fn what_changed_meanwhile_is_judged_again() {
        let mut history = History::whole();
        for nth in 1..=3 {
            history.note(notice(Selector::Url(format!("{nth}")), false));
        }
        let purges = Purges {
            history,
            old: vec![1],
            floor: 1,
        };
        let at = |survived| Entry {
            purges: survived,
            ..entry("\"a\"", 1, &[])
        };
        let now = SystemTime::now();
        let survived = renewed(at(0), &purges, now).map(|entry| entry.purges);
        assert_eq!(survived, Some(3));
        assert_eq!(renewed(at(1), &purges, now), None);
        // An edge that knows of later purges is believed.
        assert_eq!(renewed(at(9), &purges, now), None);
    }
}
