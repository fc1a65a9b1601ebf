//! Names of hosts, and patterns that take them.

use super::{
    node::Value,
    scalar::{spelled, text},
    spot::Spot,
};
use crate::domain::HostPattern;
use http::uri::Authority;

/// One pattern, or a list of them.
pub(super) fn one_or_more(at: &Spot) -> Option<Vec<HostPattern>> {
    match at.value() {
        Value::List(_) => patterns(at),
        _ => Some(vec![pattern(at)?]),
    }
}

/// A list of patterns.
pub(super) fn patterns(at: &Spot) -> Option<Vec<HostPattern>> {
    at.distinct("host", pattern)
}

fn pattern(at: &Spot) -> Option<HostPattern> {
    const EXPECTED: &str =
        "a host without port such as video.example.com, or *.example.com for all below it";
    let text = text(at, EXPECTED)?;
    HostPattern::parse(text).or_else(|| at.expected(EXPECTED))
}

/// A host, perhaps with a port: what stands in the field `Host`.
pub(super) fn authority(at: &Spot) -> Option<String> {
    const EXPECTED: &str = "a host, with its port if need be, such as media.example.com";
    let text = text(at, EXPECTED)?;
    match text.parse().is_ok_and(|authority| is_place(&authority)) {
        true => Some(text.to_owned()),
        false => at.expected(EXPECTED),
    }
}

/// A name without port: what a certificate is for.
pub(super) fn name(at: &Spot) -> Option<String> {
    const EXPECTED: &str = "a host name without port such as media.example.com";
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name = spelled(at, EXPECTED, plain)?;
    match HostPattern::parse(&name) {
        Some(_) => Some(name),
        None => at.expected(EXPECTED),
    }
}

/// A host, and a port that can be connected to; no user, which would stand before the host.
pub(super) fn is_place(authority: &Authority) -> bool {
    let host = authority.host();
    let port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
    match authority.as_str().strip_prefix(host) {
        Some("") => !host.is_empty(),
        Some(rest) => !host.is_empty() && rest.strip_prefix(':').is_some_and(port),
        None => false,
    }
}
