//! Several servers and several origins, some of them worse than any script makes them.

use crate::{
    gate::Gate,
    model::{Expected, Object},
    origin::{Cut, End, Origin, Script, Tag, Valve},
    patience::within,
};
use http::Uri;
use std::{net::SocketAddr, time::Duration};
use tidegate::{
    origin::{Config, Retry},
    proxy::RouteOrigin,
    server::Settings,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// The patience of the [`impatient`].
pub const SHORT: Duration = Duration::from_millis(500);

/// A Tidegate whose route has these origins, in this order, of these servers. Of several servers
/// the first is asked first, and the others hardly ever but after it.
pub async fn gate(origins: &[&[SocketAddr]], change: impl FnOnce(&mut Settings)) -> Gate {
    Gate::at(origins[0][0], |settings| {
        let named = |nth: usize| format!("origin-{nth}");
        let made = origins.iter().enumerate().map(|(nth, servers)| {
            let mut config = Config::new(named(nth), servers.iter().map(url).collect());
            config.servers[0].weight = 1000;
            config.retry = Retry {
                backoff: Duration::from_millis(1),
                ..Retry::default()
            };
            config
        });
        settings.origins = made.collect();
        let names = (0..origins.len()).map(|nth| RouteOrigin::named(named(nth)));
        settings.routes[0].origins = names.collect();
        change(settings);
    })
    .await
}

/// Two servers of one origin, and two origins of one server each.
pub fn layouts(first: SocketAddr, second: SocketAddr) -> [Vec<Vec<SocketAddr>>; 2] {
    [vec![vec![first, second]], vec![vec![first], vec![second]]]
}

/// The same as [`gate`], for one of the [`layouts`].
pub async fn gate_of(layout: &[Vec<SocketAddr>], change: impl FnOnce(&mut Settings)) -> Gate {
    let origins: Vec<&[SocketAddr]> = layout.iter().map(Vec::as_slice).collect();
    gate(&origins, change).await
}

fn url(address: &SocketAddr) -> Uri {
    format!("http://{address}").parse().unwrap()
}

/// An origin whose every answer has this status; an error, so nothing that is stored.
pub async fn answering(status: u16) -> Origin {
    Origin::with(failing(status)).await
}

pub fn failing(status: u16) -> Script {
    Script {
        status,
        etag: Tag::None,
        last_modified: false,
        cache_control: None,
        ..Script::new(u64::from(status), 100)
    }
}

/// An origin that takes a request and never says a word.
pub async fn silent() -> Origin {
    let script = Script {
        valve: Some(Valve::at(0)),
        holds_head: true,
        ..Script::new(1, 100)
    };
    Origin::with(script).await
}

pub fn impatient(settings: &mut Settings) {
    for origin in &mut settings.origins {
        origin.first_byte_timeout = SHORT;
    }
}

pub fn no_repetition(settings: &mut Settings) {
    for origin in &mut settings.origins {
        origin.retry.rounds = 0;
    }
}

/// Cuts once, and is down ever after.
pub fn cut_then_down(script: Script, after: u64, how: End) -> Script {
    script.twisted(move |seen, script| match seen.nth {
        0 => script.cut = Some(Cut { after, how }),
        _ => (script.status, script.cache_control) = (503, None),
    })
}

/// Asks for `/film`, and finds it whole and right.
pub async fn assert_served(gate: &Gate, object: &Object) {
    let answer = gate.get("/film").await;
    let verdict = object.verify(&Expected::Whole, &answer);
    verdict.unwrap_or_else(|wrong| panic!("{wrong}\n{answer}"));
}

pub async fn assert_status(gate: &Gate, status: u16) {
    let answer = gate.get("/film").await;
    assert_eq!(answer.status(), status, "{answer}");
}

/// The sum of a metric's samples that have this label; 0 where none has.
pub async fn sample(gate: &Gate, name: &str, label: &str) -> f64 {
    let text = gate.metrics().await;
    let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    let found =
        lines.filter(|(left, _)| left.starts_with(&format!("{name}{{")) && left.contains(label));
    found.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}

/// Failures of origins for this reason.
pub async fn failures(gate: &Gate, reason: &str) -> f64 {
    let label = format!("reason=\"{reason}\"");
    sample(gate, "tidegate_origin_failures_total", &label).await
}

/// An address that refuses connections as long as this lives, so that nobody else gets it.
pub struct Refusing(TcpSocket);

impl Refusing {
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self(socket)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

/// A server that reads a head and then says these bytes, whatever they are, and closes or resets.
pub struct Rude {
    address: SocketAddr,
    asked: watch::Receiver<usize>,
    accepting: JoinHandle<()>,
}

impl Rude {
    pub async fn closing(words: &'static [u8]) -> Self {
        Self::start(words, false).await
    }

    pub async fn resetting() -> Self {
        Self::start(b"", true).await
    }

    async fn start(words: &'static [u8], resets: bool) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (count, asked) = watch::channel(0);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(be_rude(stream, words, resets, count.clone()));
            }
        });
        Self {
            address,
            asked,
            accepting,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests whose head has come.
    pub fn asked(&self) -> usize {
        *self.asked.borrow()
    }
}

impl Drop for Rude {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn be_rude(mut stream: TcpStream, words: &[u8], resets: bool, count: watch::Sender<usize>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match within("a head", stream.read_buf(&mut head)).await {
            Ok(1..) => {}
            _ => return,
        }
    }
    count.send_modify(|count| *count += 1);
    let _ = stream.write_all(words).await;
    if resets {
        let _ = stream.set_zero_linger();
    }
}
