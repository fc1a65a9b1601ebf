//! Write-behind: what is here goes up, in its own time. Neither clients nor the store wait.

use super::{
    Tier,
    entry::{Entry, Merged, Run},
    history::Standing,
    layout::run_name,
    pending::{Failed, Generation, What},
    remote::{Put, Trouble},
};
use crate::{
    domain::{ChunkIndex, ChunkRun},
    source::{Offered, Sink},
    store::{Herald, Manifest, Meta, Object, ObjectId, Read},
    traffic::{Lull, backoff},
};
use bytes::Bytes;
use object_store::{PutMode, PutPayload, UpdateVersion};
use std::{
    sync::{
        Arc,
        atomic::{
            AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::{Duration, Instant, SystemTime},
};
use tokio::{task::JoinSet, time::sleep};

/// How often a run is sent, or a manifest written, before it is given up.
const ATTEMPTS: u32 = 5;
/// What is fresh for less than this is not told anew with each answer of the origin.
const WORTH_TELLING: Duration = Duration::from_secs(60);
/// Runs of one object that are sent before its manifest tells of them.
const AT_ONCE: usize = 16;
/// How often it is looked whether something is to go up, where nothing calls for it.
const TICK: Duration = Duration::from_millis(500);

impl Sink for Tier {
    fn offer(&self, chunk: &Offered) {
        let of = (ObjectId(chunk.id), chunk.generation);
        if !self.is_ready() {
            // It waits until the tier is in use, and takes as little room as that needs.
            return self.look_through(of);
        }
        let per_group = self.chunks_per_run(of);
        let mut pending = self.pending.lock();
        if !pending.add(of, chunk.chunk, per_group, Instant::now()) {
            self.stats().upload("full");
        }
        self.stats().waiting.set(pending.len() as i64);
    }

    fn found(&self, id: [u8; 16], generation: u64, times: u64) {
        // The request that has brought it in was one as well, but may be of another start.
        let is_enough = times == self.config().min_requests.saturating_sub(1).max(1);
        if is_enough {
            self.look_through((ObjectId(id), generation));
        }
    }

    fn refreshed(&self, id: [u8; 16], generation: u64, fresh: Duration) {
        if fresh >= WORTH_TELLING {
            self.look_through((ObjectId(id), generation));
        }
    }
}

/// Why a run did not go up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// It is not here any more.
    Gone,
    /// By the settings it is not to go up, or not yet; or it can't be told from other versions.
    Unwanted,
    /// It is there already, in chunks of another size.
    CutOtherwise,
    /// The tier did not take it.
    Failed,
}

impl Tier {
    /// Chunks of this object that make a run.
    fn chunks_per_run(&self, (id, _): Generation) -> u32 {
        let size = self
            .store()
            .open_object(id)
            .map(|object| object.chunk_size());
        let size = size.unwrap_or(self.store().config().chunk_size);
        u32::try_from(self.config().run / u64::from(size.max(1))).map_or(1, |n| n.max(1))
    }

    /// Uploads what is offered, until the task is given up.
    pub(super) async fn upload(self: Arc<Self>) {
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < self.config().uploads
                && let Some(job) = self.next_job()
            {
                let own = self.clone();
                under_way.spawn(async move {
                    let (of, what) = job;
                    own.bring(of, what).await;
                });
            }
            tokio::select! {
                _ = under_way.join_next(), if !under_way.is_empty() => {}
                () = sleep(TICK) => {}
                () = self.hurry.notified() => {}
            }
        }
    }

    /// What is here of an object, and not there, is to go up.
    fn look_through(&self, of: Generation) {
        let mut pending = self.pending.lock();
        if !pending.look_through(of, Instant::now()) {
            self.stats().upload("full");
        }
        self.stats().waiting.set(pending.len() as i64);
    }

    fn next_job(&self) -> Option<(Generation, What)> {
        if !self.is_ready() {
            return None;
        }
        let mut pending = self.pending.lock();
        let job = pending.take(Instant::now());
        self.stats().waiting.set(pending.len() as i64);
        job
    }

    /// Brings parts of an object up, and then says so in its manifest. Where the tier does not take
    /// them, the object waits for better times.
    async fn bring(&self, of: Generation, what: What) {
        let brought = self.try_bring(of, what).await;
        let mut pending = self.pending.lock();
        if !matches!(brought, Err(Left::Failed)) {
            pending.done(of);
        }
        let outcome = match brought {
            Ok(0) => "known",
            Ok(_) => {
                self.is_denied.store(false, Relaxed);
                "stored"
            }
            Err(Left::Gone) => "gone",
            Err(Left::Unwanted) => "unwanted",
            Err(Left::CutOtherwise) => "grid",
            Err(Left::Failed) => match pending.failed(of, Instant::now()) {
                Failed::Later => "later",
                Failed::GivenUp => "failed",
                Failed::Full => "full",
            },
        };
        self.stats().waiting.set(pending.len() as i64);
        drop(pending);
        self.stats().upload(outcome);
    }

    /// Returns how many runs were brought.
    async fn try_bring(&self, (id, generation): Generation, what: What) -> Result<usize, Left> {
        self.calm().await;
        let object = self.store().find_by_id(id).await.ok_or(Left::Gone)?;
        let manifest = object.manifest().ok_or(Left::Gone)?;
        if object.generation() != generation || object.is_retired() {
            return Err(Left::Gone);
        }
        let is_wanted = object.is_versioned()
            && object.total() >= Some(self.config().min_size)
            && object.found().0 + 1 >= self.config().min_requests;
        if !is_wanted {
            return Err(Left::Unwanted);
        }
        let known = self.lookup().find(id, Some(object.key()), None).await;
        if let Some((there, _)) = known
            .as_ref()
            .filter(|(entry, _)| entry.is_cut_otherwise(&manifest))
        {
            self.say_it_is_cut_otherwise(&there.object, &manifest);
            return Err(Left::CutOtherwise);
        }
        let known = known.filter(|(entry, _)| entry.is_version_of(&manifest));
        let damaged = self.lookup().damaged(id);
        let is_there = |chunk: ChunkIndex| {
            let run = known.as_ref().and_then(|(entry, _)| entry.run_of(chunk));
            run.is_some_and(|run| !damaged.contains(&run.name))
        };
        let per_run = self.chunks_per_run((id, generation));
        let groups = match what {
            What::Groups(groups) => groups,
            What::Whole => {
                let chunks = object.grid().map_or(0, |grid| grid.count());
                (0..chunks.div_ceil(per_run)).collect()
            }
        };
        let lacking: Vec<ChunkRun> = groups
            .iter()
            .flat_map(|group| runs_of(&object, *group, per_run, &is_there))
            .collect();
        if lacking.is_empty() {
            if known.is_some_and(|known| is_outdated(&known, &manifest, SystemTime::now())) {
                self.enter(Vec::new(), &object).await?;
            }
            return Ok(0);
        }
        let mut brought = 0;
        let mut unsent = Unsent::new(&self.unsent, lacking.len());
        for some in lacking.chunks(AT_ONCE) {
            let mut runs = Vec::new();
            for run in some {
                self.give_way().await;
                if object.is_retired() {
                    self.erase_runs(id, &names_of(&runs)).await;
                    return Err(Left::Gone);
                }
                unsent.one_less();
                runs.extend(self.send(&object, *run).await?);
            }
            if !runs.is_empty() {
                brought += runs.len();
                self.enter(runs, &object).await?;
            }
        }
        Ok(brought)
    }

    /// Waits for the processors to have time for one more run, and no longer than it may.
    async fn give_way(&self) {
        let began = Instant::now();
        let longest = self.config().give_way;
        let leisure = || {
            let unsent = self.unsent.load(Relaxed);
            self.pending.lock().leisure(longest, unsent)
        };
        while began.elapsed() < leisure() && !self.lull.is_now(Instant::now()) {
            sleep(Lull::LOOK_AGAIN).await;
        }
    }

    /// It is so for many objects, and said once.
    fn say_it_is_cut_otherwise(&self, there: &Manifest, here: &Manifest) {
        if self.is_cut_otherwise.swap(true, Relaxed) {
            return;
        }
        log::warn!(
            "{} lies in the tier in chunks of {} bytes, and here in chunks of {}: it is read from there, and nothing of it goes up; give cache.chunk_size, and chunk_size of routes, the same value on all edges",
            here.id,
            there.chunk_size,
            here.chunk_size
        );
    }

    /// Sends one run; nothing where a chunk of it is not here any more.
    async fn send(&self, object: &Arc<Object>, chunks: ChunkRun) -> Result<Option<Run>, Left> {
        let mut checksums = Vec::new();
        let mut payload = Vec::new();
        for chunk in chunks.iter() {
            let Some(bytes) = self.read_here(object, chunk).await else {
                return Ok(None);
            };
            checksums.push(crc32c::crc32c(&bytes));
            payload.push(bytes);
        }
        let name = run_name(chunks.start.0, fastrand::u64(..));
        let layout = self.remote().layout();
        let path = layout.run(self.lookup().version(), object.id(), &name);
        let payload: PutPayload = payload.into_iter().collect();
        self.repeatedly(|| self.remote().put(&path, payload.clone()))
            .await?;
        Ok(Some(Run {
            name,
            first: chunks.start.0,
            checksums,
        }))
    }

    async fn read_here(&self, object: &Arc<Object>, chunk: ChunkIndex) -> Option<Bytes> {
        let range = object.grid()?.bytes_of(chunk)?;
        let bytes = match self.store().read(object, chunk, range) {
            Read::Memory(bytes) | Read::Ready(bytes) => Some(bytes),
            Read::Slow(read) => read.await,
            Read::Missing => None,
        };
        bytes.filter(|bytes| bytes.len() as u64 == range.len())
    }

    /// What is to be said of an object that is here, and of these runs of it: nothing where it is not
    /// any more.
    fn entry(&self, object: &Object, runs: Vec<Run>) -> Option<Entry> {
        // Before the object is looked at: it has survived the purges up to here, or is not there.
        let purges = self.carried_out.load(SeqCst);
        let mut manifest = object.manifest()?;
        manifest.generation = 0;
        (!object.is_retired()).then_some(Entry {
            object: manifest,
            purges,
            runs,
        })
    }

    /// Enters runs in the manifest, which nobody else may have written meanwhile.
    async fn enter(&self, runs: Vec<Run>, object: &Object) -> Result<(), Left> {
        let id = object.id();
        let layout = self.remote().layout();
        let path = layout.manifest(self.lookup().version(), id);
        for attempt in 1..=ATTEMPTS * 2 {
            let got = self.repeatedly(|| self.remote().get(&path)).await?;
            let (there, version) = match got {
                Some((document, version)) => (Entry::decode(&document, id, None), Some(version)),
                None => (None, None),
            };
            let is_valid = there.as_ref().is_some_and(|there| self.is_valid(there));
            let Some(mine) = self.entry(object, runs.clone()) else {
                // What was purged meanwhile is not to come back.
                let there = there.map(|there| there.runs).unwrap_or_default();
                let not_entered = runs.iter().filter(|run| !there.contains(run));
                self.erase_runs(id, &names_of(not_entered)).await;
                return Ok(());
            };
            let (entry, unused) = match mine.merge(there, is_valid, &self.lookup().damaged(id)) {
                Merged::Write { entry, unused } => (entry, unused),
                Merged::Keep { unused } => {
                    self.erase_runs(id, &unused).await;
                    return Ok(());
                }
                Merged::Behind { purges } => {
                    if let Some(as_of) = self.as_far_as(purges, false) {
                        self.catch_up(as_of).await;
                    }
                    self.pause(attempt).await;
                    continue;
                }
            };
            match self.write(&path, &entry, version).await? {
                Put::Done => {
                    self.lookup()
                        .learn(id, Some(Arc::from(entry)), Instant::now());
                    self.erase_runs(id, &unused).await;
                    return Ok(());
                }
                Put::Conflict => self.pause(attempt).await,
            }
        }
        // The runs may be entered all the same; if not, tidegate tier gc finds them.
        log::debug!("the manifest of {id} in the tier changes too often");
        Err(Left::Failed)
    }

    /// Lets others go first.
    async fn pause(&self, attempt: u32) {
        sleep(backoff(attempt.min(4)).mul_f64(fastrand::f64())).await;
    }

    async fn write(
        &self,
        path: &object_store::path::Path,
        entry: &Entry,
        version: Option<UpdateVersion>,
    ) -> Result<Put, Left> {
        let document = Bytes::from(entry.encode());
        let mode = match version {
            Some(version) => PutMode::Update(version),
            None => PutMode::Create,
        };
        self.repeatedly(|| {
            self.remote()
                .put_if(path, document.clone().into(), mode.clone())
        })
        .await
    }

    async fn erase_runs(&self, id: ObjectId, names: &[String]) {
        let layout = self.remote().layout();
        for name in names {
            let path = layout.run(self.lookup().version(), id, name);
            // What stays is found by tidegate tier gc.
            let _ = self.remote().delete(&path).await;
        }
    }

    /// Does something until it succeeds, or is given up.
    async fn repeatedly<T, F: Future<Output = Result<T, Trouble>>>(
        &self,
        work: impl Fn() -> F,
    ) -> Result<T, Left> {
        let mut attempt = 1;
        loop {
            match work().await {
                Ok(done) => return Ok(done),
                Err(Trouble::Denied(why)) => {
                    // It is tried again and again, and said once.
                    if !self.is_denied.swap(true, Relaxed) {
                        log::error!("the tier can't be written to: {why}");
                    }
                    return Err(Left::Failed);
                }
                Err(why) if attempt >= ATTEMPTS => {
                    log::debug!("an upload to the tier is given up: {why}");
                    return Err(Left::Failed);
                }
                Err(_) => {
                    sleep(backoff(attempt) * 4).await;
                    attempt += 1;
                }
            }
        }
    }
}

fn names_of<'a>(runs: impl IntoIterator<Item = &'a Run>) -> Vec<String> {
    runs.into_iter().map(|run| run.name.clone()).collect()
}

/// Runs of one object that were taken to go up and are not sent yet, counted with those of others.
struct Unsent<'a> {
    all: &'a AtomicUsize,
    own: usize,
}

impl<'a> Unsent<'a> {
    fn new(all: &'a AtomicUsize, own: usize) -> Self {
        all.fetch_add(own, Relaxed);
        Self { all, own }
    }

    fn one_less(&mut self) {
        self.own -= 1;
        self.all.fetch_sub(1, Relaxed);
    }
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.own, Relaxed);
    }
}

/// Whether an edge that starts with what the tier says of an object would ask the origin for what
/// is known here: it is stale there, or will be in less than half of the time.
fn is_outdated(
    (there, standing): &(Arc<Entry>, Standing),
    here: &Manifest,
    now: SystemTime,
) -> bool {
    let left = |meta: &Meta| meta.fresh_until.duration_since(now).unwrap_or_default();
    let (own, theirs) = (left(&here.meta), left(&there.object.meta));
    !own.is_zero() && (*standing == Standing::Stale || theirs < own / 2)
}

/// The runs of a group that are here and not there.
fn runs_of(
    object: &Object,
    group: u32,
    per_run: u32,
    is_there: &impl Fn(ChunkIndex) -> bool,
) -> Vec<ChunkRun> {
    let first = group.saturating_mul(per_run);
    let mut runs: Vec<ChunkRun> = Vec::new();
    for chunk in (first..first.saturating_add(per_run)).map(ChunkIndex) {
        if !object.has(chunk) || is_there(chunk) {
            continue;
        }
        match runs.last_mut().filter(|run| run.end == chunk) {
            Some(run) => run.end = chunk.next(),
            None => runs.push(ChunkRun {
                start: chunk,
                end: chunk.next(),
            }),
        }
    }
    runs
}
