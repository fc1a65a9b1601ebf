//! The same crowd for a long time: nothing grows, and no byte is wrong.
//!
//! Clients watch at the rate of a film; some ask for parts, some leave in between. The cache has
//! room for three fifths of what there is, so that it evicts all the time.

use super::{Findings, MB, Scale, Stage};
use crate::{
    audience::{Audience, Plan},
    catalogue::{self, Object, Zipf},
    kit::{
        random::Random,
        report::{Value, value},
    },
    samples::{Sampler, mean, slope},
    visitor::Wish,
};
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

/// Films are wanted about so unequally.
const EXPONENT: f64 = 1.1;
const RANGES_PERCENT: u64 = 20;
const LEAVERS_PERCENT: u64 = 5;
const RANGE: u64 = MB;
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// So many samples there are of the shortest run, too.
const SAMPLES: u32 = 10;
/// The first of so many parts of the run is not looked at.
const WARM_UP: usize = 5;
/// What may seem to grow, in percent of its mean over the run, and still be called flat.
const FLAT: f64 = 5.0;
/// Sixteen chunks are the smallest cache that there may be.
const LEAST_ROOM: u64 = 16 << 20;

/// Three fifths of an average catalogue of this size.
pub fn room(scale: &Scale) -> u64 {
    let mut random = Random::new(1);
    let all = catalogue::objects(&mut random, scale.objects, scale.largest);
    let bytes: u64 = all.iter().map(|it| it.size).sum();
    (bytes * 3 / 5).max(LEAST_ROOM)
}

pub fn run(stage: &Stage) -> io::Result<Findings> {
    let scale = stage.scale;
    let mut random = Random::new(stage.seed);
    let objects = catalogue::objects(&mut random, scale.objects, scale.largest);
    let every = SAMPLE_EVERY.min(scale.time / SAMPLES);
    let before = stage.origin.counts();
    let sampler = Sampler::start(stage.server, every, Instant::now() + scale.time);
    let audience = Audience {
        server: stage.server.address(),
        clients: scale.clients,
        time: scale.time,
        seed: stage.seed,
    };
    let tally = audience.run(plan(objects, scale.rate))?;
    let series = sampler.finish();
    let fetched = stage.origin.counts().since(before).body_bytes;
    if let Some(error) = &tally.first_error {
        eprintln!("  first of {} errors: {error}", tally.errors);
    }
    let mut values = vec![
        value("wrong bytes, answers", tally.wrong as f64).at_most(0.0),
        value("errors, %", tally.errors_percent()).at_most(0.1),
        value("hits, %", tally.hits_percent()).at_least(80.0),
        value("origin bytes ÷ served", fetched as f64 / tally.bytes as f64),
        value("requests", tally.requests as f64),
        value(
            "MB/s",
            tally.bytes as f64 / MB as f64 / scale.time.as_secs_f64(),
        ),
    ];
    let hour = 3_600.0 / every.as_secs_f64();
    values.extend(growth(
        ["memory, MB", "memory slope, MB/h", "memory rise, %"],
        &series.memory_mb,
        hour,
    ));
    values.extend(growth(
        ["files", "files slope, 1/h", "files rise, %"],
        &series.files,
        hour,
    ));
    values.extend(growth(
        ["sockets", "sockets slope, 1/h", "sockets rise, %"],
        &series.connections,
        hour,
    ));
    values.extend(growth(
        ["threads", "threads slope, 1/h", "threads rise, %"],
        &series.threads,
        hour,
    ));
    values.push(value("requests under way", mean(&series.requests)));
    values.push(value("fills running", mean(&series.fills)));
    let answers = tally.requests - tally.errors;
    let mut findings = Findings::of("endurance", values).with_outcomes(answers, tally.errors);
    findings.series = vec![
        ("memory, MB", series.memory_mb),
        ("files", series.files),
        ("sockets", series.connections),
        ("threads", series.threads),
        ("requests under way", series.requests),
        ("fills running", series.fills),
    ];
    Ok(findings)
}

/// The mean after the warm-up, how steep the straight line through it is, and how far that has
/// risen at the end of the run.
fn growth(names: [&'static str; 3], samples: &[f64], hour: f64) -> [Value; 3] {
    let looked_at = &samples[samples.len() / WARM_UP..];
    let (mean, slope) = (mean(looked_at), slope(looked_at));
    let rise = slope * looked_at.len() as f64 / mean * 100.0;
    [
        value(names[0], mean),
        value(names[1], slope * hour),
        value(names[2], rise).at_most(FLAT),
    ]
}

fn plan(objects: Vec<Object>, rate: Option<u64>) -> Arc<Plan> {
    let zipf = Zipf::new(objects.len(), EXPONENT);
    Arc::new(move |random, _, _| {
        let object = &objects[zipf.pick(random)];
        let ranged = random.percent(RANGES_PERCENT);
        let leaves = random.percent(LEAVERS_PERCENT);
        Wish {
            path: object.path.clone(),
            range: ranged.then(|| random.range(object.size, RANGE)),
            check: true,
            rate,
            leave_after: leaves.then(|| random.below(object.size)),
        }
    })
}
