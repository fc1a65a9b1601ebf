//! Nothing is there: an object passes through to its first client while it is being stored.

use super::{GB, MB, Stage, Value, value};
use crate::kit::{client::Reading, measure, memory::MemoryWatch, origin};
use std::io;

pub fn cold_1_gb(stage: &Stage) -> io::Result<Vec<Value>> {
    let path = origin::path(GB, "stream");
    let cpu_before = measure::cpu_seconds(stage.server.pid())?;
    let counts_before = stage.origin.counts();
    let memory = MemoryWatch::start(stage.server.pid());
    let answer = stage.client().get(&path, None, Reading::Discard)?;
    stage.settle();
    let peak = memory.peak();
    let cpu = measure::cpu_seconds(stage.server.pid())? - cpu_before;
    let fetched = stage.origin.counts().since(counts_before);

    stage.client().get(&path, None, Reading::Check)?;
    let gigabytes = answer.length as f64 / GB as f64;
    Ok(vec![
        value("GB/s", gigabytes / answer.whole.as_secs_f64()),
        value("CPU-s/GB", cpu / gigabytes),
        value("peak memory, MB", peak as f64 / MB as f64),
        value(
            "origin bytes, ×",
            fetched.body_bytes as f64 / answer.length as f64,
        ),
        value("origin requests", fetched.requests as f64),
    ])
}
