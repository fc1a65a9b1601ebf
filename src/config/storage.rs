//! The sections `cache` and `fill`: what is kept, and how it comes in.

use super::{
    files,
    node::Value,
    scalar::{count, percent, show_bytes, size, timeout},
    spot::Spot,
};
use crate::{fill, store};
use std::path::PathBuf;

/// The section `cache`, of which one key is not the store's.
#[derive(Debug)]
pub(super) struct Cache {
    pub(super) version: u32,
    pub(super) store: store::Config,
}

pub(super) fn cache(at: &Spot) -> Option<Cache> {
    at.section(|keys| {
        let directory = keys.required("directory", files::directory);
        // Without a directory the other keys are still read, for the mistakes in them.
        let default = store::Config::new(directory.clone().unwrap_or_else(PathBuf::new));
        let store = store::Config {
            max_size: keys.or("max_size", default.max_size, size(0..=LARGEST)),
            memory: keys.or("memory", default.memory, size(0..=LARGEST)),
            chunk_size: keys.or("chunk_size", default.chunk_size, chunk_size),
            writes: keys.or("writes", default.writes, count(1..=64)),
            write_queue: keys.or("write_queue", default.write_queue, count(1..=65_536)),
            reads: keys.or("reads", default.reads, count(1..=512)),
            open_objects: keys.or("open_objects", default.open_objects, count(1..=1_000_000)),
            directory: default.directory,
        };
        let version = keys.or("version", FIRST_VERSION, count(0..=u32::MAX));
        if store.max_size < least_store(store.chunk_size) {
            keys.refuse("max_size", too_small_for(store.max_size, store.chunk_size));
        }
        directory.map(|_| Cache { version, store })
    })
}

pub(super) fn fill(at: &Spot, largest_chunk: u32) -> Option<fill::Config> {
    let default = fill::Config::default();
    let in_flight = size(u64::from(largest_chunk)..=LARGEST);
    at.section(|keys| {
        Some(fill::Config {
            max_window: keys.or(
                "max_window",
                default.max_window,
                size(SMALLEST_CHUNK.into()..=LARGEST),
            ),
            in_flight: keys.or("in_flight", default.in_flight, in_flight),
            in_flight_per_client: keys.optional(
                "in_flight_per_client",
                size(u64::from(largest_chunk)..=LARGEST),
            ),
            wait: keys.or("wait", default.wait, timeout),
            attempts: keys.or("attempts", default.attempts, count(1..=100)),
        })
    })
}

/// The grid of an object: a power of two, so that positions split into chunk and offset by bits.
pub(super) fn chunk_size(at: &Spot) -> Option<u32> {
    let range = SMALLEST_CHUNK..=LARGEST_CHUNK;
    // Sizes that are none at all are refused by `size`, in its words.
    let bytes = size(0..=u64::MAX)(at)?;
    let chunk = u32::try_from(bytes).ok();
    match chunk.filter(|chunk| chunk.is_power_of_two() && range.contains(chunk)) {
        Some(chunk) => Some(chunk),
        None => at.expected(format_args!(
            "a power of two from {} to {}",
            show_bytes(SMALLEST_CHUNK.into()),
            show_bytes(LARGEST_CHUNK.into())
        )),
    }
}

/// The smallest store for a grid: with fewer chunks, eviction would have nothing to choose from.
pub(super) fn least_store(chunk_size: u32) -> u64 {
    16 * u64::from(chunk_size)
}

fn too_small_for(max_size: u64, chunk_size: u32) -> String {
    format!(
        "expected at least {} (16 chunks of {}), found {}",
        show_bytes(least_store(chunk_size)),
        show_bytes(chunk_size.into()),
        show_bytes(max_size)
    )
}

/// Below, the price of a chunk (its entry, its request) is more than that of its bytes.
const SMALLEST_CHUNK: u32 = 64 << 10;
/// Above, one chunk is too much to hold in memory for one reader.
const LARGEST_CHUNK: u32 = 64 << 20;
/// More than any disk; sums of such sizes do not overflow.
pub(super) const LARGEST: u64 = 1 << 60;
/// The version of a cache that was never emptied by raising it.
const FIRST_VERSION: u32 = 1;

/// What becomes of a fill whose last reader has left.
pub(super) fn finish_when(at: &Spot) -> Option<fill::FinishWhen> {
    let text = match at.value() {
        Value::Text(text) => text.as_str(),
        _ => "",
    };
    match (text, percent(text)) {
        ("never", _) => Some(fill::FinishWhen::Never),
        ("always", _) => Some(fill::FinishWhen::Always),
        (_, Some(percent @ 1..=100)) => Some(fill::FinishWhen::Percent(percent)),
        _ => at.expected("never, always or a percentage from 1% to 100%"),
    }
}
