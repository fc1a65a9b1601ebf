//! Objects that a route does not keep because of their size.

use crate::{
    client::{Answer, H2, Request},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Framing, Origin, Ranges, Script},
};
use tidegate::{domain::Sizes, proxy::Mode};

const MAX: u64 = 4 * CHUNK;
const MIN: u64 = 1000;

async fn scene(script: Script, mode: Mode) -> (Origin, Gate, Object) {
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::with(&origin, |settings| {
        settings.routes[0].sizes = Sizes { min: MIN, max: MAX };
        settings.routes[0].mode = mode;
    })
    .await;
    (origin, gate, object)
}

async fn ask(gate: &Gate, http2: bool, request: &Request) -> Answer {
    match http2 {
        false => gate.client().await.ask(request).await,
        true => {
            H2::connect(gate.address(), 1 << 20)
                .await
                .ask(request)
                .await
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_too_small_is_answered_in_full_and_not_kept() {
    for (size, word) in [(MAX + 1, "too-large"), (MIN - 1, "too-small")] {
        for http2 in [false, true] {
            for ranges in [Ranges::Honoured, Ranges::Ignored] {
                let script = Script {
                    ranges,
                    ..Script::new(910, size)
                };
                let (origin, gate, object) = scene(script, Mode::Streaming).await;
                let range = format!("bytes=100-{}", size - 2);
                for nth in 0..3 {
                    let part = ask(&gate, http2, &Request::get("/film").range(&range)).await;
                    let honoured = ranges == Ranges::Honoured || nth == 0;
                    let expected = match honoured {
                        true => object.expected(Some(&range), None),
                        false => Expected::Whole,
                    };
                    let verdict = object.verify(&expected, &part);
                    verdict.unwrap_or_else(|e| panic!("{size} {http2} {nth}: {e}\n{part}"));
                    let whole = ask(&gate, http2, &Request::get("/film")).await;
                    object.verify(&Expected::Whole, &whole).unwrap();
                    let head = ask(&gate, http2, &Request::head("/film")).await;
                    assert_eq!((head.status(), head.head.length()), (200, Some(size)));
                    let status = whole.head.cache_status();
                    assert_eq!(status.forward(), Some("bypass"), "{whole}");
                    assert!(status.has(&format!("detail={word}")), "{whole}");
                }
                assert!(origin.asked("/film").len() >= 9, "{:#?}", origin.log());
                assert_eq!(gate.metric("store_size_bytes").await, 0.0);
            }
        }
    }
}

/// Two PiB: what is known of its chunks alone would take hundreds of megabytes.
#[tokio::test(flavor = "multi_thread")]
async fn what_would_have_too_many_chunks_is_answered_and_not_kept() {
    let script = Script::new(917, 1 << 51);
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::with(&origin, |_| {}).await;
    let range = format!("bytes={}-{}", (1u64 << 51) - 200, (1u64 << 51) - 100);
    for _ in 0..3 {
        let part = ask(&gate, false, &Request::get("/film").range(&range)).await;
        let verdict = object.verify(&object.expected(Some(&range), None), &part);
        verdict.unwrap_or_else(|e| panic!("{e}\n{part}"));
        let status = part.head.cache_status();
        assert!(!status.is_hit(), "{part}");
    }
    assert_eq!(gate.metric("store_size_bytes").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bounds_themselves_are_kept() {
    for size in [MIN, MAX] {
        for framing in [Framing::Length, Framing::Chunked] {
            let script = Script {
                framing,
                ..Script::new(911, size)
            };
            let (origin, gate, object) = scene(script, Mode::Streaming).await;
            for _ in 0..3 {
                let answer = gate.get("/film").await;
                object.verify(&Expected::Whole, &answer).unwrap();
            }
            assert_eq!(origin.log().len(), 1, "{size} {framing:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_length_that_turns_out_wrong_goes_on_to_the_client_and_is_dropped() {
    for mode in [Mode::Streaming, Mode::StoreFirst] {
        for size in [20 * CHUNK + 99, MIN - 1] {
            for http2 in [false, true] {
                let script = Script {
                    framing: Framing::Chunked,
                    ranges: Ranges::Ignored,
                    ..Script::new(912, size)
                };
                let (origin, gate, object) = scene(script, mode).await;
                for nth in 1..=3 {
                    let answer = ask(&gate, http2, &Request::get("/film")).await;
                    object.verify(&Expected::Whole, &answer).unwrap();
                    origin.settled().await;
                    // A request ends a moment after its answer; the key is remembered then.
                    let ended = async {
                        while gate.metric("requests_active").await > 0.0 {
                            tokio::task::yield_now().await;
                        }
                    };
                    crate::patience::within("the request to end", ended).await;
                    assert_eq!(origin.log().len(), nth, "{mode:?} {size} {http2} {answer}");
                    if nth > 1 {
                        let forward = answer.head.cache_status();
                        assert_eq!(forward.forward(), Some("bypass"), "{answer}");
                    }
                }
                let gone = async {
                    while gate.metric("store_size_bytes").await > 0.0 {
                        tokio::task::yield_now().await;
                    }
                };
                crate::patience::within("what was stored to go", gone).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_and_redirects_are_never_too_small() {
    let script = Script {
        status: 404,
        ..Script::new(913, 10)
    };
    let (origin, gate, _) = scene(script, Mode::Streaming).await;
    for _ in 0..2 {
        assert_eq!(gate.get("/film").await.status(), 404);
    }
    assert_eq!(origin.log().len(), 1, "{:#?}", origin.log());
}
