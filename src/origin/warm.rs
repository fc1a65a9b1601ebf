//! Connections that are opened before it is known whether they will be needed.

use super::{Client, wire::Wire};
use parking_lot::Mutex;
use pingora_core::{
    Result,
    connectors::TransportConnector,
    upstreams::peer::{HttpPeer, Peer},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Connections that wait for their request.
pub(super) struct Warm {
    transport: TransportConnector,
    waiting: Mutex<Vec<Waiting>>,
    last: AtomicU64,
}

struct Waiting {
    id: u64,
    peer: u64,
    wire: Wire,
}

/// A connection that is kept warm as long as this lives, unless a request has taken it.
#[derive(Debug)]
pub struct WarmUp {
    client: Arc<Client>,
    id: u64,
}

/// Connections that may wait at a time; above it none are opened.
const MOST: usize = 64;

impl Default for Warm {
    fn default() -> Self {
        Self {
            transport: TransportConnector::new(None),
            waiting: Mutex::default(),
            last: AtomicU64::new(0),
        }
    }
}

impl Warm {
    /// Opens a new connection for HTTP/1.1.
    pub async fn open(&self, peer: &HttpPeer) -> Result<Wire> {
        let stream = self.transport.new_stream(peer).await?;
        Ok(Wire::http1(stream, peer))
    }

    /// Opens a connection ahead of its request; `None` where that fails or too many wait already.
    pub async fn up(client: &Arc<Client>, peer: HttpPeer) -> Option<WarmUp> {
        let warm = &client.warm;
        if warm.waiting.lock().len() >= MOST {
            return None;
        }
        let wire = warm.open(&peer).await.ok()?;
        let id = warm.last.fetch_add(1, Relaxed);
        warm.waiting.lock().push(Waiting {
            id,
            peer: peer.reuse_hash(),
            wire,
        });
        let client = client.clone();
        Some(WarmUp { client, id })
    }

    /// A connection to this peer, if one waits.
    pub fn take(&self, peer: &HttpPeer) -> Option<Wire> {
        let mut waiting = self.waiting.lock();
        if waiting.is_empty() {
            return None;
        }
        let wanted = peer.reuse_hash();
        let at = waiting.iter().position(|w| w.peer == wanted)?;
        Some(waiting.swap_remove(at).wire)
    }
}

impl Drop for WarmUp {
    fn drop(&mut self) {
        let mut waiting = self.client.warm.waiting.lock();
        let at = waiting.iter().position(|w| w.id == self.id);
        let unused = at.map(|at| waiting.swap_remove(at));
        drop(waiting);
        drop(unused);
    }
}
