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
pub enum Fault {
    /// It takes too long.
    #[error("the head of a request takes too long")]
    Time,
    /// It is too long.
    #[error("the head of a request is too long")]
    Bytes,
    /// It has too many fields.
    #[error("the head of a request has too many fields")]
    Fields,
    /// It does not begin with a method, a target and a version (RFC 9112, section 3).
    #[error("the first line of a request is none")]
    Line,
}

/// A head that comes in.
#[derive(Debug)]
pub struct HeadRead {
    limits: HeadLimits,
    number: usize,
    bytes: usize,
    lines: Lines,
    /// When it is late; nothing while its first byte is waited for.
    late: Option<Pin<Box<Sleep>>>,
}

/// The lines of a head as they come in.
#[derive(Debug, Default)]
struct Lines {
    /// Those that have ended, but for empty ones.
    ended: usize,
    /// Whether there is something in the one that has not.
    is_begun: bool,
    /// The empty one has come that ends the head.
    is_over: bool,
    first: RequestLine,
}

/// The first line as it comes in. Pingora escapes what does not belong into a target, and goes on.
#[derive(Debug, Default)]
struct RequestLine {
    spaces: usize,
    /// The byte before.
    last: Option<u8>,
    is_malformed: bool,
}

/// The most fields that Pingora's parser makes something of.
const MOST_FIELDS: usize = 256;

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
            lines: Lines::default(),
            late: None,
        }
    }

    /// What comes belongs to the head of this number. Nothing may have been read between two of
    /// them, so this is how a next one is told.
    pub fn begin(&mut self, number: usize) {
        if number != self.number {
            *self = Self {
                number,
                ..Self::new(self.limits)
            };
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

    /// Some of it has come, or nothing; gives how much of that is the head's. It wakes the task when
    /// it is late.
    pub fn check(
        &mut self,
        cx: &mut Context<'_>,
        came: &[u8],
        now: Instant,
    ) -> Result<usize, Fault> {
        self.bytes += came.len();
        let of_head = self.lines.pass(came);
        if self.lines.first.is_malformed {
            return Err(Fault::Line);
        }
        if self.lines.fields() > MOST_FIELDS {
            return Err(Fault::Fields);
        }
        if self.bytes > self.limits.bytes + BEYOND {
            return Err(Fault::Bytes);
        }
        if self.bytes == 0 {
            return Ok(0);
        }
        let limit = now + self.limits.time;
        let late = self
            .late
            .get_or_insert_with(|| Box::pin(sleep_until(limit)));
        match late.as_mut().poll(cx) {
            Poll::Ready(()) => Err(Fault::Time),
            Poll::Pending => Ok(of_head),
        }
    }
}

impl Lines {
    /// Gives how many of the bytes are the head's. Behind its end all are: it is for who parses it to
    /// see where it ends otherwise.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        if self.is_over {
            return bytes.len();
        }
        for (at, byte) in bytes.iter().enumerate() {
            if self.ended == 0 {
                self.first.pass(*byte);
            }
            match byte {
                b'\r' => {}
                b'\n' if self.is_begun => {
                    self.ended += 1;
                    self.is_begun = false;
                }
                // Empty lines before a request are ignored (RFC 9112, section 2.2).
                b'\n' => self.is_over = self.ended > 0,
                _ => self.is_begun = true,
            }
            if self.is_over {
                return at + 1;
            }
        }
        bytes.len()
    }

    /// All of them but the request's own line.
    fn fields(&self) -> usize {
        self.ended.saturating_sub(1)
    }
}

impl RequestLine {
    fn pass(&mut self, byte: u8) {
        let is_first = matches!(self.last, None | Some(b'\n'));
        let follows = |before: u8| self.last == Some(before);
        self.is_malformed |= match byte {
            b'\n' => false,
            _ if follows(b'\r') => true,
            b'\r' => false,
            b' ' => {
                self.spaces += 1;
                is_first || follows(b' ') || self.spaces > 2
            }
            _ => byte.is_ascii_control(),
        };
        self.last = Some(byte);
    }
}

impl Fault {
    /// What is wrong with the request.
    pub fn malformed(self) -> Malformed {
        match self {
            Self::Time => Malformed::TooSlow,
            Self::Bytes | Self::Fields => Malformed::TooLarge,
            Self::Line => Malformed::Unreadable,
        }
    }

    /// What the client is told (RFC 9110, sections 15.5.1 and 15.5.9, and RFC 6585, section 5).
    pub fn answer(self) -> &'static str {
        match self {
            Self::Time => {
                "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            }
            Self::Bytes | Self::Fields => {
                "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            }
            Self::Line => {
                "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            }
        }
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        let kind = match fault {
            Fault::Time => io::ErrorKind::TimedOut,
            Fault::Bytes | Fault::Fields | Fault::Line => io::ErrorKind::InvalidData,
        };
        Self::new(kind, fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_first_line_is_a_method_a_target_and_a_version() {
        let table = [
            ("GET / HTTP/1.1\r\n", true),
            ("\r\n\nGET / HTTP/1.1\n", true),
            ("GET /\u{e9} HTTP/1.1\r\n", true),
            ("GET /\r\nA:  b\tc\r\n", true),
            (" GET / HTTP/1.1\r\n", false),
            ("\r\n GET / HTTP/1.1\r\n", false),
            ("GET  / HTTP/1.1\r\n", false),
            ("GET /a b HTTP/1.1\r\n", false),
            ("GET / HTTP/1.1 \r\n", false),
            ("GET /\t HTTP/1.1\r\n", false),
            ("GET /\u{7f} HTTP/1.1\r\n", false),
            ("GET /\r HTTP/1.1\r\n", false),
            ("GET /\0", false),
        ];
        for (text, is_one) in table {
            let mut lines = Lines::default();
            lines.pass(text.as_bytes());
            assert_eq!(!lines.first.is_malformed, is_one, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn fields_are_counted_in_whatever_pieces_they_come(
            fields in 0_usize..10,
            before in 0_usize..3,
            body in "[a-z\r\n]{0,40}",
            cuts in proptest::collection::vec(1_usize..20, 0..40),
        ) {
            let head = format!(
                "{}GET / HTTP/1.1\r\n{}\r\n{body}",
                "\r\n".repeat(before),
                "X: a\r\n".repeat(fields),
            );
            let length = head.len() - body.len();
            let (mut lines, mut rest) = (Lines::default(), head.as_bytes());
            for cut in cuts {
                let (piece, left) = rest.split_at(cut.min(rest.len()));
                let sent = head.len() - rest.len();
                let of_head = lines.pass(piece);
                if sent < length {
                    prop_assert_eq!(of_head, piece.len().min(length - sent));
                }
                rest = left;
            }
            lines.pass(rest);
            prop_assert!(lines.is_over && !lines.first.is_malformed);
            prop_assert_eq!(lines.fields(), fields);
        }
    }
}
