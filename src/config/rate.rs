//! How often somebody may ask.

use super::{
    scalar::{count, text},
    spot::Spot,
};
use crate::{proxy::Rates, traffic::Rate};
use std::{num::NonZeroU32, time::Duration};

/// The key `rate` of a route.
pub(super) fn rates(at: &Spot) -> Option<Rates> {
    at.section(|keys| {
        let per_address = keys.optional("per_address", rate);
        let all = keys.optional("all", rate);
        if !keys.has("per_address") && !keys.has("all") {
            return at.refuse("expected per_address, all or both");
        }
        Some(Rates { per_address, all })
    })
}

/// Requests in a time, and at once.
pub(super) fn rate(at: &Spot) -> Option<Rate> {
    at.section(|keys| {
        let requests = keys.required("requests", requests);
        let burst = keys.optional("burst", burst);
        let (requests, per) = requests?;
        Some(Rate {
            requests,
            per,
            burst: burst.unwrap_or(requests),
        })
    })
}

const MOST: u32 = 1_000_000;

fn burst(at: &Spot) -> Option<NonZeroU32> {
    NonZeroU32::new(count(1..=MOST)(at)?)
}

/// A number of requests and the time that they are counted in: `100/s`, `20/m`, `1000/h`.
fn requests(at: &Spot) -> Option<(NonZeroU32, Duration)> {
    const EXPECTED: &str =
        "1 to 1000000 requests in a second, minute or hour, such as 100/s, 20/m or 1000/h";
    match counted(text(at, EXPECTED)?) {
        Some(counted) => Some(counted),
        None => at.expected(EXPECTED),
    }
}

fn counted(text: &str) -> Option<(NonZeroU32, Duration)> {
    let (number, unit) = text.split_once('/')?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        _ => return None,
    };
    let plain = number.bytes().all(|b| b.is_ascii_digit());
    let number = number
        .parse()
        .ok()
        .filter(|n| plain && (1..=MOST).contains(n));
    Some((NonZeroU32::new(number?)?, Duration::from_secs(seconds)))
}
