//! A route's `delivery` and `pace`: how its answers are sent, and how fast.

use super::{
    node::Value,
    scalar::{DAY, bytes, size, timeout},
    spot::Spot,
};
use crate::traffic::{Burst, Pace, Pieces, Sending};
use std::time::Duration;

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

/// A route's `pace`.
pub(super) fn pace(at: &Spot) -> Option<Pace> {
    at.section(|keys| {
        let rate = keys.required("rate", size(SLOWEST..=1 << 40));
        let burst = keys.required("burst", burst);
        let times = keys.optional("times", times);
        if keys.has("times") {
            times?;
        }
        Some(Pace {
            burst: burst?,
            rate: rate?,
            times,
        })
    })
}

fn burst(at: &Spot) -> Option<Burst> {
    const EXPECTED: &str = "a size from 64KiB to 1TiB, or a duration from 1s to 1day";
    let Value::Text(text) = at.value() else {
        return at.expected(EXPECTED);
    };
    let bytes = bytes(text).filter(|bytes| (64 << 10..=1 << 40).contains(bytes));
    let time = humantime::parse_duration(text).ok();
    let time = time.filter(|time| (Duration::from_secs(1)..=DAY).contains(time));
    match (bytes, time) {
        (Some(bytes), _) => Some(Burst::Bytes(bytes)),
        (None, Some(time)) => Some(Burst::Time(time)),
        (None, None) => at.expected(EXPECTED),
    }
}

fn times(at: &Spot) -> Option<f64> {
    let times = match at.value() {
        Value::Integer(times) => Some(*times as f64),
        Value::Float(times) => Some(*times),
        _ => None,
    };
    match times.filter(|times| (1.0..=100.0).contains(times)) {
        Some(times) => Some(times),
        None => at.expected("a number from 1 to 100"),
    }
}

/// Below, no picture moves.
const SLOWEST: u64 = 4 << 10;
