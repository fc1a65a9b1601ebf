//! Methods and statuses as a cache meets them (RFC 9110, sections 9, 13 and 15; RFC 9111,
//! sections 3.3, 3.4 and 4).

use super::exchange::{case, get, play, with};
use crate::origin::{Ranges, Script};

#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_answered_from_a_stored_get() {
    let told = |step: super::exchange::Step| {
        step.status(200)
            .has("Content-Length", "1000")
            .has("X-Own", "1")
    };
    let fields = [("Cache-Control", "max-age=600"), ("X-Own", "1")];
    play([
        case(
            "GET first",
            [told(get().says(&fields).asks()), told(with("HEAD").hits())],
        ),
        case(
            "HEAD first",
            [
                told(with("HEAD").says(&fields).asks()),
                told(get().gives(1)),
            ],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_are_written_through() {
    let first = || get().controls("max-age=600").asks();
    play(
        ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "REPORT"].map(|method| {
            case(
                "passed",
                [
                    first(),
                    with(method)
                        .controls("max-age=600")
                        .body("a form")
                        .asks()
                        .gives(1),
                ],
            )
        }),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_with_a_body_is_neither_answered_nor_stored() {
    let first = get().controls("max-age=600").asks();
    let fat = || get().body("q=1").asks();
    play([
        case("not answered", [first, fat()]),
        case("not stored", [fat().controls("max-age=600"), get().asks()]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_answered_from_the_whole() {
    let first = || get().controls("max-age=600").tagged().asks();
    let part = |range: &str| get().field("Range", range).hits();
    play([
        case(
            "first bytes",
            [
                first(),
                part("bytes=0-9")
                    .status(206)
                    .has("Content-Range", "bytes 0-9/1000")
                    .has("Content-Length", "10"),
            ],
        ),
        case(
            "last bytes",
            [
                first(),
                part("bytes=-10")
                    .status(206)
                    .has("Content-Range", "bytes 990-999/1000"),
            ],
        ),
        case(
            "to the end",
            [
                first(),
                part("bytes=990-")
                    .status(206)
                    .has("Content-Range", "bytes 990-999/1000"),
            ],
        ),
        case(
            "beyond",
            [
                first(),
                part("bytes=1000-")
                    .status(416)
                    .has("Content-Range", "bytes */1000"),
            ],
        ),
        case("nothing", [first(), part("bytes=-0").status(416)]),
        case(
            "another unit",
            [first(), part("lines=0-9").status(200).gives(1)],
        ),
        case(
            "no range",
            [first(), part("bytes=9-0").status(200).gives(1)],
        ),
        case(
            "If-Range that holds",
            [
                first(),
                part("bytes=0-9").field("If-Range", "\"v1\"").status(206),
            ],
        ),
        case(
            "If-Range that does not",
            [
                first(),
                part("bytes=0-9")
                    .field("If-Range", "\"v2\"")
                    .status(200)
                    .gives(1),
            ],
        ),
        case(
            "If-Range with a weak tag",
            [
                first(),
                part("bytes=0-9")
                    .field("If-Range", "W/\"v1\"")
                    .status(200)
                    .gives(1),
            ],
        ),
        case(
            "a HEAD has none",
            [
                first(),
                with("HEAD").field("Range", "bytes=0-9").hits().status(200),
            ],
        ),
        case(
            "conditions go first",
            [
                first(),
                part("bytes=0-9")
                    .field("If-None-Match", "\"v1\"")
                    .status(304),
            ],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_is_never_taken_for_the_whole() {
    let honest = |script: &mut Script| script.ranges = Ranges::Honoured;
    let part = || get().field("Range", "bytes=0-9");
    play([
        case(
            "of a kind that can be kept",
            [
                part()
                    .controls("max-age=600")
                    .tagged()
                    .script(honest)
                    .asks()
                    .status(206),
                get().status(200).gives(1),
            ],
        ),
        case(
            "without a validator",
            [
                part()
                    .controls("max-age=600")
                    .script(honest)
                    .asks()
                    .status(206),
                get().status(200).gives(1),
            ],
        ),
        case(
            "not to be stored",
            [
                part()
                    .controls("no-store")
                    .tagged()
                    .script(honest)
                    .asks()
                    .status(206),
                get().asks().status(200).gives(1),
            ],
        ),
    ])
    .await;
}
