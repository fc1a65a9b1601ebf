//! What guards an origin from us and us from an origin: limits, breakers, checks, retries.

use super::{
    scalar::{DAY, count, duration, share, status, text, timeout},
    spot::Spot,
};
use crate::origin::{Breaker, Check, Limit, Retry};
use http::uri::PathAndQuery;
use std::time::Duration;

pub(super) fn limit(at: &Spot) -> Option<Limit> {
    let default = Limit::default();
    at.section(|keys| {
        Some(Limit {
            requests: keys.or("requests", default.requests, count(1..=100_000)),
            queue: keys.or("queue", default.queue, count(0..=100_000)),
            wait: keys.or("wait", default.wait, timeout),
        })
    })
}

pub(super) fn breaker(at: &Spot) -> Option<Breaker> {
    let default = Breaker::default();
    at.section(|keys| {
        Some(Breaker {
            failures: keys.or("failures", default.failures, count(0..=1_000_000)),
            failure_rate: keys.or("failure_rate", default.failure_rate, share),
            min_requests: keys.or("min_requests", default.min_requests, count(1..=1_000_000)),
            window: keys.or("window", default.window, timeout),
            open: keys.or("open", default.open, timeout),
            trials: keys.or("trials", default.trials, count(1..=1000)),
        })
    })
}

pub(super) fn check(at: &Spot) -> Option<Check> {
    at.section(|keys| {
        let path = keys.required("path", target);
        // Without a path the other keys are still read, for the mistakes in them.
        let default = Check::of(path.clone().unwrap_or_default());
        let interval = duration(SHORTEST_INTERVAL..=DAY);
        let check = Check {
            status: keys.or("status", default.status, status(200..=599)),
            interval: keys.or("interval", default.interval, interval),
            timeout: keys.or("timeout", default.timeout, timeout),
            rise: keys.or("rise", default.rise, count(1..=100)),
            fall: keys.or("fall", default.fall, count(1..=100)),
            path: default.path,
        };
        let bound = ("interval", check.interval);
        keys.refuse_longer(("timeout", check.timeout), bound);
        path.map(|_| check)
    })
}

/// Shorter ones are no checks but a load.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// A path as a request's first line has it, perhaps with a query.
fn target(at: &Spot) -> Option<String> {
    const EXPECTED: &str = "a path from its \"/\" on, perhaps with a query";
    let text = text(at, EXPECTED)?;
    match is_target(text) {
        true => Some(text.to_owned()),
        false => at.expected(EXPECTED),
    }
}

/// Whether a text can be asked for as it stands.
pub(super) fn is_target(text: &str) -> bool {
    // The parser takes other bytes than ASCII, and drops fragments in silence.
    let plain = text.starts_with('/') && text.is_ascii() && !text.contains('#');
    plain && text.parse::<PathAndQuery>().is_ok()
}

pub(super) fn retry(at: &Spot) -> Option<Retry> {
    let default = Retry::default();
    let pause = duration(Duration::ZERO..=LONGEST_PAUSE);
    at.section(|keys| {
        Some(Retry {
            rounds: keys.or("rounds", default.rounds, count(0..=10)),
            budget: keys.or("budget", default.budget, share),
            backoff: keys.or("backoff", default.backoff, pause),
        })
    })
}

/// It doubles each time, and no client waits so long.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
