//! HTTP/2 with clients: its streams, one by one.

use crate::{
    client::{H2, Request},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Cut, End, Origin, Script, State, Tag, Valve},
    patience::{DEADLINE, within},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy, duplex, split},
    net::{TcpSocket, TcpStream},
    sync::Notify,
};

const SIZE: u64 = 16 * CHUNK;

async fn scene(script: Script) -> (Origin, Gate, Object) {
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::before(&origin).await;
    (origin, gate, object)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_cut_is_not_taken_for_the_whole() {
    for cache_control in ["max-age=60", "no-store"] {
        let (_origin, gate, object) = scene(Script {
            cache_control: Some(cache_control),
            cut: Some(Cut {
                after: CHUNK / 2,
                how: End::Reset,
            }),
            // Otherwise the rest is asked for, and comes if what was sent before a reset was read.
            etag: Tag::None,
            last_modified: false,
            ..Script::new(950, SIZE)
        })
        .await;
        let client = H2::connect(gate.address(), 1 << 20).await;
        let answer = client.ask(&Request::get("/film")).await;
        let cut = answer.cut.clone();
        let cut = cut.unwrap_or_else(|| panic!("no cut: {answer}")).0;
        assert!(cut.contains("stream error"), "{cut}: {answer}");
        object.content.verify(0, &answer.body).unwrap();
        assert_eq!(client.ask(&Request::head("/film")).await.status(), 200);
    }
}

/// Browsers send a field for each cookie over HTTP/2. They are one to whoever speaks HTTP/1.1 (RFC 9113,
/// section 8.2.3), and count as one.
#[tokio::test(flavor = "multi_thread")]
async fn cookies_that_come_one_by_one_are_one_field() {
    let (origin, gate, _object) = scene(Script::new(953, 1000)).await;
    let client = H2::connect(gate.address(), 1 << 20).await;
    let pairs: Vec<String> = (0..150).map(|nth| format!("c{nth}={nth}")).collect();
    let mut request = Request::get("/film");
    for pair in &pairs {
        request = request.header("cookie", pair);
    }
    assert_eq!(client.ask(&request).await.status(), 200);
    let asked = &origin.asked("/film")[0];
    let came: Vec<_> = asked
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("cookie"))
        .collect();
    assert_eq!(came.len(), 1, "{came:?}");
    assert_eq!(came[0].1, pairs.join("; "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_reaches_the_origin_through_small_windows() {
    let (origin, gate, _object) = scene(Script::new(951, 1000)).await;
    let client = H2::connect(gate.address(), 1 << 20).await;
    let mut request = Request::new("POST", "/film");
    request.body = vec![b'x'; 3 << 20];
    assert_eq!(client.ask(&request).await.status(), 200);
    // Its framing counts as well.
    let received = origin.asked("/film")[0].received;
    assert!((3 << 20..4 << 20).contains(&received), "{received}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_go_on_is_not_waited_for() {
    let origin = Origin::with(Script::new(952, 1000)).await;
    let gate = Gate::with(&origin, |settings| {
        settings.clients.read_timeout = Duration::from_millis(300);
    })
    .await;
    let client = H2::connect(gate.address(), 1 << 20).await;
    let mut request = Request::new("POST", "/film");
    request.body = b"some of it".to_vec();
    let asked = client.begin(&request, false).await;
    assert!(asked.head().await.is_err());
    gate.until_active(0.0).await;
    let log = origin.settled().await;
    assert!(
        log.iter().all(|seen| seen.state != State::Complete),
        "{log:#?}"
    );
    assert_eq!(client.ask(&Request::get("/film")).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_reset_at_once_cost_others_nothing() {
    let (_origin, gate, object) = scene(Script::new(953, SIZE)).await;
    let flood = H2::connect(gate.address(), 1 << 20).await;
    for _ in 0..2000 {
        // The connection may be closed for it.
        let request = Request::get("/film");
        match within("room for a stream", flood.try_begin(&request, true)).await {
            Ok(asked) => asked.reset(),
            Err(_) => break,
        }
    }
    let client = H2::connect(gate.address(), 1 << 20).await;
    let answer = client.ask(&Request::get("/film")).await;
    object.verify(&Expected::Whole, &answer).unwrap();
    gate.until_active(0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_finished_and_the_connection_closed_when_it_stops() {
    let valve = Valve::at(CHUNK);
    let (_origin, mut gate, object) = scene(Script {
        valve: Some(valve.clone()),
        ..Script::new(954, SIZE)
    })
    .await;
    let mut client = H2::connect(gate.address(), 1 << 20).await;
    let answer = client.open(&Request::get("/film")).await;
    let stopping = async {
        gate.stop().await;
    };
    let reading = async {
        valve.open();
        answer.whole().await
    };
    let (answer, ()) = tokio::join!(reading, stopping);
    object.verify(&Expected::Whole, &answer).unwrap();
    client.closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_requests_is_closed() {
    let origin = Origin::with(Script::new(955, 1000)).await;
    let gate = Gate::with(&origin, |settings| {
        settings.clients.idle_timeout = Duration::from_secs(1);
    })
    .await;
    let mut client = H2::connect(gate.address(), 1 << 20).await;
    assert_eq!(client.ask(&Request::get("/film")).await.status(), 200);
    client.closed().await;
    while gate.metric("connections_active").await > 0.0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_with_two_authorities_are_refused_until_there_are_too_many() {
    let (origin, gate, _object) = scene(Script::new(956, 1000)).await;
    let mut client = H2::connect(gate.address(), 1 << 20).await;
    let twofold = Request::get("/film").header("Host", "other.test");
    for _ in 0..31 {
        assert_eq!(client.ask(&twofold).await.status(), 400);
    }
    assert_eq!(client.ask(&Request::get("/film")).await.status(), 200);
    let _ = client.begin(&twofold, true).await.head().await;
    client.closed().await;
    assert_eq!(origin.log().len(), 1, "{:#?}", origin.log());
    gate.until("connections_ended_total", 1.0).await;
}

/// One frame (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let stream = stream.to_be_bytes();
    [&length[1..], &[kind, flags], &stream, payload].concat()
}

/// What a connection begins with: each stream may be sent so much, and all of them any amount.
fn hello(window: u32) -> Vec<u8> {
    let (settings, window_update) = (4, 8);
    let initial_window = [&[0, 4], &window.to_be_bytes()[..]].concat();
    [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        &frame(settings, 0, 0, &initial_window),
        &frame(window_update, 0, 0, &(1_u32 << 30).to_be_bytes()),
    ]
    .concat()
}

/// `GET http://media.test/film` in fields (RFC 7541): two of the table, two literal ones of which the
/// table has the names.
const GET_FILM: &[u8] = b"\x82\x86\x04\x05/film\x01\x0amedia.test";

/// Heads that never end, frames that mean nothing: the connection ends, and it is counted why.
#[tokio::test(flavor = "multi_thread")]
async fn floods_of_frames_are_counted_as_what_they_are() {
    let (data, headers, continuation) = (0, 1, 9);
    let (_origin, gate, object) = scene(Script::new(957, SIZE)).await;
    let hello = hello(65_535);
    let endless = frame(continuation, 0, 1, b"").repeat(5000);
    for (reason, attack) in [
        ("flood", [frame(headers, 1, 1, b""), endless].concat()),
        ("protocol", frame(data, 0, 0, b"x")),
    ] {
        let mut stream = TcpStream::connect(gate.address()).await.unwrap();
        // It may be reset before all of it is written.
        let _ = stream.write_all(&[&hello[..], &attack].concat()).await;
        let mut said = Vec::new();
        let _ = within("the end", stream.read_to_end(&mut said)).await;
        let line = format!("connections_ended_total{{reason=\"{reason}\"}} 1");
        gate.until_told(&line).await;
    }
    let answer = H2::connect(gate.address(), 1 << 20).await;
    let answer = answer.ask(&Request::get("/film")).await;
    object.verify(&Expected::Whole, &answer).unwrap();
}

/// A connection of which nothing is read until it is let go; the kernel takes in little meanwhile.
async fn held_back(gate: &Gate, go: &Arc<Notify>) -> DuplexStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let (mut read, mut write) = socket.connect(gate.address()).await.unwrap().into_split();
    let (near, far) = duplex(1 << 20);
    let (mut from_client, mut to_client) = split(far);
    let go = go.clone();
    tokio::spawn(async move { copy(&mut from_client, &mut write).await });
    tokio::spawn(async move {
        go.notified().await;
        copy(&mut read, &mut to_client).await
    });
    near
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_over_here_still_reaches_its_client_when_the_process_stops() {
    // No more than one piece: a next one would wait for the client's socket.
    let origin = Origin::with(Script::new(961, CHUNK)).await;
    let mut gate = Gate::with(&origin, |settings| settings.server.drain = DEADLINE).await;
    let stored = gate.get("/film").await;
    let go = Arc::new(Notify::new());
    let client = H2::on(held_back(&gate, &go).await, 1 << 20).await;
    let asked = client.begin(&Request::get("/film"), true).await;
    let over = async {
        while gate.metric("tidegate_requests_total").await < 2.0 {
            tokio::task::yield_now().await;
        }
    };
    within("the answer to be over here", over).await;
    let stopping = gate.stop();
    tokio::pin!(stopping);
    let waits = tokio::time::timeout(Duration::from_millis(1500), &mut stopping).await;
    assert!(
        waits.is_err(),
        "it stops before its answer is with the client"
    );
    go.notify_one();
    let answer = async { asked.head().await.unwrap().whole().await };
    let (answer, ()) = tokio::join!(answer, stopping);
    assert_eq!((answer.cut, answer.body), (None, stored.body));
}

/// What is read for answers that nobody takes is held for all of a connection together, not for each.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_answers_that_are_not_taken_hold_little_more_than_a_few() {
    const BODIES: &str = "response_body_bytes_total";
    const HEADERS: u8 = 1;
    let (_origin, gate, _object) = scene(Script::new(962, 4 << 20)).await;
    gate.get("/film").await;
    let before = gate.metric(BODIES).await;
    let mut client = TcpStream::connect(gate.address()).await.unwrap();
    let asked = (0..100).map(|nth| frame(HEADERS, 5, 2 * nth + 1, GET_FILM));
    let asked = [hello(0), asked.collect::<Vec<_>>().concat()].concat();
    client.write_all(&asked).await.unwrap();
    gate.until_told("first_byte_seconds_count{outcome=\"hit\"} 100")
        .await;
    let read = gate.metric(BODIES).await - before;
    assert!((1e5..1e6).contains(&read), "{read} bytes");
}

/// What is queued for a client is not yet taken: its windows are wide, and it does not read. Its place at
/// the origin is not held for it.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_read_what_passes_is_given_up() {
    const HEADERS: u8 = 1;
    let origin = Origin::with(Script {
        cache_control: Some("no-store"),
        ..Script::new(965, 24 << 20)
    })
    .await;
    let gate = Gate::with(&origin, |settings| {
        let whole = &mut settings.routes[0].sending.whole;
        (whole.least_time, whole.min_rate) = (Duration::from_secs(1), 1 << 40);
    })
    .await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = socket.connect(gate.address()).await.unwrap();
    let asked = [hello(1 << 30), frame(HEADERS, 5, 1, GET_FILM)].concat();
    client.write_all(&asked).await.unwrap();
    gate.until_told("response_aborts_total{cause=\"slow_client\"} 1")
        .await;
    gate.until_active(0.0).await;
}

/// A head may take its time, in whatever frames it comes, and no more.
#[tokio::test(flavor = "multi_thread")]
async fn heads_that_do_not_end_are_not_waited_for() {
    let (headers, continuation) = (1, 9);
    let origin = Origin::with(Script::new(963, 1000)).await;
    let gate = Gate::with(&origin, |settings| {
        settings.clients.header_timeout = Duration::from_millis(300);
    })
    .await;
    let whole = frame(headers, 5, 1, GET_FILM);
    let begun = frame(headers, 1, 1, &GET_FILM[..5]);
    for (begun, drip) in [
        (begun.clone(), Vec::new()),
        (begun, frame(continuation, 0, 1, b"")),
        (whole[..12].to_vec(), Vec::new()),
    ] {
        let mut stream = TcpStream::connect(gate.address()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let begun = [hello(65_535), begun].concat();
        stream.write_all(&begun).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        let dripping = tokio::spawn(async move {
            while !drip.is_empty() && write.write_all(&drip).await.is_ok() {
                // h2 takes no more than a few.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            write
        });
        let mut said = Vec::new();
        let _ = within("it to be closed", read.read_to_end(&mut said)).await;
        dripping.abort();
    }
    let slow = "connections_ended_total{reason=\"slow\"} 3";
    gate.until_told(slow).await;
    assert!(origin.log().is_empty(), "{:#?}", origin.log());
}
