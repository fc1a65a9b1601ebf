//! The first request for an object costs the origin what the client needs, on the grid, once.

use crate::{
    client::Request,
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Origin, Script},
};

const SIZE: u64 = 20 * CHUNK + 1234;

async fn scene(script: Script) -> (Origin, Gate, Object) {
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::before(&origin).await;
    (origin, gate, object)
}

async fn ask_range(gate: &Gate, object: &Object, range: &str) {
    let answer = gate.ask(Request::get("/film").range(range)).await;
    let expected = object.expected(Some(range), None);
    let verdict = object.verify(&expected, &answer);
    verdict.unwrap_or_else(|wrong| panic!("{range}: {wrong}\n{answer}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_asks_the_origin_for_one_aligned_window_and_nothing_before_it() {
    let (origin, gate, object) = scene(Script::new(10, SIZE)).await;
    let first = 5 * CHUNK + 100;
    ask_range(&gate, &object, &format!("bytes={first}-{}", first + 99)).await;
    let log = origin.settled().await;
    assert_eq!(log.len(), 1, "{log:#?}");
    assert_eq!(
        log[0].window(),
        Some((5 * CHUNK, 6 * CHUNK - 1)),
        "{log:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_over_several_chunks_brings_each_of_them_once() {
    let (origin, gate, object) = scene(Script::new(11, SIZE)).await;
    ask_range(
        &gate,
        &object,
        &format!("bytes={}-{}", 3 * CHUNK + 1, 9 * CHUNK),
    )
    .await;
    let log = origin.settled().await;
    let before = log
        .iter()
        .filter_map(|seen| seen.window())
        .any(|(first, _)| first < 3 * CHUNK);
    assert!(!before, "{log:#?}");
    assert_eq!(origin.sent("/film"), 7 * CHUNK, "{log:#?}");
}

/// More than what is near enough to be waited for is on its way, and as slowly as it is read.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fetched_ahead_of_the_answer_that_is_read() {
    let script = Script {
        rate: Some(4 << 20),
        ..Script::new(16, SIZE)
    };
    let (origin, gate, object) = scene(script).await;
    ask_range(&gate, &object, &format!("bytes=0-{}", 14 * CHUNK - 1)).await;
    let log = origin.settled().await;
    assert_eq!(origin.sent("/film"), 14 * CHUNK, "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn head_costs_a_small_window_and_knows_the_length() {
    let (origin, gate, _) = scene(Script::new(12, SIZE)).await;
    let answer = gate.ask(Request::head("/film")).await;
    assert_eq!(
        (answer.status(), answer.head.length()),
        (200, Some(SIZE)),
        "{answer}"
    );
    origin.settled().await;
    assert!(origin.sent("/film") <= CHUNK, "{:#?}", origin.log());
    let asked = origin.log().len();
    let again = gate.ask(Request::head("/film")).await;
    assert_eq!(
        (again.status(), again.head.length()),
        (200, Some(SIZE)),
        "{again}"
    );
    assert_eq!(
        origin.log().len(),
        asked,
        "the second HEAD is answered from the store"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn head_then_get_brings_the_rest() {
    let (origin, gate, object) = scene(Script::new(13, SIZE)).await;
    gate.ask(Request::head("/film")).await;
    object
        .verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
    origin.settled().await;
    assert_eq!(origin.sent("/film"), SIZE, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_get_is_one_plain_request_and_the_next_is_none() {
    let (origin, gate, object) = scene(Script::new(14, SIZE)).await;
    object
        .verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
    let log = origin.settled().await;
    assert_eq!(
        (log.len(), log[0].range(), log[0].sent),
        (1, None, SIZE),
        "{log:#?}"
    );
    let again = gate.get("/film").await;
    object.verify(&Expected::Whole, &again).unwrap();
    ask_range(&gate, &object, "bytes=70000-200000").await;
    assert_eq!(origin.log().len(), 1, "{:#?}", origin.log());
    assert!(again.head.cache_status().is_hit(), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suffix_costs_the_first_window_and_the_last() {
    let (origin, gate, object) = scene(Script::new(15, SIZE)).await;
    ask_range(&gate, &object, "bytes=-500").await;
    origin.settled().await;
    let log = origin.log();
    assert!(
        origin.sent("/film") <= CHUNK + 1234 && log.len() <= 2,
        "{log:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_range_brings_what_is_behind_its_start() {
    let (origin, gate, object) = scene(Script::new(16, SIZE)).await;
    ask_range(&gate, &object, &format!("bytes={}-", 8 * CHUNK + 7)).await;
    origin.settled().await;
    assert_eq!(
        origin.sent("/film"),
        SIZE - 8 * CHUNK,
        "{:#?}",
        origin.log()
    );
    ask_range(&gate, &object, "bytes=0-").await;
    origin.settled().await;
    assert_eq!(origin.sent("/film"), SIZE, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_seek_into_known_chunks_is_free() {
    let (origin, gate, object) = scene(Script::new(17, SIZE)).await;
    ask_range(
        &gate,
        &object,
        &format!("bytes={}-{}", 4 * CHUNK, 6 * CHUNK - 1),
    )
    .await;
    origin.settled().await;
    let asked = origin.log().len();
    for (first, last) in [
        (4 * CHUNK, 4 * CHUNK),
        (5 * CHUNK - 1, 5 * CHUNK),
        (5 * CHUNK + 9, 6 * CHUNK - 1),
    ] {
        ask_range(&gate, &object, &format!("bytes={first}-{last}")).await;
    }
    assert_eq!(origin.log().len(), asked, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_gigabytes_are_sought_in_for_a_few_chunks() {
    const HUGE: u64 = 20_000_000_000;
    let (origin, gate, object) = scene(Script::new(18, HUGE)).await;
    for range in [
        "bytes=18000000000-18000000999",
        "bytes=-1000",
        "bytes=0-9",
        "bytes=4294967290-4294967300",
    ] {
        ask_range(&gate, &object, range).await;
    }
    origin.settled().await;
    assert!(origin.sent("/film") <= 6 * CHUNK, "{:#?}", origin.log());
    assert!(
        gate.allocated() < 8 << 20,
        "{} bytes on disk",
        gate.allocated()
    );
    let asked = origin.log().len();
    ask_range(&gate, &object, "bytes=18000000500-18000000600").await;
    assert_eq!(origin.log().len(), asked, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbouring_holes_are_one_request() {
    let (origin, gate, object) = scene(Script::new(19, SIZE)).await;
    for chunk in [3, 8] {
        ask_range(
            &gate,
            &object,
            &format!("bytes={}-{}", chunk * CHUNK, chunk * CHUNK + 9),
        )
        .await;
    }
    origin.settled().await;
    let asked = origin.log().len();
    ask_range(
        &gate,
        &object,
        &format!("bytes={}-{}", 3 * CHUNK + 5, 8 * CHUNK + 5),
    )
    .await;
    origin.settled().await;
    let windows: Vec<_> = origin.log()[asked..]
        .iter()
        .map(|seen| seen.window())
        .collect();
    assert_eq!(windows, [Some((4 * CHUNK, 8 * CHUNK - 1))]);
}
