//! What a request may know of the connection that it came over.

use super::enciphered::Aside;
use crate::{
    cache::Attendance,
    traffic::{Habit, Untaken},
};
use parking_lot::Mutex;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::ioctl_fionread,
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::Interest,
    net::{TcpStream, tcp::OwnedReadHalf},
};

/// One client's connection, shared by its stream and its requests.
#[derive(Debug)]
pub struct Link {
    socket: Arc<OwnedReadHalf>,
    /// The way into what is enciphered, where it is.
    enciphered: Option<Aside>,
    reads_head: AtomicBool,
    /// Heads that have been expected so far.
    heads: AtomicUsize,
    /// Whether some of the last one has come.
    has_begun: AtomicBool,
    /// Whether the request's body comes in chunks.
    is_chunked: AtomicBool,
    /// What its client takes at a time.
    pub habit: Arc<Habit>,
    /// What its client has been given and not taken.
    pub untaken: Arc<Untaken>,
    answer: Mutex<Answer>,
}

/// The answer that is made.
#[derive(Debug, Default)]
struct Answer {
    /// Who waits for it.
    client: Option<Arc<dyn Attendance>>,
    /// The client knows interim answers.
    may_be_preceded: bool,
    /// Its request has a body, of which some may still have to come.
    has_body: bool,
    has_begun: bool,
}

/// What tells a client that has said all from one that is not there: the system of the latter
/// resets the connection. Any client of HTTP/1.1 passes over it (RFC 9110, section 15.2).
const PROCESSING: &[u8] = b"HTTP/1.1 102 Processing\r\n\r\n";

/// How the other side has closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// It sends no more, and may still read.
    Half,
    /// Nobody is there.
    Whole,
}

/// How often it is looked at a client whose next request waits to be read: its leaving can't be
/// waited for then.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Unread bytes behind which the end of what a client sends may not come in, as the system takes no
/// more: less than it holds for any connection.
const CLOGS: u64 = 16 << 10;

impl Link {
    /// The link of a connection over this socket, enciphered or in the clear.
    pub fn new(socket: Arc<OwnedReadHalf>, enciphered: Option<Aside>) -> Arc<Self> {
        Arc::new(Self {
            socket,
            enciphered,
            reads_head: AtomicBool::new(false),
            heads: AtomicUsize::new(0),
            has_begun: AtomicBool::new(false),
            is_chunked: AtomicBool::new(false),
            habit: Arc::default(),
            untaken: Arc::default(),
            answer: Mutex::default(),
        })
    }

    /// The link of the connection that a request came over, where it came over one of ours.
    pub fn of(session: &Session) -> Option<Arc<Self>> {
        let digest = session.as_downstream().digest()?;
        let ours = digest.proxy_digest.as_ref()?.user_data.as_ref()?;
        ours.downcast_ref::<Arc<Self>>().cloned()
    }

    /// What carries the link through Pingora: the one place in its account of a connection that
    /// takes anything.
    pub(super) fn carrier(self: &Arc<Self>) -> io::Result<Arc<ProxyDigest>> {
        let nothing = ResponseHeader::build_no_case(200, Some(0)).map_err(io::Error::other)?;
        let link: Arc<Self> = self.clone();
        Ok(Arc::new(ProxyDigest::new(
            Box::new(nothing),
            Some(Box::new(link)),
        )))
    }

    /// What comes next is the head of a request.
    pub fn expect_head(&self) {
        self.heads.fetch_add(1, Relaxed);
        self.has_begun.store(false, Relaxed);
        self.reads_head.store(true, Relaxed);
        *self.answer.lock() = Answer::default();
    }

    /// Some of the head of a request has come.
    pub(super) fn head_begins(&self) {
        self.has_begun.store(true, Relaxed);
    }

    /// Whether some of the head that is expected has come, or all of it.
    pub fn has_head_begun(&self) -> bool {
        self.has_begun.load(Relaxed)
    }

    /// The head of a request has come, whose body comes in chunks or not. It may have been behind the
    /// one before, and was read with it.
    pub fn head_has_come(&self, is_chunked: bool) {
        self.has_begun.store(true, Relaxed);
        self.is_chunked.store(is_chunked, Relaxed);
        self.reads_head.store(false, Relaxed);
    }

    /// Waits until there is something to be read, or the other side has gone. It may be dropped at any
    /// await.
    pub async fn has_come(&self) {
        // Not by what tokio remembers, which may be from before the last read.
        let _ = self.tcp().peek(&mut [0]).await;
    }

    /// An answer is made for this client, before which an interim one may be sent or not, to a
    /// request with a body or without.
    pub fn serves(&self, client: Arc<dyn Attendance>, may_be_preceded: bool, has_body: bool) {
        *self.answer.lock() = Answer {
            client: Some(client),
            may_be_preceded,
            has_body,
            has_begun: false,
        };
    }

    /// Something of the answer is written, or of an interim one.
    pub(super) fn answer_begins(&self) {
        self.answer.lock().has_begun = true;
    }

    /// Finds out whether anybody is there who may have closed, by sending something: if not, the
    /// connection is reset. `None` where nothing can be sent.
    pub fn probe(&self) -> Option<io::Result<()>> {
        // Held while it is sent: the answer begins before or after.
        let answer = self.answer.lock();
        if answer.client.is_none() || !answer.may_be_preceded || answer.has_begun {
            return None;
        }
        let sent = match &self.enciphered {
            None => self.tcp().try_write(PROCESSING),
            Some(aside) => self.takes_more().and_then(|()| aside.try_write(PROCESSING)),
        };
        Some(match sent {
            Ok(sent) if sent < PROCESSING.len() => Err(io::ErrorKind::WriteZero.into()),
            // What is still to be sent of the answer before does the same.
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
            sent => sent.map(|_| ()),
        })
    }

    /// The connection is over. Whoever it served knows it, and would keep it open.
    pub(super) fn serves_nobody(&self) {
        self.answer.lock().client = None;
    }

    pub(super) fn served(&self) -> Option<Arc<dyn Attendance>> {
        self.answer.lock().client.clone()
    }

    /// Whether the request that is answered has a body.
    pub(super) fn has_body(&self) -> bool {
        self.answer.lock().has_body
    }

    /// The number of the request whose body comes in chunks, where it does.
    pub(super) fn chunked_body(&self) -> Option<usize> {
        let is_chunked = self.is_chunked.load(Relaxed);
        is_chunked.then(|| self.heads.load(Relaxed))
    }

    /// The number of the head that is expected, where one is.
    pub fn expected_head(&self) -> Option<usize> {
        let is_expected = self.reads_head.load(Relaxed);
        is_expected.then(|| self.heads.load(Relaxed))
    }

    /// Waits until the other side has closed. It may be dropped at any await.
    ///
    /// Over TLS who sends no more says so by an alert (RFC 8446, section 6.1). What ends the connection
    /// behind it, or without it, closes both sides (RFC 9112, section 9.8).
    pub async fn closed(&self) -> Closed {
        loop {
            let Ok(ready) = self
                .socket
                .ready(Interest::READABLE | Interest::ERROR)
                .await
            else {
                return Closed::Whole;
            };
            if ready.is_error() || (ready.is_read_closed() && ready.is_write_closed()) {
                return Closed::Whole;
            }
            if ready.is_read_closed() {
                return match &self.enciphered {
                    Some(_) => Closed::Whole,
                    None => Closed::Half,
                };
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until so much is unread that it may hide that the other side has closed. It may be
    /// dropped at any await.
    pub async fn clogged(&self) {
        while ioctl_fionread(self.tcp()).is_ok_and(|unread| unread < CLOGS) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until the kernel takes more to be sent, which it does where little is unsent. It may be
    /// dropped at any await.
    pub async fn room(&self) {
        let look = || self.takes_more();
        let _ = self.tcp().async_io(Interest::WRITABLE, look).await;
    }

    /// Whether the kernel takes more to be sent: it would block, where not.
    fn takes_more(&self) -> io::Result<()> {
        // tokio remembers that a socket took something, and learns better only where it does not.
        let mut asked = [PollFd::new(self.tcp(), PollFlags::OUT)];
        match poll(&mut asked, Some(&Timespec::default())) {
            Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
            // An error is for who writes to find.
            _ => Ok(()),
        }
    }

    fn tcp(&self) -> &TcpStream {
        (*self.socket).as_ref()
    }

    /// Waits until the connection is reset, when half of it is closed already.
    pub async fn reset(&self) {
        while self
            .socket
            .ready(Interest::ERROR)
            .await
            .is_ok_and(|r| !r.is_error())
        {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
