//! Routes that begin an answer only when what was asked for is stored.

use crate::{
    client::{Answer, Client, H2, Request},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Cut, End, Framing, Origin, Ranges, Script, State, Valve},
};
use std::time::Duration;
use tidegate::{proxy::Mode, server::Settings};

const SIZE: u64 = 12 * CHUNK + 345;

fn store_first(settings: &mut Settings) {
    settings.routes[0].mode = Mode::StoreFirst;
}

async fn gate(origin: &Origin) -> Gate {
    Gate::with(origin, store_first).await
}

/// Asks over both versions of HTTP.
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

/// Breaks in the sixth chunk, and is down from then on.
fn breaking(seed: u64) -> Script {
    let cut = Cut {
        after: 5 * CHUNK + 7,
        how: End::Reset,
    };
    let script = Script {
        cut: Some(cut),
        ..Script::new(seed, SIZE)
    };
    script.twisted(|seen, script| {
        if seen.nth > 0 {
            script.status = 503;
            script.cut = None;
        }
    })
}

fn requests() -> [(Request, Option<String>); 3] {
    let range = format!("bytes={}-{}", CHUNK + 1, 9 * CHUNK);
    [
        (Request::get("/film"), None),
        (Request::get("/film").range(&range), Some(range)),
        (
            Request::get("/film").range("bytes=100-"),
            Some("bytes=100-".into()),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_breaks_is_a_clean_502_on_first_contact() {
    for http2 in [false, true] {
        for (request, _) in requests() {
            let origin = Origin::with(breaking(900)).await;
            let gate = gate(&origin).await;
            let answer = ask(&gate, http2, &request).await;
            assert_eq!(answer.status(), 502, "{http2} {request:?} {answer}");
            // Over HTTP/2 the stream is reset after its end.
            assert!(answer.is_whole() || http2, "{answer}");
            assert!(answer.body.is_empty(), "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_breaks_is_a_clean_502_for_what_lacks_of_a_hit() {
    for http2 in [false, true] {
        let script = Script::new(901, SIZE);
        let object = Object::from(&script);
        let origin = Origin::with(script).await;
        let gate = gate(&origin).await;
        let first = gate.bytes("/film", 0, 99).await;
        assert_eq!(first.status(), 206, "{first}");
        origin.settled().await;
        origin.change("/film", |script| script.status = 500);
        let answer = ask(&gate, http2, &Request::get("/film")).await;
        assert_eq!(answer.status(), 502, "{answer}");
        // What is there needs no origin.
        let again = ask(&gate, http2, &Request::get("/film").bytes(5, 50)).await;
        let expected = object.expected(Some("bytes=5-50"), None);
        object.verify(&expected, &again).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_for_comes_whole_when_it_is_stored() {
    for http2 in [false, true] {
        for (request, range) in requests() {
            for ranges in [Ranges::Honoured, Ranges::Ignored] {
                let script = Script {
                    ranges,
                    ..Script::new(902, SIZE)
                };
                let object = Object::from(&script);
                let origin = Origin::with(script).await;
                let gate = gate(&origin).await;
                for round in 0..2 {
                    let answer = ask(&gate, http2, &request).await;
                    let expected = object.expected(range.as_deref(), None);
                    let verdict = object.verify(&expected, &answer);
                    verdict.unwrap_or_else(|e| panic!("{http2} {ranges:?} {round}: {e}\n{answer}"));
                    assert_eq!(answer.head.cache_status().is_hit(), round > 0, "{answer}");
                }
                let sent = origin.sent("/film");
                assert!(sent <= SIZE, "{sent} of {SIZE}: {:#?}", origin.log());
                assert_eq!(gate.metric("store_first_total").await, 2.0);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_ranges_are_all_waited_for() {
    let origin = Origin::with(breaking(903)).await;
    let gate = gate(&origin).await;
    let far = 8 * CHUNK;
    let request = Request::get("/film").range(format!("bytes=0-9,{far}-{}", far + 9));
    let answer = gate.ask(request).await;
    assert_eq!(answer.status(), 502, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_stands_still_is_a_504_and_one_that_moves_is_waited_for() {
    for http2 in [false, true] {
        let valve = Valve::at(3 * CHUNK);
        let script = Script {
            valve: Some(valve.clone()),
            ..Script::new(904, SIZE)
        };
        let object = Object::from(&script);
        let origin = Origin::with(script).await;
        let gate = Gate::with(&origin, |settings| {
            store_first(settings);
            settings.fill.wait = Duration::from_secs(1);
        })
        .await;
        let answer = ask(&gate, http2, &Request::get("/film")).await;
        assert_eq!(answer.status(), 504, "{answer}");
        valve.open();
        // Slower in all than the wait for one byte.
        origin.change("/film", |script| script.rate = Some(SIZE / 3));
        let answer = ask(&gate, http2, &Request::get("/film")).await;
        object.verify(&Expected::Whole, &answer).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_conditions_are_answered_at_once() {
    for http2 in [false, true] {
        let script = Script {
            valve: Some(Valve::at(0)),
            ..Script::new(905, SIZE)
        };
        let etag = script.etag().unwrap();
        let origin = Origin::with(script.clone()).await;
        origin.put("/other", script.clone());
        origin.put("/third", script);
        let gate = gate(&origin).await;
        // The bodies that these bring in stand still.
        let head = ask(&gate, http2, &Request::head("/film")).await;
        assert_eq!((head.status(), head.head.length()), (200, Some(SIZE)));
        let known = Request::get("/other").header("If-None-Match", etag);
        assert_eq!(ask(&gate, http2, &known).await.status(), 304);
        let failed = Request::get("/third").header("If-Match", "\"else\"");
        assert_eq!(ask(&gate, http2, &failed).await.status(), 412);
        let beyond = Request::get("/film").range(format!("bytes={}-", 2 * SIZE));
        assert_eq!(ask(&gate, http2, &beyond).await.status(), 416);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_unknown_length_is_stored_before_it_is_sent() {
    for http2 in [false, true] {
        let script = Script {
            framing: Framing::Chunked,
            ..Script::new(906, SIZE)
        };
        let object = Object::from(&script);
        let origin = Origin::with(script).await;
        let gate = gate(&origin).await;
        for _ in 0..2 {
            let answer = ask(&gate, http2, &Request::get("/film")).await;
            object.verify(&Expected::Whole, &answer).unwrap();
        }
        assert_eq!(origin.log().len(), 1);
        origin.put(
            "/cut",
            Script {
                framing: Framing::Chunked,
                ..breaking(906)
            },
        );
        let answer = ask(&gate, http2, &Request::get("/cut")).await;
        assert_eq!(answer.status(), 502, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_stored_streams() {
    let valve = Valve::at(CHUNK);
    let script = Script {
        cache_control: Some("no-store"),
        valve: Some(valve.clone()),
        ..Script::new(907, SIZE)
    };
    let origin = Origin::with(script).await;
    let gate = gate(&origin).await;
    let mut client: Client = gate.client().await;
    client.send(&Request::get("/film")).await.unwrap();
    assert_eq!(client.head().await.unwrap().status, 200);
    let mut body = client.at_least(CHUNK as usize).await.unwrap();
    valve.open();
    body.extend(client.rest().await.0);
    assert_eq!(body, Script::new(907, SIZE).content.bytes(0..SIZE));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_has_no_room_for_streams_and_says_so() {
    for http2 in [false, true] {
        let size = 40 * CHUNK;
        let script = Script::new(908, size);
        let object = Object::from(&script);
        let origin = Origin::with(script).await;
        let gate = Gate::with(&origin, |settings| {
            store_first(settings);
            settings.store.max_size = 16 * CHUNK;
        })
        .await;
        let answer = ask(&gate, http2, &Request::get("/film")).await;
        object.verify(&Expected::Whole, &answer).unwrap();
        let status = answer.head.cache_status();
        assert!(status.has("detail=not-stored-first"), "{answer}");
        let metrics = gate.metrics().await;
        assert!(
            metrics.contains("tidegate_store_first_total{outcome=\"not_kept\"} 1"),
            "{metrics}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_it_waits_ends_the_fill() {
    let valve = Valve::at(3 * CHUNK);
    let script = Script {
        valve: Some(valve.clone()),
        ..Script::new(909, 200 * CHUNK)
    };
    let origin = Origin::with(script).await;
    let gate = gate(&origin).await;
    let mut client = gate.client().await;
    client.send(&Request::get("/film")).await.unwrap();
    origin
        .wait_for("the first chunks", |log| {
            log.iter().any(|seen| seen.sent >= 3 * CHUNK)
        })
        .await;
    drop(client);
    let left = async {
        while gate.metric("requests_active").await > 0.0 {
            tokio::task::yield_now().await;
        }
    };
    crate::patience::within("the request to end", left).await;
    valve.open();
    let log = origin.settled().await;
    assert_eq!(log[0].state, State::Left, "{log:#?}");
}
