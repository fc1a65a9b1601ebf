//! Building, running and draining a process.

mod settings;
pub use settings::{Admin, Listen, Server, Settings, Tls};

use std::net::SocketAddr;

/// Why a process could not start.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(String);

/// A Tidegate that serves; dropping it without [`Running::stop`] leaves it serving.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
}

/// Binds, opens the store and serves, on the tokio runtime of the caller.
pub async fn start(_settings: Settings) -> Result<Running, StartError> {
    Err(StartError("not built yet".into()))
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

    /// Stops accepting, lets running answers end within the drain time, closes the store.
    pub async fn stop(self) {}
}
