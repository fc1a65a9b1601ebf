//! Pingora's services while they accept connections.

use futures_util::future::join_all;
use pingora_core::{
    server::{ListenFds, ShutdownWatch},
    services::Service,
};
use std::time::Duration;
use tokio::{task::JoinHandle, time::timeout};

/// Services that accept connections until they are told to stop; dropped, they go on.
#[derive(Debug)]
pub(super) struct Listening(Vec<JoinHandle<()>>);

/// The longest wait for services that were told to stop: they only have to hear it.
const HEARING: Duration = Duration::from_secs(1);

/// How long a connection that was accepted last may take to be counted: a margin, as nothing tells.
const COUNTED: Duration = Duration::from_millis(20);

impl Listening {
    /// Starts them with sockets that are in the table.
    pub fn start(
        services: Vec<Box<dyn Service>>,
        fds: &ListenFds,
        shutdown: &ShutdownWatch,
    ) -> Self {
        let started = services.into_iter().map(|mut service| {
            let (fds, shutdown) = (fds.clone(), shutdown.clone());
            tokio::spawn(async move { service.start_service(Some(fds), shutdown, 1).await })
        });
        Self(started.collect())
    }

    /// Waits, once they were told to stop, until none accepts any more, and what was accepted last
    /// is counted: each connection is begun by a task of its own.
    pub async fn ended(&mut self) {
        let _ = timeout(HEARING, join_all(self.0.drain(..))).await;
        tokio::time::sleep(COUNTED).await;
    }
}
