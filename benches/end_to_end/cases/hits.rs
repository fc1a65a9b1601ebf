//! Everything is there: what does it cost to give it out?

use super::{GB, KB, MB, Stage, Value, value};
use crate::{
    kit::origin,
    load::{Cost, Load},
};
use std::io;

pub fn ranges_of_64_kb(stage: &Stage) -> io::Result<Vec<Value>> {
    let cost = hits(stage, 200 * MB, Some(64 * KB), 8, 40_000)?;
    Ok(vec![
        value(
            "CPU-s per 10,000",
            cost.cpu_seconds / cost.requests * 10_000.0,
        ),
        value("requests/s", cost.requests / cost.seconds),
    ])
}

pub fn ranges_of_1_mb(stage: &Stage) -> io::Result<Vec<Value>> {
    Ok(per_gigabyte(&hits(stage, 200 * MB, Some(MB), 8, 6_000)?))
}

pub fn whole_50_mb(stage: &Stage) -> io::Result<Vec<Value>> {
    Ok(per_gigabyte(&hits(stage, 50 * MB, None, 4, 160)?))
}

fn per_gigabyte(cost: &Cost) -> Vec<Value> {
    let gigabytes = cost.bytes / GB as f64;
    vec![
        value("CPU-s/GB", cost.cpu_seconds / gigabytes),
        value("GB/s", gigabytes / cost.seconds),
    ]
}

fn hits(
    stage: &Stage,
    size: u64,
    range: Option<u64>,
    clients: u64,
    requests: u64,
) -> io::Result<Cost> {
    let path = &origin::path(size, "hits");
    stage.warm(path)?;
    let load = |requests, seed| Load {
        path,
        size,
        range,
        clients,
        requests,
        seed,
    };
    load(requests / 20, stage.seed + 1).run(stage.server)?;
    let before = stage.origin.counts();
    let cost = load(requests, stage.seed).run(stage.server)?;
    match stage.origin.counts().since(before).requests {
        0 => Ok(cost),
        asked => Err(io::Error::other(format!("{asked} hits went to the origin"))),
    }
}
