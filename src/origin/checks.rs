//! Active health checks: each server is asked from time to time, by itself.

use super::{
    Check, Client, Failure, Origin, Purpose, Server, failure::Cause, health::Change,
    interim::Interim, sending,
};
use http::Method;
use pingora_http::RequestHeader;
use std::sync::{Arc, Weak};
use tokio::{task::JoinHandle, time::timeout};

/// The checks of an origin's servers; they end with this.
#[derive(Debug)]
pub(super) struct Checks(Vec<JoinHandle<()>>);

impl Origin {
    /// Begins to check its servers, where it is set to.
    pub fn start_checks(self: &Arc<Self>, client: &Arc<Client>) {
        let Some(check) = self.config().check.clone() else {
            return;
        };
        let spread = check.interval / self.servers().len().max(1) as u32;
        let task = |(at, server): (usize, &Arc<Server>)| {
            let (origin, client) = (Arc::downgrade(self), client.clone());
            let (server, check) = (server.clone(), check.clone());
            tokio::spawn(async move {
                // Not all at once.
                tokio::time::sleep(spread * at as u32).await;
                watch(origin, client, server, check).await;
            })
        };
        let tasks = self.servers().iter().enumerate().map(task).collect();
        self.keep_checks(Checks(tasks));
    }
}

async fn watch(origin: Weak<Origin>, client: Arc<Client>, server: Arc<Server>, check: Check) {
    loop {
        let Some(origin) = origin.upgrade() else {
            return;
        };
        let found = probe(&origin, &client, &server, &check).await;
        match server.checked(found.is_ok()) {
            Some(Change::BecameHealthy) => {
                log::info!("origin {}: {} is healthy", origin.name(), server.name());
            }
            Some(Change::BecameUnhealthy) => {
                let why = found.err().map_or_else(String::new, |e| e.to_string());
                log::warn!(
                    "origin {}: {} is unhealthy: {why}",
                    origin.name(),
                    server.name()
                );
            }
            None => {}
        }
        drop(origin);
        tokio::time::sleep(check.interval).await;
    }
}

async fn probe(
    origin: &Origin,
    client: &Client,
    server: &Server,
    check: &Check,
) -> Result<(), Failure> {
    let broken = |what: String| Failure::new(Cause::Broken, what);
    let head = RequestHeader::build(Method::GET, check.path.as_bytes(), None);
    let mut head = head.map_err(|e| broken(e.to_string()))?;
    let place = server.place();
    sending::address(origin, place, &mut head)?;
    sending::sign(origin, place, &mut head)?;
    let (name, stats) = (server.name(), client.stats());
    stats.requested(origin.name(), name, Purpose::Check);
    let interim = Interim::nowhere();
    let asked = client.ask(origin, place, Some(&server.addresses), &head, &interim);
    let answered = timeout(check.timeout, async {
        let mut connection = asked.await?;
        let status = connection.wire.head().map(|head| head.status);
        // A little page is read to its end, so that the connection can be kept.
        for _ in 0..PAGE {
            match connection.wire.read_body().await {
                Ok(Some(_)) => {}
                Ok(None) => {
                    client.keep(connection).await;
                    break;
                }
                Err(e) => return Err(Failure::of(&e, name)),
            }
        }
        Ok(status)
    });
    let late = |_| Failure::new(Cause::Timeout, format!("{name}: no answer to a check"));
    match answered.await.map_err(late)?? {
        Some(status) if status == check.status => Ok(()),
        Some(status) => Err(Failure::new(
            Cause::Status(status),
            format!("{name}: {status}"),
        )),
        None => Err(broken(format!("{name}: no head"))),
    }
}

/// Reads of a check's body before its connection is rather closed.
const PAGE: usize = 16;

impl Drop for Checks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}
