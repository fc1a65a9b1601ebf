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
use std::{future::pending, sync::Arc, time::Duration};

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

/// How long it may wait before it is asked again: it may have left since.
const PROBE_AGAIN: Duration = Duration::from_millis(750);

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
        // What it has sent behind its request may hide that it has closed.
        let hidden = async {
            self.link.clogged().await;
            if !self.is_found_gone().await {
                pending::<()>().await;
            }
        };
        tokio::select! {
            closed = self.link.closed() => if closed == Closed::Whole {
                return;
            },
            () = hidden => return,
        }
        if self.is_found_gone().await {
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

impl Client {
    /// Asks it whether it is there, again and again for as long as it can be asked; whether it is
    /// gone.
    async fn is_found_gone(&self) -> bool {
        let mut patience = PROBE_AFTER;
        loop {
            tokio::select! {
                () = self.link.reset() => return true,
                () = tokio::time::sleep(patience) => {}
            }
            match self.link.probe() {
                Some(Ok(())) => patience = PROBE_AGAIN,
                Some(Err(_)) => return true,
                None => return false,
            }
        }
    }
}

/// Says whose answer is made next on the request's connection.
pub fn await_answer(session: &mut Session, client: Option<Arc<dyn Attendance>>) {
    let has_body = !session.as_downstream_mut().is_body_empty();
    let link = Link::of(session).filter(|_| session.as_downstream().as_http1().is_some());
    if let (Some(link), Some(client)) = (link, client) {
        let knows_interim = session.req_header().version == Version::HTTP_11;
        link.serves(client, knows_interim, has_body);
    }
}
