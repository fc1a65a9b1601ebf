//! `freshness.override`: whose word counts.

use super::{lasts, route, stale, unkept};
use crate::cases::rfc9111::exchange::{Case, case, date, get, play_with};

/// The origin's words that are about how long, with what they come to.
fn times() -> [(&'static str, u64); 3] {
    [
        ("max-age=600", 600),
        ("max-age=60", 60),
        ("s-maxage=60, max-age=600", 60),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_the_origin_its_word() {
    for keys in [
        "ttl: {ok: 5m}",
        "ttl: {ok: 5m}\nfreshness: {override: nothing}",
    ] {
        let told = times().map(|(said, seconds)| lasts(said, seconds, get().controls(said)));
        let others = [
            stale("at once", get().controls("max-age=0")),
            stale("each time", get().controls("no-cache, max-age=600")),
            unkept("never", get().controls("no-store, max-age=600")),
            unkept("one's own", get().controls("private, max-age=600")),
        ];
        let cases = told.into_iter().flatten().chain(others);
        play_with(route(keys), cases.collect::<Vec<_>>()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lifetime_takes_only_how_long_from_the_origin() {
    let past = date(-60);
    let told = times().map(|(said, _)| lasts(said, 300, get().controls(said)));
    let more = [
        lasts("at once", 300, get().controls("max-age=0")),
        lasts("past", 300, get().says(&[("Expires", &past)])),
        lasts("silence", 300, get().says(&[])),
        lasts(
            "what ttl says nothing of",
            600,
            get().controls("max-age=600").answers(404).status(404),
        ),
    ];
    let others = [
        stale("each time", get().controls("no-cache, max-age=600")),
        unkept("never", get().controls("no-store, max-age=600")),
        unkept("one's own", get().controls("private, max-age=600")),
    ];
    let cases = told.into_iter().chain(more).flatten().chain(others);
    play_with(
        route("ttl: {ok: 5m}\nfreshness: {override: lifetime}"),
        cases.collect::<Vec<_>>(),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_takes_the_rest_too() {
    let controls = |value| get().controls(value);
    let kept = [
        "max-age=600",
        "max-age=0",
        "no-cache",
        "no-store",
        "private, max-age=600",
        "no-store, no-cache, private, must-revalidate, max-age=0",
    ];
    let kept = kept.map(|said| lasts(said, 300, controls(said)));
    let unsaid = controls("no-store").answers(404).status(404);
    let others = [
        unkept("what ttl says nothing of", unsaid),
        unkept("a user's own", {
            let own = controls("max-age=600");
            own.field("Authorization", "Basic YTpi")
        }),
        unkept("a cookie", {
            get().says(&[("Cache-Control", "no-store"), ("Set-Cookie", "a=1")])
        }),
        unkept("varies by anything", get().says(&[("Vary", "*")])),
        varying(),
    ];
    let cases = kept.into_iter().flatten().chain(others);
    play_with(
        route("ttl: {ok: 5m}\nfreshness: {override: all}"),
        cases.collect::<Vec<_>>(),
    )
    .await;
}

/// What varies is kept, for each its own.
fn varying() -> Case {
    let fields = [("Cache-Control", "no-store"), ("Vary", "X-Colour")];
    let says = |version| get().says(&fields).of(version);
    case(
        "varies",
        [
            says(1).field("X-Colour", "red").once().gives(1),
            says(2).field("X-Colour", "blue").once().gives(2),
            says(3).field("X-Colour", "red").hits().gives(1),
            says(3).field("X-Colour", "blue").hits().gives(2),
        ],
    )
}
