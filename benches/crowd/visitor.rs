//! A client for crowds: a task on a few threads, which all its reads lend their buffer.

use crate::kit::{
    body::Content,
    head::{self, Head},
};
use rustix::net::RecvFlags;
use std::{
    cell::RefCell,
    io,
    net::SocketAddr,
    ops::Range,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncWriteExt, Interest},
    net::TcpStream,
    task::coop,
    time::{sleep_until, timeout},
};

/// The longest wait for anything at all to come; a client that waits longer has been let down.
const PATIENCE: Duration = Duration::from_secs(60);
const SCRATCH: usize = 256 << 10;
const MAX_HEAD: usize = 16 << 10;
/// Reads at a rate are at most so many in a second.
const READS_PER_SECOND: u64 = 8;

thread_local! {
    /// Where bytes are put that nobody keeps. A read never yields while it has it.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

/// What a visitor asks for, and how it takes it.
#[derive(Clone, Debug)]
pub struct Wish {
    pub path: String,
    pub range: Option<Range<u64>>,
    /// Compare every byte; otherwise the kernel throws all but the first away.
    pub check: bool,
    /// Bytes per second; as fast as they come when absent.
    pub rate: Option<u64>,
    /// Hang up after so many bytes.
    pub leave_after: Option<u64>,
}

/// How far a request has come; it tells that also when it is given up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    pub first_byte: Option<Duration>,
    /// Whether the answer came from the cache, as the server says.
    pub hit: bool,
    pub bytes: u64,
}

/// One client with one connection, kept alive as long as the server does.
pub struct Visitor {
    server: SocketAddr,
    socket: Option<TcpStream>,
}

impl Visitor {
    pub fn new(server: SocketAddr) -> Self {
        Self {
            server,
            socket: None,
        }
    }

    /// Gets what is wished for. Wrong bytes are an error of the kind `InvalidData`.
    pub async fn get(&mut self, wish: &Wish, progress: &mut Progress) -> io::Result<()> {
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => connect(self.server).await?,
        };
        let asked = Instant::now();
        let request = head::request(self.server, &wish.path, wish.range.as_ref());
        timeout(PATIENCE, socket.write_all(request.as_bytes())).await??;
        let content = Content::of(&wish.path);
        let offset = wish.range.as_ref().map_or(0, |it| it.start);
        let (head, beginning) = read_head(&socket).await?;
        head.expect(wish.range.as_ref())?;
        progress.hit = head.hit == Some(true);
        compare(content, offset, &beginning)?;
        progress.bytes = beginning.len() as u64;
        if !beginning.is_empty() {
            progress.first_byte = Some(asked.elapsed());
        }
        let end = wish.leave_after.unwrap_or(u64::MAX).min(head.length);
        while progress.bytes < end {
            wait_for_turn(wish.rate, asked, progress.bytes).await;
            let piece = wish.rate.map_or(SCRATCH as u64, |it| it / READS_PER_SECOND);
            let most = piece.clamp(1, end - progress.bytes).min(SCRATCH as u64) as usize;
            let at = offset + progress.bytes;
            let got = if wish.check || progress.first_byte.is_none() {
                receive(&socket, most, |bytes| compare(content, at, bytes)).await?
            } else {
                discard(&socket, most).await?
            };
            if got == 0 {
                let (read, length) = (progress.bytes, head.length);
                return Err(io::Error::other(format!("body ends at {read} of {length}")));
            }
            progress.bytes += got as u64;
            progress.first_byte.get_or_insert_with(|| asked.elapsed());
        }
        if !head.closes && end == head.length {
            self.socket = Some(socket);
        }
        Ok(())
    }
}

/// A connection, ready to be written to.
pub async fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let socket = timeout(PATIENCE, TcpStream::connect(server)).await??;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// The head, and what of the body came with it.
async fn read_head(socket: &TcpStream) -> io::Result<(Head, Vec<u8>)> {
    let mut have = Vec::new();
    while have.len() < MAX_HEAD {
        let got = receive(socket, MAX_HEAD - have.len(), |bytes| {
            have.extend_from_slice(bytes);
            Ok(())
        });
        if got.await? == 0 {
            break;
        }
        if let Some(head) = Head::parse(&have) {
            return Ok((head, have.split_off(head.end)));
        }
    }
    Err(io::Error::other("no complete response head"))
}

/// Waits until so many bytes are due at a rate.
async fn wait_for_turn(rate: Option<u64>, asked: Instant, bytes: u64) {
    if let Some(rate) = rate {
        let due = Duration::from_secs_f64(bytes as f64 / rate as f64);
        sleep_until((asked + due).into()).await;
    }
}

fn compare(content: Content, offset: u64, bytes: &[u8]) -> io::Result<()> {
    if content.matches(offset, bytes) {
        return Ok(());
    }
    let message = format!("wrong bytes at or after {offset}");
    Err(io::Error::new(io::ErrorKind::InvalidData, message))
}

/// Reads at most so many bytes and shows them; how many there were, 0 at the end.
pub async fn receive(
    socket: &TcpStream,
    most: usize,
    mut show: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<usize> {
    read(socket, |buffer| {
        let most = most.min(buffer.len());
        let (got, _) = rustix::net::recv(socket, &mut buffer[..most], RecvFlags::empty())?;
        show(&buffer[..got])?;
        Ok(got)
    })
    .await
}

/// Has the kernel throw away at most so many bytes without copying them.
async fn discard(socket: &TcpStream, most: usize) -> io::Result<usize> {
    read(socket, |buffer| {
        let most = most.min(buffer.len());
        let (_, dropped) = rustix::net::recv(socket, &mut buffer[..most], RecvFlags::TRUNC)?;
        Ok(dropped)
    })
    .await
}

async fn read(
    socket: &TcpStream,
    mut once: impl FnMut(&mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    loop {
        // A fast body must not keep its thread: others wait there for their first bytes.
        coop::consume_budget().await;
        let tried =
            BUFFER.with_borrow_mut(|buffer| socket.try_io(Interest::READABLE, || once(buffer)));
        match tried {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                timeout(PATIENCE, socket.readable()).await??;
            }
            other => return other,
        }
    }
}
