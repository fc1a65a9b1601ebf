//! The TCP socket of a client, below TLS and HTTP.

use crate::traffic::UNSENT;
use async_trait::async_trait;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType, raw_connect::ProxyDigest,
};
use rustix::io::fcntl_dupfd_cloexec;
use socket2::SockRef;
use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    os::fd::{AsRawFd, BorrowedFd},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// A socket without buffers of its own: what is read goes where it is wanted, what is written
/// goes out at once. An idle connection holds no memory here.
#[derive(Debug)]
pub struct Socket {
    read: Arc<OwnedReadHalf>,
    write: OwnedWriteHalf,
    digest: Arc<SocketDigest>,
    since: SystemTime,
}

/// How long sent bytes may go untaken before the kernel ends a connection (RFC 5482).
const UNTAKEN: Duration = Duration::from_secs(90);

impl Socket {
    /// A connection that has been accepted.
    pub fn new(tcp: TcpStream, peer: SocketAddr) -> Self {
        let digest = SocketDigest::from_raw_fd(tcp.as_raw_fd());
        // New, so nothing has been set.
        let _ = digest.peer_addr.set(Some(peer.into()));
        // Where it can't be set, slow clients hold more, and no harm is done.
        let _ = SockRef::from(&tcp).set_tcp_notsent_lowat(UNSENT as u32);
        // What nobody takes the kernel does not keep for minutes, also when the process has let go.
        let _ = SockRef::from(&tcp).set_tcp_user_timeout(Some(UNTAKEN));
        let (read, write) = tcp.into_split();
        Self {
            read: Arc::new(read),
            write,
            digest: Arc::new(digest),
            since: SystemTime::now(),
        }
    }

    /// Takes a connection over that Pingora has accepted and nobody has read from. Errors are
    /// those of the system, such as one file too many.
    pub fn take_over(stream: Stream) -> io::Result<Self> {
        let digest = stream.get_socket_digest();
        let peer = digest.as_ref().and_then(|digest| digest.peer_addr());
        let peer = peer.and_then(|peer| peer.as_inet()).copied();
        let peer = peer.ok_or_else(|| io::Error::other("no address of the client"))?;
        let tcp = duplicate(&stream)?;
        Ok(Self::new(tcp, peer))
    }

    /// Where the other end is, or is said to be.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.digest.peer_addr()?.as_inet().copied()
    }

    /// The same connection, in behalf of a client behind the one that connects.
    pub fn on_behalf_of(self, client: SocketAddr) -> Self {
        let digest = SocketDigest::from_raw_fd(self.id());
        let _ = digest.peer_addr.set(Some(client.into()));
        Self {
            digest: Arc::new(digest),
            ..self
        }
    }

    /// Its reading half, to watch.
    pub fn reading_half(&self) -> Arc<OwnedReadHalf> {
        self.read.clone()
    }
}

/// Pingora's stream can't be taken apart, but its socket has another handle soon.
#[expect(
    unsafe_code,
    reason = "a borrowed descriptor is what there is of the socket"
)]
fn duplicate(stream: &Stream) -> io::Result<TcpStream> {
    // SAFETY: the stream is open for as long as this borrows its descriptor.
    let fd = unsafe { BorrowedFd::borrow_raw(stream.id()) };
    let tcp = std::net::TcpStream::from(fcntl_dupfd_cloexec(fd, 0)?);
    TcpStream::from_std(tcp)
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let tcp: &TcpStream = (*self.read).as_ref();
        loop {
            ready!(tcp.poll_read_ready(cx))?;
            match tcp.try_read(buffer.initialize_unfilled()) {
                Ok(read) => {
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.write.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Socket {
    async fn shutdown(&mut self) {
        // Gone already is as good as shut down.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for Socket {
    fn id(&self) -> UniqueIDType {
        let tcp: &TcpStream = (*self.read).as_ref();
        tcp.as_raw_fd()
    }
}

impl GetTimingDigest for Socket {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        vec![Some(TimingDigest {
            established_ts: self.since,
            ..TimingDigest::default()
        })]
    }
}

impl GetProxyDigest for Socket {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Socket {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(self.digest.clone())
    }
}

impl Ssl for Socket {}

impl Peek for Socket {}
