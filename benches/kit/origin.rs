//! The origin before which every server stands: it makes objects up, counts what it is asked for,
//! and can be slowed down to the rate of a link.
//!
//! `/SIZE/NAME` is an object of SIZE bytes; any NAME is a new one, so that a cold object is there
//! for the asking. One thread serves one connection; the threads live as long as the process.

use super::{body, request::Asked};
use std::{
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// Piece that goes out at once on a limited link: under a millisecond of 20 MB/s.
const LINK_PIECE: usize = 16 << 10;
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
const STACK: usize = 128 << 10;

/// The path of an object of `size` bytes.
pub fn path(size: u64, name: &str) -> String {
    format!("/{size}/{name}")
}

/// A running origin.
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What was asked of the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub requests: u64,
    pub body_bytes: u64,
}

#[derive(Default)]
struct Shared {
    requests: AtomicU64,
    body_bytes: AtomicU64,
    answers_under_way: AtomicU64,
    /// Before each answer, in microseconds.
    delay: AtomicU64,
    link: Link,
}

impl Origin {
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let origin = Self {
            address,
            shared: shared.clone(),
        };
        thread::Builder::new().spawn(move || {
            for socket in listener.incoming().flatten() {
                let shared = shared.clone();
                let serve = move || {
                    // A peer that leaves is part of the trade.
                    let _ = serve(&shared, socket);
                };
                let _ = thread::Builder::new().stack_size(STACK).spawn(serve);
            }
        })?;
        Ok(origin)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes per second over all connections together; without limit when `None`.
    pub fn limit(&self, rate: Option<u64>) {
        self.shared.link.rate.store(rate.unwrap_or(0), Relaxed);
    }

    /// Answers begin so much later: the way to an origin that is far.
    pub fn delay(&self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.shared.delay.store(micros, Relaxed);
    }

    pub fn counts(&self) -> Counts {
        Counts {
            requests: self.shared.requests.load(Relaxed),
            body_bytes: self.shared.body_bytes.load(Relaxed),
        }
    }

    /// Waits until fills that go on behind a client's back have come to rest, at most `limit`.
    pub fn settle(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut before = self.counts();
        let mut quiet_since = Instant::now();
        while Instant::now() < deadline && quiet_since.elapsed() < Duration::from_millis(250) {
            thread::sleep(Duration::from_millis(10));
            let now = self.counts();
            if now != before || self.shared.answers_under_way.load(Relaxed) > 0 {
                before = now;
                quiet_since = Instant::now();
            }
        }
    }
}

impl Counts {
    /// What came on top since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            requests: self.requests - earlier.requests,
            body_bytes: self.body_bytes - earlier.body_bytes,
        }
    }
}

/// The wire that all connections share.
#[derive(Default)]
struct Link {
    rate: AtomicU64,
    free_at: Mutex<Option<Instant>>,
}

impl Link {
    fn limited(&self) -> bool {
        self.rate.load(Relaxed) > 0
    }

    /// Takes the wire for `bytes` and waits until it is their turn.
    fn wait_for(&self, bytes: usize) {
        let rate = self.rate.load(Relaxed);
        if rate == 0 {
            return;
        }
        let now = Instant::now();
        let turn = {
            let mut free_at = self.free_at.lock().expect("no holder panics");
            let turn = free_at.map_or(now, |at| at.max(now));
            *free_at = Some(turn + Duration::from_secs_f64(bytes as f64 / rate as f64));
            turn
        };
        thread::sleep(turn.saturating_duration_since(now));
    }
}

fn serve(shared: &Shared, socket: TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let mut reader = BufReader::new(socket.try_clone()?);
    while let Some(asked) = Asked::read(&mut reader)? {
        shared.requests.fetch_add(1, Relaxed);
        shared.answers_under_way.fetch_add(1, Relaxed);
        let sent = answer(shared, &socket, &asked);
        shared.answers_under_way.fetch_sub(1, Relaxed);
        sent?;
        if reader.fill_buf()?.is_empty() {
            break;
        }
    }
    Ok(())
}

fn answer(shared: &Shared, mut socket: &TcpStream, asked: &Asked) -> io::Result<()> {
    let (head, mut offset, end) = asked.answer();
    thread::sleep(Duration::from_micros(shared.delay.load(Relaxed)));
    socket.write_all(head.as_bytes())?;
    while offset < end {
        let limited = shared.link.limited();
        let most = if limited { LINK_PIECE } else { body::MAX_PIECE };
        let length = most.min(usize::try_from(end - offset).unwrap_or(most));
        shared.link.wait_for(length);
        socket.write_all(asked.content().piece(offset, length))?;
        shared.body_bytes.fetch_add(length as u64, Relaxed);
        offset += length as u64;
    }
    Ok(())
}
