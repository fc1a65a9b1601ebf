//! Variants (RFC 9111, section 4.1).

use super::exchange::{Case, Fields, Step, case, get, play};

fn varied(by: &'static str) -> Step {
    get().says(&[("Cache-Control", "max-age=600"), ("Vary", by)])
}

fn with(mut step: Step, fields: Fields) -> Step {
    for (name, value) in fields {
        step = step.field(name, value);
    }
    step
}

fn same(name: &'static str, by: &'static str, one: Fields, other: Fields) -> Case {
    case(
        name,
        [with(varied(by), one).asks(), with(get(), other).hits()],
    )
}

fn differ(name: &'static str, by: &'static str, one: Fields, other: Fields) -> Case {
    case(
        name,
        [
            with(varied(by), one).asks(),
            with(get(), other).asks(),
            with(get(), one).hits(),
            with(get(), other).hits(),
        ],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_for_requests_that_match() {
    play([
        same("the same", "X-A", &[("X-A", "1")], &[("X-A", "1")]),
        same(
            "others may differ",
            "X-A",
            &[("X-A", "1"), ("X-B", "1")],
            &[("x-a", "1"), ("X-B", "2")],
        ),
        same("both without", "X-A", &[], &[]),
        differ("another value", "X-A", &[("X-A", "1")], &[("X-A", "2")]),
        differ("another case", "X-A", &[("X-A", "a")], &[("X-A", "A")]),
        differ("absent", "X-A", &[("X-A", "1")], &[]),
        differ("absent is not empty", "x-a", &[], &[("X-A", "1")]),
        differ(
            "one of two",
            "X-A, X-B",
            &[("X-A", "1"), ("X-B", "1")],
            &[("X-A", "1"), ("X-B", "2")],
        ),
        differ(
            "values that change places",
            "X-A, X-B",
            &[("X-A", "1"), ("X-B", "2")],
            &[("X-A", "2"), ("X-B", "1")],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_compared_in_a_normal_form() {
    let by_lines: Fields = &[("X-A", "1"), ("X-A", "2")];
    play([
        same("lines and lists", "X-A", by_lines, &[("X-A", "1,2")]),
        same(
            "white space",
            "X-A",
            &[("X-A", "1 ,  2")],
            &[("X-A", "1,2")],
        ),
        differ("order", "X-A", &[("X-A", "1, 2")], &[("X-A", "2, 1")]),
        same(
            "languages have no case",
            "Accept-Language",
            &[("Accept-Language", "de-CH; q=0.8, EN")],
            &[("accept-language", "DE-ch;Q=0.8,en")],
        ),
        same(
            "nor have charsets",
            "Accept-Charset",
            &[("Accept-Charset", "UTF-8")],
            &[("Accept-Charset", "utf-8")],
        ),
        same(
            "nor have types",
            "Accept",
            &[("Accept", "Video/MP4;q=0.5 , */*")],
            &[("Accept", "video/mp4; q=0.5,*/*")],
        ),
        differ(
            "order of languages",
            "Accept-Language",
            &[("Accept-Language", "de, en")],
            &[("Accept-Language", "en, de")],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_varies_by_anything_matches_nothing() {
    play(["*", "X-A, *", "*, X-A"].map(|by| case("a star", [varied(by).asks(), get().asks()])))
        .await;
    let lines = [
        ("Cache-Control", "max-age=600"),
        ("Vary", "X-A"),
        ("Vary", "*"),
    ];
    play([case(
        "in another line",
        [get().says(&lines).asks(), get().asks()],
    )])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codings_are_not_asked_for_and_select_nothing() {
    let gzip = varied("Accept-Encoding")
        .field("Accept-Encoding", "gzip")
        .sends_no("Accept-Encoding");
    play([case(
        "codings",
        [
            gzip,
            get().hits(),
            get().field("Accept-Encoding", "br").hits(),
        ],
    )])
    .await;
}
