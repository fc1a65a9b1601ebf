//! `freshness.keep`: how long beyond its freshness an object is of use.

use super::{SLACK, route, stale, unkept};
use crate::cases::rfc9111::exchange::{Case, Step, case, get, play_with};

/// So many seconds past its freshness when it comes.
fn gone(seconds: u64, control: &str) -> Step {
    get().controls(control).aged(600 + seconds)
}

/// The same version is asked for, and told to be current.
fn current(name: &'static str, first: Step) -> Case {
    let first = first.tagged();
    let second = first.clone().once().validates("\"v1\"").gives(1);
    case(name, [first.once().gives(1), second])
}

/// What is asked for without a word of what there is brings the same version whole.
fn forgotten(name: &'static str, first: Step) -> Case {
    let first = first.tagged();
    let second = first.clone().once().sends_no("If-None-Match").gives(1);
    case(name, [first.once().gives(1), second])
}

fn failing(name: &'static str, first: Step, then: impl FnOnce(Step) -> Step) -> Case {
    let fails = get().says(&[]).answers(503);
    case(name, [first.tagged().once().gives(1), then(fails)])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_revalidated_and_then_as_good_as_gone() {
    let cases = [
        current("within", gone(600 - SLACK, "max-age=600")),
        stale("within, changed", gone(600 - SLACK, "max-age=600")),
        forgotten("beyond", gone(601, "max-age=600")),
        unkept("beyond, changed", gone(601, "max-age=600")),
    ];
    play_with(route("freshness: {keep: 10m}"), cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_until_evicted_is_never_too_old() {
    for keys in ["", "freshness: {keep: until evicted}"] {
        let old = gone(10_000_000, "max-age=600");
        let cases = [current("old", old.clone()), stale("old, changed", old)];
        play_with(route(keys), cases).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_no_longer_helps_nobody() {
    let control = "max-age=600, stale-if-error=3600";
    let cases = [
        failing("within", gone(600 - SLACK, control), |step| {
            step.status(200).gives(1)
        }),
        failing("beyond", gone(601, control), |step| step.status(503)),
    ];
    play_with(route("freshness: {keep: 10m}"), cases).await;
    let behind = unkept(
        "beyond",
        gone(601, "max-age=600, stale-while-revalidate=3600"),
    );
    play_with(route("freshness: {keep: 10m}"), [behind]).await;
}
