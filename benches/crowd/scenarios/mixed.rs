//! Objects of all sizes to many clients, half of them known and half never seen.

use super::{Findings, GB, MB, Scale, Stage};
use crate::{
    audience::{Audience, Plan},
    catalogue::{self, Object},
    kit::{
        measure,
        memory::MemoryWatch,
        random::Random,
        report::{Value, value},
    },
    tally::Tally,
    visitor::Wish,
};
use std::{io, sync::Arc, time::Instant};

const HITS_PERCENT: u64 = 50;
const RANGES_PERCENT: u64 = 20;
const RANGE: u64 = MB;

pub fn baseline(stage: &Stage) -> io::Result<Findings> {
    run(stage, "baseline", 0, |tally| {
        vec![value("errors, %", tally.errors_percent()).at_most(0.1)]
    })
}

pub fn stress(stage: &Stage) -> io::Result<Findings> {
    run(stage, "stress", RANGES_PERCENT, |tally| {
        vec![
            value("errors, %", tally.errors_percent()).at_most(0.1),
            value("cached: first byte p95, ms", tally.cached_ms(0.95)).at_most(500.0),
            value("origin: first byte p95, ms", tally.fetched_ms(0.95)).at_most(2_000.0),
        ]
    })
}

fn run(
    stage: &Stage,
    title: &'static str,
    ranges_percent: u64,
    aims: impl Fn(&Tally) -> Vec<Value>,
) -> io::Result<Findings> {
    let scale = stage.scale;
    let mut random = Random::new(stage.seed);
    let known = catalogue::objects(&mut random, scale.objects, scale.largest);
    stage.warm(&known)?;
    let before = stage.origin.counts();
    let cpu_before = measure::cpu_seconds(stage.server.pid())?;
    let memory = MemoryWatch::start(stage.server.pid());
    let started = Instant::now();
    let audience = Audience {
        server: stage.server.address(),
        clients: scale.clients,
        time: scale.time,
        seed: stage.seed,
    };
    let tally = audience.run(plan(known, scale, ranges_percent))?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu = measure::cpu_seconds(stage.server.pid())? - cpu_before;
    let peak = memory.peak();
    let fetched = stage.origin.counts().since(before).body_bytes;
    if let Some(error) = &tally.first_error {
        eprintln!("  first of {} errors: {error}", tally.errors);
    }
    let gigabytes = tally.bytes as f64 / GB as f64;
    let mut values = aims(&tally);
    values.extend([
        value("memory peak, MB", peak as f64 / MB as f64).at_most(128.0),
        value("cached: first byte p50, ms", tally.cached_ms(0.5)),
        value("cached: first byte p99, ms", tally.cached_ms(0.99)),
        value("origin: first byte p50, ms", tally.fetched_ms(0.5)),
        value("origin: first byte p99, ms", tally.fetched_ms(0.99)),
        value("CPU-s/GB", cpu / gigabytes),
        value("GB/s", gigabytes / seconds),
        value("requests", tally.requests as f64),
        value("hits, %", tally.hits_percent()),
        value("wrong bytes, answers", tally.wrong as f64).at_most(0.0),
        value("no byte yet at the end", tally.waiting as f64),
        value("origin bytes ÷ served", fetched as f64 / tally.bytes as f64),
    ]);
    let answers = tally.requests - tally.errors;
    Ok(Findings::of(title, values).with_outcomes(answers, tally.errors))
}

fn plan(known: Vec<Object>, scale: Scale, ranges_percent: u64) -> Arc<Plan> {
    Arc::new(move |random, client, number| {
        let object = if random.percent(HITS_PERCENT) {
            known[random.below(known.len() as u64) as usize].clone()
        } else {
            let size = catalogue::size(random, scale.largest);
            Object::new(size, &format!("new-{client}-{number}"))
        };
        let ranged = random.percent(ranges_percent);
        Wish {
            range: ranged.then(|| random.range(object.size, RANGE)),
            path: object.path,
            check: false,
            rate: scale.rate,
            leave_after: None,
        }
    })
}
