//! `ttl`: how long answers of a status are fresh of which the origin says nothing.

use super::{lasts, route, stale, unkept};
use crate::cases::rfc9111::exchange::{Step, date, get, play_with};
use tidegate::server::Settings;

/// The origin answers so and says nothing of freshness.
fn silent(status: u16) -> Step {
    get().says(&[]).answers(status).status(status)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_class_of_statuses_has_its_ttl() {
    let classes: [(&str, u64, &[u16]); 4] = [
        ("ok: 5m", 300, &[200, 202, 203]),
        ("redirect: 6m", 360, &[301, 302, 303, 307, 308]),
        ("client_error: 7m", 420, &[400, 403, 404, 410, 451]),
        ("server_error: 8m", 480, &[501]),
    ];
    for (ttl, seconds, own) in classes {
        let kept = own.iter().flat_map(|s| lasts(ttl, seconds, silent(*s)));
        let others = [200, 302, 404, 501].into_iter();
        let others = others.filter(|status| !own.contains(status));
        let unkept = others.map(|status| unkept(ttl, silent(status)));
        let cases: Vec<_> = kept.chain(unkept).collect();
        play_with(route(&format!("ttl: {{{ttl}}}")), cases).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_origin_is_shielded_for_its_ttl() {
    for status in [500, 503] {
        let keep = route("ttl: {server_error: 5m}");
        let change = |settings: &mut Settings| {
            keep(settings);
            settings.origins[0].retry.rounds = 0;
        };
        play_with(change, lasts("5xx", 300, silent(status))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_status_goes_before_its_class() {
    let keys = "ttl: {client_error: 5m, redirect: 5m, statuses: {404: 2m, 410: 1h, 302: 0s}}";
    let cases = [
        lasts("its own, shorter", 120, silent(404)),
        lasts("its own, longer", 3600, silent(410)),
        lasts("its class", 300, silent(403)),
        lasts("another of its class", 300, silent(301)),
    ];
    let never = stale("never fresh", silent(302));
    play_with(route(keys), cases.into_iter().flatten().chain([never])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_origins_word_goes_before_a_ttl_and_a_ttl_before_guessing() {
    let (past, later) = (date(-60), date(600));
    let controls = |value| get().controls(value);
    let cases = [
        lasts("a longer word", 600, controls("max-age=600")),
        lasts("a shorter word", 60, controls("max-age=60")),
        lasts("years without a change", 300, get().says(&[]).dated()),
    ];
    let others = [
        stale("nothing", controls("max-age=0")),
        stale("past", get().says(&[("Expires", &past)])),
        stale("each time", controls("no-cache")),
        unkept("not at all", controls("no-store")),
    ];
    let expires = [("Date", date(0)), ("Expires", later)];
    let expires = expires.each_ref().map(|(name, value)| (*name, &**value));
    let expires = lasts("until then", 600, get().says(&expires));
    let cases = cases.into_iter().chain([expires]).flatten().chain(others);
    play_with(route("ttl: {ok: 5m}"), cases).await;
}
