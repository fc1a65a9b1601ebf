//! Whether a request's client is still there, and whether it takes more.

use async_trait::async_trait;
use pingora_core::{Error, ErrorType};
use std::fmt;

/// A client that is waited for, or that waits.
#[async_trait]
pub trait Attendance: fmt::Debug + Send + Sync {
    /// Waits until nobody is there to be served, or nobody that others should wait behind. It may
    /// be dropped at any await.
    async fn gone(&self);

    /// Waits until the client takes more than it has been sent, or can't be waited for. It may be
    /// dropped at any await.
    async fn room(&self);
}

/// The end of a read that nobody waits for any more.
pub const ABSENT: ErrorType = ErrorType::new("ClientAbsent");

pub(super) fn absent() -> Box<Error> {
    Error::explain(ABSENT, "the client has left").into_down()
}

/// The same error as of a write that takes too long: it would have.
pub(super) fn too_slow() -> Box<Error> {
    Error::explain(ErrorType::WriteTimedout, "the client takes no more").into_down()
}
