//! The connections that are open.

use super::{Stream, link::Link};
use lru::LruCache;
use parking_lot::Mutex;
use pingora_core::{
    Error, ErrorType, Result,
    connectors::TransportConnector,
    protocols::{self, ALPN},
    upstreams::peer::{HttpPeer, Peer},
};
use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// Connections by whom they lead to.
pub(in crate::origin) struct Links {
    transport: TransportConnector,
    open: Arc<Mutex<HashMap<u64, Vec<Arc<Link>>>>>,
    /// Who has chosen HTTP/1.1 when offered both, and when.
    declined: Mutex<LruCache<u64, Instant>>,
}

/// What a server has chosen.
pub(in crate::origin) enum Opened {
    /// An exchange over HTTP/2.
    Http2(Box<Stream>),
    /// A connection for HTTP/1.1.
    Http1(protocols::Stream),
}

/// How long a server that has chosen HTTP/1.1 is asked over that without being offered HTTP/2.
const DECLINED: Duration = Duration::from_secs(60);
/// Servers that are remembered for that.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

impl Default for Links {
    fn default() -> Self {
        Self {
            transport: TransportConnector::new(None),
            open: Arc::default(),
            declined: Mutex::new(LruCache::new(REMEMBERED)),
        }
    }
}

impl Links {
    /// Whether this server has chosen HTTP/1.1 of late.
    pub fn is_declined_by(&self, peer: &HttpPeer, now: Instant) -> bool {
        let when = self.declined.lock().get(&peer.reuse_hash()).copied();
        when.is_some_and(|when| now.saturating_duration_since(when) < DECLINED)
    }

    /// Begins an exchange on an open connection, if one can carry it.
    pub fn reuse(&self, peer: &HttpPeer) -> Option<Stream> {
        let mut open = self.open.lock();
        let links = open.get_mut(&peer.reuse_hash())?;
        links.retain(|link| !link.is_closed());
        links.iter().find_map(Link::stream)
    }

    /// Opens a connection.
    pub async fn open(&self, peer: &HttpPeer) -> Result<Opened> {
        let stream = self.transport.new_stream(peer).await?;
        let is_http2 = match stream.selected_alpn_proto() {
            Some(chosen) => chosen == ALPN::H2,
            // In the clear it is known beforehand.
            None => !peer.is_tls(),
        };
        let key = peer.reuse_hash();
        if !is_http2 {
            self.declined.lock().put(key, Instant::now());
            return Ok(Opened::Http1(stream));
        }
        let patience = peer.options.connection_timeout.unwrap_or(DECLINED);
        let (link, driver) = match timeout(patience, Link::new(stream)).await {
            Ok(greeted) => greeted?,
            Err(_) => return Error::e_explain(ErrorType::ConnectTimedout, "saying hello"),
        };
        let exchange = link.stream();
        let exchange = exchange.ok_or_else(|| Error::explain(ErrorType::H2Error, "no stream"))?;
        self.open.lock().entry(key).or_default().push(link.clone());
        let (idle, interval) = (peer.options.idle_timeout, peer.options.h2_ping_interval);
        let open = self.open.clone();
        tokio::spawn(async move {
            driver.run(link, idle, interval.unwrap_or(DECLINED)).await;
            forget_closed(&mut open.lock(), key);
        });
        Ok(Opened::Http2(Box::new(exchange)))
    }
}

fn forget_closed(open: &mut HashMap<u64, Vec<Arc<Link>>>, key: u64) {
    if let Some(links) = open.get_mut(&key) {
        links.retain(|link| !link.is_closed());
        if links.is_empty() {
            open.remove(&key);
        }
    }
}
