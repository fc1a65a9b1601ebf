//! What may be stored (RFC 9111, section 3).

use super::exchange::{case, get, play, play_with, with};

#[tokio::test(flavor = "multi_thread")]
async fn only_get_is_stored() {
    play(
        ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "REPORT"].map(|method| {
            let first = with(method).controls("max-age=600").asks().status(200);
            case("another method", [first, get().asks()])
        }),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_origin_forbids_is_not_stored() {
    let forbidden = [
        "no-store",
        "No-Store",
        "no-store, max-age=600",
        "max-age=600, no-store",
        "max-age=600,no-store=x",
        "private",
        "private, max-age=600",
        "s-maxage=600, private",
        "public, private, max-age=600",
        "max-age=600, private=\"\"",
        "max-age=600, x=\"unclosed, no-store",
    ];
    play(forbidden.map(|value| case(value, [get().controls(value).asks(), get().asks()]))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_quotes_is_no_directive() {
    let value = "max-age=600, x=\"no-store, private\"";
    play([case(value, [get().controls(value).asks(), get().hits()])]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn directives_may_stand_in_several_lines() {
    let fields = [
        ("Cache-Control", "max-age=600"),
        ("Cache-Control", "no-store"),
    ];
    play([case(
        "two lines",
        [get().says(&fields).asks(), get().asks()],
    )])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn private_fields_go_to_the_first_client_only() {
    let fields = [
        ("Cache-Control", "max-age=600, private=\"X-Own, x-two\""),
        ("X-Own", "a"),
        ("X-Two", "b"),
        ("X-All", "c"),
    ];
    let first = get()
        .says(&fields)
        .asks()
        .has("X-Own", "a")
        .has("X-Two", "b");
    let second = get().hits().lacks("X-Own").lacks("X-Two").has("X-All", "c");
    play([case("private with names", [first, second])]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cache_fields_are_not_used_again() {
    let fields = [
        ("Cache-Control", "max-age=600, no-cache=\"x-own\""),
        ("X-Own", "a"),
    ];
    let first = get().says(&fields).asks().has("X-Own", "a");
    play([case(
        "no-cache with names",
        [first, get().hits().lacks("X-Own")],
    )])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn must_understand_counts_for_known_statuses() {
    let value = "must-understand, no-store, max-age=600";
    let known = get().controls(value).asks();
    let unknown = get()
        .controls("must-understand, max-age=600")
        .answers(299)
        .asks();
    let plain = get().controls("max-age=600").answers(299).asks();
    play([
        case("known", [known, get().hits()]),
        case("unknown", [unknown, get().asks()]),
        case(
            "unknown, but nobody says that it matters",
            [plain, get().hits()],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_gives_a_lifetime_is_not_used_again() {
    play([
        case("nothing at all", [get().says(&[]).asks(), get().asks()]),
        case(
            "only a tag",
            [get().says(&[]).tagged().asks(), get().asks()],
        ),
        case(
            "only public",
            [get().controls("public").asks(), get().asks()],
        ),
        case(
            "only nonsense",
            [get().controls("maximum=600").asks(), get().asks()],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_final_status_is_stored_where_it_is_allowed() {
    let statuses = [
        200, 203, 300, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410, 414, 418, 451,
    ];
    play(statuses.map(|status| {
        let first = get()
            .controls("max-age=600")
            .answers(status)
            .asks()
            .status(status);
        case("explicit", [first, get().hits().status(status)])
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_are_stored_where_it_is_said_that_they_are_for_all() {
    let of = |control: &'static str| {
        get()
            .says(&[("Cache-Control", control), ("Set-Cookie", "a=1")])
            .asks()
            .has("Set-Cookie", "a=1")
    };
    play([
        case("max-age", [of("max-age=600"), get().asks()]),
        case(
            "public",
            [
                of("public, max-age=600"),
                get().hits().has("Set-Cookie", "a=1"),
            ],
        ),
        case("s-maxage", [of("s-maxage=600"), get().hits()]),
        case(
            "named",
            [
                of("max-age=600, no-cache=\"set-cookie\""),
                get().hits().lacks("Set-Cookie"),
            ],
        ),
    ])
    .await;
    let by_setting = case("by setting", [of("max-age=600"), get().hits()]);
    play_with(
        |settings| settings.routes[0].freshness.set_cookie = true,
        [by_setting],
    )
    .await;
}
