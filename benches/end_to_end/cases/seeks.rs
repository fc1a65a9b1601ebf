//! A part of an object of which nothing is there.

use super::{FAR_ORIGIN, GB, MB, Stage, Value, value};
use crate::kit::{
    client::{Client, Reading},
    measure::{median, quantile},
    origin,
    random::Random,
};
use std::{collections::HashSet, io, ops::Range, time::Instant};

/// A little behind a third of a chunk: who fetches whole chunks waits for what lies before.
const SEEK: Range<u64> = 900 * MB..901 * MB;
const SEEKS: usize = 10;
const RANDOM_SEEKS: usize = 50;
/// The grid on which both sides fetch.
const CHUNK: u64 = 1 << 20;

/// Seeks of 1 MB to 90 % of objects never seen before, beside the same from the origin itself.
pub fn far_into_cold(stage: &Stage) -> io::Result<Vec<Value>> {
    stage.origin.limit(Some(FAR_ORIGIN));
    let mut direct = Client::new(stage.origin.address());
    let mut client = stage.client();
    let (mut ours, mut theirs, mut fetched) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..SEEKS {
        let path = origin::path(GB, &format!("seek-{number}"));
        theirs.push(first_byte(&mut direct, &path, SEEK)?);
        stage.settle();
        let before = stage.origin.counts();
        ours.push(first_byte(&mut client, &path, SEEK)?);
        stage.settle();
        let bytes = stage.origin.counts().since(before).body_bytes;
        fetched.push(bytes as f64 / MB as f64);
    }
    let mut anywhere = Vec::new();
    for number in 0..SEEKS as u64 {
        let path = origin::path(GB, &format!("spread-{number}"));
        let later = SEEK.start + number * CHUNK / SEEKS as u64;
        anywhere.push(first_byte(&mut client, &path, later..later + MB)?);
        stage.settle();
    }
    Ok(vec![
        value("first byte, ms", median(&ours)),
        value("the origin's own, ms", median(&theirs)),
        value("worst place in a chunk, ms", quantile(&anywhere, 1.0)),
        value("origin MB", median(&fetched)),
    ])
}

/// Milliseconds until the first byte of a range.
fn first_byte(client: &mut Client, path: &str, range: Range<u64>) -> io::Result<f64> {
    let answer = client.get(path, Some(range), Reading::Check)?;
    Ok(answer.first_byte.as_secs_f64() * 1e3)
}

/// One client that seeks back and forth in one cold object.
pub fn random_in_cold(stage: &Stage) -> io::Result<Vec<Value>> {
    let path = origin::path(GB, "seeks");
    let mut random = Random::new(stage.seed);
    let seeks: Vec<_> = (0..RANDOM_SEEKS).map(|_| random.range(GB, MB)).collect();
    let before = stage.origin.counts();
    let mut client = stage.client();
    let mut first_bytes = Vec::new();
    let started = Instant::now();
    for seek in &seeks {
        let answer = client.get(&path, Some(seek.clone()), Reading::Check)?;
        first_bytes.push(answer.first_byte.as_secs_f64() * 1e3);
    }
    let seconds = started.elapsed().as_secs_f64();
    stage.settle();
    let fetched = stage.origin.counts().since(before);
    Ok(vec![
        value("seconds", seconds),
        value("first byte p50, ms", median(&first_bytes)),
        value(
            "origin bytes / distinct chunks",
            fetched.body_bytes as f64 / distinct_chunk_bytes(&seeks, GB) as f64,
        ),
        value("origin requests", fetched.requests as f64),
    ])
}

/// Bytes of all chunks that at least one of the ranges touches.
fn distinct_chunk_bytes(ranges: &[Range<u64>], size: u64) -> u64 {
    let touched = ranges
        .iter()
        .flat_map(|it| it.start / CHUNK..=(it.end - 1) / CHUNK);
    let distinct: HashSet<u64> = touched.collect();
    distinct
        .into_iter()
        .map(|chunk| CHUNK.min(size - chunk * CHUNK))
        .sum()
}
