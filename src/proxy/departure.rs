//! Whether a client is still there while the first byte of what it asked for is waited for.
//!
//! Pingora watches its clients only while it asks an origin by itself. What lacks of an object that
//! is partly stored is waited for in a hook, and a client that leaves there would keep its place
//! in an origin's queue to the end of the wait.

use crate::origin::Upstream;
use pingora_core::protocols::http::ServerSession;
use std::time::Duration;

/// A client that has closed its side may still read, or may be gone: over HTTP/1 both look the
/// same. It is served as long as that costs nobody else a place.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Waits until nobody is there to be served, or nobody that others should wait behind.
///
/// It may be dropped at any await. What an HTTP/1 client sends meanwhile, the beginning of its
/// next request, is kept for that; once something has come, its leaving can't be seen any more.
pub async fn gone(client: &mut ServerSession, upstream: &Upstream) {
    if client.is_subrequest() || client.is_custom() {
        return std::future::pending().await;
    }
    // A request that can be answered from the store has no body, so nothing of one is taken here.
    while client.read_body_or_idle(true).await.is_ok() {}
    let half_closed = client
        .as_http1()
        .is_some_and(|http1| http1.is_half_closed());
    while half_closed && !upstream.is_waited_for() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
