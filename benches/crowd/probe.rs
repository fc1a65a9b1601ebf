//! The client in a hurry beside the crowd: what it sees is what the crowd costs others.

use crate::{
    catalogue::Object,
    kit::{
        client::{Client, Reading},
        limits,
        measure::quantile,
        random::Random,
    },
};
use std::{
    io,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

const RANGE: u64 = 64_000;
const PAUSE: Duration = Duration::from_millis(1);
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// What the client has seen.
#[derive(Debug, Default)]
pub struct Seen {
    milliseconds: Vec<f64>,
    pub errors: u64,
    first_error: Option<String>,
}

impl Seen {
    pub fn answers(&self) -> u64 {
        self.milliseconds.len() as u64
    }

    pub fn p99_ms(&self) -> f64 {
        quantile(&self.milliseconds, 0.99)
    }
}

/// Asks for one range of a known object after the other, from a thread of its own that goes first,
/// while `load` runs in this one; both end by themselves after `time`.
pub fn beside<T>(
    server: SocketAddr,
    known: &Object,
    time: Duration,
    load: impl FnOnce() -> io::Result<T>,
) -> io::Result<(Seen, T)> {
    thread::scope(|scope| {
        let probe = scope.spawn(|| {
            limits::hurry();
            ask(server, known, Instant::now() + time)
        });
        let outcome = load();
        let seen = probe.join().expect("a client doesn't panic");
        if let Some(error) = &seen.first_error {
            eprintln!(
                "  first of {} errors of the fast client: {error}",
                seen.errors
            );
        }
        Ok((seen, outcome?))
    })
}

/// The same with nothing beside it.
pub fn alone(server: SocketAddr, known: &Object, time: Duration) -> io::Result<Seen> {
    beside(server, known, time, || Ok(())).map(|(seen, ())| seen)
}

fn ask(server: SocketAddr, known: &Object, until: Instant) -> Seen {
    let mut client = Client::new(server);
    let mut random = Random::new(known.size);
    let mut seen = Seen::default();
    while Instant::now() < until {
        let range = random.range(known.size, RANGE);
        match client.get(&known.path, Some(range), Reading::Discard) {
            Ok(answer) => {
                seen.milliseconds.push(answer.whole.as_secs_f64() * 1e3);
                thread::sleep(PAUSE);
            }
            Err(error) => {
                seen.errors += 1;
                seen.first_error.get_or_insert_with(|| error.to_string());
                thread::sleep(PAUSE_AFTER_ERROR);
            }
        }
    }
    seen
}
