//! A client's connection as Pingora reads and writes it.
//!
//! On HTTP/1, answers that are passed on keep their own `Date`. Pingora's sessions put in the
//! present time, and can't be told not to. So the connection itself is asked, before an answer is
//! written, to put the answer's own date back. Over HTTP/2 the session is ours, and knows it. Where
//! the answer's body is at hand its head waits for it here.
//!
//! The head of a request has its bounds here as well: Pingora bounds each read of it, which lets a
//! client that sends a byte at a time take hours, and holds up to a mebibyte for it.

use super::{
    chunk_lines::{BadChunkLine, ChunkLines},
    date_line::{Date, DateLine},
    farewell::Farewell,
    head_read::{Fault, HeadLimits, HeadRead},
    held_head::HeldHead,
    http2::{FieldBlockRead, Http2Stream},
    link::Link,
};
use crate::{
    cache::Attendance,
    proxy::malformed::{Caller, Ended, Malformed, Refused},
};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType,
    raw_connect::ProxyDigest,
    tls::{SslDigest, TlsRef},
};
use pingora_proxy::Session;
use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::Instant,
};

/// A connection that is as its inner one but for the `Date` of answers and the bounds on heads.
#[derive(Debug)]
pub struct ClientStream {
    inner: Stream,
    link: Arc<Link>,
    caller: Caller,
    /// A request was refused; there will be no other.
    has_refused: bool,
    carrier: Arc<ProxyDigest>,
    head: HeadRead,
    /// Lines of the request's body.
    chunks: ChunkLines,
    /// The same as of the head, over HTTP/2.
    field_block: Option<FieldBlockRead>,
    /// The wait for a client to be gone.
    leaving: Leaving,
    /// What was read to see which protocol is spoken or where a head ends, to be read once more.
    ahead: Bytes,
    /// The answer whose head comes next.
    next: Mutex<Option<NextHead>>,
    /// The head that has begun to go by.
    line: Option<DateLine>,
    /// The head that goes with its body.
    held: HeldHead,
    /// The wait for the client to close its side, as ours is closed.
    farewell: Option<Farewell>,
}

/// The head of an answer that is to be written.
#[derive(Clone, Copy, Debug)]
pub struct NextHead {
    /// The date that it is to bear.
    pub date: Date,
    /// It goes with the first bytes of its body, which are at hand.
    pub with_body: bool,
}

/// Where the status stands in an answer (RFC 9112, section 4).
const STATUS: std::ops::Range<usize> = 9..12;

/// What HTTP/2 begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl ClientStream {
    /// A connection of which nothing has been read or written yet.
    pub fn new(
        inner: Stream,
        link: Arc<Link>,
        caller: Caller,
        limits: HeadLimits,
    ) -> io::Result<Self> {
        Ok(Self {
            carrier: link.carrier()?,
            inner,
            link,
            caller,
            has_refused: false,
            head: HeadRead::new(limits),
            chunks: ChunkLines::new(),
            field_block: None,
            leaving: Leaving::default(),
            ahead: Bytes::new(),
            next: Mutex::default(),
            line: None,
            held: HeldHead::default(),
            farewell: None,
        })
    }

    /// What requests know of the connection.
    pub fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Whose connection it is.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Looks at the first bytes to see whether HTTP/2 is spoken, and waits no longer than it takes
    /// to tell. It must not be dropped before its end, or what was read is lost.
    pub async fn detect_http2(&mut self) -> io::Result<bool> {
        let mut first = BytesMut::with_capacity(PREFACE.len());
        while PREFACE.starts_with(&first) && first.len() < PREFACE.len() {
            let mut rest = vec![0; PREFACE.len() - first.len()];
            match self.inner.read(&mut rest).await? {
                0 => break,
                read => first.extend_from_slice(&rest[..read]),
            }
        }
        let is_http2 = first == PREFACE;
        self.ahead = first.freeze();
        Ok(is_http2)
    }

    /// HTTP/2 is spoken from now on. No head may take longer than this.
    pub(super) fn expect_frames(&mut self, limit: Duration) {
        self.field_block = Some(FieldBlockRead::new(limit, PREFACE.len()));
    }

    /// Reads what HTTP/2 makes its frames of.
    fn poll_frames(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.poll_inner_read(cx, buffer);
        let Some(field_block) = &mut self.field_block else {
            return read;
        };
        if read.is_ready() {
            field_block.pass(&buffer.filled()[before..]);
            return read;
        }
        ready!(field_block.poll_late(cx));
        self.caller.note_ended(Ended::Slow);
        Poll::Ready(Err(Fault::Time.into()))
    }

    /// The protocol that TLS was negotiated for.
    pub fn negotiated(&self) -> Option<ALPN> {
        self.inner.selected_alpn_proto()
    }

    fn poll_inner_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buffer);
        }
        let most = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.ahead.split_to(most));
        Poll::Ready(Ok(()))
    }

    /// What has come behind a head is read in its turn: it may be another, with bounds of its own.
    fn keep_behind(&mut self, buffer: &mut ReadBuf<'_>, end: usize) {
        let behind = &buffer.filled()[end..];
        if !behind.is_empty() {
            self.ahead = [behind, &self.ahead].concat().into();
            buffer.set_filled(end);
        }
    }

    /// Reads what comes behind a head, as long as it can be read in one way only.
    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.poll_beside_answer(cx, buffer);
        if let Some(number) = self.link.chunked_body() {
            self.chunks.begin(number);
            if !self.chunks.pass(&buffer.filled()[before..]) {
                return Poll::Ready(Err(BadChunkLine.into()));
            }
        }
        read
    }

    /// Reads while an answer is made. To Pingora the end of what a client sends is the client's
    /// leaving; it may only have said all (RFC 9112, section 9.6). And of what comes behind a request
    /// it reads one byte and looks no more, so that it misses the end. Where it looks at a client, for
    /// which it has room for one byte, it is shown an end when the client is gone, and nothing before;
    /// but where that one may be the last of a body.
    fn poll_beside_answer(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let is_look = buffer.remaining() == 1;
        let Some(client) = self.link.served().filter(|_| is_look) else {
            return self.poll_inner_read(cx, buffer);
        };
        if self.link.has_body() {
            ready!(self.poll_inner_read(cx, buffer))?;
            if buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        self.leaving.poll(cx, client).map(Ok)
    }

    /// Says why the head of a request is not waited for, as far as that goes out at once: whoever
    /// sends so little, or so much, may not read it.
    fn refuse(&mut self, cx: &mut Context<'_>, fault: Fault) -> io::Error {
        let answer = fault.answer();
        let _ = Pin::new(&mut self.inner).poll_write(cx, answer.as_bytes());
        let _ = Pin::new(&mut self.inner).poll_flush(cx);
        self.note_refused(fault.malformed());
        fault.into()
    }

    /// An answer is about to be written. While the head of a request is expected that is Pingora's
    /// own: it makes nothing of what has come, no hook meets it, and the connection ends with it.
    fn note_answer(&mut self, bytes: &[u8]) {
        self.link.answer_begins();
        if !bytes.is_empty() && self.link.expected_head().is_some() {
            let is_tunnel = bytes.get(STATUS) == Some(b"405");
            self.note_refused(match is_tunnel {
                true => Malformed::Tunnel,
                false => Malformed::Unreadable,
            });
        }
    }

    fn note_refused(&mut self, what: Malformed) {
        if !std::mem::replace(&mut self.has_refused, true) {
            self.caller.note(Refused {
                what,
                status: Some(what.status()),
                head: None,
                took: self.head.took(Instant::now()),
            });
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>, bytes: &[u8], mut line: DateLine) -> Written {
        let mut ahead = line;
        let passed = ahead.pass(bytes);
        let is_all = ahead.is_over() && passed.len() == bytes.len();
        if is_all && self.next.get_mut().is_some_and(|next| next.with_body) {
            *self.next.get_mut() = None;
            self.line = None;
            self.held = HeldHead::new(passed);
            return Poll::Ready(Ok(bytes.len()));
        }
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

    /// Writes what may be of a head, or come behind one that waits.
    fn poll_write_head(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        line: Option<DateLine>,
    ) -> Written {
        let Some(line) = line else {
            return self.held.poll_write_before(&mut self.inner, cx, bytes);
        };
        ready!(self.held.poll_write_before(&mut self.inner, cx, &[]))?;
        self.poll_head(cx, bytes, line)
    }

    /// The head that goes by or is to begin.
    fn line(&mut self) -> Option<DateLine> {
        let next = self.next.get_mut();
        self.line
            .or_else(|| next.map(|next| DateLine::new(next.date)))
    }
}

/// A wait for a client to be gone.
#[derive(Default)]
struct Leaving(Mutex<Option<BoxFuture<'static, ()>>>);

impl Leaving {
    fn poll(&mut self, cx: &mut Context<'_>, client: Arc<dyn Attendance>) -> Poll<()> {
        let leaving = self.0.get_mut();
        let wait = || async move { client.gone().await }.boxed();
        let gone = leaving.get_or_insert_with(wait).poll_unpin(cx);
        if gone.is_ready() {
            *leaving = None;
        }
        gone
    }
}

impl fmt::Debug for Leaving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leaving({})", self.0.lock().is_some())
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        self.link.serves_nobody();
    }
}

type Written = Poll<io::Result<usize>>;

/// Says how the head of a session's next answer is to be written; with `None` it is as Pingora has
/// it, with the present time.
pub(in crate::proxy) fn announce(session: &Session, next: Option<NextHead>) {
    if let Some(stream) = Http2Stream::of(session) {
        stream.keep_date(next.map(|next| next.date));
    }
    let stream = session.as_downstream().stream();
    if let Some(stream) = stream.and_then(|s| (**s).as_any().downcast_ref::<ClientStream>()) {
        *stream.next.lock() = next;
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Written {
        self.note_answer(bytes);
        let line = self.line();
        self.poll_write_head(cx, bytes, line)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Written {
        let this = &mut *self;
        let first = slices.iter().find(|slice| !slice.is_empty());
        let first = first.map_or(&[][..], |slice| slice);
        this.note_answer(first);
        let line = this.line();
        if line.is_none() && this.held.is_empty() {
            return Pin::new(&mut this.inner).poll_write_vectored(cx, slices);
        }
        this.poll_write_head(cx, first, line)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.held.poll_write_before(&mut this.inner, cx, &[]))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.held.poll_write_before(&mut this.inner, cx, &[]))?;
        if this.farewell.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
        }
        let farewell = this.farewell.get_or_insert_default();
        farewell.poll(cx, &mut this.inner).map(Ok)
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.field_block.is_some() {
            return self.poll_frames(cx, buffer);
        }
        let Some(number) = self.link.expected_head() else {
            return self.poll_body(cx, buffer);
        };
        self.head.begin(number);
        let before = buffer.filled().len();
        let read = self.poll_inner_read(cx, buffer);
        let came = &buffer.filled()[before..];
        if !came.is_empty() {
            self.link.head_begins();
        }
        match self.head.check(cx, came, Instant::now()) {
            Ok(of_head) => {
                self.keep_behind(buffer, before + of_head);
                read
            }
            Err(fault) => Poll::Ready(Err(self.refuse(cx, fault))),
        }
    }
}

#[async_trait]
impl Shutdown for ClientStream {
    async fn shutdown(&mut self) {
        // Gone already is as good as shut down.
        let _ = AsyncWriteExt::shutdown(self).await;
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
        Some(self.carrier.clone())
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
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        net::{TcpListener, TcpStream},
    };

    const LIMITS: HeadLimits = HeadLimits {
        time: Duration::from_secs(10),
        bytes: 64 << 10,
    };
    const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEW: &str = "Wed, 25 Nov 2026 02:00:00 GMT";

    fn head(date: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nETag: \"a\"\r\nDate: {date}\r\nVia: 1.1 x\r\n\r\n")
    }

    fn date_of(text: &str) -> Date {
        let mut headers = HeaderMap::new();
        headers.insert(header::DATE, text.parse().unwrap());
        Date::of(&headers).unwrap()
    }

    /// A link of no importance.
    async fn link() -> Arc<Link> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await;
        Link::new(Arc::new(near.unwrap().into_split().0), None)
    }

    fn caller() -> Caller {
        let journal = crate::proxy::Journal::new(None, Arc::default());
        Caller::new([127, 0, 0, 1].into(), journal)
    }

    /// Writes answers over an inner stream that takes few bytes at once.
    async fn write(answers: Vec<(Option<NextHead>, Vec<u8>, Vec<u8>)>, takes: usize) -> Vec<u8> {
        let (near, mut far) = duplex(takes);
        let mut stream = ClientStream::new(Box::new(near), link().await, caller(), LIMITS).unwrap();
        let writing = async move {
            for (next, head, body) in answers {
                *stream.next.lock() = next;
                stream.write_all(&head).await.unwrap();
                stream.write_all(&body).await.unwrap();
                stream.flush().await.unwrap();
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
            bodies in proptest::collection::vec(
                (proptest::collection::vec(any::<u8>(), 0..60), any::<bool>(), any::<bool>()),
                1..4,
            ),
            takes in 1_usize..100,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
            let (mut answers, mut expected) = (Vec::new(), Vec::new());
            for (nth, (body, with_body, whole)) in bodies.iter().enumerate() {
                let own = (nth % 2 == 0).then_some(OLD);
                let next = own.map(|date| NextHead { date: date_of(date), with_body: *with_body });
                let rest = [b"\r\nDate: ", NEW.as_bytes(), b"\r\n\r\n", &body[..]].concat();
                let (mut head, tail) = (head(NEW).into_bytes(), rest.clone());
                // Pingora writes a head by itself, but nothing here may depend on it.
                match whole {
                    true => answers.push((next, head, tail)),
                    false => {
                        head.extend(tail);
                        answers.push((next, head, Vec::new()));
                    }
                }
                expected.extend([self::head(own.unwrap_or(NEW)).as_bytes(), &rest].concat());
            }
            prop_assert_eq!(runtime.block_on(write(answers, takes)), expected);
        }
    }
}
