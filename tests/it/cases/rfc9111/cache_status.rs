//! `Cache-Status` (RFC 9211).

use super::exchange::{Step, case, get, play, with};

fn told(step: Step, text: &'static str) -> Step {
    step.has("Cache-Status", text)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_handling_is_told() {
    let fresh = || get().controls("max-age=600").tagged();
    let stale = || get().controls("max-age=0").tagged();
    let no_cache = || get().field("Cache-Control", "no-cache");
    play([
        case(
            "miss, hit",
            [
                told(fresh(), "tidegate; fwd=miss; stored"),
                told(get(), "tidegate; hit"),
            ],
        ),
        case(
            "stale",
            [stale(), told(fresh(), "tidegate; fwd=stale; stored")],
        ),
        case(
            "insisted",
            [fresh(), told(no_cache(), "tidegate; fwd=request; stored")],
        ),
        case(
            "method",
            [told(
                with("POST").controls("no-store"),
                "tidegate; fwd=method",
            )],
        ),
        case(
            "nothing stored",
            [told(
                get()
                    .field("Cache-Control", "no-store")
                    .controls("max-age=600"),
                "tidegate; fwd=request",
            )],
        ),
        case(
            "may not be stored",
            [
                told(
                    get().controls("no-store"),
                    "tidegate; fwd=miss; detail=cache-control",
                ),
                told(get(), "tidegate; fwd=bypass; detail=cache-control"),
            ],
        ),
        case(
            "not for us to ask",
            [told(
                get().field("Cache-Control", "only-if-cached"),
                "tidegate; detail=only-if-cached",
            )],
        ),
        case(
            "304",
            [
                fresh(),
                told(
                    get().field("If-None-Match", "\"v1\"").status(304),
                    "tidegate; hit",
                ),
            ],
        ),
        case(
            "412",
            [
                fresh(),
                told(
                    get().field("If-Match", "\"v2\"").status(412),
                    "tidegate; hit",
                ),
            ],
        ),
        case(
            "max-stale",
            [
                get().says(&[("Cache-Control", "max-age=600"), ("Age", "700")]),
                told(
                    get().field("Cache-Control", "max-stale"),
                    "tidegate; hit; detail=stale",
                ),
            ],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_caches_before_stay_in_front() {
    let fields = [
        ("Cache-Control", "max-age=600"),
        ("Cache-Status", "inner; hit"),
    ];
    play([case(
        "inner",
        [
            told(
                get().says(&fields),
                "inner; hit, tidegate; fwd=miss; stored",
            ),
            told(get(), "inner; hit, tidegate; hit"),
        ],
    )])
    .await;
}
