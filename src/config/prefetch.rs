//! A route's `prefetch`: what of streams is fetched before it is asked for.

use super::{
    scalar::{count, size},
    spot::Spot,
};
use crate::proxy::Prefetch;

/// The largest segment if nothing else is said: ten seconds of 50 Mbit/s.
const LARGEST: u64 = 64 << 20;

pub(super) fn prefetch(at: &Spot) -> Option<Prefetch> {
    at.section(|keys| {
        let segments = keys.required("segments", count(1..=16));
        let at_a_time = keys.required("at_a_time", count(1..=1000));
        let max_size = keys.or("max_size", LARGEST, size(64 << 10..=1 << 40));
        Some(Prefetch {
            segments: segments?,
            at_a_time: at_a_time?,
            max_size,
        })
    })
}
