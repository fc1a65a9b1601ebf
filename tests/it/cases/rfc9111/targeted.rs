//! Words for caches like this one: RFC 9213, and `Surrogate-Control`.

use super::exchange::{Case, Fields, case, get, play};

fn fresh(name: &'static str, fields: Fields) -> Case {
    case(name, [get().says(fields).asks(), get().hits()])
}

fn stale(name: &'static str, fields: Fields) -> Case {
    case(name, [get().says(fields).asks(), get().asks()])
}

const NEVER: (&str, &str) = ("Cache-Control", "no-store");
const HOUR: (&str, &str) = ("Cache-Control", "max-age=3600");

#[tokio::test(flavor = "multi_thread")]
async fn cdn_cache_control_goes_before() {
    let past = super::exchange::date(-100);
    play([
        fresh("allows", &[NEVER, ("CDN-Cache-Control", "max-age=600")]),
        fresh(
            "over Expires",
            &[("Expires", &past), ("CDN-Cache-Control", "max-age=600")],
        ),
        stale("forbids", &[HOUR, ("CDN-Cache-Control", "no-store")]),
        stale(
            "is over at once",
            &[HOUR, ("CDN-Cache-Control", "max-age=0")],
        ),
        stale("for one only", &[HOUR, ("CDN-Cache-Control", "private")]),
        fresh(
            "unknown parts",
            &[NEVER, ("CDN-Cache-Control", "max-age=600, none=(a b);c")],
        ),
        stale(
            "its age counts too",
            &[("CDN-Cache-Control", "max-age=600"), ("Age", "700")],
        ),
        stale(
            "says no lifetime, and so does nothing else",
            &[("Expires", "0"), ("CDN-Cache-Control", "must-revalidate")],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cdn_cache_control_that_is_not_well_formed_is_not_there() {
    let values = [
        "",
        "max-age=600,",
        "max-age=\"600\"",
        "MAX-AGE=600",
        "max-age=600;;",
        "max-age=1.5",
        "&",
    ];
    play(values.map(|value| stale("forbidden", &[NEVER, ("CDN-Cache-Control", value)]))).await;
    play(values.map(|value| fresh("allowed", &[HOUR, ("CDN-Cache-Control", value)]))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cdn_cache_control_is_passed_on() {
    let says = get().says(&[("CDN-Cache-Control", "max-age=600")]).asks();
    let told = |step: super::exchange::Step| step.has("CDN-Cache-Control", "max-age=600");
    play([case("passed on", [told(says), told(get().hits())])]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn surrogate_control_is_for_us_alone() {
    let says = get().says(&[NEVER, ("Surrogate-Control", "max-age=600")]);
    play([
        case(
            "kept back",
            [
                says.asks().lacks("Surrogate-Control"),
                get().hits().lacks("Surrogate-Control"),
            ],
        ),
        stale("forbids", &[HOUR, ("Surrogate-Control", "no-store")]),
        fresh(
            "what is not about storing",
            &[HOUR, ("Surrogate-Control", "content=\"ESI/1.0\"")],
        ),
        stale(
            "CDN-Cache-Control goes before it",
            &[
                ("Surrogate-Control", "max-age=600"),
                ("CDN-Cache-Control", "no-store"),
            ],
        ),
    ])
    .await;
}
