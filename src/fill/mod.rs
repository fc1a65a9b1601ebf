//! Each missing chunk once: flights, read-ahead, and the transfer task.
//!
//! A fill is a detached task and never a client's request. It belongs to one generation of one
//! object, brings neighbouring chunks with one request to the source, and ends at the edge of a
//! chunk when nobody wants more. Readers follow the bytes as they arrive.
//!
//! What this room promises: a chunk is fetched by one flight at a time; bytes of two versions
//! never meet, since every request carries the generation's validator and every answer is checked
//! against it; what one reader does or fails to do never holds up another; every wait ends.

mod anteroom;
mod board;
mod budget;
mod catalogue;
mod chunk_buffer;
mod config;
mod cursor;
mod detached;
mod disk_ahead;
mod doubts;
mod flights;
mod gather;
mod intake;
mod keeping;
mod read_ahead;
mod scene;
mod screening;
mod stats;
#[cfg(test)]
mod tests;
mod transfer;
mod unkept;
mod verdict;
mod visit;
mod workers;

pub use crate::source::{Body, Detachable, Need};
pub use anteroom::Anteroom;
pub use board::{Board, Coverage};
pub use catalogue::Catalogue;
pub use config::{Config, FinishWhen};
pub use cursor::{Cursor, Tally};
pub use doubts::Doubts;
pub use gather::Gathered;
pub use intake::{Flow, Intake};
pub use scene::{Scene, Transfer, UnderWay};
pub use stats::Stats;
pub use verdict::{Verdict, judge};
pub use visit::Visit;
pub use workers::Workers;

use crate::{
    source::{Request, Sink, Source, SourceError},
    store::{Object, Store, WeakMap},
    traces::Trace,
};
use budget::InFlight;
use keeping::Keeping;
use parking_lot::{Mutex, RwLock};
use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};
use unkept::Unkept;

/// The fills of one store.
#[derive(Debug)]
pub struct Fills {
    store: Arc<Store>,
    config: RwLock<Config>,
    in_flight: InFlight,
    keeping: Keeping,
    anteroom: Anteroom,
    unkept: Unkept,
    doubts: Doubts,
    boards: Mutex<WeakMap<u64, Board>>,
    sink: OnceLock<Arc<dyn Sink>>,
    workers: Workers,
    stats: Stats,
}

/// What a fill is run for: where to ask, and what to do when nobody reads any more.
#[derive(Clone, Debug)]
pub struct Errand {
    /// Where the object comes from.
    pub source: Arc<dyn Source>,
    /// How to ask for it.
    pub request: Arc<Request>,
    /// Who may know of objects that are not stored here; they are shared then.
    pub catalogue: Option<Arc<dyn Catalogue>>,
    /// What becomes of a fill whose last reader has left.
    pub finish_when: FinishWhen,
    /// Whether the next window is fetched while the one before it is still coming in.
    pub parallel: bool,
    /// Whose request it is for, as far as that counts.
    pub client: Option<IpAddr>,
}

impl Errand {
    /// The part of a trace that it is run for, where there is one.
    pub fn trace(&self) -> Option<&Arc<Trace>> {
        self.request.trace()
    }
}

/// Why a chunk did not come.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FillError {
    /// The source's version is another by now.
    #[error("the origin has another version")]
    Changed,
    /// The chunk is gone, and parts of this object can't be asked for.
    #[error("a chunk is gone and the object can only be fetched as a whole")]
    Lost,
    /// The budget of bytes in flight stayed exhausted.
    #[error("too many bytes in flight")]
    Busy,
    /// The source was not asked; when it is worth another try.
    #[error("the origin is at its limit or left alone")]
    NotAsked(std::time::Duration),
    /// Nothing came in time.
    #[error("no byte came in time")]
    TimedOut,
    /// The source answered with a status that is of no use.
    #[error("the origin answered {0}")]
    Refused(http::StatusCode),
    /// The source's answer contradicts itself or the object.
    #[error("the origin's answer is not to be trusted: {0}")]
    Lying(crate::domain::Fault),
    /// The transfer broke.
    #[error("the transfer broke: {0}")]
    Broken(String),
}

impl FillError {
    /// What it is called in logs: a word of a closed set.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Lost => "lost",
            Self::Busy => "budget",
            Self::NotAsked(_) => "not_asked",
            Self::TimedOut => "timeout",
            Self::Refused(_) => "status",
            Self::Lying(_) => "untrusted",
            Self::Broken(_) => "broken",
        }
    }
}

impl From<SourceError> for FillError {
    fn from(e: SourceError) -> Self {
        match e {
            SourceError::TimedOut(_) => Self::TimedOut,
            SourceError::Busy { retry_after, .. } => Self::NotAsked(retry_after),
            SourceError::Unreachable(_) | SourceError::Broken(_) => Self::Broken(e.to_string()),
        }
    }
}

impl Fills {
    /// Fills into `store`, by these threads.
    pub fn new(store: Arc<Store>, config: Config, workers: Workers) -> Arc<Self> {
        let stats = Stats::default();
        let waits = stats.waits.with_label_values(&["unchecked"]);
        Arc::new(Self {
            anteroom: Anteroom::new(config.in_flight, waits),
            unkept: Unkept::new(config.in_flight / 2),
            doubts: Doubts::new(),
            in_flight: InFlight::new(config.in_flight, store.config().chunk_size),
            keeping: Keeping::default(),
            store,
            config: RwLock::new(config),
            boards: Mutex::default(),
            sink: OnceLock::new(),
            workers,
            stats,
        })
    }

    /// Has the store keep what came in before it knew how full its disk is, each time that it has
    /// learnt it.
    pub async fn keep_when_it_is_known(self: Arc<Self>) {
        let mut is_known = self.store.recovery();
        loop {
            if *is_known.borrow_and_update() {
                self.keep_what_waits();
            }
            if is_known.changed().await.is_err() {
                return;
            }
        }
    }

    /// Has something done that nobody's answer hangs on alone.
    fn run(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.workers.run(work);
    }

    /// Complete chunks of objects that are shared are offered there from now on.
    pub fn offer_to(&self, sink: Arc<dyn Sink>) {
        let _ = self.sink.set(sink);
    }

    /// Where they are offered.
    pub fn sink(&self) -> Option<&Arc<dyn Sink>> {
        self.sink.get()
    }

    /// Room for what a source has to check before it gives it out.
    pub fn anteroom(&self) -> &Anteroom {
        &self.anteroom
    }

    /// The store that is filled.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The settings in force.
    pub fn config(&self) -> Config {
        self.config.read().clone()
    }

    /// Other settings from now on, but for the bytes in flight: who holds some has them.
    pub fn set_config(&self, config: Config) {
        *self.config.write() = config;
    }

    /// What has happened so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// What caches before the origin differ about.
    pub fn doubts(&self) -> &Doubts {
        &self.doubts
    }

    /// Has lookups not find an object any more that lacks something for good. Those who read it have
    /// what is there of it: what lacks may have made room behind them.
    pub fn withdraw(&self, board: &Board) {
        board.withdraw();
        let _ = self.remove_abandoned(board);
    }

    /// A withdrawn object goes with its last reader; whether it did.
    fn remove_abandoned(&self, board: &Board) -> bool {
        let is_abandoned = board.is_abandoned();
        if is_abandoned {
            self.store.remove(board.object());
        }
        is_abandoned
    }

    /// The board of an object's generation.
    pub fn board(&self, object: &Arc<Object>) -> Arc<Board> {
        let mut boards = self.boards.lock();
        boards.get_or_insert_with(object.generation(), || {
            let room = self.in_flight.of_one_object(object.chunk_size());
            Arc::new(Board::new(object.clone(), room))
        })
    }
}

/// The runtime's clock, which tests may stop.
fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}
