//! `freshness.minimum`, `maximum`, `heuristic` and `heuristic_maximum`: between which bounds.

use super::{lasts, route, stale, unkept};
use crate::cases::rfc9111::exchange::{Step, date, get, play_with};

/// Last modified so many seconds before it was made, of which nobody says anything else.
fn modified(before: i64) -> Step {
    let (made, modified) = (date(0), date(-before));
    get().says(&[("Date", &made), ("Last-Modified", &modified)])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_fresh_for_the_minimum() {
    let past = date(-60);
    let controls = |value| get().controls(value);
    let cases = [
        lasts("shorter", 300, controls("max-age=60")),
        lasts("at once", 300, controls("max-age=0")),
        lasts("for shared caches", 300, controls("s-maxage=1")),
        lasts("past", 300, get().says(&[("Expires", &past)])),
        lasts("changed just now", 300, modified(0)),
        lasts("longer", 600, controls("max-age=600")),
        lasts("by ttl", 300, get().says(&[]).answers(404).status(404)),
    ];
    let others = [
        stale("each time", controls("no-cache")),
        unkept("never", controls("no-store")),
        unkept("nobody says anything", get().says(&[])),
    ];
    let keys = "ttl: {client_error: 1s}\nfreshness: {minimum: 5m}";
    play_with(route(keys), cases.into_iter().flatten().chain(others)).await;
    play_with(
        route("freshness: {minimum: 0s}"),
        [stale("at once", controls("max-age=0"))],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fresh_for_longer_than_the_maximum() {
    let later = date(6000);
    let controls = |value| get().controls(value);
    let cases = [
        lasts("longer", 300, controls("max-age=600")),
        lasts("immutable", 300, controls("max-age=31536000, immutable")),
        lasts("until then", 300, get().says(&[("Expires", &later)])),
        lasts("by ttl", 300, get().says(&[]).answers(404).status(404)),
        lasts("by its dates", 300, get().says(&[]).dated()),
        lasts("shorter", 60, controls("max-age=60")),
    ];
    let keys = "ttl: {client_error: 1h}\nfreshness: {maximum: 5m}";
    play_with(route(keys), cases.into_iter().flatten()).await;
    let year = lasts("a year", 365 * 86_400, controls("max-age=99999999"));
    play_with(|_| (), year).await;
    let never = stale("never", controls("max-age=600"));
    play_with(route("freshness: {maximum: 0s}"), [never]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_share_of_the_heuristic_is_the_routes() {
    for (keys, seconds) in [
        ("", 300),
        ("freshness: {heuristic: 20%}", 600),
        ("freshness: {heuristic: 100%}", 3000),
    ] {
        let guessed = lasts("a share", seconds, modified(3000));
        play_with(route(keys), guessed).await;
    }
    let never = unkept("no guessing", modified(3000));
    let told = lasts("told", 600, get().controls("max-age=600").dated());
    let cases = told.into_iter().chain([never]);
    play_with(route("freshness: {heuristic: 0%}"), cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_the_maximum_is_made_of_the_heuristic() {
    let cases = [
        lasts("of years", 600, get().says(&[]).dated()),
        lasts("of less", 100, modified(1000)),
        lasts("not guessed", 3600, get().controls("max-age=3600").dated()),
    ];
    let keys = "freshness: {heuristic_maximum: 10m}";
    play_with(route(keys), cases.into_iter().flatten()).await;
    let day = lasts("a day", 86_400, get().says(&[]).dated());
    play_with(|_| (), day).await;
}
