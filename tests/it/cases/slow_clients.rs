//! Clients that take their answers too slowly are given up, and counted as what they are.

use super::upgrade::Scene;
use crate::{
    child::Tidegate,
    client::{Client, H2, Request},
    gate::Gate,
    model::Object,
    origin::{Origin, Script, State},
    patience::{let_time_pass, within},
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Larger than what sockets and buffers on the way can hide.
const LARGE: u64 = 24 << 20;
const LONG: &str = "bytes=0-20000000";

/// A client has a second for a segment of any size.
async fn impatient(seed: u64) -> (Origin, Gate, Object) {
    scene(seed, 1 << 40).await
}

/// The same, but for who takes this many bytes a second.
async fn scene(seed: u64, min_rate: u64) -> (Origin, Gate, Object) {
    let script = Script::new(seed, LARGE);
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::with(&origin, |settings| {
        let sending = &mut settings.routes[0].sending;
        for pieces in [&mut sending.range, &mut sending.whole] {
            pieces.least_time = Duration::from_secs(1);
            pieces.min_rate = min_rate;
        }
    })
    .await;
    (origin, gate, object)
}

/// Waits until so many clients were found to be slow, and nothing else was found wrong.
async fn counted(gate: &Gate, clients: u32) {
    let line = format!("tidegate_response_aborts_total{{cause=\"slow_client\"}} {clients}");
    gate.until_told(&line).await;
    let all = gate.metric("tidegate_response_aborts_total").await;
    assert_eq!(all, f64::from(clients));
}

async fn stands_still(gate: &Gate, object: &Object, request: Request) {
    let mut client = Client::narrow(gate.address()).await;
    client.send(&request).await.unwrap();
    client.head().await.unwrap();
    counted(gate, 1).await;
    let (body, cut) = client.rest().await;
    assert!(cut.is_some() && (body.len() as u64) < LARGE);
    object.content.verify(0, &body).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_stops_reading_a_stored_object_is_cut_off() {
    let (_origin, gate, object) = impatient(700).await;
    gate.get("/film").await;
    stands_still(&gate, &object, Request::get("/film")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_stops_reading_a_range_is_cut_off() {
    let (_origin, gate, object) = impatient(701).await;
    gate.get("/film").await;
    stands_still(&gate, &object, Request::get("/film").range(LONG)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_stops_reading_what_it_brings_in_is_cut_off() {
    let (_origin, gate, object) = impatient(702).await;
    stands_still(&gate, &object, Request::get("/film")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_window_stays_shut_ends_and_its_connection_does_not() {
    let (_origin, gate, object) = impatient(703).await;
    gate.get("/film").await;
    let connection = H2::connect(gate.address(), 16 << 10).await;
    let mut stalled = connection.open(&Request::get("/film")).await;
    stalled.some_withheld().await.expect("a first piece");
    counted(&gate, 1).await;
    let rest = stalled.whole().await;
    assert!(!rest.is_whole(), "{rest}");
    let range = "bytes=20000000-20000999";
    let other = connection.ask(&Request::get("/film").range(range)).await;
    object
        .verify(&object.expected(Some(range), None), &other)
        .unwrap();
}

/// Players read in bursts: what counts is how fast they are altogether.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_fast_may_pause() {
    let (_origin, gate, object) = scene(706, 1 << 20).await;
    gate.get("/film").await;
    for request in [Request::get("/film"), Request::get("/film").range(LONG)] {
        let mut client = Client::narrow(gate.address()).await;
        client.send(&request).await.unwrap();
        let length = client.head().await.unwrap().length().unwrap();
        let mut body = client.at_least(12 << 20).await.unwrap();
        let_time_pass(Duration::from_millis(2500)).await;
        let (rest, cut) = client.rest().await;
        assert!(cut.is_none(), "{cut:?}");
        body.extend(rest);
        assert_eq!(body.len() as u64, length);
        object.content.verify(0, &body).unwrap();
    }
}

/// All of it is in sockets by then: nobody waits for the client any more.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_takes_the_end_of_an_answer_late_has_all_of_it() {
    let (_origin, gate, object) = impatient(705).await;
    gate.get("/film").await;
    let mut client = Client::narrow(gate.address()).await;
    let range = "bytes=0-131071";
    client
        .send(&Request::get("/film").range(range))
        .await
        .unwrap();
    client.head().await.unwrap();
    let_time_pass(Duration::from_millis(1500)).await;
    let (body, cut) = client.rest().await;
    assert_eq!((body.len(), cut), (128 << 10, None));
    object.content.verify(0, &body).unwrap();
    let again = client.ask(&Request::get("/film").range("bytes=5-9")).await;
    assert_eq!(again.status(), 206);
    assert_eq!(gate.metric("tidegate_response_aborts_total").await, 0.0);
}

/// A process of its own that has a large film stored.
async fn with_large_film(seed: u64) -> (Scene, Tidegate) {
    let scene = Scene::new("1GiB").await;
    scene.put("/film", seed, LARGE);
    let tidegate = scene.run().await;
    assert_eq!(tidegate.ask(Request::get("/film")).await.status(), 200);
    scene.origin.settled().await;
    (scene, tidegate)
}

async fn one_that_reads_the_head_only(tidegate: &Tidegate) -> Client {
    let mut client = Client::narrow(tidegate.address).await;
    client.send(&Request::get("/film")).await.unwrap();
    client.head().await.unwrap();
    client
}

/// What a socket does not take yet is not read from the disk for it.
#[tokio::test(flavor = "multi_thread")]
async fn those_who_stand_still_hold_no_memory() {
    let (_scene, tidegate) = with_large_film(704).await;
    let mut still = Vec::new();
    for _ in 0..20 {
        still.push(one_that_reads_the_head_only(&tidegate).await);
    }
    within("nothing to lie in memory for them", async {
        while !pinned(&tidegate).await.ends_with(" 0") {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A connection that ends amid an answer is closed.
#[tokio::test(flavor = "multi_thread")]
async fn those_who_leave_amid_an_answer_leave_no_socket_behind() {
    let (_scene, tidegate) = with_large_film(706).await;
    let process = tidegate.processes[0];
    for _ in 0..50 {
        one_that_reads_the_head_only(&tidegate).await;
    }
    within("the sockets to be closed", async {
        while sockets(process) > 25 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn sockets(process: u32) -> usize {
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let links = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    let of_socket = |link: &std::path::PathBuf| link.to_string_lossy().starts_with("socket:");
    links.filter(of_socket).count()
}

async fn pinned(tidegate: &Tidegate) -> String {
    let mut operator = Client::operator(tidegate.admin).await;
    let page = operator.ask(&Request::get("/metrics")).await.body;
    let page = String::from_utf8(page).unwrap();
    let mut lines = page.lines();
    let line = lines.find(|line| line.starts_with("tidegate_response_pinned_bytes"));
    line.expect("the metric is there").to_owned()
}

/// A byte now and then would hold a place at the origin.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_sends_its_body_in_drops_is_told_so() {
    let origin = Origin::with(Script::new(1290, 10)).await;
    let gate = Gate::with(&origin, |settings| {
        settings.clients.read_timeout = Duration::from_millis(400);
        settings.clients.min_rate = 1 << 20;
    })
    .await;
    let (mut reading, mut writing) = TcpStream::connect(gate.address())
        .await
        .unwrap()
        .into_split();
    let head = b"POST /film HTTP/1.1\r\nHost: media.test\r\nContent-Length: 1000000\r\n\r\n";
    writing.write_all(head).await.unwrap();
    let drops = tokio::spawn(async move {
        while writing.write_all(b"x").await.is_ok() {
            let_time_pass(Duration::from_millis(20)).await;
        }
    });
    let mut came = vec![0; 12];
    within("an answer", reading.read_exact(&mut came))
        .await
        .unwrap();
    assert_eq!(came, b"HTTP/1.1 408");
    counted(&gate, 1).await;
    origin
        .wait_for("the origin to be let go", |log| {
            log.iter().all(|seen| seen.state == State::Left)
        })
        .await;
    drops.abort();

    // One that is no slower than it may be is waited for, however long it takes in all.
    let mut request = Request::new("POST", "/film");
    request.body = vec![7; 3 << 20];
    let answer = gate.ask(request).await;
    assert_eq!(answer.status(), 200, "{answer}");
}
