//! HTTP/2 with clients.
//!
//! Pingora's own session for HTTP/2 drops interim answers, dates every answer anew, and tells
//! nobody but the next write that a stream was reset. This one passes interim answers on, leaves
//! `Date` to the hooks, and lets whoever waits on a client's behalf see its stream's end at once.
//!
//! ```text
//!   connection ──► request ──► session ──► Pingora's hooks
//!     accepts      is checked    │  body, answer
//!                              stream ◄── whoever waits for its client
//! ```

mod answer;
mod body;
mod connection;
mod field_block;
mod request;
mod session;
mod stream;
mod wakers;

pub use connection::{Http2Limits, serve};
pub(super) use field_block::FieldBlockRead;
pub(in crate::proxy) use stream::Http2Stream;

use std::{future::Future, time::Duration};
use tokio::time::{error::Elapsed, timeout};

/// Waits no longer than this, or for ever.
async fn within<F: Future>(limit: Option<Duration>, future: F) -> Result<F::Output, Elapsed> {
    match limit {
        Some(limit) => timeout(limit, future).await,
        None => Ok(future.await),
    }
}
