//! A client's HTTP/1 connection, on which the answers that are passed on keep their own `Date`.
//!
//! Pingora's sessions put in the present time, and can't be told not to. So the connection itself
//! is asked, before an answer is written, to put the answer's own date back. Over HTTP/2 the date
//! is part of a compressed block by then: there it stays Pingora's.

use super::date_line::{Date, DateLine};
use async_trait::async_trait;
use parking_lot::Mutex;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType,
    raw_connect::ProxyDigest,
    tls::{SslDigest, TlsRef},
};
use pingora_proxy::Session;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection that is as its inner one but for the `Date` of answers.
#[derive(Debug)]
pub struct ClientStream {
    inner: Stream,
    /// The date of the answer whose head comes next.
    next: Mutex<Option<Date>>,
    /// The head that has begun to go by.
    line: Option<DateLine>,
    /// Whether HTTP/2 was found to be spoken without having been negotiated.
    is_h2c: bool,
}

impl ClientStream {
    /// A connection on which nothing has been written yet.
    pub fn new(inner: Stream) -> Self {
        Self {
            inner,
            next: Mutex::default(),
            line: None,
            is_h2c: false,
        }
    }

    /// The same as one over which HTTP/2 is spoken.
    pub fn h2c(inner: Stream) -> Self {
        Self {
            is_h2c: true,
            ..Self::new(inner)
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>, bytes: &[u8], mut line: DateLine) -> Written {
        let mut ahead = line;
        let passed = ahead.pass(bytes);
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &passed))?;
        match written == passed.len() {
            true => line = ahead,
            // The rest comes again.
            false => drop(line.pass(&bytes[..written])),
        }
        if written > 0 {
            *self.next.get_mut() = None;
        }
        self.line = Some(line).filter(|line| written > 0 && !line.is_over());
        Poll::Ready(Ok(written))
    }

    /// The head that goes by or is to begin.
    fn line(&mut self) -> Option<DateLine> {
        self.line.or_else(|| self.next.get_mut().map(DateLine::new))
    }
}

type Written = Poll<io::Result<usize>>;

/// Says which `Date` the next answer of a session is to bear, where it is over HTTP/1; with
/// `None` it is the present time.
pub(super) fn keep_date(session: &Session, date: Option<Date>) {
    let stream = session.as_downstream().stream();
    if let Some(stream) = stream.and_then(|s| (**s).as_any().downcast_ref::<ClientStream>()) {
        *stream.next.lock() = date;
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Written {
        match self.line() {
            Some(line) => self.poll_head(cx, bytes, line),
            None => Pin::new(&mut self.inner).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Written {
        match self.line() {
            Some(line) => {
                let first = slices.iter().find(|slice| !slice.is_empty());
                self.poll_head(cx, first.map_or(&[], |slice| slice), line)
            }
            None => Pin::new(&mut self.inner).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

#[async_trait]
impl Shutdown for ClientStream {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}

#[async_trait]
impl Peek for ClientStream {
    async fn try_peek(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        self.inner.try_peek(buffer).await
    }
}

impl UniqueID for ClientStream {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl Ssl for ClientStream {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.inner.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        match self.is_h2c {
            true => Some(ALPN::H2),
            false => self.inner.selected_alpn_proto(),
        }
    }
}

impl GetTimingDigest for ClientStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.inner.get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.inner.get_write_pending_time()
    }
}

impl GetProxyDigest for ClientStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.inner.get_proxy_digest()
    }

    fn set_proxy_digest(&mut self, digest: ProxyDigest) {
        self.inner.set_proxy_digest(digest);
    }
}

impl GetSocketDigest for ClientStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.inner.set_socket_digest(digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, header};
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEW: &str = "Wed, 25 Nov 2026 02:00:00 GMT";

    fn head(date: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nETag: \"a\"\r\nDate: {date}\r\nVia: 1.1 x\r\n\r\n")
    }

    /// Writes answers over an inner stream that takes few bytes at once.
    async fn write(answers: Vec<(Option<&'static str>, Vec<u8>)>, takes: usize) -> Vec<u8> {
        let (near, mut far) = duplex(takes);
        let mut stream = ClientStream::new(Box::new(near));
        let writing = async move {
            for (date, bytes) in answers {
                let mut headers = HeaderMap::new();
                headers.extend(date.map(|date| (header::DATE, date.parse().unwrap())));
                *stream.next.lock() = Date::of(&headers);
                stream.write_all(&bytes).await.unwrap();
            }
        };
        let mut read = Vec::new();
        let (_, came) = tokio::join!(writing, far.read_to_end(&mut read));
        came.unwrap();
        read
    }

    proptest! {
        #[test]
        fn each_answer_bears_its_own_date_however_little_is_taken(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..4),
            takes in 1_usize..100,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (mut answers, mut expected) = (Vec::new(), Vec::new());
            for (nth, body) in bodies.iter().enumerate() {
                let own = (nth % 2 == 0).then_some(OLD);
                let rest = [b"\r\nDate: ", NEW.as_bytes(), b"\r\n\r\n", body].concat();
                answers.push((own, [head(NEW).as_bytes(), &rest].concat()));
                expected.extend([head(own.unwrap_or(NEW)).as_bytes(), &rest].concat());
            }
            prop_assert_eq!(runtime.block_on(write(answers, takes)), expected);
        }
    }
}
