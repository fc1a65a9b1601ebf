//! Whether a client is still there while something is waited for on its behalf, and whether it
//! takes more.
//!
//! Pingora watches its clients only while it asks an origin by itself. Whoever waits for another's
//! lock, for a chunk, or for a place in an origin's queue would keep it to the end of the wait.

use super::client::{Closed, Http2Stream, Link};
use crate::{cache::Attendance, origin::Upstream};
use async_trait::async_trait;
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
/// same. It is served as long as that costs nobody else a place.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

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
        link.serves(client);
    }
}
