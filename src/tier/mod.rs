//! The second tier: an object store that a fleet of edges shares, behind the disk of each.
//!
//! What one edge has fetched, all have: chunks go up in runs, behind, and come down when another
//! edge lacks them. The engine is one that others run and trust; this room only says what things
//! are called there, and when they count.
//!
//! ```text
//!   a look-up finds nothing here ──► recall: the manifest there ──► an object without chunks
//!   a chunk is missing here ───────► runs there, checked ──► else the origin
//!   a chunk has come in here ──────► waits for its neighbours ──► a run there, then its manifest
//!   a purge ───────────────────────► a number in the tier ──► every edge carries it out
//! ```
//!
//! What this room promises: a byte from the tier is one that an origin has sent for that version
//! of that object, or it is not given out: runs belong to one version, each chunk is checked.
//! What was purged does not come back, whoever is uploading at that moment and whichever edge was
//! off. A tier that is slow, throttles, fails or lies costs time, and no more of it than it usually
//! takes itself; nobody waits for an upload.
//!
//! | file | what it holds |
//! |---|---|
//! | `entry.rs`, `history.rs`, `meant.rs`, `pieces.rs`, `pending.rs`, `doubts.rs`, `stuck.rs`, `layout.rs` | pure: manifests there, purges, what comes from where, what goes up when, what was damaged, what the disk refused, names |
//! | `open.rs`, `remote.rs`, `guard.rs`, `advice.rs`, `stats.rs` | the service, with deadlines, breakers and counters; its failures in words |
//! | `lookup.rs`, `source.rs`, `body.rs`, `reading.rs`, `progress.rs` | reading, and what traces are told of it |
//! | `upload.rs` | writing, when the processors have time for it |
//! | `fleet.rs`, `purge_log.rs`, `purges.rs`, `untold.rs`, `hearsay.rs` | whose it is; purges across the fleet |
//! | `probe.rs`, `folders.rs`, `survey.rs` | trying it; housekeeping |

mod advice;
mod body;
mod config;
mod doubts;
mod entry;
mod fleet;
mod folders;
mod guard;
mod hearsay;
mod history;
mod layout;
mod lookup;
mod meant;
mod open;
mod pending;
mod pieces;
mod probe;
mod progress;
mod purge_log;
mod purges;
mod reading;
mod remote;
mod source;
mod stats;
mod stuck;
mod survey;
mod untold;
mod upload;

pub use config::{Config, OnError, Place};
pub use entry::{Entry, Run};
pub use fleet::Stranger;
pub use layout::Layout;
pub use open::{OpenError, open};
pub use probe::{Findings, Stored, probe};
pub use remote::{Remote, Trouble};
pub use source::Tiered;
pub use stats::{Condition, Stats};
pub use survey::{Erase, Report, SoFar, Task, survey};

use crate::{domain::count_of, fill::Anteroom, store::Store, traffic::Lull};
use hearsay::Hearsay;
use history::{History, Notice};
use lookup::Lookup;
use parking_lot::Mutex;
use pending::Pending;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use stuck::Stuck;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use untold::Ledger;

/// Runs at a time that are waited for only to learn how long they take: more teach no more.
const MOST_LATE: usize = 8;

/// The tier of one store.
#[derive(Debug)]
pub struct Tier {
    config: Config,
    remote: Arc<Remote>,
    store: Arc<Store>,
    lookup: Arc<Lookup>,
    history: Arc<Mutex<History>>,
    ledger: Ledger,
    /// What a process before this one has not told the fleet of, and may not have done itself.
    inherited: Mutex<Vec<Notice>>,
    pending: Mutex<Pending>,
    /// For what goes up.
    lull: Lull,
    /// Runs that were taken of what waits and are not sent yet.
    unsent: AtomicUsize,
    /// For what is being gathered for those who wait for it.
    anteroom: Anteroom,
    /// For what is read ahead, in KiB.
    ahead: Arc<Semaphore>,
    /// For runs that nobody waits for any more, to learn how long they take.
    late: Arc<Semaphore>,
    /// Who this edge is, to operators.
    name: String,
    /// Whether it is ours, and its purges are known.
    ready: AtomicBool,
    /// Since when there may have been purges that are not known here, until they have been once.
    began: Instant,
    has_joined: AtomicBool,
    /// Which log of purges it is.
    log: u32,
    /// The last purge of the fleet that was carried out here.
    carried_out: AtomicU64,
    /// Those that the disk has refused.
    stuck: Mutex<Stuck>,
    /// What others say of later ones.
    hearsay: Hearsay,
    /// Purges and writes of our own that are being carried out, and whether one of them failed.
    under_way: AtomicUsize,
    failed: AtomicBool,
    /// It has been said that uploads are not allowed.
    is_denied: AtomicBool,
    /// It has been said that the edges' chunks are of different sizes.
    is_cut_otherwise: AtomicBool,
    news: Notify,
    hurry: Notify,
}

impl Tier {
    /// A tier for a store, which is not in use before [`Tier::begin`].
    ///
    /// # Errors
    /// Fails where the settings lead to no service.
    pub fn new(
        config: Config,
        store: Arc<Store>,
        anteroom: Anteroom,
        version: Arc<AtomicU32>,
        lull: Lull,
        name: String,
    ) -> Result<Arc<Self>, OpenError> {
        let remote = Arc::new(open(&config, Stats::default())?);
        let (ledger, owed) = Ledger::take_over(&store.config().directory);
        let inherited = owed.notices.clone();
        let mut history = History::default();
        history.inherit(owed);
        remote.stats().untold.set(history.untold() as i64);
        let history = Arc::new(Mutex::new(history));
        Ok(Arc::new(Self {
            lookup: Lookup::new(remote.clone(), history.clone(), version, &config),
            pending: Mutex::new(Pending::new(config.queue, config.linger)),
            lull,
            unsent: AtomicUsize::new(0),
            anteroom,
            ahead: Arc::new(Semaphore::new((config.ahead / 1024) as usize)),
            late: Arc::new(Semaphore::new(MOST_LATE)),
            log: config.log(),
            config,
            remote,
            store,
            history,
            ledger,
            inherited: Mutex::new(inherited),
            name,
            ready: AtomicBool::new(false),
            began: Instant::now(),
            has_joined: AtomicBool::new(false),
            carried_out: AtomicU64::new(0),
            stuck: Mutex::default(),
            hearsay: Hearsay::default(),
            under_way: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            is_denied: AtomicBool::new(false),
            is_cut_otherwise: AtomicBool::new(false),
            news: Notify::new(),
            hurry: Notify::new(),
        }))
    }

    /// Begins to use it. Where it can't be used now, that is tried again behind, unless the
    /// settings say otherwise.
    ///
    /// # Errors
    /// Fails where it can't be used and is not to be done without.
    pub async fn begin(self: &Arc<Self>) -> Result<(), Stranger> {
        self.store.tell(self.clone());
        let joined = timeout(self.config.timeout * 2, self.join()).await;
        let failed = joined.unwrap_or(Err(self.remote().late().into())).err();
        if let Some(why) = &failed {
            if self.config.on_error == OnError::Refuse {
                return Err(why.clone());
            }
            log::warn!(
                "{why}; it is done without the tier for now, and what is stored here already may have been purged: before it is served the origin is asked, once for each object"
            );
        }
        tokio::spawn(self.clone().follow(failed));
        tokio::spawn(self.clone().upload());
        Ok(())
    }

    /// Uploads what waits, within this time.
    pub async fn finish(&self, within: Duration) {
        self.pending.lock().hurry();
        self.hurry.notify_one();
        // One that is not in use takes nothing.
        let within = if self.is_ready() {
            within
        } else {
            Duration::ZERO
        };
        let done = async {
            while !self.pending.lock().is_done() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(within, done).await.is_err() {
            let left = self.pending.lock().len();
            if left > 0 {
                let left = count_of(left as u64, "run");
                log::warn!("not uploaded to the tier before the end: {left} of chunks");
            }
        }
    }

    /// Settings in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What is counted.
    pub fn stats(&self) -> &Stats {
        self.remote.stats()
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Relaxed)
    }

    fn remote(&self) -> &Remote {
        &self.remote
    }

    fn store(&self) -> &Arc<Store> {
        &self.store
    }

    fn lookup(&self) -> &Arc<Lookup> {
        &self.lookup
    }

    /// How long the first bytes of a run are waited for before the origin is asked, too.
    fn patience(&self) -> Duration {
        let usual = self.remote.usual();
        let patience = usual.map_or(self.config.patience, reading::patience);
        patience.min(self.config.timeout)
    }

    /// Room to read so many bytes ahead, if there is any.
    fn room_ahead(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(bytes.div_ceil(1024)).ok()?;
        self.ahead.clone().try_acquire_many_owned(kib).ok()
    }
}
