//! The head of an answer that waits for the first bytes of its body, so that both go out together:
//! one system call, one packet and one waking of the client less for each answer.

use bytes::{Buf, Bytes};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::AsyncWrite;

/// What is left of a head to be written.
#[derive(Debug, Default)]
pub struct HeldHead(Bytes);

impl HeldHead {
    /// A head of which nothing has been written.
    pub fn new(head: Vec<u8>) -> Self {
        Self(head.into())
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes what is left, and of `body` what goes with it; ready with how much of `body` that
    /// was, which is nothing only where `body` is empty.
    pub fn poll_write_before<W: AsyncWrite + Unpin>(
        &mut self,
        inner: &mut W,
        cx: &mut Context<'_>,
        body: &[u8],
    ) -> Poll<io::Result<usize>> {
        while !self.is_empty() {
            let slices = [IoSlice::new(&self.0), IoSlice::new(body)];
            let written = ready!(Pin::new(&mut *inner).poll_write_vectored(cx, &slices))?;
            let of_head = written.min(self.0.len());
            self.0.advance(of_head);
            if of_head == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if written > of_head {
                return Poll::Ready(Ok(written - of_head));
            }
        }
        match body.is_empty() {
            true => Poll::Ready(Ok(0)),
            false => Pin::new(inner).poll_write(cx, body),
        }
    }
}
