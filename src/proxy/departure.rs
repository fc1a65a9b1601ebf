//! Whether a client is still there while something is waited for on its behalf.
//!
//! Pingora watches its clients only while it asks an origin by itself. Whoever waits for another's
//! lock, for a chunk, or for a place in an origin's queue would keep it to the end of the wait.

use super::client::{Closed, Link};
use crate::{
    cache::{Attendance, Order},
    origin::Upstream,
};
use async_trait::async_trait;
use pingora_core::protocols::http::ServerSession;
use pingora_proxy::Session;
use std::{sync::Arc, time::Duration};

/// The client of one request.
#[derive(Debug)]
pub struct Client {
    /// Its connection.
    pub link: Arc<Link>,
    /// Who is asked on its behalf.
    pub upstream: Arc<Upstream>,
    /// Whether many requests share the connection.
    pub is_http2: bool,
}

/// A client that has closed its side may still read, or may be gone: over HTTP/1 both look the
/// same. It is served as long as that costs nobody else a place.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

#[async_trait]
impl Attendance for Client {
    async fn gone(&self) {
        match self.link.closed().await {
            Closed::Whole => return,
            // No answer is sent over half an HTTP/2 connection.
            Closed::Half if self.is_http2 => return,
            Closed::Half => {}
        }
        while !self.upstream.is_waited_for() {
            tokio::select! {
                () = self.link.reset() => return,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }
}

/// Waits until the client of a request is gone, or over HTTP/2 does not want its answer any more.
/// It may be dropped at any await.
pub async fn gone(client: &mut ServerSession, order: &Order) {
    if client.is_http2() {
        // A request that can be answered from the store has no body, so nothing of one is taken.
        let reset = async { while client.read_body_or_idle(true).await.is_ok() {} };
        tokio::select! {
            () = reset => order.note_absent(),
            () = order.gone() => {}
        }
    } else {
        order.gone().await;
    }
}

/// Says whose answer is made next on the request's connection.
pub fn await_answer(session: &Session, client: Option<Arc<dyn Attendance>>) {
    let link = Link::of(session).filter(|_| session.as_downstream().as_http1().is_some());
    if let (Some(link), Some(client)) = (link, client) {
        link.serves(client);
    }
}
