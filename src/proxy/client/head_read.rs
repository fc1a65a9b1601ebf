//! The bounds on the head of a request while it comes in.

use crate::proxy::Malformed;
use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// What the head of a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// From its first byte to its last.
    pub time: Duration,
    /// Its bytes, from the method to the empty line.
    pub bytes: usize,
}

/// Why a head is not waited for any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// It takes too long.
    #[error("the head of a request takes too long")]
    Time,
    /// It is too long.
    #[error("the head of a request is too long")]
    Bytes,
}

/// A head that comes in.
#[derive(Debug)]
pub struct HeadRead {
    limits: HeadLimits,
    number: usize,
    bytes: usize,
    /// When it is late; nothing while its first byte is waited for.
    late: Option<Pin<Box<Sleep>>>,
}

/// What may be read beyond a head before it is seen that it has ended: Pingora reads at most that
/// much at a time.
const BEYOND: usize = 64 << 10;

impl HeadRead {
    /// A head of which nothing has come.
    pub fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            number: 0,
            bytes: 0,
            late: None,
        }
    }

    /// What comes belongs to the head of this number. Nothing may have been read between two of
    /// them, so this is how a next one is told.
    pub fn begin(&mut self, number: usize) {
        if number != self.number {
            (self.number, self.bytes, self.late) = (number, 0, None);
        }
    }

    /// How long it has been coming in.
    pub fn took(&self, now: Instant) -> Duration {
        let began = self
            .late
            .as_ref()
            .map(|late| late.deadline() - self.limits.time);
        began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began))
    }

    /// Some of it has come, or nothing; wakes the task when it is late.
    pub fn check(&mut self, cx: &mut Context<'_>, came: usize, now: Instant) -> Result<(), Excess> {
        self.bytes += came;
        if self.bytes > self.limits.bytes + BEYOND {
            return Err(Excess::Bytes);
        }
        if self.bytes == 0 {
            return Ok(());
        }
        let limit = now + self.limits.time;
        let late = self
            .late
            .get_or_insert_with(|| Box::pin(sleep_until(limit)));
        match late.as_mut().poll(cx) {
            Poll::Ready(()) => Err(Excess::Time),
            Poll::Pending => Ok(()),
        }
    }
}

impl Excess {
    /// What is wrong with the request.
    pub fn malformed(self) -> Malformed {
        match self {
            Self::Time => Malformed::TooSlow,
            Self::Bytes => Malformed::TooLarge,
        }
    }

    /// What the client is told (RFC 9110, section 15.5.9, and RFC 6585, section 5).
    pub fn answer(self) -> &'static str {
        match self {
            Self::Time => {
                "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            }
            Self::Bytes => {
                "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            }
        }
    }
}

impl From<Excess> for io::Error {
    fn from(excess: Excess) -> Self {
        let kind = match excess {
            Excess::Time => io::ErrorKind::TimedOut,
            Excess::Bytes => io::ErrorKind::InvalidData,
        };
        Self::new(kind, excess)
    }
}
