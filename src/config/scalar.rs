//! Readers of single values: switches, counts, sizes, durations, texts.
//!
//! A reader of a bounded value is made from its bounds, `size(1..=MAX)`, and names them when it
//! refuses.

use super::{node::Value, spot::Spot};
use bytesize::Unit;
use http::StatusCode;
use std::{ops::RangeInclusive, time::Duration};

/// `true` or `false`.
pub(super) fn switch(at: &Spot) -> Option<bool> {
    match at.value() {
        Value::Bool(value) => Some(*value),
        _ => at.expected("true or false"),
    }
}

/// A text with something in it.
pub(super) fn text<'a>(at: &Spot<'a>, what: &str) -> Option<&'a str> {
    match at.value() {
        Value::Text(text) if !text.is_empty() => Some(text),
        _ => at.expected(what),
    }
}

/// A whole number.
pub(super) fn count<N>(within: RangeInclusive<u32>) -> impl Fn(&Spot) -> Option<N>
where
    N: TryFrom<u32>,
{
    move |at| {
        let value = match at.value() {
            Value::Integer(value) => u32::try_from(*value).ok(),
            _ => None,
        };
        let value = value.filter(|value| within.contains(value));
        match value.and_then(|value| N::try_from(value).ok()) {
            Some(value) => Some(value),
            None => at.expected(format_args!(
                "a whole number from {} to {}",
                within.start(),
                within.end()
            )),
        }
    }
}

/// A share, as a percentage in the file and from 0 to 1 here.
pub(super) fn share(at: &Spot) -> Option<f64> {
    let percent = match at.value() {
        Value::Text(text) => percent(text).filter(|percent| *percent <= 100),
        _ => None,
    };
    match percent {
        Some(percent) => Some(f64::from(percent) / 100.0),
        None => at.expected("a percentage from 0% to 100%"),
    }
}

/// The same in thousandths of a percent, for shares of very many.
pub(super) fn fine_share(at: &Spot) -> Option<f64> {
    let percent = match at.value() {
        Value::Text(text) => text.strip_suffix('%').and_then(decimal),
        _ => None,
    };
    match percent.filter(|percent| *percent <= 100.0) {
        Some(percent) => Some(percent / 100.0),
        None => at.expected("a percentage from 0% to 100%, such as 10% or 0.1%"),
    }
}

/// A plain number with at most three digits behind its point.
fn decimal(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_plain = |digits: &str, most| {
        (1..=most).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let is_plain = is_plain(whole, 3) && is_plain(fraction, 3);
    text.parse().ok().filter(|_| is_plain)
}

/// The number of a whole percentage, `80%`.
pub(super) fn percent(text: &str) -> Option<u8> {
    let number = text.strip_suffix('%')?;
    let plain = number.bytes().all(|b| b.is_ascii_digit());
    number.parse().ok().filter(|_| plain)
}

/// The status of an answer.
pub(super) fn status(within: RangeInclusive<u16>) -> impl Fn(&Spot) -> Option<StatusCode> {
    let number = count::<u16>((*within.start()).into()..=(*within.end()).into());
    move |at| StatusCode::from_u16(number(at)?).ok()
}

/// A text whose every character is allowed.
pub(super) fn spelled(at: &Spot, what: &str, allowed: impl Fn(char) -> bool) -> Option<String> {
    let text = text(at, what)?;
    match text.len() <= 256 && text.chars().all(allowed) {
        true => Some(text.to_owned()),
        false => at.expected(what),
    }
}

/// A name of one's own for something, which ends up in logs, labels of metrics and header fields.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=64).contains(&name.len()) && name.chars().all(plain)
}

/// What [`is_name`] expects.
pub(super) const NAME: &str = "a name of at most 64 letters, digits, \"-\", \"_\" and \".\"";

/// A size: `64KiB`, `10GiB`, or a plain number of bytes.
pub(super) fn size(within: RangeInclusive<u64>) -> impl Fn(&Spot) -> Option<u64> {
    move |at| {
        let value = match at.value() {
            Value::Integer(bytes) => u64::try_from(*bytes).ok(),
            Value::Text(text) => bytes(text),
            _ => None,
        };
        match value {
            Some(value) if within.contains(&value) => Some(value),
            Some(_) => at.expected(format_args!(
                "a size from {} to {}",
                show_bytes(*within.start()),
                show_bytes(*within.end())
            )),
            None => at.expected("a size such as 64KiB or 10GiB"),
        }
    }
}

/// A size of whole bytes. Fractions are refused: they say less than they seem to.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().ok()?;
    match unit.trim_start() {
        "" => Some(number),
        unit => number.checked_mul(unit.parse::<Unit>().ok()? * 1u64),
    }
}

/// A size as one would write it: in the largest unit that divides it.
pub(super) fn show_bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 6] = [
        (1 << 60, "EiB"),
        (1 << 50, "PiB"),
        (1 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    let whole = |(unit, _): &&(u64, &str)| bytes > 0 && bytes.is_multiple_of(*unit);
    match UNITS.iter().find(whole) {
        Some((unit, name)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

/// A duration with its unit: `250ms`, `10s`, `5m`.
pub(super) fn duration(within: RangeInclusive<Duration>) -> impl Fn(&Spot) -> Option<Duration> {
    move |at| {
        let value = match at.value() {
            Value::Text(text) => humantime::parse_duration(text).ok(),
            _ => None,
        };
        match value {
            Some(value) if within.contains(&value) => Some(value),
            Some(_) => at.expected(format_args!(
                "a duration from {} to {}",
                humantime::format_duration(*within.start()),
                humantime::format_duration(*within.end())
            )),
            None => at.expected("a duration such as 250ms, 10s or 5m"),
        }
    }
}

/// A wait that must end, and must not end at once.
pub(super) fn timeout(at: &Spot) -> Option<Duration> {
    duration(Duration::from_millis(1)..=DAY)(at)
}

/// How long something is fresh.
pub(super) fn freshness(at: &Spot) -> Option<Duration> {
    // Ten times what RFC 9111 calls practical; added to the time of day it does not overflow.
    const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    duration(Duration::ZERO..=LONGEST)(at)
}

/// Longest wait of any kind: beyond it, one means for ever, and nothing here waits for ever.
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_whole_bytes_with_a_unit() {
        for (text, expected) in [
            ("0", Some(0)),
            ("0MiB", Some(0)),
            ("1MiB", Some(1 << 20)),
            ("10GiB", Some(10 << 30)),
            ("64 KiB", Some(64 << 10)),
            ("1MB", Some(1_000_000)),
            ("9007199254740993B", Some(9_007_199_254_740_993)),
            ("", None),
            ("MiB", None),
            ("-1MiB", None),
            ("+1MiB", None),
            ("1.5GiB", None),
            ("1e3", None),
            ("1Mib/s", None),
            ("16EiB", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn fine_shares_are_plain_numbers() {
        let table = [
            ("0", Some(0.0)),
            ("100", Some(100.0)),
            ("0.125", Some(0.125)),
            ("1.", None),
            (".5", None),
            ("-1", None),
            ("1e1", None),
            ("0.0001", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(decimal(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn sizes_come_back_from_their_text(size: u64) {
            prop_assert_eq!(bytes(&show_bytes(size)), Some(size));
        }

        #[test]
        fn sizes_come_back_from_any_unit(number in 0..1u64 << 20, shift in 0..5u32) {
            let size = number << (10 * shift);
            prop_assert_eq!(bytes(&show_bytes(size)), Some(size));
        }

        #[test]
        fn durations_come_back_from_their_text(millis in 1..=DAY.as_millis() as u64) {
            let value = Duration::from_millis(millis);
            let text = humantime::format_duration(value).to_string();
            let node = super::super::node::parse(&text).unwrap();
            let reading = super::super::mistakes::Reading::of_text();
            prop_assert_eq!(timeout(&Spot::root(&node, &reading)), Some(value));
        }
    }
}
