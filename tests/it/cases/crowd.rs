//! Many clients at once: each byte costs the origin once, and what may not be shared is not.

use crate::{
    client::{Client, Request},
    dice::{self, Dice},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Origin, Script, Valve, variant},
};
use std::collections::BTreeSet;
use tokio::task::JoinSet;

const SIZE: u64 = 16 * CHUNK + 4321;

async fn scene(script: Script) -> (Origin, Gate, Object) {
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::before(&origin).await;
    (origin, gate, object)
}

/// Sends all requests at once and checks what comes back.
async fn ask_all(gate: &Gate, object: &Object, ranges: Vec<Option<String>>) {
    let mut clients = JoinSet::new();
    for range in ranges {
        let (address, object) = (gate.address(), object.clone());
        clients.spawn(async move {
            let mut request = Request::get("/film");
            request
                .headers
                .extend(range.iter().map(|range| ("Range".into(), range.clone())));
            let answer = Client::connect(address).await.ask(&request).await;
            let verdict = object.verify(&object.expected(range.as_deref(), None), &answer);
            verdict.unwrap_or_else(|wrong| panic!("{range:?}: {wrong}\n{answer}"));
        });
    }
    clients.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_clients_on_a_cold_object_cost_the_origin_each_byte_once() {
    let (origin, gate, object) = scene(Script {
        rate: Some(2 << 20),
        ..Script::new(110, SIZE)
    })
    .await;
    ask_all(&gate, &object, vec![None; 200]).await;
    let log = origin.settled().await;
    assert_eq!(
        origin.sent("/film"),
        SIZE,
        "{} requests: {log:#?}",
        log.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_ranges_at_once_cost_each_byte_once() {
    let (origin, gate, object) = scene(Script {
        rate: Some(2 << 20),
        ..Script::new(111, SIZE)
    })
    .await;
    let ranges = (0..100u64).map(|nth| match nth % 3 {
        0 => Some(format!("bytes={}-", nth * 10_000)),
        1 => Some(format!("bytes=-{}", nth * 5_000)),
        _ => Some(format!("bytes={}-{}", nth * 9_000, nth * 9_000 + 100_000)),
    });
    ask_all(&gate, &object, ranges.collect()).await;
    let log = origin.settled().await;
    let sent = origin.sent("/film");
    assert!(
        sent <= SIZE * 105 / 100,
        "{sent} of {SIZE}, {} requests: {log:#?}",
        log.len()
    );
}

/// A whole body that runs can't leave out what seeks ahead of it have brought.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_ranges_at_once_cost_no_byte_three_times() {
    let (origin, gate, object) = scene(Script {
        rate: Some(2 << 20),
        ..Script::new(117, SIZE)
    })
    .await;
    let ranges = (0..100u64).map(|nth| match nth % 2 {
        0 => None,
        _ => Some(format!("bytes={}-", nth * 10_000)),
    });
    ask_all(&gate, &object, ranges.collect()).await;
    let log = origin.settled().await;
    let plain = log.iter().filter(|seen| seen.range().is_none()).count();
    let sent = origin.sent("/film");
    assert!(plain <= 1 && sent <= 2 * SIZE, "{sent} of {SIZE}: {log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cold_seeks_cost_the_chunks_that_they_touch() {
    const LARGE: u64 = 1 << 30;
    let seed = dice::seed();
    println!("TIDEGATE_SEED={seed}");
    let (origin, gate, object) = scene(Script::new(112, LARGE)).await;
    let mut dice = Dice::new(seed);
    let mut touched = BTreeSet::new();
    for _ in 0..50 {
        let first = dice.below(LARGE - CHUNK);
        let last = first + CHUNK - 1;
        touched.extend(first / CHUNK..=last / CHUNK);
        ask_all(&gate, &object, vec![Some(format!("bytes={first}-{last}"))]).await;
    }
    origin.settled().await;
    let (sent, due) = (origin.sent("/film"), touched.len() as u64 * CHUNK);
    assert!(sent <= due * 105 / 100, "{sent} bytes for {due}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_stored_is_not_shared_and_does_not_queue() {
    let valve = Valve::at(10);
    let (origin, gate, object) = scene(Script {
        cache_control: Some("no-store"),
        valve: Some(valve.clone()),
        ..Script::new(113, 50_000)
    })
    .await;
    let crowd = ask_all(&gate, &object, vec![None; 20]);
    let all_there = async {
        origin
            .wait_for("all twenty to reach the origin", |log| log.len() == 20)
            .await;
        valve.open();
    };
    tokio::join!(crowd, all_there);
    assert_eq!(origin.log().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn variants_do_not_mix() {
    let (origin, gate, object) = scene(Script {
        vary_by: Some("Accept-Language"),
        ..Script::new(114, SIZE)
    })
    .await;
    let languages = ["cy", "ga", ""];
    for (round, range) in [Some("bytes=70000-80000"), None, Some("bytes=-9"), None]
        .iter()
        .enumerate()
    {
        for language in languages {
            let object = Object {
                content: variant(object.content, language),
                ..object.clone()
            };
            let mut request = Request::get("/film");
            request
                .headers
                .extend(range.map(|range| ("Range".into(), range.to_owned())));
            if !language.is_empty() {
                request = request.header("Accept-Language", language);
            }
            let answer = gate.ask(request).await;
            let verdict = object.verify(&object.expected(*range, None), &answer);
            verdict.unwrap_or_else(|wrong| panic!("{language} {round}: {wrong}\n{answer}"));
            origin.settled().await;
        }
    }
    let sent = origin.sent("/film");
    assert_eq!(sent, 3 * SIZE, "each variant once: {:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vary_of_everything_is_not_stored() {
    let (origin, gate, object) = scene(Script {
        headers: vec![("Vary", "*".into())],
        ..Script::new(115, SIZE)
    })
    .await;
    for nth in 1..=2 {
        object
            .verify(&Expected::Whole, &gate.get("/film").await)
            .unwrap();
        assert!(origin.settled().await.len() >= nth, "{:#?}", origin.log());
    }
    assert!(origin.log().len() >= 2, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_and_queries_are_objects_of_their_own() {
    let origin = Origin::start().await;
    let gate = Gate::before(&origin).await;
    for (nth, target) in [
        "/film",
        "/film?",
        "/film?a=1",
        "/film?a=2",
        "/Film",
        "/film/",
    ]
    .iter()
    .enumerate()
    {
        let script = Script::new(116 + nth as u64, 5000 + nth as u64);
        let object = Object::from(&script);
        origin.put(target, script);
        for _ in 0..2 {
            let answer = gate.get(target).await;
            object
                .verify(&Expected::Whole, &answer)
                .unwrap_or_else(|wrong| panic!("{target}: {wrong}"));
        }
    }
    let asked = origin.log().len();
    gate.ask(Request::get("/film").header("Host", "other.test"))
        .await;
    assert_eq!(
        origin.log().len(),
        asked + 1,
        "another host is another object"
    );
}
