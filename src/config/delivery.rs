//! A route's `delivery`: how its answers are sent.

use super::{
    scalar::{size, timeout},
    spot::Spot,
};
use crate::traffic::{Pieces, Sending};

pub(super) fn delivery(at: &Spot) -> Option<Sending> {
    let default = Sending::default();
    at.section(|keys| {
        Some(Sending {
            range: keys.or("range", default.range, |at| pieces(at, default.range)),
            whole: keys.or("whole", default.whole, |at| pieces(at, default.whole)),
        })
    })
}

fn pieces(at: &Spot, default: Pieces) -> Option<Pieces> {
    at.section(|keys| {
        let segment = keys.or("segment", default.segment as u64, size(LEAST..=MOST));
        Some(Pieces {
            segment: usize::try_from(segment).unwrap_or(default.segment),
            least_time: keys.or("least_time", default.least_time, timeout),
            min_rate: keys.or("min_rate", default.min_rate, size(1..=1 << 40)),
        })
    })
}

/// Below, an answer is mostly system calls.
const LEAST: u64 = 4 << 10;
/// Above, nothing is gained, and a client that stops reading pins too much.
const MOST: u64 = 4 << 20;
