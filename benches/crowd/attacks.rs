//! Ways to do harm, each for a given time and then over.

mod connections;
mod strokes;
mod tool;

use crate::{audience, catalogue::Object};
use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout_at},
};

/// What is attacked.
#[derive(Clone, Debug)]
pub struct Target {
    pub server: SocketAddr,
    /// What the server has in its cache.
    pub known: Object,
    pub attackers: u64,
    pub time: Duration,
}

/// One way.
pub struct Attack {
    pub title: &'static str,
    weight: u64,
    way: Way,
}

/// What an attack has come to.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// What was done: bytes or requests sent, connections opened; each way has its own.
    pub strokes: u64,
    pub cut: u64,
    pub held: u64,
}

#[derive(Clone, Copy)]
enum Way {
    /// What one attacker does, over and over.
    Ours(fn(Attacker) -> Stroke),
    /// Debian's `slowhttptest`, in one of its modes.
    Tool(&'static str),
}

type Stroke = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// Each attacker opens with its own stroke after the other; all together they last the time.
pub const ALL: &[Attack] = &[
    ours("hostile: heads without end", 1, connections::slow_heads),
    ours("hostile: bodies hardly read", 1, connections::slow_reads),
    ours("hostile: resets", 1, strokes::resets),
    ours("hostile: floods", 1, strokes::floods),
    ours("hostile: idle connections", 10, connections::idle),
    tool("hostile: slowhttptest, heads", "-H"),
    tool("hostile: slowhttptest, bodies", "-X"),
];

/// The longest time over which attackers arrive.
const ARRIVAL: Duration = Duration::from_secs(2);
/// After a stroke that failed: a server that refuses is not attacked faster.
const PAUSE: Duration = Duration::from_millis(200);

const fn ours(title: &'static str, weight: u64, way: fn(Attacker) -> Stroke) -> Attack {
    Attack {
        title,
        weight,
        way: Way::Ours(way),
    }
}

const fn tool(title: &'static str, mode: &'static str) -> Attack {
    Attack {
        title,
        weight: 1,
        way: Way::Tool(mode),
    }
}

/// One of many.
#[derive(Clone)]
pub struct Attacker {
    target: Arc<Target>,
    number: u64,
    books: Arc<Books>,
}

#[derive(Debug, Default)]
struct Books {
    strokes: AtomicU64,
    cut: AtomicU64,
    held: AtomicU64,
}

impl Attacker {
    fn strike(&self) {
        self.books.strokes.fetch_add(1, Relaxed);
    }
}

impl Attack {
    /// Whether this machine has what it takes.
    pub fn is_here(&self) -> bool {
        match self.way {
            Way::Ours(_) => true,
            Way::Tool(_) => tool::is_here(),
        }
    }

    pub fn attackers(&self, clients: u64) -> u64 {
        clients * self.weight
    }

    /// Attacks for as long as is said; tools keep their findings to themselves.
    pub fn run(&self, target: &Target) -> io::Result<Option<Outcome>> {
        match self.way {
            Way::Ours(way) => run_ours(way, target).map(Some),
            Way::Tool(mode) => tool::run(mode, target).map(|()| None),
        }
    }
}

fn run_ours(way: fn(Attacker) -> Stroke, target: &Target) -> io::Result<Outcome> {
    audience::runtime()?.block_on(async {
        let until = Instant::now() + target.time;
        let arrival = ARRIVAL.min(target.time / 4);
        let books = Arc::new(Books::default());
        let shared = Arc::new(target.clone());
        let mut attackers = JoinSet::new();
        for number in 0..target.attackers {
            let comes = arrival.mul_f64(number as f64 / target.attackers as f64);
            let attacker = Attacker {
                target: shared.clone(),
                number,
                books: books.clone(),
            };
            attackers.spawn(async move {
                sleep(comes).await;
                attack(way, attacker, until).await;
            });
        }
        sleep_until(until).await;
        while attackers.join_next().await.is_some() {}
        Ok(Outcome {
            strokes: books.strokes.load(Relaxed),
            cut: books.cut.load(Relaxed),
            held: books.held.load(Relaxed),
        })
    })
}

/// Does it again whenever it is over; one that time has ended was held.
async fn attack(way: fn(Attacker) -> Stroke, attacker: Attacker, until: Instant) {
    let books = attacker.books.clone();
    while Instant::now() < until {
        match timeout_at(until, way(attacker.clone())).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => {
                books.cut.fetch_add(1, Relaxed);
                // Not past the end: the next attack begins there.
                let _ = timeout_at(until, sleep(PAUSE)).await;
            }
            Err(_) => {
                books.held.fetch_add(1, Relaxed);
            }
        }
    }
}
