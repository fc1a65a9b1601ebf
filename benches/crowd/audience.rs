//! Many visitors on a few threads, each asking for one thing after the other until time is over.

use crate::{
    kit::random::Random,
    tally::Tally,
    visitor::{Progress, Visitor, Wish},
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

/// As many as the cores of a small machine, where the server needs them as well.
const THREADS: usize = 2;
/// What a visitor waits after an error, so that a server that refuses is not flooded.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest time over which visitors arrive: a crowd comes fast, but not in one moment.
const ARRIVAL: Duration = Duration::from_secs(2);

/// What visitor `.1` wants as number `.2`.
pub type Plan = dyn Fn(&mut Random, u64, u64) -> Wish + Send + Sync;

/// A crowd and the time that it has.
pub struct Audience {
    pub server: SocketAddr,
    pub clients: u64,
    pub time: Duration,
    pub seed: u64,
}

impl Audience {
    /// Runs the crowd to its end.
    pub fn run(self, plan: Arc<Plan>) -> io::Result<Tally> {
        runtime()?.block_on(async {
            let until = Instant::now() + self.time;
            let arrival = ARRIVAL.min(self.time / 4);
            let mut visits = JoinSet::new();
            for number in 0..self.clients {
                let plan = plan.clone();
                let seed = self.seed * 1_000_000 + number;
                let server = self.server;
                let comes = arrival.mul_f64(number as f64 / self.clients as f64);
                visits.spawn(async move {
                    sleep(comes).await;
                    visit(server, plan, number, seed, until).await
                });
            }
            let mut all = Tally::default();
            while let Some(one) = visits.join_next().await {
                all.add(one.expect("a visitor doesn't panic"));
            }
            Ok(all)
        })
    }
}

async fn visit(
    server: SocketAddr,
    plan: Arc<Plan>,
    visitor_number: u64,
    seed: u64,
    until: Instant,
) -> Tally {
    let mut tally = Tally::default();
    let mut random = Random::new(seed);
    let mut visitor = Visitor::new(server);
    let mut number = 0;
    while Instant::now() < until {
        let wish = plan(&mut random, visitor_number, number);
        let mut progress = Progress::default();
        let outcome = timeout_at(until, visitor.get(&wish, &mut progress)).await;
        tally.note(&progress, outcome.as_ref().ok());
        if let Ok(Err(_)) = outcome {
            sleep(PAUSE).await;
        }
        number += 1;
    }
    tally
}

/// The threads that a crowd runs on.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
}
