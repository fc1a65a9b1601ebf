//! The closing of a connection so that what was written last arrives.
//!
//! A socket that is closed over bytes that nobody has read, or that come later, is reset, and the
//! kernel throws away what it has still to send (RFC 9112, section 9.6). A client over HTTP/2 widens
//! its windows up to the last byte of an answer, one over HTTP/1 may be sending a body that nobody
//! wants: so the writing side is closed alone, and what comes is read until the client has closed
//! as well.

use std::{
    future::Future,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    time::{Sleep, sleep},
};

/// The wait for a client to close its side.
#[derive(Debug, Default)]
pub struct Farewell {
    late: Option<Pin<Box<Sleep>>>,
}

/// The longest that a client may take to close its side.
const LONGEST: Duration = Duration::from_secs(5);

impl Farewell {
    /// Reads and forgets until the client has closed its side, or has taken too long.
    pub fn poll<R>(&mut self, cx: &mut Context<'_>, from: &mut R) -> Poll<()>
    where
        R: AsyncRead + Unpin,
    {
        let late = self.late.get_or_insert_with(|| Box::pin(sleep(LONGEST)));
        let mut place = [MaybeUninit::uninit(); 4096];
        while late.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::uninit(&mut place);
            let read = ready!(Pin::new(&mut *from).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::{
        io::{AsyncWriteExt, duplex},
        time::Instant,
    };

    #[tokio::test(start_paused = true)]
    async fn what_comes_is_read_until_the_client_closes() {
        let (mut near, mut far) = duplex(16);
        let mut farewell = Farewell::default();
        let leaving = poll_fn(|cx| farewell.poll(cx, &mut near));
        let sending = async {
            far.write_all(&[7; 1000]).await.unwrap();
            drop(far);
        };
        let since = Instant::now();
        tokio::join!(leaving, sending);
        assert_eq!(since.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_close_is_not_waited_for_long() {
        let (mut near, mut far) = duplex(16);
        let since = Instant::now();
        // It sends a little all the time.
        let dripping = tokio::spawn(async move {
            while far.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(300)).await;
            }
        });
        let mut farewell = Farewell::default();
        poll_fn(|cx| farewell.poll(cx, &mut near)).await;
        assert_eq!(since.elapsed(), LONGEST);
        drop(near);
        dripping.await.unwrap();
    }
}
