//! Building, running and draining a process.
//!
//! Pingora's `Server` is not used: it sleeps through its whole grace period even when nothing
//! runs, tells nobody which port it got, and panics where a port is taken. Its services are: they
//! are started here with sockets that are already bound, on the runtime of the caller.

mod build;
mod certificates;
mod clock;
mod count;
mod desk;
mod door;
mod events;
mod expiry;
mod files;
mod handover;
mod inherited;
mod lanes;
pub mod listener;
mod listening;
mod live;
mod notify;
mod proxy_protocol;
mod run;
mod settings;
mod sockets;
mod table;
mod token;

pub use expiry::{TlsTrouble, tls_trouble};
pub use handover::{HandoverError, say_failed};
pub use inherited::InheritError;
pub use run::{RunError, run};
pub use settings::{Admin, Certificate, Listen, Server, Settings, Tls};
pub use token::token_complaints;

use crate::{
    admin,
    cache::ChunkStorage,
    logs::{self, Logs},
    origin::{LoadError, OriginError},
    store::OpenError,
    tier::{self, Tier},
};
use desk::Owed;
use inherited::Inherited;
use lanes::Lanes;
use listener::BindError;
use listening::Listening;
use live::Live;
use parking_lot::Mutex;
use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use table::Table;
use tokio::sync::watch;

/// Why a process could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address can't be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The sockets that were passed are not those of the configuration.
    #[error(transparent)]
    Inherit(#[from] InheritError),
    /// The process that was to be taken over from did not agree.
    #[error(transparent)]
    Handover(#[from] HandoverError),
    /// The system has no more files.
    #[error("the system refuses: {0}")]
    System(#[source] io::Error),
    /// A log can't be begun.
    #[error(transparent)]
    Log(#[from] logs::OpenError),
    /// The cache directory can't be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The settings of the tier lead nowhere.
    #[error("tier: {0}")]
    TierSettings(#[from] tier::OpenError),
    /// The tier can't be used, and is not to be done without.
    #[error("tier: {0}")]
    Tier(#[from] tier::Stranger),
    /// A certificate or key can't be used.
    #[error("TLS for {address}: {reason}")]
    Tls {
        /// The listener's address.
        address: SocketAddr,
        /// What is wrong with its files.
        reason: String,
    },
    /// The names of origins can't be resolved: what is wrong with the resolver's settings.
    #[error("resolver: {0}")]
    Resolver(#[from] std::io::Error),
    /// An origin's certificates or secrets can't be used.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// The secret of the way past the cache can't be had.
    #[error("clients.bypass: {0}")]
    Bypass(#[from] LoadError),
    /// A secret that the collector of traces is to be shown can't be had.
    #[error("traces.headers: {0}")]
    Traces(#[source] LoadError),
    /// A key for the tokens of a route can't be had.
    #[error("routes[{at}].access.signed: {reason}")]
    Signed {
        /// Which route.
        at: usize,
        /// Why not.
        reason: LoadError,
    },
    /// The system gives no more threads.
    #[error("server.threads: {0}")]
    Threads(io::Error),
    /// The metrics could not be set up.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A Tidegate that serves. Dropped without [`Running::stop`] it accepts nobody any more.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    shutdown: watch::Sender<bool>,
    admin_shutdown: watch::Sender<bool>,
    listening: Listening,
    admin_listening: Listening,
    owed: Owed,
    state: Arc<admin::State>,
    active: Arc<AtomicUsize>,
    /// To be handed over. They listen as long as they are here.
    sockets: Vec<TcpListener>,
    storage: &'static ChunkStorage,
    tier: Option<Arc<Tier>>,
    drain: Mutex<Duration>,
    table: Table,
    live: Live,
    lanes: Arc<Lanes>,
    logs: Logs,
}

/// How often it is looked whether the last answer has ended.
const DRAIN_TICK: Duration = Duration::from_millis(20);

/// How long those who have just connected are waited for to ask something.
const FIRST_WORDS: Duration = Duration::from_secs(1);

/// Longest wait at the end for what is to go up into the tier.
const UPLOADS: Duration = Duration::from_secs(10);

/// How long the last spans of traces have to be sent, at least.
const LAST_SPANS: Duration = Duration::from_secs(1);

/// Binds, opens the store and serves, on the tokio runtime of the caller.
pub async fn start(settings: Settings) -> Result<Running, StartError> {
    let logs = Logs::open(&settings.log)?;
    build::start(settings, logs, Inherited::default(), None).await
}

impl Running {
    /// The bound client addresses, in the order of the settings, with their real ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The bound admin address, with its real port.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Puts a configuration in the place of the one in force, all or nothing, as far as
    /// [`Settings::reloaded`] lets it change. Requests under way keep their route; an origin that is
    /// the same keeps its record.
    pub fn reload(&self, settings: &Settings) -> Result<(), StartError> {
        let prepared = self.live.prepare(settings)?;
        self.table.load(settings)?;
        self.live.apply(settings, prepared);
        *self.drain.lock() = settings.server.drain;
        self.logs.reload(&settings.log);
        self.logs.conceal(settings.secret_parameters());
        Ok(())
    }

    /// The logs.
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// The listening sockets, for another process.
    fn sockets(&self) -> io::Result<Vec<TcpListener>> {
        self.sockets.iter().map(TcpListener::try_clone).collect()
    }

    /// Takes no more connections of operators: another process does. Who has asked this one is
    /// answered, and not told that nobody serves here.
    async fn leave_admin(&mut self) {
        self.admin_shutdown.send_replace(true);
        self.admin_listening.end().await;
    }

    /// Whether another process answers operators.
    fn has_left_admin(&self) -> bool {
        *self.admin_shutdown.borrow()
    }

    /// Stops accepting, lets running answers end within the drain time, closes the store.
    pub async fn stop(self) {
        let drain = *self.drain.lock();
        self.stop_within(drain).await;
    }

    /// The same with another limit.
    async fn stop_within(mut self, drain: Duration) {
        let is_replaced = self.has_left_admin();
        if !is_replaced {
            self.state.drain();
        }
        self.sockets.clear();
        let clientele = &self.live.clientele;
        clientele.is_replaced.store(is_replaced, SeqCst);
        self.shutdown.send_replace(true);
        let began = Instant::now();
        self.listening.end().await;
        let ended = Instant::now();
        let is_done = || {
            let patient = ended.elapsed() < FIRST_WORDS;
            // Where another process serves nobody waits for this one, and each head has its time.
            let beginning = (patient || is_replaced) && clientele.beginning.now() > 0;
            let operators = is_replaced && !self.owed.none(patient);
            // Over HTTP/2 an answer is at its end before its last bytes are with the client.
            let pausing = is_replaced && clientele.kept.now() > 0;
            let waiting = beginning || operators || pausing || clientele.http2.now() > 0;
            self.active.load(SeqCst) == 0 && !waiting
        };
        while !is_done() && began.elapsed() < drain {
            tokio::time::sleep(DRAIN_TICK).await;
        }
        let left = self.active.load(SeqCst);
        if left > 0 {
            log::warn!("{left} answers were not at their end after {drain:?} and are cut");
        }
        self.storage.fills().settle().await;
        if let Some(tier) = &self.tier {
            // What clients did not need of the time is for what waits to go up.
            let left = drain.saturating_sub(began.elapsed());
            tier.finish(left.min(UPLOADS)).await;
        }
        self.storage.fills().store().close().await;
        let left = drain.saturating_sub(began.elapsed());
        self.live.exporter.end(left.max(LAST_SPANS)).await;
        if !is_replaced {
            self.leave_admin().await;
            let late = Instant::now() + FIRST_WORDS;
            while !self.owed.none(false) && Instant::now() < late {
                tokio::time::sleep(DRAIN_TICK).await;
            }
        }
        self.lanes.stop();
        let logs = self.logs;
        // A disk that hangs may make it wait.
        let _ = tokio::task::spawn_blocking(move || logs.flush()).await;
    }
}
