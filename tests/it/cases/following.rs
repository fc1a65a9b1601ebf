//! Readers follow a running fill as its bytes arrive, and hold up nobody.

use crate::{
    client::{Client, H2, Request},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Origin, Script, Valve},
};
use tidegate::proxy::Mode;

const SIZE: u64 = 8 * CHUNK + 321;

async fn scene(script: Script) -> (Origin, Gate, Object) {
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::before(&origin).await;
    (origin, gate, object)
}

/// A script whose answers all wait at a valve.
fn behind(seed: u64, valve: &Valve) -> Script {
    Script {
        valve: Some(valve.clone()),
        ..Script::new(seed, SIZE)
    }
}

/// A script whose plain answers wait at a valve while ranged ones run freely.
fn stalled(seed: u64, valve: &Valve) -> Script {
    behind(seed, valve).twisted(|seen, script| {
        if seen.range().is_some() {
            script.valve = None;
        }
    })
}

async fn open(gate: &Gate, request: Request) -> Client {
    let mut client = gate.client().await;
    client.send(&request).await.unwrap();
    client.head().await.unwrap();
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_is_passed_on_before_the_next_one_comes() {
    let valve = Valve::at(1);
    let (_origin, gate, object) = scene(behind(70, &valve)).await;
    let mut first = open(&gate, Request::get("/film")).await;
    let mut joiner = open(&gate, Request::get("/film")).await;
    let mut bodies = [Vec::new(), Vec::new()];
    for limit in [
        1,
        2,
        100,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        3 * CHUNK + 7,
        SIZE - 1,
        SIZE,
    ] {
        valve.open_to(limit);
        for (client, body) in [&mut first, &mut joiner].into_iter().zip(&mut bodies) {
            body.extend(client.at_least(limit as usize - body.len()).await.unwrap());
            assert_eq!(body.len() as u64, limit);
        }
    }
    for (mut client, body) in [first, joiner].into_iter().zip(&bodies) {
        assert_eq!(client.rest().await, (Vec::new(), None));
        object.content.verify(0, body).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_passed_on_before_its_window_is_whole() {
    let valve = Valve::at(2 * CHUNK + 100);
    let (_origin, gate, object) = scene(behind(71, &valve)).await;
    let mut client = open(&gate, Request::get("/film").bytes(2 * CHUNK, 4 * CHUNK - 1)).await;
    let mut body = client.at_least(100).await.unwrap();
    assert_eq!(body.len(), 100);
    valve.open();
    let (rest, cut) = client.rest().await;
    body.extend(rest);
    assert_eq!((body.len() as u64, cut), (2 * CHUNK, None));
    object.content.verify(2 * CHUNK, &body).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_gets_at_once_what_is_there() {
    let valve = Valve::at(3 * CHUNK + 50);
    let (origin, gate, object) = scene(behind(72, &valve)).await;
    let mut first = open(&gate, Request::get("/film")).await;
    let start = first.at_least(3 * CHUNK as usize + 50).await.unwrap();
    let mut joiner = open(&gate, Request::get("/film").range("bytes=0-")).await;
    let joined = joiner.at_least(start.len()).await.unwrap();
    assert_eq!(joined.len(), start.len());
    valve.open();
    let rest = joiner.rest().await.0;
    object.content.verify(0, &[joined, rest].concat()).unwrap();
    let rest = first.rest().await.0;
    object.content.verify(0, &[start, rest].concat()).unwrap();
    origin.settled().await;
    assert_eq!(origin.sent("/film"), SIZE, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seek_ahead_of_a_stalled_stream_does_not_wait_for_it() {
    let valve = Valve::at(CHUNK + 50);
    let (origin, gate, object) = scene(stalled(73, &valve)).await;
    let mut first = open(&gate, Request::get("/film")).await;
    let start = first.at_least(CHUNK as usize + 50).await.unwrap();
    for range in ["bytes=400000-400099", "bytes=-500"] {
        let answer = gate.ask(Request::get("/film").range(range)).await;
        let verdict = object.verify(&object.expected(Some(range), None), &answer);
        verdict.unwrap_or_else(|wrong| panic!("{range}: {wrong}\n{answer}"));
    }
    let seeks = origin
        .log()
        .iter()
        .filter(|seen| seen.range().is_some())
        .count();
    assert!(seeks >= 1, "{:#?}", origin.log());
    valve.open();
    let rest = first.rest().await;
    assert_eq!(rest.1, None);
    object.content.verify(0, &[start, rest.0].concat()).unwrap();
    origin.settled().await;
    assert!(
        origin.sent("/film") <= SIZE + 4 * CHUNK,
        "{:#?}",
        origin.log()
    );
}

/// Larger than what sockets and buffers on the way can hide.
const LARGE: u64 = 24 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_first_client_on_http_1_holds_up_nobody() {
    let (origin, gate, object) = scene(Script::new(74, LARGE)).await;
    let mut slow = Client::narrow(gate.address()).await;
    slow.send(&Request::get("/film")).await.unwrap();
    slow.head().await.unwrap();
    let start = slow.at_least(1).await.unwrap();
    object
        .verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
    assert!(
        origin.sent("/film") < LARGE * 13 / 10,
        "{:#?}",
        origin.log()
    );
    // The slow one may have been given up, but what it got is right.
    let (rest, cut) = slow.rest().await;
    let body = [start, rest].concat();
    assert!(cut.is_some() || body.len() as u64 == LARGE);
    object.content.verify(0, &body).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_first_client_on_http_2_holds_up_nobody() {
    let (origin, gate, object) = scene(Script::new(75, LARGE)).await;
    let slow = H2::connect(gate.address(), 16 << 10).await;
    let mut stalled = slow.open(&Request::get("/film")).await;
    let start = stalled.some_withheld().await.expect("a first piece");
    object.content.verify(0, &start).unwrap();
    object
        .verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
    // Nor are the other streams of its own connection.
    let range = "bytes=20000000-20000999";
    let other = slow.ask(&Request::get("/film").range(range)).await;
    object
        .verify(&object.expected(Some(range), None), &other)
        .unwrap();
    assert!(
        origin.sent("/film") < LARGE * 13 / 10,
        "{:#?}",
        origin.log()
    );
    let rest = stalled.whole().await;
    let body = [start.to_vec(), rest.body.clone()].concat();
    assert!(!rest.is_whole() || body.len() as u64 == LARGE, "{rest}");
    object.content.verify(0, &body).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_behind_a_slow_origin_share_what_comes() {
    let (origin, gate, object) = scene(Script {
        rate: Some(1 << 20),
        ..Script::new(76, SIZE)
    })
    .await;
    let mut readers = tokio::task::JoinSet::new();
    for nth in 0..8u64 {
        let address = gate.address();
        readers.spawn(async move {
            let range = format!("bytes={}-", nth * 1000);
            let answer = Client::connect(address)
                .await
                .ask(&Request::get("/film").range(&range))
                .await;
            (range, answer)
        });
    }
    while let Some(reader) = readers.join_next().await {
        let (range, answer) = reader.unwrap();
        let verdict = object.verify(&object.expected(Some(&range), None), &answer);
        verdict.unwrap_or_else(|wrong| panic!("{range}: {wrong}\n{answer}"));
    }
    origin.settled().await;
    assert_eq!(origin.sent("/film"), SIZE, "{:#?}", origin.log());
}

/// Programs that download in parts ask for the whole, and for its parts beside that.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_have_brought_is_not_read_once_more() {
    const MIB: u64 = 1 << 20;
    for (seed, mode) in [(77, Mode::Streaming), (78, Mode::StoreFirst)] {
        let valve = Valve::at(MIB);
        let script = Script {
            size: LARGE,
            ..stalled(seed, &valve)
        };
        let object = Object::from(&script);
        let origin = Origin::with(script).await;
        let gate = Gate::with(&origin, |settings| settings.routes[0].mode = mode).await;
        let mut first = gate.client().await;
        first.send(&Request::get("/film")).await.unwrap();
        origin
            .wait_for("the whole to be asked for", |log| !log.is_empty())
            .await;
        let range = format!("bytes={}-{}", 2 * MIB, LARGE - 2 * MIB);
        let part = gate.ask(Request::get("/film").range(&range)).await;
        let expected = object.expected(Some(&range), None);
        object.verify(&expected, &part).unwrap();
        valve.open();
        let whole = first.answer().await.unwrap();
        object.verify(&Expected::Whole, &whole).unwrap();
        let came = gate.metric("origin_body_bytes_total").await;
        assert!(came <= (LARGE + 2 * MIB) as f64, "{mode:?}: {came} bytes");
        // It has its answer, and its connection.
        let again = first.ask(&Request::get("/film").bytes(0, 9)).await;
        assert_eq!(again.status(), 206, "{again}");
        assert_eq!(gate.metric("response_aborts_total").await, 0.0);
    }
}
