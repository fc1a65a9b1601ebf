//! The ways to the origins: which one is asked, for what, how often at a time and as whom, at
//! first contact and by the fills alike.

mod balance;
mod credentials;
mod health;
mod hedging;
mod limit;
mod places;
mod preconnect;
mod redirects;
mod reload;
mod routing;
mod signatures;
mod switches;
mod tls;
mod uploads;

use crate::{
    client::{Answer, Request},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Origin, Seen},
    patience::within,
};
use std::time::Duration;
use tidegate::{
    origin::{Config, ServerConfig},
    proxy::{Matcher, Route, RouteOrigin},
};

/// Larger than what first contact brings for a range, so that fills have something to do.
const SIZE: u64 = 5 * CHUNK + 321;

/// An origin of these servers, each with the same share.
fn config(name: &str, servers: &[&Origin]) -> Config {
    let url = |origin: &&Origin| format!("http://{}", origin.address()).parse().unwrap();
    Config::new(name.into(), servers.iter().map(url).collect())
}

fn server(origin: &Origin, weight: u32) -> ServerConfig {
    let url = format!("http://{}", origin.address()).parse().unwrap();
    ServerConfig { url, weight }
}

/// A route of every path to one origin.
fn route_to(name: &str) -> Route {
    Route::new(Matcher::Prefix("/".into()), vec![RouteOrigin::named(name)])
}

/// Asks for a part and then for the whole: first contact brings the one, fills the rest.
async fn both_ways(gate: &Gate, request: &Request, object: &Object) -> [Answer; 2] {
    let part = gate.ask(request.clone().bytes(10, 99)).await;
    let asked = object.expected(Some("bytes=10-99"), None);
    verify(object, &asked, &part);
    let whole = gate.ask(request.clone()).await;
    verify(object, &Expected::Whole, &whole);
    [part, whole]
}

fn verify(object: &Object, expected: &Expected, answer: &Answer) {
    let verdict = object.verify(expected, answer);
    verdict.unwrap_or_else(|wrong| panic!("{wrong}\n{answer}"));
}

/// Whether both first contact and a fill are in a log.
fn assert_both_ways(log: &[Seen]) {
    let begins = |first: &dyn Fn(u64) -> bool| {
        let mut windows = log.iter().filter_map(Seen::window);
        windows.any(|(at, _)| first(at))
    };
    assert!(begins(&|at| at == 0) && begins(&|at| at > 0), "{log:#?}");
}

/// All lines of a field as the origin saw them.
fn lines<'a>(seen: &'a Seen, name: &str) -> Vec<&'a str> {
    let named = |(known, value): &'a (String, String)| {
        known.eq_ignore_ascii_case(name).then_some(value.as_str())
    };
    seen.headers.iter().filter_map(named).collect()
}

/// The sum of a metric's samples whose labels contain `labels`.
async fn sample(gate: &Gate, name: &str, labels: &str) -> f64 {
    let text = gate.metrics().await;
    let mine = text
        .lines()
        .filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
        })
        .filter(|line| line.contains(labels));
    let values = mine.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    values.sum()
}

/// Waits until a metric's samples sum up to a value.
async fn until(gate: &Gate, name: &str, labels: &str, value: f64) {
    let what = format!("{name}{{{labels}}} to be {value}");
    within(&what, async {
        while sample(gate, name, labels).await != value {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}

/// Between two looks at a metric; nothing hangs on it but the load of the machine.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
