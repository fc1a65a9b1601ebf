//! Pingora's services while they accept connections.

use pingora_core::{server::ListenFds, services::Service};
use std::time::Duration;
use tokio::{sync::watch, task::JoinSet, time::timeout};

/// Services that accept connections until they are told to stop.
#[derive(Debug)]
pub(super) struct Listening {
    /// The services, while what they have started accepts.
    services: JoinSet<()>,
    /// Heard by the services, and by the task in which Pingora begins each connection. Such a task
    /// must end as soon as its connection is counted: whoever serves it hears from elsewhere when to
    /// stop.
    stop: watch::Sender<bool>,
}

/// The longest wait for services that were told to stop. They only have to hear it, but one that
/// has found no file free does nothing for a second.
const HEARING: Duration = Duration::from_secs(3);

impl Listening {
    /// Starts them with sockets that are in the table.
    pub fn start(services: Vec<Box<dyn Service>>, fds: &ListenFds) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut started = JoinSet::new();
        for mut service in services {
            let (fds, stopped) = (fds.clone(), stopped.clone());
            started.spawn(async move { service.start_service(Some(fds), stopped, 1).await });
        }
        Self {
            services: started,
            stop,
        }
    }

    /// Has them stop, and waits until none accepts any more and what was accepted last is counted.
    pub async fn end(&mut self) {
        // A service that lives to see that nothing is accepted any more lets go of all clients whose
        // head has not come whole.
        self.services.shutdown().await;
        self.stop.send_replace(true);
        if timeout(HEARING, self.stop.closed()).await.is_err() {
            log::warn!("connections are still accepted, {HEARING:?} after that was to end");
        }
    }
}

#[cfg(test)]
mod tests;
