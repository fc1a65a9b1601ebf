//! Many who take their time: what do they hold, and what do they cost somebody in a hurry?

use super::{Findings, KB, MB, Stage};
use crate::{
    audience::Audience,
    catalogue::Object,
    kit::{
        measure,
        memory::{self, MemoryWatch},
        report::value,
    },
    probe,
    visitor::Wish,
};
use std::{io, sync::Arc};

const HURRIED_SIZE: u64 = 50 * MB;
/// Of the time with readers, as long is looked on without them before.
const IDLE_SHARE: u32 = 4;

pub fn run(stage: &Stage) -> io::Result<Findings> {
    let scale = stage.scale;
    let film = Object::new(scale.largest, "film");
    let hurried = Object::new(HURRIED_SIZE.min(scale.largest), "hurried");
    stage.warm(&[film.clone(), hurried.clone()])?;
    let server = stage.server.address();
    let idle = probe::alone(server, &hurried, scale.time / IDLE_SHARE)?;

    let memory_before = memory::memory(stage.server.pid())?;
    let cpu_before = measure::cpu_seconds(stage.server.pid())?;
    let memory = MemoryWatch::start(stage.server.pid());
    let readers = Audience {
        server,
        clients: scale.clients,
        time: scale.time,
        seed: stage.seed,
    };
    let plan = Arc::new(move |_: &mut _, _, _| Wish {
        path: film.path.clone(),
        range: None,
        check: false,
        rate: scale.rate,
        leave_after: None,
    });
    let (loaded, tally) = probe::beside(server, &hurried, scale.time, || readers.run(plan))?;
    let cpu = measure::cpu_seconds(stage.server.pid())? - cpu_before;
    let more = memory.peak().saturating_sub(memory_before);
    if let Some(error) = &tally.first_error {
        eprintln!("  first of {} readers lost: {error}", tally.errors);
    }
    let each = more as f64 / scale.clients as f64;
    let findings = Findings::of(
        "slow",
        vec![
            value("memory per reader, KB", each / KB as f64).at_most(64.0),
            value("fast client's p99, ms", loaded.p99_ms()),
            value("÷ idle", loaded.p99_ms() / idle.p99_ms()).at_most(2.0),
            value("the same when idle, ms", idle.p99_ms()),
            value("fast client's errors", loaded.errors as f64).at_most(0.0),
            value("readers lost", tally.errors as f64).at_most(0.0),
            value("CPU-s", cpu),
            value(
                "MB/s to readers",
                tally.bytes as f64 / MB as f64 / scale.time.as_secs_f64(),
            ),
        ],
    );
    let answers = tally.requests - tally.errors;
    Ok(findings.with_outcomes(answers, tally.errors + loaded.errors))
}
