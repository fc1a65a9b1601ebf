//! How long an answer is fresh (RFC 9111, section 4.2).

use super::exchange::{Case, Fields, case, date, get, play};

fn fresh(name: &'static str, fields: Fields) -> Case {
    case(name, [get().says(fields).asks(), get().hits()])
}

fn stale(name: &'static str, fields: Fields) -> Case {
    case(name, [get().says(fields).tagged().asks(), get().asks()])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_specific_lifetime_counts() {
    let (past, future) = (date(-100), date(600));
    play([
        fresh("max-age", &[("Cache-Control", "max-age=600")]),
        fresh(
            "s-maxage over max-age",
            &[("Cache-Control", "max-age=0, s-maxage=600")],
        ),
        stale(
            "s-maxage of 0 over max-age",
            &[("Cache-Control", "s-maxage=0, max-age=600")],
        ),
        fresh(
            "max-age over Expires",
            &[("Cache-Control", "max-age=600"), ("Expires", &past)],
        ),
        stale(
            "max-age of 0 over Expires",
            &[("Cache-Control", "max-age=0"), ("Expires", &future)],
        ),
        stale(
            "no-cache over max-age",
            &[("Cache-Control", "no-cache, max-age=600")],
        ),
        fresh("Expires", &[("Expires", &future)]),
        stale("Expires in the past", &[("Expires", &past)]),
        stale("Expires now", &[("Expires", &date(0))]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expires_counts_from_the_date_of_the_answer() {
    let (made, soon, later) = (date(-1000), date(-100), date(600));
    play([
        fresh("still", &[("Date", &made), ("Expires", &later)]),
        stale("no more", &[("Date", &made), ("Expires", &soon)]),
        stale(
            "the origin's clock goes ahead",
            &[("Date", &later), ("Expires", &date(500))],
        ),
        fresh(
            "the origin's clock goes ahead, rightly",
            &[("Date", &later), ("Expires", &date(1200))],
        ),
        fresh("no date", &[("Date", ""), ("Expires", &later)]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expires_that_is_no_date_is_past() {
    let good = date(600);
    let twice = [("Expires", good.as_str()), ("Expires", good.as_str())];
    let mut cases: Vec<_> = ["0", "-1", "", "tomorrow", "Sun, 06 Nov 2094 08:49:37 CET"]
        .iter()
        .map(|value| stale("nonsense", &[("Expires", value)]))
        .collect();
    cases.push(fresh("in lower case", &[("Expires", &good.to_lowercase())]));
    cases.push(stale(
        "nonsense beside a date of change",
        &[
            ("Expires", "0"),
            ("Last-Modified", "Wed, 01 Jan 2020 00:00:00 GMT"),
        ],
    ));
    cases.push(case(
        "two of them are none to rely on",
        [get().says(&twice).tagged().asks(), get().asks()],
    ));
    play(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lifetimes_that_cannot_be_read_are_over() {
    let values = [
        "max-age=x",
        "max-age=-1",
        "max-age=1.5",
        "max-age",
        "max-age=",
        "max-age=600s",
        "max-age=600, max-age=0",
        "max-age=600, max-age=60",
        "s-maxage=x, max-age=600",
    ];
    play(values.map(|value| stale(value, &[("Cache-Control", value)]))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lifetimes_are_read_in_every_form() {
    let values = [
        "MAX-AGE=600",
        "max-age=\"600\"",
        " , max-age=600 ,, ",
        "max-age=0600",
        "max-age=2147483648",
        "max-age=99999999999999999999999999",
        "max-age=600, max-age=600",
        "max-age=600, immutable",
        "max-age=600, community=\"UCI\"",
        "a=\"b, c\\\"\", max-age=600",
    ];
    play(values.map(|value| fresh(value, &[("Cache-Control", value)]))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heuristics_are_for_what_nobody_says_anything_of() {
    let old = ("Last-Modified", "Wed, 01 Jan 2020 00:00:00 GMT");
    let by_status = [200, 203, 300, 301, 308, 405, 410, 414].map(|status| {
        case(
            "by status",
            [
                get().says(&[old]).answers(status).asks(),
                get().hits().status(status),
            ],
        )
    });
    // The standard allows it for 404 too; what is missing now may soon be there.
    let not_by_status = [302, 303, 307, 400, 403, 404].map(|status| {
        case(
            "not by status",
            [get().says(&[old]).answers(status).asks(), get().asks()],
        )
    });
    play(by_status.into_iter().chain(not_by_status)).await;
    let public = [old, ("Cache-Control", "public")];
    // One moment for both, or a busy machine would make a lifetime of what lies between.
    let now = date(0);
    play([
        case(
            "public",
            [get().says(&public).answers(403).asks(), get().hits()],
        ),
        stale("explicitly nothing", &[old, ("Cache-Control", "max-age=0")]),
        stale("explicitly past", &[old, ("Expires", &date(-1))]),
        stale(
            "changed just now",
            &[("Date", &now), ("Last-Modified", &now)],
        ),
        stale("changed in future", &[("Last-Modified", &date(5000))]),
        stale("changed nobody knows when", &[("Last-Modified", "lately")]),
        fresh("for at most a day", &[old, ("Age", "80000")]),
        stale("for no more than a day", &[old, ("Age", "90000")]),
    ])
    .await;
}
