//! Building, running and draining a process.
//!
//! Pingora's `Server` is not used: it sleeps through its whole grace period even when nothing
//! runs, tells nobody which port it got, and panics where a port is taken. Its services are: they
//! are started here with sockets that are already bound, on the runtime of the caller.

mod build;
mod certificates;
mod door;
mod files;
mod lanes;
pub mod listener;
mod proxy_protocol;
mod run;
mod settings;
mod table;

pub use run::{RunError, run};
pub use settings::{Admin, Certificate, Listen, Server, Settings, Tls};

use crate::{
    admin,
    cache::ChunkStorage,
    logs::{self, Logs},
    origin::{LoadError, OriginError},
    store::OpenError,
};
use lanes::Lanes;
use listener::BindError;
use std::{
    io,
    net::SocketAddr,
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
    /// A log can't be begun.
    #[error(transparent)]
    Log(#[from] logs::OpenError),
    /// The cache directory can't be used.
    #[error(transparent)]
    Store(#[from] OpenError),
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

/// A Tidegate that serves; dropping it without [`Running::stop`] leaves it serving.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    shutdown: watch::Sender<bool>,
    admin_shutdown: watch::Sender<bool>,
    state: Arc<admin::State>,
    active: Arc<AtomicUsize>,
    storage: &'static ChunkStorage,
    drain: Duration,
    table: Table,
    lanes: Arc<Lanes>,
    logs: Logs,
}

/// How often it is looked whether the last answer has ended.
const DRAIN_TICK: Duration = Duration::from_millis(20);

/// Binds, opens the store and serves, on the tokio runtime of the caller.
pub async fn start(settings: Settings) -> Result<Running, StartError> {
    let logs = Logs::open(&settings.log)?;
    build::start(settings, logs).await
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

    /// Puts a configuration's origins, routes and rules of the logs in the place of those in force,
    /// all or none. Requests under way keep theirs; an origin that is the same keeps its record.
    pub fn reload(&self, settings: &Settings) -> Result<(), StartError> {
        self.table.load(settings)?;
        self.logs.reload(&settings.log);
        self.logs.conceal(settings.secret_parameters());
        Ok(())
    }

    /// The logs.
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// Stops accepting, lets running answers end within the drain time, closes the store.
    pub async fn stop(self) {
        self.state.drain();
        self.shutdown.send_replace(true);
        let began = Instant::now();
        while self.active.load(SeqCst) > 0 && began.elapsed() < self.drain {
            tokio::time::sleep(DRAIN_TICK).await;
        }
        let left = self.active.load(SeqCst);
        if left > 0 {
            log::warn!(
                "{left} answers were not at their end after {:?} and are cut",
                self.drain
            );
        }
        self.storage.fills().store().close().await;
        self.admin_shutdown.send_replace(true);
        self.lanes.stop();
        let logs = self.logs;
        // A disk that hangs may make it wait.
        let _ = tokio::task::spawn_blocking(move || logs.flush()).await;
    }
}
