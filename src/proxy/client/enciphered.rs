//! A client's connection over TLS, to which more than its stream writes.
//!
//! Whether a client is there that sends no more shows only when something is sent to it. Over TLS
//! that has to go through the session that its stream has.

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, IO, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType, raw_connect::ProxyDigest, tls::SslDigest,
};
use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

/// A stream that is as its inner one, which others may write to.
#[derive(Debug)]
pub struct Enciphered<S> {
    shared: Arc<Mutex<S>>,
    id: UniqueIDType,
    alpn: Option<ALPN>,
    digest: Option<Arc<SslDigest>>,
    socket: Option<Arc<SocketDigest>>,
}

/// What else may be written to a stream, for as long as that is there.
pub struct Aside(Weak<Mutex<dyn AsyncWrite + Send + Unpin>>);

impl<S: IO + AsyncWrite + Unpin + 'static> Enciphered<S> {
    /// A connection of which TLS has been agreed on.
    pub fn new(inner: S) -> Self {
        Self {
            id: inner.id(),
            alpn: inner.selected_alpn_proto(),
            digest: inner.get_ssl_digest(),
            socket: inner.get_socket_digest(),
            shared: Arc::new(Mutex::new(inner)),
        }
    }

    /// What others may write to it.
    pub fn aside(&self) -> Aside {
        let shared: Arc<Mutex<dyn AsyncWrite + Send + Unpin>> = self.shared.clone();
        Aside(Arc::downgrade(&shared))
    }
}

impl Aside {
    /// Writes between two of the stream's own writes, none of which may wait meanwhile: nobody wakes
    /// it. What does not go out at once goes with the next one.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let shared = self.0.upgrade().ok_or(io::ErrorKind::NotConnected)?;
        let mut stream = shared.lock();
        match Pin::new(&mut *stream).poll_write(&mut Context::from_waker(Waker::noop()), bytes) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl fmt::Debug for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Aside").finish_non_exhaustive()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Enciphered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.shared.lock()).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Enciphered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.shared.lock()).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.shared.lock()).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.shared.lock().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.shared.lock()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.shared.lock()).poll_shutdown(cx)
    }
}

#[async_trait]
impl<S: AsyncWrite + Unpin + Send> Shutdown for Enciphered<S> {
    async fn shutdown(&mut self) {
        // Gone already is as good as shut down.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl<S> UniqueID for Enciphered<S> {
    fn id(&self) -> UniqueIDType {
        self.id
    }
}

impl<S> Ssl for Enciphered<S> {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.digest.clone()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.alpn.clone()
    }
}

impl<S: GetTimingDigest> GetTimingDigest for Enciphered<S> {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.shared.lock().get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.shared.lock().get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.shared.lock().get_write_pending_time()
    }
}

impl<S> GetProxyDigest for Enciphered<S> {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl<S> GetSocketDigest for Enciphered<S> {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.socket.clone()
    }
}

impl<S> Peek for Enciphered<S> {}
