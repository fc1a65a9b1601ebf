//! Requests whose head has begun to come when the process is to end.

use super::Scene;
use crate::{
    child::Tidegate,
    client::{Client, H2, Request},
    gate::CHUNK,
    model::{Expected, Object},
    patience::let_time_pass,
};
use std::time::Duration;

/// Longer than who has only connected is waited for.
const PAUSE: Duration = Duration::from_millis(1500);

/// A client that has been answered once and has sent a part of its next request.
async fn amid_its_next(tidegate: &Tidegate) -> Client {
    let mut client = Client::connect(tidegate.address).await;
    let answer = client.ask(&Request::get("/film")).await;
    assert_eq!(answer.head.header("connection"), Some("keep-alive"));
    client.send_raw("GET", "GET /film HTTP/1.1\r\nHo").await;
    client
}

async fn answered(client: &mut Client, film: &Object) {
    client.send_tail("st: a.test\r\n\r\n").await;
    let answer = client.answer().await.unwrap();
    assert_eq!(answer.head.header("connection"), Some("close"), "{answer}");
    film.verify(&Expected::Whole, &answer).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_amid_its_head_at_an_upgrade_is_answered() {
    let (_scene, film, mut tidegate) = Scene::with_film(793).await;
    let mut kept = amid_its_next(&tidegate).await;
    let mut new = Client::connect(tidegate.address).await;
    new.send_raw("GET", "GET /film HTTP/1.1\r\nHo").await;
    // Whoever came after them is served: so they have been accepted.
    super::check_hit(&tidegate, "/film", &film).await;
    tidegate.upgrade().await;
    let_time_pass(PAUSE).await;
    for client in [&mut kept, &mut new] {
        answered(client, &film).await;
    }
    tidegate.first_ended().await;
}

/// Where nobody else serves as well, as long as it does not take longer than that.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_amid_its_head_at_a_stop_is_answered() {
    let (_scene, film, mut tidegate) = Scene::with_film(794).await;
    let mut kept = amid_its_next(&tidegate).await;
    super::check_hit(&tidegate, "/film", &film).await;
    tidegate.signal(tidegate.current(), "TERM");
    tidegate.said("no new connections", 1).await;
    let_time_pass(Duration::from_millis(100)).await;
    answered(&mut kept, &film).await;
    tidegate.first_ended().await;
}

/// Over HTTP/2 as well: it is not told to go to another connection before it has asked anything.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_only_greeted_over_http2_is_answered() {
    let (_scene, film, mut tidegate) = Scene::with_film(796).await;
    let client = H2::connect(tidegate.address, 1 << 20).await;
    super::check_hit(&tidegate, "/film", &film).await;
    tidegate.upgrade().await;
    let_time_pass(PAUSE).await;
    let asked = client.try_begin(&Request::get("/film"), true).await;
    let head = asked.expect("a stream").head().await;
    let answer = head.expect("a head").whole().await;
    film.verify(&Expected::Whole, &answer).unwrap();
    tidegate.first_ended().await;
}

/// A head of which no more comes holds the old process no longer than any head may take.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_go_on_is_waited_for_as_long_as_any() {
    let scene = Scene::new("1GiB").await;
    let text = scene.configuration("1GiB") + "clients:\n  header_timeout: 2s\n";
    scene.configure(&text);
    scene.put("/film", 795, CHUNK);
    let mut tidegate = scene.run().await;
    let mut kept = amid_its_next(&tidegate).await;
    tidegate.upgrade().await;
    let head = kept.head().await.unwrap();
    assert_eq!(head.status, 408);
    tidegate.first_ended().await;
}
