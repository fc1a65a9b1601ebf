//! Everybody comes at once for what nobody has seen yet.

use super::{FAR_ORIGIN, GB, MB, Stage, Value, value};
use crate::kit::{
    client::{Answer, Client, Reading},
    measure::{self, quantile},
    memory::MemoryWatch,
    origin,
};
use std::{io, sync::Barrier, thread};

const CLIENTS: usize = 200;
const STACK: usize = 128 << 10;

pub fn on_cold_50_mb(stage: &Stage) -> io::Result<Vec<Value>> {
    stage.origin.limit(Some(FAR_ORIGIN));
    let path = &origin::path(50 * MB, "crowd");
    let before = stage.origin.counts();
    let cpu_before = measure::cpu_seconds(stage.server.pid())?;
    let memory = MemoryWatch::start(stage.server.pid());
    let answers = all_at_once(stage, path)?;
    stage.settle();
    let peak = memory.peak();
    let cpu = measure::cpu_seconds(stage.server.pid())? - cpu_before;
    let fetched = stage.origin.counts().since(before);

    let first: Vec<_> = answers
        .iter()
        .map(|it| it.first_byte.as_secs_f64() * 1e3)
        .collect();
    let last = answers.iter().map(|it| it.whole).max().unwrap_or_default();
    let served = answers.iter().map(|it| it.length).sum::<u64>() as f64;
    Ok(vec![
        value(
            "origin bytes, ×",
            fetched.body_bytes as f64 / (50 * MB) as f64,
        ),
        value("origin requests", fetched.requests as f64),
        value("first byte p50, ms", quantile(&first, 0.5)),
        value("first byte p99, ms", quantile(&first, 0.99)),
        value("all served, s", last.as_secs_f64()),
        value("CPU-s/GB", cpu / (served / GB as f64)),
        value("peak memory, MB", peak as f64 / MB as f64),
    ])
}

fn all_at_once(stage: &Stage, path: &str) -> io::Result<Vec<Answer>> {
    let gate = Barrier::new(CLIENTS);
    let one = || {
        let mut client = Client::small(stage.server.address());
        let connected = client.connect();
        gate.wait();
        connected?;
        client.get(path, None, Reading::Discard)
    };
    thread::scope(|scope| {
        let clients = (0..CLIENTS).map(|_| {
            let small = thread::Builder::new().stack_size(STACK);
            small
                .spawn_scoped(scope, one)
                .expect("the machine can run 200 threads")
        });
        let clients: Vec<_> = clients.collect();
        clients
            .into_iter()
            .map(|it| it.join().expect("a client doesn't panic"))
            .collect()
    })
}
