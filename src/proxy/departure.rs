//! Whether a client is still there while something is waited for on its behalf, and whether it
//! takes more.
//!
//! Pingora watches its clients only while it asks an origin by itself. Whoever waits for another's
//! lock, for a chunk, or for a place in an origin's queue would keep it to the end of the wait.

use super::client::{Closed, Http2Stream, Link};
use crate::{cache::Attendance, origin::Upstream};
use async_trait::async_trait;
use http::Version;
use pingora_proxy::Session;
use std::{sync::Arc, time::Duration};

/// The client of one request.
#[derive(Debug)]
pub struct Client {
    /// Its connection.
    pub link: Arc<Link>,
    /// Who is asked on its behalf.
    pub upstream: Arc<Upstream>,
    /// Its stream, where many requests share the connection.
    pub stream: Option<Arc<Http2Stream>>,
}

/// A client that has closed its side may still read, or may be gone: over HTTP/1 both look the
/// same, until something is sent. Where nothing can be, it is served as long as that costs nobody
/// else a place.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How long a client may wait with its side closed before it is asked whether it is there: most
/// have their answer by then.
const PROBE_AFTER: Duration = Duration::from_millis(250);

#[async_trait]
impl Attendance for Client {
    async fn gone(&self) {
        if let Some(stream) = &self.stream {
            tokio::select! {
                () = stream.reset() => return,
                // What h2 sees when it reads on, which it may not while it can't write. No answer
                // is sent over half an HTTP/2 connection.
                _ = self.link.closed() => return,
            }
        }
        if self.link.closed().await == Closed::Whole {
            return;
        }
        tokio::select! {
            () = self.link.reset() => return,
            () = tokio::time::sleep(PROBE_AFTER) => {}
        }
        match self.link.probe() {
            Some(Ok(())) => return self.link.reset().await,
            Some(Err(_)) => return,
            None => {}
        }
        while !self.upstream.is_waited_for() {
            tokio::select! {
                () = self.link.reset() => return,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    async fn room(&self) {
        // A window says what the client lets come, the socket what it takes.
        if let Some(stream) = &self.stream {
            stream.room().await;
        }
        self.link.room().await;
    }
}

/// Says whose answer is made next on the request's connection.
pub fn await_answer(session: &Session, client: Option<Arc<dyn Attendance>>) {
    let link = Link::of(session).filter(|_| session.as_downstream().as_http1().is_some());
    if let (Some(link), Some(client)) = (link, client) {
        let is_plain = session
            .as_downstream()
            .digest()
            .is_some_and(|d| d.ssl_digest.is_none());
        let knows_interim = session.req_header().version == Version::HTTP_11;
        link.serves(client, is_plain && knows_interim);
    }
}
