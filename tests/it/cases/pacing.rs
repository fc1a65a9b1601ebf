//! Readers are served at the pace of their route, and fills at their own.

use crate::{
    client::{H2, Request},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Origin, Script},
};
use std::time::{Duration, Instant};
use tidegate::traffic::{Burst, Pace};

const SIZE: u64 = 12 * CHUNK;
const BURST: u64 = 4 * CHUNK;
/// The rest takes a second.
const RATE: u64 = SIZE - BURST;
const SECOND: Duration = Duration::from_millis(990);

async fn scene(seed: u64, change: impl FnOnce(&mut Script)) -> (Origin, Gate, Object) {
    let mut script = Script::new(seed, SIZE);
    change(&mut script);
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::with(&origin, |settings| {
        settings.routes[0].pace = Some(Pace {
            burst: Burst::Bytes(BURST),
            rate: RATE,
            times: Some(2.0),
        });
    })
    .await;
    (origin, gate, object)
}

/// Asks for the whole; returns how long that took.
async fn took(gate: &Gate, object: &Object) -> Duration {
    let began = Instant::now();
    let answer = gate.get("/film").await;
    object.verify(&Expected::Whole, &answer).unwrap();
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_goes_out_at_its_pace_stored_or_not_yet() {
    let (_origin, gate, object) = scene(710, |_| ()).await;
    assert!(took(&gate, &object).await >= SECOND);
    assert!(took(&gate, &object).await >= SECOND);
    let began = Instant::now();
    let connection = H2::connect(gate.address(), 1 << 20).await;
    let answer = connection.ask(&Request::get("/film")).await;
    object.verify(&Expected::Whole, &answer).unwrap();
    assert!(began.elapsed() >= SECOND, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_does_not_wait_for_the_pace_of_its_reader() {
    let (origin, gate, object) = scene(711, |_| ()).await;
    let began = Instant::now();
    let mut client = gate.client().await;
    client.send(&Request::get("/film")).await.unwrap();
    client.head().await.unwrap();
    origin
        .wait_for("the whole object", |log| {
            log.iter().map(|seen| seen.sent).sum::<u64>() == SIZE
        })
        .await;
    let filled = began.elapsed();
    let (body, cut) = client.rest().await;
    assert_eq!((body.len() as u64, cut), (SIZE, None));
    object.content.verify(0, &body).unwrap();
    let took = began.elapsed();
    assert!(took >= SECOND && filled < took / 2, "{filled:?} {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_stored_is_paced_as_well() {
    let (_origin, gate, object) = scene(712, |script| {
        script.cache_control = Some("no-store");
    })
    .await;
    assert!(took(&gate, &object).await >= SECOND);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_playing_time_that_an_origin_tells_sets_the_pace() {
    // Twice as fast as it plays: the rest takes two seconds.
    let plays = 4.0 * SIZE as f64 / (SIZE - BURST) as f64;
    let (_origin, gate, object) = scene(713, |script| {
        let field = ("X-Content-Duration", plays.to_string());
        script.headers.push(field);
    })
    .await;
    assert!(took(&gate, &object).await >= 2 * SECOND);
}
