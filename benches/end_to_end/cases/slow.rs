//! Many who take their time: what do they hold, and what do they cost somebody in a hurry?

use super::{KB, MB, Stage, Value, value};
use crate::kit::{
    client::{Client, Reading},
    measure::{self, quantile},
    memory::{self, MemoryWatch},
    origin,
    random::Random,
};
use std::{
    io, thread,
    time::{Duration, Instant},
};

const READERS: usize = 500;
const RATE: u64 = 100 * KB;
const STACK: usize = 128 << 10;
/// Until all readers have come and their first, faster bytes are through.
const ARRIVAL: Duration = Duration::from_secs(3);
const WATCHED: Duration = Duration::from_secs(5);
const HURRIED_SIZE: u64 = 50 * MB;

pub fn readers_of_200_mb(stage: &Stage) -> io::Result<Vec<Value>> {
    let path = &origin::path(200 * MB, "slow");
    let hurried = &origin::path(HURRIED_SIZE, "hurried");
    stage.warm(path)?;
    stage.warm(hurried)?;
    let idle = latencies(stage, hurried, Instant::now() + WATCHED / 2)?;
    let memory_before = memory::memory(stage.server.pid())?;

    let memory = MemoryWatch::start(stage.server.pid());
    let cpu_before = measure::cpu_seconds(stage.server.pid())?;
    let until = Instant::now() + ARRIVAL + WATCHED;
    let slowly = Reading::Slowly { rate: RATE, until };
    let reader = || Client::small(stage.server.address()).get(path, None, slowly);
    let (busy, lost) = thread::scope(|scope| {
        let readers = (0..READERS).map(|_| {
            let small = thread::Builder::new().stack_size(STACK);
            small
                .spawn_scoped(scope, reader)
                .expect("the machine can run 500 threads")
        });
        let readers: Vec<_> = readers.collect();
        thread::sleep(ARRIVAL);
        let busy = latencies(stage, hurried, until - WATCHED / 5);
        let ended = readers
            .into_iter()
            .map(|it| it.join().expect("a reader doesn't panic"));
        (busy, ended.filter(Result::is_err).count())
    });
    let busy = busy?;
    let cpu = measure::cpu_seconds(stage.server.pid())? - cpu_before;
    let more = memory.peak().saturating_sub(memory_before);
    Ok(vec![
        value("memory on top, MB", more as f64 / MB as f64),
        value("fast client's p99, ms", quantile(&busy, 0.99)),
        value("the same when idle, ms", quantile(&idle, 0.99)),
        value("CPU-s", cpu),
        value("readers lost", lost as f64),
    ])
}

/// How long each range takes a client that asks for one after the other.
fn latencies(stage: &Stage, path: &str, until: Instant) -> io::Result<Vec<f64>> {
    let mut client = stage.client();
    let mut random = Random::new(stage.seed);
    let mut milliseconds = Vec::new();
    while Instant::now() < until {
        let range = random.range(HURRIED_SIZE, 64 * KB);
        let answer = client.get(path, Some(range), Reading::Discard)?;
        milliseconds.push(answer.whole.as_secs_f64() * 1e3);
        thread::sleep(Duration::from_millis(1));
    }
    Ok(milliseconds)
}
