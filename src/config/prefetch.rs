//! A route's `prefetch`: what of streams is fetched before it is asked for.

use super::{scalar::count, spot::Spot};
use crate::proxy::Prefetch;

pub(super) fn prefetch(at: &Spot) -> Option<Prefetch> {
    at.section(|keys| {
        let segments = keys.required("segments", count(1..=16));
        let at_a_time = keys.required("at_a_time", count(1..=1000));
        Some(Prefetch {
            segments: segments?,
            at_a_time: at_a_time?,
        })
    })
}
