//! The object store, with a deadline, a breaker and counters on everything that is asked of it.

use super::{
    advice::Access,
    config::Config,
    guard::{Guard, Verdict},
    layout::Layout,
    open::service,
    progress::now,
    stats::Stats,
};
use crate::traffic::Latency;
use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use object_store::{
    Error, GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, PutPayload, UpdateVersion, path::Path,
};
use parking_lot::Mutex;
use std::{
    ops::Range,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

/// The service behind the tier.
#[derive(Debug)]
pub struct Remote {
    service: Service,
    layout: Layout,
    access: Access,
    timeout: Duration,
    /// For documents that are looked for.
    documents: Arc<Guard>,
    /// For what is written and removed: a service that takes nothing may well give.
    writes: Arc<Guard>,
    /// For what edges tell each other. They ask one at a time and now and then, and a purge does not
    /// wait for better times: it is seen here how that goes, and asked on.
    told: Arc<Guard>,
    /// For runs that are read: small requests go well where these stall, and say nothing of them.
    runs: Arc<Guard>,
    /// For documents that are not small.
    large: Semaphore,
    /// How long runs take to their first bytes.
    first_bytes: Mutex<Latency>,
    /// Whether an object can be written only where there is none.
    creates: AtomicBool,
    /// Whether one can be replaced only as long as it is what it was.
    compares: AtomicBool,
    /// Where it is tried out: one place for as long as this lives, so that what can't be removed does
    /// not pile up.
    probe: Path,
    stats: Stats,
}

/// Where the service is.
#[derive(Debug)]
pub enum Service {
    /// There.
    Open(Arc<dyn ObjectStore>),
    /// The settings lead nowhere at the moment: that is tried again each time.
    Closed(Box<Config>, OnceLock<Arc<dyn ObjectStore>>),
}

/// Why the tier could not be asked, or did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It is left alone for a while.
    #[error("it is left alone after failures")]
    Open,
    /// No answer in time; why that may be, where something is known.
    #[error("no answer in time{}", .0.map(|why| format!(": {why}")).unwrap_or_default())]
    Late(Option<&'static str>),
    /// It does not let us.
    #[error("permission denied: {0}")]
    Denied(String),
    /// It can't do that.
    #[error("not supported there: {0}")]
    Unsupported(String),
    /// It failed.
    #[error("{0}")]
    Failed(String),
}

/// An answer of the service as it comes.
pub(super) type Stream = BoxStream<'static, Result<Bytes, Error>>;

/// A part of a run that has begun to come.
pub(super) struct Begun {
    pub first: Bytes,
    pub rest: Stream,
    /// To be told what has become of it all.
    pub verdict: Verdict,
}

/// What comes of asking for a part of a run.
pub(super) enum Opened {
    Begun(Begun),
    /// The run is not there.
    Absent,
    /// It ends before what is asked for.
    Short(Verdict),
}

/// What is asked of it; a word in the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Get,
    Put,
    Delete,
    List,
}

/// What came of a conditional write.
#[derive(Clone, Debug, PartialEq)]
pub enum Put {
    /// It is written.
    Done,
    /// It was not: what was to be replaced is not there any more, or something is there.
    Conflict,
}

/// The slowest upload that is waited for, in bytes per second.
const SLOWEST: u64 = 256 << 10;

/// The largest document that is read, and written. A manifest takes 11 bytes for each chunk and some 80
/// for each run: it is that of a film of 4 TiB in chunks of 1 MiB where runs are of 16 chunks, and of
/// 800 GiB where each chunk is a run of its own. All others are far smaller.
const LARGEST: u64 = 64 << 20;
/// Documents up to this size are read however many are asked for.
const SMALL: u64 = 256 << 10;
/// Larger ones that are read at a time.
const LARGE_AT_ONCE: usize = 4;

/// Time after which whoever begins to claim a name has seen that it is taken.
const SETTLED: Duration = Duration::from_secs(1);

impl Operation {
    fn label(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Delete => "delete",
            Self::List => "list",
        }
    }
}

impl Service {
    fn get(&self) -> Result<&Arc<dyn ObjectStore>, Error> {
        match self {
            Self::Open(store) => Ok(store),
            Self::Closed(config, opened) => match opened.get() {
                Some(store) => Ok(store),
                None => {
                    let store = service(config).map_err(|why| Error::Generic {
                        store: "tier",
                        source: why.into(),
                    })?;
                    Ok(opened.get_or_init(|| store))
                }
            },
        }
    }
}

impl Remote {
    /// What speaks with `service`, where names are as in `layout`.
    pub fn new(
        service: Service,
        layout: Layout,
        access: Access,
        timeout: Duration,
        stats: Stats,
    ) -> Self {
        Self {
            service,
            probe: layout.probe(fastrand::u64(..)),
            layout,
            access,
            timeout,
            documents: Guard::new("nothing is looked for there"),
            writes: Guard::new("nothing goes up"),
            told: Guard::insisting(),
            runs: Guard::new("nothing is read from it"),
            large: Semaphore::new(LARGE_AT_ONCE),
            first_bytes: Mutex::default(),
            creates: AtomicBool::new(true),
            compares: AtomicBool::new(true),
            stats,
        }
    }

    /// What things are called there.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What is counted.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Longest wait for an answer.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A document with its version, where there is one. One that is too large comes as an empty one,
    /// which nobody can read.
    pub async fn get(&self, path: &Path) -> Result<Option<(Bytes, UpdateVersion)>, Trouble> {
        let work = async {
            let got = self.service.get()?.get(path).await?;
            let version = UpdateVersion {
                e_tag: got.meta.e_tag.clone(),
                version: got.meta.version.clone(),
            };
            Ok((self.document(path, got).await?, version))
        };
        let got = self.ask(Operation::Get, path, self.timeout, work).await?;
        if let Some((bytes, _)) = &got {
            self.stats.moved("read", bytes.len());
        }
        Ok(got)
    }

    /// All of a document, or nothing of one that is too large. Memory is taken for what comes, and not
    /// for what is announced.
    async fn document(&self, path: &Path, got: GetResult) -> Result<Bytes, Error> {
        let size = got.meta.size;
        if size > LARGEST {
            log::warn!("{path} in the tier is of {size} bytes, and not read");
            return Ok(Bytes::new());
        }
        let _place = match size > SMALL {
            true => self.large.acquire().await.ok(),
            false => None,
        };
        let (mut all, mut parts) = (Vec::new(), got.into_stream());
        while let Some(part) = parts.next().await {
            let part = part?;
            if all.len() as u64 + part.len() as u64 > size {
                return Err(own("more bytes than announced"));
            }
            all.extend_from_slice(&part);
        }
        Ok(all.into())
    }

    /// A part of a run, as it comes; nothing where the run is not there, or ends before it.
    pub async fn open(&self, path: &Path, range: Range<u64>) -> Result<Option<Stream>, Trouble> {
        let work = self.part(path, range);
        let opened = self.ask(Operation::Get, path, self.timeout, work).await?;
        Ok(opened.flatten())
    }

    /// The same for one who reads, from when its first bytes are here; what comes of the rest is to
    /// be said by who reads it.
    pub(super) async fn begin(&self, path: &Path, range: Range<u64>) -> Result<Opened, Trouble> {
        let began = now();
        let work = async {
            let Some(mut rest) = self.part(path, range).await? else {
                return Ok(None);
            };
            match rest.next().await {
                Some(first) => Ok(Some((first?, rest))),
                None => Err(own("an answer that was cut")),
            }
        };
        let asked = self.attempt(&self.runs, Operation::Get, self.timeout, work);
        match asked.await? {
            (None, verdict) => {
                verdict.succeeded();
                Ok(Opened::Absent)
            }
            (Some(None), verdict) => Ok(Opened::Short(verdict)),
            (Some(Some((first, rest))), verdict) => {
                self.first_bytes.lock().record(now() - began);
                Ok(Opened::Begun(Begun {
                    first,
                    rest,
                    verdict,
                }))
            }
        }
    }

    /// How long 95 of 100 runs have taken to their first bytes of late, if that is known.
    pub(super) fn usual(&self) -> Option<Duration> {
        self.first_bytes.lock().quantile(0.95)
    }

    /// Whether runs can be read, as far as is known.
    pub(super) fn is_readable(&self) -> bool {
        self.runs.would_admit()
    }

    /// A part of a run, or nothing where the run ends before it: it is damaged then, and the service
    /// is not.
    async fn part(&self, path: &Path, range: Range<u64>) -> Result<Option<Stream>, Error> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            ..GetOptions::default()
        };
        let got = match self.service.get()?.get_opts(path, options).await {
            Err(e) if is_behind_the_end(&e) => return Ok(None),
            got => got?,
        };
        match got.range == range {
            true => Ok(Some(got.into_stream())),
            false if got.meta.size < range.end => Ok(None),
            false => Err(own("another range than asked for")),
        }
    }

    /// Writes an object whatever is there.
    pub async fn put(&self, path: &Path, payload: PutPayload) -> Result<(), Trouble> {
        self.put_as(path, payload, PutMode::Overwrite).await?;
        Ok(())
    }

    /// Writes an object if the condition holds. Where the service knows none, or says so now, a name
    /// is claimed as well as that goes without, and what is replaced may be what somebody else has
    /// just written.
    pub async fn put_if(
        &self,
        path: &Path,
        payload: PutPayload,
        mode: PutMode,
    ) -> Result<Put, Trouble> {
        if payload.content_length() as u64 > LARGEST {
            // It would take out what is there.
            return Err(Trouble::Unsupported("so large a document".into()));
        }
        match mode {
            PutMode::Create if !self.creates() => self.claim(path, payload).await,
            PutMode::Update(_) if !self.compares() => {
                self.put_as(path, payload, PutMode::Overwrite).await
            }
            PutMode::Create => match self.put_as(path, payload.clone(), mode).await {
                Err(Trouble::Unsupported(_)) => {
                    self.creates.store(false, Relaxed);
                    self.claim(path, payload).await
                }
                put => put,
            },
            mode => self.put_as(path, payload, mode).await,
        }
    }

    /// Writes what has no name yet, and looks a while later whether it is still there: who begins
    /// at the same time sees it, or is seen.
    async fn claim(&self, path: &Path, payload: PutPayload) -> Result<Put, Trouble> {
        if self.get(path).await?.is_some() {
            return Ok(Put::Conflict);
        }
        let own = Bytes::from(payload.clone());
        self.put_as(path, payload, PutMode::Overwrite).await?;
        sleep(SETTLED).await;
        match self.get(path).await? {
            Some((there, _)) if there == own => Ok(Put::Done),
            _ => Ok(Put::Conflict),
        }
    }

    /// Whether an object can be written only where there is none.
    pub fn creates(&self) -> bool {
        self.creates.load(Relaxed)
    }

    /// Whether one can be replaced only as long as it is what it was.
    pub fn compares(&self) -> bool {
        self.compares.load(Relaxed)
    }

    /// Tries which conditions on writes the service knows, and goes by that from now on.
    pub async fn find_out(&self) -> Result<(), Trouble> {
        let path = self.probe.clone();
        let put = |text: &'static [u8], mode| self.put_as(&path, text.to_vec().into(), mode);
        // It may pass the condition over, or say that it knows none.
        let creates = match put(b"one", PutMode::Create).await {
            Err(Trouble::Unsupported(_)) => {
                put(b"one", PutMode::Overwrite).await?;
                false
            }
            put_first => {
                put_first?;
                put(b"two", PutMode::Create).await? == Put::Conflict
            }
        };
        self.creates.store(creates, Relaxed);
        let other = UpdateVersion {
            e_tag: Some("\"00000000000000000000000000000000\"".into()),
            version: None,
        };
        let replaced = put(b"three", PutMode::Update(other)).await;
        self.compares.store(replaced == Ok(Put::Conflict), Relaxed);
        self.delete(&path).await.map_err(|why| match why {
            Trouble::Denied(why) => {
                Trouble::Denied(format!("{why}; what it was tried with stays at {path}"))
            }
            other => other,
        })
    }

    /// Where it is tried out.
    pub fn probe(&self) -> &Path {
        &self.probe
    }

    async fn put_as(
        &self,
        path: &Path,
        payload: PutPayload,
        mode: PutMode,
    ) -> Result<Put, Trouble> {
        let bytes = payload.content_length();
        let patience = self.timeout + Duration::from_secs(bytes as u64 / SLOWEST);
        let options = PutOptions {
            mode,
            ..PutOptions::default()
        };
        let work = async { self.service.get()?.put_opts(path, payload, options).await };
        let done = self.ask(Operation::Put, path, patience, work).await?;
        if done.is_some() {
            self.stats.moved("written", bytes);
        }
        Ok(match done {
            Some(_) => Put::Done,
            None => Put::Conflict,
        })
    }

    /// Removes an object, or what is not there.
    pub async fn delete(&self, path: &Path) -> Result<(), Trouble> {
        let work = async { self.service.get()?.delete(path).await };
        self.ask(Operation::Delete, path, self.timeout, work)
            .await?;
        Ok(())
    }

    /// What lies below a path, as it comes. Who reads puts a deadline on each step.
    pub fn list(&self, below: &Path) -> BoxStream<'static, Result<ObjectMeta, Error>> {
        self.count(Operation::List, "ok");
        match self.service.get() {
            Ok(store) => store.list(Some(below)),
            Err(why) => stream::iter([Err(why)]).boxed(),
        }
    }

    /// The next of what is listed, in time.
    pub async fn next_of(
        &self,
        listed: &mut (impl futures_util::Stream<Item = Result<ObjectMeta, Error>> + Unpin),
    ) -> Result<Option<ObjectMeta>, Trouble> {
        let next = timeout(self.timeout * 4, listed.next()).await;
        let found = next.map_err(|_| self.late())?.transpose();
        found.map_err(|e| self.trouble(&e))
    }

    /// All that lies below a path that has few, or what comes after one of them by its name.
    pub async fn list_all(
        &self,
        below: &Path,
        after: Option<&Path>,
    ) -> Result<Vec<ObjectMeta>, Trouble> {
        let work = async {
            let mut all = Vec::new();
            let service = self.service.get()?;
            let mut listed = match after {
                Some(after) => service.list_with_offset(Some(below), after),
                None => service.list(Some(below)),
            };
            while let Some(found) = listed.next().await {
                all.push(found?);
            }
            Ok(all)
        };
        let patience = self.timeout * 4;
        Ok(self
            .ask(Operation::List, below, patience, work)
            .await?
            .unwrap_or_default())
    }

    /// When the service says that it last wrote an object, by its own clock.
    pub async fn written_at(&self, path: &Path) -> Result<Option<std::time::SystemTime>, Trouble> {
        let work = async { self.service.get()?.head(path).await };
        let head = self.ask(Operation::Get, path, self.timeout, work).await?;
        Ok(head.map(|head| head.last_modified.into()))
    }

    /// There was no answer in time.
    pub fn late(&self) -> Trouble {
        Trouble::Late(self.access.unanswered())
    }

    /// What a failure of the service is to us, in words for operators.
    pub fn trouble(&self, e: &Error) -> Trouble {
        let said = self.access.explain(&text(e));
        match e {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Trouble::Denied(said),
            Error::NotImplemented { .. } | Error::NotSupported { .. } => Trouble::Unsupported(said),
            e if says(e, "status code: 501") => Trouble::Unsupported(said),
            _ => Trouble::Failed(said),
        }
    }

    /// Asks, unless the tier is left alone. Nothing comes back where what is asked for is not
    /// there, or the condition does not hold.
    async fn ask<T>(
        &self,
        operation: Operation,
        path: &Path,
        patience: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<T>, Trouble> {
        let asked = self.attempt(self.guard(operation, path), operation, patience, work);
        let (done, verdict) = asked.await?;
        verdict.succeeded();
        self.show();
        Ok(done)
    }

    /// Who says whether this is asked.
    fn guard(&self, operation: Operation, path: &Path) -> &Arc<Guard> {
        match operation {
            _ if self.layout.is_told(path) => &self.told,
            Operation::Put | Operation::Delete => &self.writes,
            Operation::Get | Operation::List => &self.documents,
        }
    }

    /// The same for what is not over with the answer.
    async fn attempt<T>(
        &self,
        guard: &Arc<Guard>,
        operation: Operation,
        patience: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<(Option<T>, Verdict), Trouble> {
        let Some(verdict) = guard.admit() else {
            self.count(operation, "open");
            return Err(Trouble::Open);
        };
        let answer = match timeout(patience, work).await {
            Err(_) => Err((self.late(), "late")),
            Ok(Ok(done)) => Ok((Some(done), "ok")),
            // Elsewhere it is the bucket that is not there.
            Ok(Err(Error::NotFound { .. }))
                if matches!(operation, Operation::Get | Operation::Delete) =>
            {
                Ok((None, "absent"))
            }
            Ok(Err(Error::AlreadyExists { .. } | Error::Precondition { .. })) => {
                Ok((None, "conflict"))
            }
            Ok(Err(e)) => {
                let trouble = self.trouble(&e);
                // It is found out by trying: who does not know conditions on writes is well.
                let outcome = match trouble {
                    Trouble::Unsupported(_) => "unsupported",
                    _ => "failed",
                };
                Err((trouble, outcome))
            }
        };
        match answer {
            Ok((done, outcome)) => {
                self.count(operation, outcome);
                Ok((done, verdict))
            }
            Err((trouble, outcome)) => {
                verdict.failed(&trouble.to_string());
                self.count(operation, outcome);
                Err(trouble)
            }
        }
    }

    fn count(&self, operation: Operation, outcome: &str) {
        let labels = [operation.label(), outcome];
        self.stats.requests.with_label_values(&labels).inc();
        self.show();
    }

    /// Shows operators whether it is left alone.
    fn show(&self) {
        let guards = [&self.documents, &self.writes, &self.told, &self.runs];
        let worst = guards.map(|guard| guard.state().gauge()).into_iter().max();
        self.stats.breaker.set(worst.unwrap_or(0));
    }
}

/// Whether what is asked for begins behind the end. The client gives no status out, but says it.
fn is_behind_the_end(e: &Error) -> bool {
    says(e, "status code: 416") || says(e, "Wanted range starting at")
}

/// Whether an error, or a cause of it, has this in its words.
fn says(e: &Error, what: &str) -> bool {
    let first = e as &(dyn std::error::Error + 'static);
    let mut causes = std::iter::successors(Some(first), |e| e.source());
    causes.any(|e| e.to_string().contains(what))
}

/// A failure that we have found ourselves.
fn own(what: &'static str) -> Error {
    Error::Generic {
        store: "tier",
        source: what.into(),
    }
}

/// What their errors say.
fn text(e: &Error) -> String {
    match e {
        // It is our own: what it is about need not be said twice.
        Error::Generic {
            store: "tier",
            source,
        } => source.to_string(),
        e => e.to_string(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use object_store::memory::InMemory;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A tier with nothing in it.
    pub fn tier() -> Remote {
        Remote::new(
            Service::Open(Arc::new(InMemory::new())),
            Layout::new("t"),
            Access::default(),
            PATIENCE,
            Stats::default(),
        )
    }

    #[tokio::test]
    async fn a_document_that_is_too_large_is_read_as_none() {
        let remote = tier();
        let path = remote.layout().fleet();
        let largest = LARGEST as usize;
        for (size, expected) in [(0, 0), (7, 7), (largest, largest), (largest + 1, 0)] {
            remote.put(&path, vec![7; size].into()).await.unwrap();
            let (document, version) = remote.get(&path).await.unwrap().unwrap();
            assert_eq!(document.len(), expected);
            // Such as can be read may take its place.
            let put = remote.put_if(&path, vec![7].into(), PutMode::Update(version));
            assert_eq!(put.await, Ok(Put::Done));
        }
        let too_large = vec![7; largest + 1].into();
        let put = remote.put_if(&path, too_large, PutMode::Create).await;
        assert!(matches!(put, Err(Trouble::Unsupported(_))), "{put:?}");
    }
}
