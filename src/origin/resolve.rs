//! Names of servers turned into addresses, with a deadline and a short memory.

use parking_lot::Mutex;
use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Remembers what names resolved to. Its table is bounded by the configuration, which is where
/// names come from.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    known: Mutex<HashMap<(String, u16), (SocketAddr, Instant)>>,
}

/// How long an answer is used: the system's resolver does not tell its time to live.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Resolver {
    /// An address of `host`. When resolving fails an older answer is better than none.
    pub async fn resolve(&self, host: &str, port: u16) -> io::Result<SocketAddr> {
        if let Ok(ip) = host.parse() {
            return Ok(SocketAddr::new(ip, port));
        }
        let key = (host.to_owned(), port);
        let known = self.known.lock().get(&key).copied();
        if let Some((address, _)) = known.filter(|(_, when)| when.elapsed() < REMEMBERED) {
            return Ok(address);
        }
        match ask(host, port).await {
            Ok(address) => {
                self.known.lock().insert(key, (address, Instant::now()));
                Ok(address)
            }
            Err(e) => known.map(|(address, _)| address).ok_or(e),
        }
    }
}

async fn ask(host: &str, port: u16) -> io::Result<SocketAddr> {
    let answer = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((host, port)));
    let mut addresses = answer
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    addresses
        .next()
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}
