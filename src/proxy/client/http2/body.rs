//! The body of a request as it comes in.

use super::within;
use bytes::Bytes;
use h2::RecvStream;
use pingora_core::{ErrorType, OrErr, Result};
use std::time::Duration;

/// A body. The client may send as much more as has been read, and no more than its window.
pub(super) struct RequestBody {
    stream: RecvStream,
    has_ended: bool,
    /// Bytes that were read.
    pub read: usize,
    /// How long a piece may be waited for.
    pub patience: Option<Duration>,
    /// How long all that is not wanted may be waited for.
    pub drain: Option<Duration>,
}

impl RequestBody {
    pub fn new(stream: RecvStream) -> Self {
        Self {
            stream,
            has_ended: false,
            read: 0,
            patience: None,
            drain: None,
        }
    }

    /// The next piece. It may be dropped and called again.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.has_ended {
            return Ok(None);
        }
        let read = within(self.patience, self.stream.data()).await;
        let read = read.or_err(ErrorType::ReadTimedout, "the body of a request")?;
        let read = read.transpose();
        let Some(piece) = read.or_err(ErrorType::ReadError, "the body of a request")? else {
            self.has_ended = true;
            return Ok(None);
        };
        self.read += piece.len();
        // It fails where the stream has been reset, which the next read tells.
        let _ = self.stream.flow_control().release_capacity(piece.len());
        Ok(Some(piece))
    }

    /// Reads what is left.
    pub async fn drain(&mut self) -> Result<()> {
        let limit = self.drain;
        let reading = async {
            while self.next().await?.is_some() {}
            Ok(())
        };
        let read = within(limit, reading).await;
        read.or_err(ErrorType::ReadTimedout, "the rest of a request's body")?
    }

    /// Whether nothing is left to be read.
    pub fn is_done(&self) -> bool {
        self.has_ended || self.stream.is_end_stream()
    }
}
