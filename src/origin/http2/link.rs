//! One connection.

use super::Stream;
use bytes::Bytes;
use futures_util::FutureExt;
use h2::{
    Ping, PingPong,
    client::{Builder, Connection, SendRequest},
};
use parking_lot::Mutex;
use pingora_core::{ErrorType, OrErr, Result, protocols};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

/// One connection, as long as anybody holds it.
pub(super) struct Link {
    send: SendRequest<Bytes>,
    streams: AtomicUsize,
    /// When its last stream ended.
    used: Mutex<Instant>,
    closed: AtomicBool,
}

/// Requests on one connection at a time. Few: they share its congestion window.
const STREAMS: usize = 16;

/// What may wait unread, in bytes: of one answer, and of all that a connection can carry.
const STREAM_WINDOW: u32 = 1 << 20;
const WINDOW: u32 = STREAM_WINDOW * STREAMS as u32;

/// Longest wait for the answer to a ping.
const PONG: Duration = Duration::from_secs(5);

/// What keeps a connection alive.
pub(super) struct Driver {
    connection: Connection<protocols::Stream, Bytes>,
}

impl Link {
    /// Says hello on a connection. It lives only while its driver is run.
    pub async fn new(stream: protocols::Stream) -> Result<(Arc<Self>, Driver)> {
        let greeted = Builder::new()
            .enable_push(false)
            .initial_max_send_streams(STREAMS)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake(stream)
            .await;
        let (send, connection) = greeted.or_err(ErrorType::HandshakeError, "HTTP/2")?;
        let link = Self {
            send,
            streams: AtomicUsize::new(0),
            used: Mutex::new(Instant::now()),
            closed: AtomicBool::new(false),
        };
        Ok((Arc::new(link), Driver { connection }))
    }

    /// Begins an exchange, if it can carry one more.
    pub fn stream(self: &Arc<Self>) -> Option<Stream> {
        let most = STREAMS.min(self.send.current_max_send_streams());
        let one_more = |n| (n < most && !self.is_closed()).then_some(n + 1);
        self.streams.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        let taken = Taken(self.clone());
        // It waits for nothing here: that it would takes a request before.
        match self.send.clone().ready().now_or_never() {
            Some(Ok(send)) => Some(Stream::new(send, taken)),
            _ => {
                self.close();
                None
            }
        }
    }

    /// No further exchange is to begin on it.
    pub fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Whether it has carried nothing for this long.
    fn idles(&self, idle: Duration, now: Instant) -> bool {
        let unused = self.streams.load(Relaxed) == 0;
        unused && now.saturating_duration_since(*self.used.lock()) >= idle
    }
}

/// A place on a connection.
pub(super) struct Taken(Arc<Link>);

impl Taken {
    pub fn link(&self) -> &Link {
        &self.0
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        *self.0.used.lock() = Instant::now();
        self.0.streams.fetch_sub(1, Relaxed);
    }
}

impl Driver {
    /// Keeps the connection going until it is closed, has been idle for so long, or its server
    /// answers no pings, which come every `interval`.
    pub async fn run(mut self, link: Arc<Link>, idle: Option<Duration>, interval: Duration) {
        let pings = self.connection.ping_pong();
        let ended = tokio::select! {
            ended = &mut self.connection => ended,
            () = watched(pings, &link, idle, interval) => Ok(()),
        };
        link.close();
        if let Err(e) = ended {
            log::debug!("an HTTP/2 connection to a server ended: {e}");
        }
    }
}

/// Returns when a connection has been idle for so long, or its server answers no ping.
async fn watched(
    mut pings: Option<PingPong>,
    link: &Link,
    idle: Option<Duration>,
    interval: Duration,
) {
    let step = idle.map_or(interval, |idle| idle.min(interval));
    loop {
        sleep(step).await;
        if idle.is_some_and(|idle| link.idles(idle, Instant::now())) {
            return;
        }
        let Some(pings) = &mut pings else { continue };
        match timeout(PONG, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            _ => return,
        }
    }
}
