//! What the tier has of an object: asked once for all who want to know, and remembered.

use super::{
    config::Config,
    doubts::Doubts,
    entry::Entry,
    history::{History, Standing},
    progress::now,
    remote::Remote,
    stats::Outcome,
};
use crate::{
    store::ObjectId,
    traces::{Attributes, Step, Told, Trace},
    traffic::Latency,
};
use lru::LruCache;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{sync::watch, time::timeout};

/// Look-ups in the tier.
#[derive(Debug)]
pub struct Lookup {
    remote: Arc<Remote>,
    history: Arc<Mutex<History>>,
    version: Arc<AtomicU32>,
    patience: Duration,
    negative: Duration,
    known: Mutex<Known>,
    doubts: Mutex<Doubts>,
    flying: Mutex<HashMap<ObjectId, watch::Receiver<Answer>>>,
    latency: Mutex<Latency>,
}

/// Nothing yet; then what came of a look-up.
type Answer = Option<Result<Option<Arc<Entry>>, ()>>;

/// What has been found out of late.
#[derive(Debug)]
struct Known {
    entries: LruCache<ObjectId, (Option<Arc<Entry>>, Instant)>,
    /// What the entries weigh, in bytes, about.
    weight: usize,
}

/// Look-ups under way at a time; above it the origin is asked.
const MOST_FLYING: usize = 512;
/// How long what was found is believed: other edges add to it.
const POSITIVE: Duration = Duration::from_secs(60);
/// Bytes of entries that are remembered.
const MOST_WEIGHT: usize = 16 << 20;
/// The least that one weighs.
const LEAST: usize = 300;

/// A quick tier that stumbles is waited for at least so long.
const SHORTEST: Duration = Duration::from_millis(20);

impl Lookup {
    /// Nothing is known yet.
    pub fn new(
        remote: Arc<Remote>,
        history: Arc<Mutex<History>>,
        version: Arc<AtomicU32>,
        config: &Config,
    ) -> Arc<Self> {
        Arc::new(Self {
            remote,
            history,
            version,
            patience: config.patience,
            negative: config.negative,
            known: Mutex::new(Known {
                entries: LruCache::unbounded(),
                weight: 0,
            }),
            doubts: Mutex::default(),
            flying: Mutex::default(),
            latency: Mutex::default(),
        })
    }

    /// The version of the cache whose objects are looked for.
    pub fn version(&self) -> u32 {
        self.version.load(Relaxed)
    }

    /// What the tier has of an object, unless it was purged, and whether it is stale by a purge. It
    /// is waited for no longer than the tier takes for 95 look-ups of 100: what comes later is
    /// remembered for the next.
    pub async fn find(
        self: &Arc<Self>,
        id: ObjectId,
        key: Option<&[u8]>,
        trace: Option<&Arc<Trace>>,
    ) -> Option<(Arc<Entry>, Standing)> {
        let (entry, standing) = match self.believed(id, Instant::now()) {
            Some(known) => known?,
            None => self.judged(self.ask(id, trace).await?),
        };
        if key.is_some_and(|key| entry.object.key != key) {
            return None;
        }
        if standing == Standing::Gone {
            self.remote.stats().looked_up(Outcome::Purged);
            return None;
        }
        Some((entry, standing))
    }

    /// What the tier was found to have of late, unless it was purged.
    pub fn remembered(&self, id: ObjectId) -> Option<Arc<Entry>> {
        let (entry, _) = self.believed(id, Instant::now())??;
        Some(entry)
    }

    /// The same, or that it is not there. Where it was purged since, another edge may have brought
    /// what came after: nothing is known then.
    fn believed(&self, id: ObjectId, now: Instant) -> Option<Option<(Arc<Entry>, Standing)>> {
        let known = self.known(id, now)?.map(|entry| self.judged(entry));
        let is_gone = matches!(known, Some((_, Standing::Gone)));
        (!is_gone).then_some(known)
    }

    /// An entry with what purges have made of it.
    fn judged(&self, entry: Arc<Entry>) -> (Arc<Entry>, Standing) {
        let standing = self.history.lock().standing(&entry.object, entry.purges);
        (entry, standing)
    }

    /// What has been found out of late: that it is there, or that it is not.
    fn known(&self, id: ObjectId, now: Instant) -> Option<Option<Arc<Entry>>> {
        let mut known = self.known.lock();
        let (entry, until) = known.entries.get(&id)?;
        (now < *until).then(|| entry.clone())
    }

    /// Asks the tier, or waits with those who do.
    async fn ask(self: &Arc<Self>, id: ObjectId, trace: Option<&Arc<Trace>>) -> Option<Arc<Entry>> {
        let began = now();
        let (entry, outcome) = match self.wait(id).await {
            Ok(Some(entry)) => (Some(entry), Outcome::Found),
            Ok(None) => (None, Outcome::Absent),
            Err(why) => (None, why),
        };
        self.remote.stats().looked_up(outcome);
        if let Some(trace) = trace {
            trace.step(Step::TierLookup, began..now(), || said(outcome));
        }
        entry
    }

    async fn wait(self: &Arc<Self>, id: ObjectId) -> Result<Option<Arc<Entry>>, Outcome> {
        let mut answer = self.fly(id).ok_or(Outcome::Full)?;
        let answered = timeout(self.patience(), answer.wait_for(Option::is_some)).await;
        let answer = answered.map_err(|_| Outcome::Late)?;
        match answer.ok().and_then(|answer| answer.clone()) {
            Some(Ok(found)) => Ok(found),
            _ => Err(Outcome::Failed),
        }
    }

    /// How long a client may wait for the tier before the origin is asked.
    fn patience(&self) -> Duration {
        let usual = self.latency.lock().quantile(0.95);
        usual
            .unwrap_or(self.patience)
            .max(SHORTEST)
            .min(self.remote.timeout())
    }

    /// The look-up that is under way, or one that begins; nothing where there are too many.
    fn fly(self: &Arc<Self>, id: ObjectId) -> Option<watch::Receiver<Answer>> {
        let mut flying = self.flying.lock();
        if let Some(answer) = flying.get(&id) {
            return Some(answer.clone());
        }
        if flying.len() >= MOST_FLYING {
            return None;
        }
        let (tell, answer) = watch::channel(None);
        flying.insert(id, answer.clone());
        let own = self.clone();
        tokio::spawn(async move {
            let landing = Landing(&own, id);
            let found = own.look(id).await;
            drop(landing);
            tell.send_replace(Some(found));
        });
        Some(answer)
    }

    async fn look(&self, id: ObjectId) -> Result<Option<Arc<Entry>>, ()> {
        let began = Instant::now();
        let path = self.remote.layout().manifest(self.version(), id);
        let got = self.remote.get(&path).await.map_err(|_| ())?;
        let took = began.elapsed();
        self.latency.lock().record(took);
        self.remote
            .stats()
            .lookup_seconds
            .observe(took.as_secs_f64());
        let entry = got.and_then(|(document, _)| {
            let entry = Entry::decode(&document, id, None);
            if entry.is_none() {
                log::warn!("{path} in the tier can't be read: tidegate tier verify says more");
            }
            entry
        });
        let entry = entry.map(Arc::new);
        // What was purged is as good as none, and not asked for again at once either.
        let judged = entry.clone().map(|entry| self.judged(entry));
        let valid = judged.filter(|(_, standing)| *standing != Standing::Gone);
        self.learn(id, valid.map(|(entry, _)| entry), Instant::now());
        Ok(entry)
    }

    /// What the tier has of an object, or that it has nothing.
    pub fn learn(&self, id: ObjectId, entry: Option<Arc<Entry>>, now: Instant) {
        let mut known = self.known.lock();
        let believed = if entry.is_some() {
            POSITIVE
        } else {
            self.negative
        };
        known.weight += weight(entry.as_deref());
        let old = known.entries.push(id, (entry, now + believed));
        if let Some((_, (old, _))) = old {
            known.weight -= weight(old.as_deref());
        }
        while known.weight > MOST_WEIGHT
            && let Some((_, (old, _))) = known.entries.pop_lru()
        {
            known.weight -= weight(old.as_deref());
        }
    }

    /// A run is not what was written. Whether it is the first of its object of which that was found
    /// of late.
    pub fn doubt(&self, id: ObjectId, run: &str) -> bool {
        self.forget(id);
        self.doubts.lock().add(id, run, Instant::now())
    }

    /// What may be read of an object: all but what was found damaged of late.
    pub fn sound(&self, entry: Arc<Entry>) -> Arc<Entry> {
        self.doubts.lock().without(entry, Instant::now())
    }

    /// The runs of an object that were found damaged of late.
    pub fn damaged(&self, id: ObjectId) -> Vec<String> {
        self.doubts.lock().of(id, Instant::now())
    }

    /// What is remembered of an object turned out to be wrong.
    pub fn forget(&self, id: ObjectId) {
        let mut known = self.known.lock();
        if let Some((entry, _)) = known.entries.pop(&id) {
            known.weight -= weight(entry.as_deref());
        }
    }
}

/// What is said of a look-up.
fn said(outcome: Outcome) -> Told {
    let mut attributes: Attributes = vec![("tidegate.outcome", outcome.label().into())];
    let has_failed = outcome == Outcome::Failed;
    if has_failed {
        attributes.push(("error.type", outcome.label().into()));
    }
    Told {
        attributes,
        has_failed,
        link: None,
    }
}

/// A look-up that is under way, however it ends.
struct Landing<'a>(&'a Lookup, ObjectId);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.flying.lock().remove(&self.1);
    }
}

/// About the bytes that an entry takes.
fn weight(entry: Option<&Entry>) -> usize {
    let Some(entry) = entry else {
        return LEAST;
    };
    let runs = entry.runs.iter();
    let runs: usize = runs.map(|run| 80 + 4 * run.checksums.len()).sum();
    let fields = entry.object.meta.headers.iter();
    let fields: usize = fields
        .map(|(name, value)| 64 + name.as_str().len() + value.len())
        .sum();
    LEAST + runs + fields + entry.object.key.len()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            config::Place,
            entry::tests::{entry, key_at},
            history::tests::notice,
            remote::tests::tier,
        },
        *,
    };
    use crate::domain::Selector;

    /// Look-ups in a tier that is empty, and the purges that they know of.
    fn lookup() -> (Arc<Lookup>, Arc<Mutex<History>>) {
        let history = Arc::new(Mutex::new(History::whole()));
        let config = Config::at(Place::Directory { path: "/t".into() });
        let version = Arc::new(AtomicU32::new(1));
        let lookup = Lookup::new(Arc::new(tier()), history.clone(), version, &config);
        (lookup, history)
    }

    /// An object of this version that has survived so many purges.
    fn film(tag: &str, purges: u64) -> Entry {
        let mut film = entry(tag, 1, &[]);
        (film.object.key, film.purges) = (key_at("/film"), purges);
        film
    }

    fn purge(history: &Mutex<History>) {
        let notice = notice(Selector::at("a.example", "/film"), false);
        history.lock().note(notice);
    }

    #[tokio::test]
    async fn what_came_after_a_purge_is_found_at_once() {
        let (lookup, history) = lookup();
        let old = film("\"a\"", 0);
        let (id, path) = (
            old.object.id,
            lookup.remote.layout().manifest(1, old.object.id),
        );
        let put = async |entry: &Entry| {
            let document = entry.encode().into();
            lookup.remote.put(&path, document).await.unwrap();
        };
        put(&old).await;
        let tag = async || {
            let (entry, _) = lookup.find(id, None, None).await?;
            Some(entry.object.meta.headers["etag"].clone())
        };
        assert_eq!(tag().await.unwrap(), "\"a\"");
        purge(&history);
        assert_eq!(lookup.remembered(id), None);
        // Another edge has brought it already.
        put(&film("\"b\"", 1)).await;
        assert_eq!(tag().await.unwrap(), "\"b\"");
        // What is still what was purged is asked for once.
        purge(&history);
        assert_eq!(tag().await, None);
        put(&film("\"c\"", 2)).await;
        assert_eq!(tag().await, None);
        lookup.forget(id);
        assert_eq!(tag().await.unwrap(), "\"c\"");
    }
}
