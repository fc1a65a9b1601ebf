//! An HTTP/1.1 origin that does as a test's script says and keeps a log of what it was asked.

mod answer;
mod connection;
mod script;

pub use connection::variant;
pub use script::{Cut, End, Framing, Lie, Ranges, Script, Tag, Valve, date};

use crate::patience::within;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// The origin; its connections end with it.
pub struct Origin {
    address: SocketAddr,
    desk: Arc<Desk>,
    accepting: JoinHandle<()>,
}

/// One request as the origin saw it and what became of its answer.
#[derive(Clone, Debug)]
pub struct Seen {
    /// How many requests for this target came before.
    pub nth: usize,
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    /// Bytes of the request's own body.
    pub received: u64,
    pub status: u16,
    /// Bytes of the answer's body that went into the socket.
    pub sent: u64,
    pub state: State,
}

/// How far an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Sending,
    Complete,
    /// The script ended it.
    Cut,
    /// Whoever asked went away.
    Left,
}

/// What connections and tests share.
struct Desk {
    scripts: Mutex<HashMap<String, Script>>,
    log: watch::Sender<Vec<Seen>>,
}

impl Origin {
    pub async fn start() -> Self {
        Self::listen(([127, 0, 0, 1], 0).into()).unwrap()
    }

    /// Takes the place of an origin that has just gone.
    pub async fn start_at(address: SocketAddr) -> Self {
        let free = async {
            loop {
                match Self::listen(address) {
                    Ok(origin) => return origin,
                    // Its listener goes with its task, a moment later.
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        within("the address to be free again", free).await
    }

    fn listen(address: SocketAddr) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // Bytes in the kernel's buffers count as sent: keep them few.
        socket.set_send_buffer_size(32 << 10)?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(1024)?;
        let address = listener.local_addr()?;
        let desk = Arc::new(Desk {
            scripts: Mutex::default(),
            log: watch::Sender::new(Vec::new()),
        });
        let accepting = tokio::spawn(accept(listener, desk.clone()));
        Ok(Self {
            address,
            desk,
            accepting,
        })
    }

    /// An origin with one object at `/film`.
    pub async fn with(script: Script) -> Self {
        let origin = Self::start().await;
        origin.put("/film", script);
        origin
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts an object where a request finds it.
    pub fn put(&self, target: &str, script: Script) {
        let mut scripts = self.desk.scripts.lock().unwrap();
        scripts.insert(target.to_owned(), script);
    }

    /// Changes an object from the next request on.
    pub fn change(&self, target: &str, change: impl FnOnce(&mut Script)) {
        let mut scripts = self.desk.scripts.lock().unwrap();
        change(scripts.get_mut(target).expect("the object is there"));
    }

    /// All requests so far.
    pub fn log(&self) -> Vec<Seen> {
        self.desk.log.borrow().clone()
    }

    /// The requests so far for one target.
    pub fn asked(&self, target: &str) -> Vec<Seen> {
        let mut log = self.log();
        log.retain(|seen| seen.target == target);
        log
    }

    /// Body bytes sent so far for one target.
    pub fn sent(&self, target: &str) -> u64 {
        self.asked(target).iter().map(|seen| seen.sent).sum()
    }

    /// Waits until the log is as a test needs it.
    pub async fn wait_for(&self, what: &str, mut ready: impl FnMut(&[Seen]) -> bool) -> Vec<Seen> {
        let mut log = self.desk.log.subscribe();
        let found = within(what, log.wait_for(|log| ready(log))).await;
        found.expect("the origin keeps its log").clone()
    }

    /// Waits until no answer is under way.
    pub async fn settled(&self) -> Vec<Seen> {
        self.wait_for("every answer of the origin to end", |log| {
            log.iter().all(|seen| seen.state != State::Sending)
        })
        .await
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.iter();
        let line = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
        line.map(|(_, value)| value.as_str())
    }

    pub fn range(&self) -> Option<&str> {
        self.header("range")
    }

    /// Whether it asks only if something changed.
    pub fn is_conditional(&self) -> bool {
        self.header("if-none-match").is_some() || self.header("if-modified-since").is_some()
    }

    /// First and last byte of a `Range: bytes=a-b`, as fills send it.
    pub fn window(&self) -> Option<(u64, u64)> {
        let (first, last) = self.range()?.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    }
}

async fn accept(listener: TcpListener, desk: Arc<Desk>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        connections.spawn(connection::serve(stream, desk.clone()));
        while connections.try_join_next().is_some() {}
    }
}
