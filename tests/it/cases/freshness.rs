//! What a route says of freshness, key by key as the configuration spells it, over real sockets.
//!
//! Nobody waits here for freshness to run out: the origin says in `Age` how old its answer is
//! already. The second answer of the origin is always another version, so that what is given out
//! shows where it comes from.

mod bounds;
mod clients;
mod jitter;
mod keep;
mod media;
mod overrides;
mod stale;
mod statuses;

use crate::cases::rfc9111::exchange::{Case, Step, case};
use tidegate::{config, server::Settings};

/// Seconds that a machine may stand still between two exchanges.
const SLACK: u64 = 30;

/// Gives the route these keys, in YAML.
fn route(keys: &str) -> impl FnOnce(&mut Settings) + use<> {
    let keys: String = keys.lines().map(|line| format!("    {line}\n")).collect();
    let text = format!(
        "listen:\n  - address: 127.0.0.1:0\n\
         cache:\n  directory: cache\n\
         origins:\n  media:\n    servers:\n      - url: http://127.0.0.1:1\n\
         routes:\n  - path: /\n    origins: [media]\n{keys}"
    );
    let read = config::parse(&text);
    let mut read = read.unwrap_or_else(|wrong| panic!("{wrong}\n{text}"));
    let rules = read.routes.remove(0).freshness;
    move |settings| settings.routes[0].freshness = rules
}

/// The answer is fresh for so many seconds from when it was made, and not for longer; then it is
/// revalidated.
fn lasts(name: &'static str, seconds: u64, first: Step) -> [Case; 2] {
    let young = first.clone().tagged().aged(seconds - SLACK);
    let young = [
        young.clone().once().gives(1),
        young.of(2).hits().gives(1).contains("Cache-Status", "hit"),
    ];
    // A second more, as fractions of one do not show in `Age`.
    [case(name, young), stale(name, first.aged(seconds + 1))]
}

/// The answer is kept, and asked for before each use.
fn stale(name: &'static str, first: Step) -> Case {
    let first = first.tagged();
    case(
        name,
        [
            first.clone().once().gives(1),
            first.of(2).once().validates("\"v1\"").gives(2),
        ],
    )
}

/// The answer is not kept.
fn unkept(name: &'static str, first: Step) -> Case {
    let first = first.tagged();
    case(
        name,
        [
            first.clone().once().gives(1),
            first.of(2).once().sends_no("If-None-Match").gives(2),
        ],
    )
}
