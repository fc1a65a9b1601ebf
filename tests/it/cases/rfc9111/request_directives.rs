//! What clients say about caching (RFC 9111, sections 5.2.1 and 5.4).

use super::exchange::{Case, Step, case, get, play, play_with};

const OLD: [(&str, &str); 2] = [("Cache-Control", "max-age=3600"), ("Age", "1800")];

fn says(value: &str) -> Step {
    get().field("Cache-Control", value)
}

fn insisted(value: &'static str) -> Case {
    case(
        value,
        [
            get().says(&OLD).tagged().asks(),
            says(value).validates("\"v1\"").status(200).gives(1),
        ],
    )
}

fn content(value: &'static str) -> Case {
    case(
        value,
        [
            get().says(&OLD).tagged().asks(),
            says(value).hits().status(200).gives(1),
        ],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_may_want_the_origins_word() {
    play(
        [
            "no-cache",
            "No-Cache",
            "max-age=0",
            "max-age=1000",
            "max-age=x",
            "min-fresh=2000",
        ]
        .map(insisted),
    )
    .await;
    play(
        [
            "max-age=3000",
            "min-fresh=1000",
            "max-stale",
            "unknown",
            "max-age=3000, no-transform",
        ]
        .map(content),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pragma_counts_where_nothing_else_is_said() {
    let pragma = || get().field("Pragma", "no-cache");
    let first = || get().says(&OLD).tagged().asks();
    play([
        case("alone", [first(), pragma().validates("\"v1\"")]),
        case(
            "beside Cache-Control",
            [
                first(),
                pragma().field("Cache-Control", "max-age=3000").hits(),
            ],
        ),
        case(
            "of the origin it says nothing",
            [
                get().says(&[OLD[0], ("Pragma", "no-cache")]).asks(),
                get().hits(),
            ],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_may_take_what_is_stale() {
    let stale = |control: &str| {
        get()
            .says(&[("Cache-Control", control), ("Age", "700")])
            .tagged()
            .asks()
    };
    play([
        case("any", [stale("max-age=600"), says("max-stale").hits()]),
        case(
            "not so old",
            [stale("max-age=600"), says("max-stale=200").hits()],
        ),
        case(
            "too old",
            [stale("max-age=600"), says("max-stale=50").asks()],
        ),
        case(
            "no number",
            [stale("max-age=600"), says("max-stale=x").asks()],
        ),
        case(
            "with a limit of age",
            [stale("max-age=600"), says("max-stale, max-age=650").asks()],
        ),
        case(
            "must-revalidate",
            [
                stale("max-age=600, must-revalidate"),
                says("max-stale").asks(),
            ],
        ),
        case(
            "proxy-revalidate",
            [
                stale("max-age=600, proxy-revalidate"),
                says("max-stale").asks(),
            ],
        ),
        case(
            "s-maxage",
            [stale("s-maxage=600"), says("max-stale").asks()],
        ),
        case("no-cache", [stale("no-cache"), says("max-stale").asks()]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_if_cached_never_asks() {
    let first = get().controls("max-age=600").asks();
    let stale = get().controls("max-age=0").tagged().asks();
    play([
        case("unknown", [says("only-if-cached").hits().status(504)]),
        case(
            "stored",
            [first, says("only-if-cached").hits().status(200).gives(1)],
        ),
        case("stale", [stale, says("only-if-cached").hits().status(504)]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_store_keeps_an_exchange_out_of_the_store() {
    let secret = get()
        .controls("max-age=600")
        .field("Cache-Control", "no-store")
        .asks();
    play([case("no-store", [secret, get().asks(), get().hits()])]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_may_leave_clients_no_say() {
    let change = |settings: &mut tidegate::server::Settings| {
        settings.routes[0].freshness.client_control = false
    };
    play_with(change, ["no-cache", "no-store", "max-age=0"].map(content)).await;
}
