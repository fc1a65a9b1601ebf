//! Clients leave: fills stop or go on by policy, and what is there stays.

use crate::{
    client::Request,
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Origin, Script, Seen, State, Valve},
};
use tidegate::fill::FinishWhen;

const SIZE: u64 = 48 << 20;
const READ: u64 = 1 << 20;

/// Reads a megabyte of `/film` behind a valve and leaves; then the origin runs freely.
async fn read_a_little_and_leave(gate: &Gate, valve: &Valve) {
    let mut client = gate.client().await;
    client.send(&Request::get("/film")).await.unwrap();
    client.head().await.unwrap();
    client.at_least(READ as usize).await.unwrap();
    drop(client);
    valve.open();
}

async fn scene(seed: u64, finish_when: FinishWhen) -> (Origin, Gate, Object, Valve) {
    let valve = Valve::at(READ + CHUNK / 2);
    let script = Script {
        valve: Some(valve.clone()),
        // A rate that leaves no doubt about who stopped.
        rate: Some(32 << 20),
        ..Script::new(seed, SIZE)
    };
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::with(&origin, |settings| {
        settings.routes[0].finish_when = finish_when
    })
    .await;
    (origin, gate, object, valve)
}

/// What the later requests asked for, which is to be nothing that was whole before.
fn assert_resumed(later: &[Seen]) {
    let whole_chunks = READ / CHUNK * CHUNK;
    for seen in later {
        let window = seen.window();
        assert!(
            window.is_some_and(|(first, _)| first >= whole_chunks),
            "{later:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fill_stops_when_nobody_is_left_and_the_next_client_resumes() {
    let (origin, gate, object, valve) = scene(80, FinishWhen::Never).await;
    read_a_little_and_leave(&gate, &valve).await;
    let log = origin.settled().await;
    let stopped = log
        .iter()
        .all(|seen| seen.state == State::Left || seen.sent < SIZE);
    assert!(stopped && origin.sent("/film") < SIZE / 2, "{log:#?}");

    object
        .verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
    assert_resumed(&origin.settled().await[log.len()..]);
    assert!(origin.sent("/film") < SIZE * 11 / 10, "{:#?}", origin.log());
}

/// What comes in is cut where the network cuts it, not where chunks end.
#[tokio::test(flavor = "multi_thread")]
async fn the_fill_stops_amid_a_piece_too() {
    let (origin, gate, object, valve) = scene(89, FinishWhen::Never).await;
    origin.change("/film", |script| script.rate = None);
    read_a_little_and_leave(&gate, &valve).await;
    let log = origin.settled().await;
    assert!(origin.sent("/film") < SIZE / 2, "{log:#?}");
    let again = gate.get("/film").await;
    object.verify(&Expected::Whole, &again).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_client_resumes_after_a_restart_too() {
    let (origin, mut gate, object, valve) = scene(81, FinishWhen::Never).await;
    read_a_little_and_leave(&gate, &valve).await;
    let asked = origin.settled().await.len();
    gate.restart().await;
    let start = gate.bytes("/film", 0, READ / 2).await;
    object.content.verify(0, &start.body).unwrap();
    assert_eq!(
        origin.log().len(),
        asked,
        "what was whole is still there: {:#?}",
        origin.log()
    );
    object
        .verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
    assert_resumed(&origin.settled().await[asked..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fill_goes_on_where_the_route_says_always() {
    let (origin, gate, object, valve) = scene(82, FinishWhen::Always).await;
    read_a_little_and_leave(&gate, &valve).await;
    origin
        .wait_for("the whole object to be brought in", |log| {
            log.iter().map(|seen| seen.sent).sum::<u64>() >= SIZE
        })
        .await;
    let asked = origin.settled().await.len();
    object
        .verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
    assert_eq!(origin.log().len(), asked, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fill_stops_below_the_share_that_the_route_names() {
    let (origin, gate, object, valve) = scene(83, FinishWhen::Percent(80)).await;
    read_a_little_and_leave(&gate, &valve).await;
    origin.settled().await;
    assert!(origin.sent("/film") < SIZE / 2, "{:#?}", origin.log());
    object
        .verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_reader_keeps_the_fill_alive() {
    let (origin, gate, object, valve) = scene(84, FinishWhen::Never).await;
    let mut first = gate.client().await;
    first.send(&Request::get("/film")).await.unwrap();
    first.head().await.unwrap();
    let mut second = gate.client().await;
    second.send(&Request::get("/film")).await.unwrap();
    second.head().await.unwrap();
    first.at_least(CHUNK as usize).await.unwrap();
    drop(first);
    valve.open();
    let (body, cut) = second.rest().await;
    assert_eq!((body.len() as u64, cut), (SIZE, None));
    object.content.verify(0, &body).unwrap();
    origin.settled().await;
    assert!(origin.sent("/film") < SIZE * 13 / 10, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ranged_reader_that_leaves_costs_a_bounded_read_ahead() {
    let (origin, gate, _, valve) = scene(85, FinishWhen::Never).await;
    valve.open();
    let mut client = gate.client().await;
    client
        .send(&Request::get("/film").range("bytes=1000000-"))
        .await
        .unwrap();
    client.head().await.unwrap();
    client.at_least(2 * CHUNK as usize).await.unwrap();
    drop(client);
    origin.settled().await;
    // Settled may be the pause between two windows: only a fill that goes on reaches the end.
    assert!(origin.sent("/film") < SIZE / 2, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_is_nobody_elses_fault() {
    let (origin, gate, _, valve) = scene(89, FinishWhen::Always).await;
    read_a_little_and_leave(&gate, &valve).await;
    origin.settled().await;
    let aborts = "tidegate_response_aborts_total{cause=\"client\"} 1";
    gate.until_told(aborts).await;
    assert_eq!(gate.metric("tidegate_response_aborts_total").await, 1.0);
}
