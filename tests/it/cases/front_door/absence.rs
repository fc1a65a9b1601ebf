//! Clients that leave are noticed whatever they wait for, and only what they needed ends.

use crate::{
    client::{Client, H2, H2Asked, Request},
    front::Authority,
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Origin, Script, State, Valve},
    patience::within,
};
use futures_util::FutureExt;
use rustls::pki_types::ServerName;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tidegate::{
    server::{Certificate, Tls},
    traffic::{Burst, Pace},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::client::TlsStream;

const SIZE: u64 = 16 * CHUNK;

fn behind(valve: &Valve, holds_head: bool, seed: u64) -> Script {
    Script {
        valve: Some(valve.clone()),
        holds_head,
        ..Script::new(seed, SIZE)
    }
}

async fn scene(seed: u64, valve: &Valve, holds_head: bool) -> (Origin, Gate, Object) {
    let script = behind(valve, holds_head, seed);
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::before(&origin).await;
    (origin, gate, object)
}

/// All but one leave, and are missed at once.
async fn leave<T>(gate: &Gate, leavers: T) {
    leave_but(gate, leavers, 1.0).await;
}

async fn leave_but<T>(gate: &Gate, leavers: T, stay: f64) {
    let left = Instant::now();
    drop(leavers);
    gate.until_active(stay).await;
    let took = left.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// Some more streams of a connection, each a request that waits.
async fn streams(client: &H2, request: &Request, count: usize) -> Vec<H2Asked> {
    let mut streams = Vec::new();
    for _ in 0..count {
        streams.push(client.begin(request, true).await);
    }
    streams
}

/// One that waits for the head of its answer, and so others for it.
async fn leader(origin: &Origin, gate: &Gate) -> Client {
    let mut leader = gate.client().await;
    leader.send(&Request::get("/film")).await.unwrap();
    origin.wait_for("the leader", |log| log.len() == 1).await;
    leader
}

/// A client whose leaving resets its connection, as that of a killed player does.
async fn abrupt(gate: &Gate) -> Client {
    let stream = TcpStream::connect(gate.address()).await.unwrap();
    stream.set_zero_linger().unwrap();
    let mut client = Client::on(stream);
    client.send(&Request::get("/film")).await.unwrap();
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_anothers_lock_is_let_go_when_it_leaves() {
    let valve = Valve::at(0);
    let (origin, gate, object) = scene(940, &valve, true).await;
    let mut leader = leader(&origin, &gate).await;
    let mut reset = Vec::new();
    for _ in 0..5 {
        reset.push(abrupt(&gate).await);
    }
    gate.until_active(6.0).await;
    leave(&gate, reset).await;

    valve.open();
    assert_eq!(leader.head().await.unwrap().status, 200);
    let (body, cut) = leader.rest().await;
    assert!(cut.is_none());
    object.content.verify(0, &body).unwrap();
    assert_eq!(origin.log().len(), 1, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_later_chunk_is_let_go_when_it_leaves() {
    let valve = Valve::at(4 * CHUNK);
    let (origin, gate, object) = scene(941, &valve, false).await;
    let mut leader = gate.client().await;
    leader.send(&Request::get("/film")).await.unwrap();
    assert_eq!(leader.head().await.unwrap().status, 200);
    leader.at_least(CHUNK as usize).await.unwrap();
    let mut reset = Vec::new();
    for _ in 0..3 {
        let mut client = abrupt(&gate).await;
        assert_eq!(client.head().await.unwrap().status, 200);
        client.at_least(4 * CHUNK as usize).await.unwrap();
        reset.push(client);
    }
    gate.until_active(4.0).await;
    leave(&gate, reset).await;
    valve.open();
    let answer = gate.get("/film").await;
    object.verify(&Expected::Whole, &answer).unwrap();
    assert!(origin.sent("/film") <= SIZE + CHUNK, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_http_2_connection_lets_all_its_waits_go() {
    let valve = Valve::at(0);
    let (origin, gate, _object) = scene(942, &valve, true).await;
    let mut leader = leader(&origin, &gate).await;
    let client = H2::connect(gate.address(), 1 << 20).await;
    let client = Arc::new(client);
    let mut asked = JoinSet::new();
    for _ in 0..4 {
        let client = client.clone();
        asked.spawn(async move { drop(client.open(&Request::get("/film")).await) });
    }
    gate.until_active(5.0).await;
    leave(&gate, (client, asked)).await;
    valve.open();
    assert_eq!(leader.head().await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_reset_lets_its_wait_for_a_lock_go_and_no_other() {
    let valve = Valve::at(0);
    let (origin, gate, object) = scene(943, &valve, true).await;
    let mut leader = leader(&origin, &gate).await;
    let client = H2::connect(gate.address(), 1 << 20).await;
    let request = Request::get("/film");
    let kept = client.begin(&request, true).await;
    let reset = streams(&client, &request, 4).await;
    gate.until_active(6.0).await;
    leave_but(&gate, reset, 2.0).await;
    valve.open();
    assert_eq!(leader.head().await.unwrap().status, 200);
    let answer = kept.head().await.unwrap().whole().await;
    object.verify(&Expected::Whole, &answer).unwrap();
    assert_eq!(leader.rest().await.1, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_reset_lets_its_wait_for_the_origin_go() {
    let valve = Valve::at(0);
    let (origin, gate, _object) = scene(944, &valve, true).await;
    let client = H2::connect(gate.address(), 1 << 20).await;
    // What might be stored is waited for all the same: others may want it.
    let request = Request::new("POST", "/film");
    let kept = client.begin(&request, true).await;
    origin.wait_for("a request", |log| log.len() == 1).await;
    let reset = streams(&client, &request, 3).await;
    origin.wait_for("the others", |log| log.len() == 4).await;
    leave(&gate, reset).await;
    origin
        .wait_for("the origin to be let go", |log| {
            log[1..].iter().all(|seen| seen.state == State::Left)
        })
        .await;
    valve.open();
    let answer = kept.head().await.unwrap().whole().await;
    assert_eq!((answer.status(), answer.cut), (200, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_reset_lets_its_wait_for_a_chunk_go() {
    let valve = Valve::at(4 * CHUNK);
    let (origin, gate, object) = scene(945, &valve, false).await;
    let mut leader = gate.client().await;
    leader.send(&Request::get("/film")).await.unwrap();
    assert_eq!(leader.head().await.unwrap().status, 200);
    leader.at_least(CHUNK as usize).await.unwrap();
    let client = H2::connect(gate.address(), 8 << 20).await;
    let mut reading = Vec::new();
    for _ in 0..3 {
        let mut answer = client.open(&Request::get("/film")).await;
        let mut came = 0;
        while came < 4 * CHUNK as usize {
            came += answer.some_withheld().await.unwrap().len();
        }
        reading.push(answer);
    }
    gate.until_active(4.0).await;
    leave(&gate, reading).await;
    valve.open();
    let answer = client.ask(&Request::get("/film")).await;
    object.verify(&Expected::Whole, &answer).unwrap();
    assert!(origin.sent("/film") <= SIZE + CHUNK, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_reset_lets_its_place_in_the_queue_go() {
    let valve = Valve::at(0);
    let origin = Origin::start().await;
    for target in ["/film", "/other"] {
        origin.put(target, behind(&valve, true, 946));
    }
    let gate = Gate::with(&origin, |settings| settings.origins[0].limit.requests = 1).await;
    let mut leader = leader(&origin, &gate).await;
    let client = H2::connect(gate.address(), 1 << 20).await;
    let reset = streams(&client, &Request::get("/other"), 3).await;
    gate.until_active(4.0).await;
    leave(&gate, reset).await;
    valve.open();
    assert_eq!(leader.head().await.unwrap().status, 200);
    assert!(origin.asked("/other").is_empty(), "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_the_head_of_what_might_be_stored_is_let_go_with_the_origin() {
    let valve = Valve::at(0);
    let (origin, gate, object) = scene(947, &valve, true).await;
    let asking = leader(&origin, &gate).await;
    leave_but(&gate, asking, 0.0).await;
    origin
        .wait_for("the origin to be let go", |log| log[0].state == State::Left)
        .await;
    let client = H2::connect(gate.address(), 1 << 20).await;
    let reset = streams(&client, &Request::get("/film"), 1).await;
    origin.wait_for("a stream", |log| log.len() == 2).await;
    leave_but(&gate, reset, 0.0).await;
    valve.open();
    object
        .verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wait_for_goes_on_without_the_first_client() {
    let valve = Valve::at(0);
    let (origin, gate, object) = scene(948, &valve, true).await;
    let asking = leader(&origin, &gate).await;
    let mut follower = gate.client().await;
    follower.send(&Request::get("/film")).await.unwrap();
    let abrupt = abrupt(&gate).await;
    gate.until_active(3.0).await;
    drop(asking);
    leave_but(&gate, abrupt, 2.0).await;
    valve.open();
    assert_eq!(follower.head().await.unwrap().status, 200);
    let (body, cut) = follower.rest().await;
    assert!(cut.is_none());
    object.content.verify(0, &body).unwrap();
    assert_eq!(origin.log().len(), 1, "{:#?}", origin.log());
}

/// Those who close their connection, having read all that came, look like those who only have said
/// all they had to say.
#[tokio::test(flavor = "multi_thread")]
async fn who_only_closes_is_told_from_who_has_said_all() {
    let valve = Valve::at(0);
    let (origin, gate, object) = scene(949, &valve, true).await;
    origin.put("/other", behind(&valve, true, 949));
    let closing = leader(&origin, &gate).await;
    let mut waiting = TcpStream::connect(gate.address()).await.unwrap();
    let request = b"GET /other HTTP/1.1\r\nHost: media.test\r\nConnection: close\r\n\r\n";
    waiting.write_all(request).await.unwrap();
    waiting.shutdown().await.unwrap();
    gate.until_active(2.0).await;
    leave(&gate, closing).await;
    valve.open();
    let mut came = Vec::new();
    within("the answer", waiting.read_to_end(&mut came))
        .await
        .unwrap();
    let came = came
        .strip_prefix(b"HTTP/1.1 102 Processing\r\n\r\n")
        .unwrap();
    let body = came.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    object.content.verify(0, &came[body..]).unwrap();
    assert_eq!((came.len() - body) as u64, SIZE);
    assert!(came.starts_with(b"HTTP/1.1 200 "));
    let log = origin.log();
    assert!(log[0].state == State::Left && log.len() == 2, "{log:#?}");
}

async fn enciphered_scene(seed: u64, valve: &Valve) -> (Origin, Gate, Authority) {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let (certificate, key) = authority.write_identity(directory.path(), "media.test");
    let origin = Origin::with(behind(valve, true, seed)).await;
    let gate = Gate::with(&origin, |settings| {
        let certificates = vec![Certificate { certificate, key }];
        settings.listen[0].tls = Some(Tls { certificates });
    })
    .await;
    (origin, gate, authority)
}

async fn ask_over_tls(gate: &Gate, authority: &Authority) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(gate.address()).await.unwrap();
    let name = ServerName::try_from("media.test").unwrap();
    let connecting = authority.connector(&["http/1.1"]).connect(name, stream);
    let mut stream = within("a handshake", connecting).await.unwrap();
    let request = b"GET /film HTTP/1.1\r\nHost: media.test\r\n\r\n";
    stream.write_all(request).await.unwrap();
    stream
}

/// The closure alert and the end of what it sends: nobody who reads on sends the latter (RFC 9112, section
/// 9.8), and it may be all that comes of a client that leaves.
#[tokio::test(flavor = "multi_thread")]
async fn who_closes_over_tls_is_let_go_with_the_origin() {
    let valve = Valve::at(0);
    let (origin, gate, authority) = enciphered_scene(962, &valve).await;
    let mut clients = Vec::new();
    for active in [1.0, 2.0] {
        clients.push(ask_over_tls(&gate, &authority).await);
        gate.until_active(active).await;
    }
    for client in &mut clients {
        client.shutdown().await.unwrap();
    }
    leave_but(&gate, (), 0.0).await;
    origin
        .wait_for("the origin to be let go", |log| log[0].state == State::Left)
        .await;
}

/// The end of what a client sends is behind all that it has sent, which nobody reads before its turn,
/// and which the system may not even take in.
#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_behind_more_than_is_read_is_let_go_with_the_origin() {
    for length in [10, 100 << 10, 4 << 20] {
        let valve = Valve::at(0);
        let (origin, gate, _object) = scene(963, &valve, true).await;
        let mut clients = Vec::new();
        for active in [1.0, 2.0] {
            let mut client = TcpStream::connect(gate.address()).await.unwrap();
            let request = b"GET /film HTTP/1.1\r\nHost: media.test\r\n\r\n";
            client.write_all(request).await.unwrap();
            gate.until_active(active).await;
            let (read, mut write) = client.into_split();
            let sent = vec![b'x'; length];
            // It may be stuck in it when it leaves.
            let sending = tokio::spawn(async move { write.write_all(&sent).await });
            clients.push((read, sending));
        }
        origin.wait_for("a request", |log| log.len() == 1).await;
        for (read, sending) in clients {
            sending.abort();
            let _ = sending.await;
            drop(read);
        }
        leave_but(&gate, (), 0.0).await;
        origin
            .wait_for("the origin to be let go", |log| log[0].state == State::Left)
            .await;
    }
}

/// The same over TLS, where only what goes through its session can be sent.
#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_behind_more_than_is_read_over_tls_is_let_go_with_the_origin() {
    let valve = Valve::at(0);
    let (origin, gate, authority) = enciphered_scene(966, &valve).await;
    let mut clients = Vec::new();
    for active in [1.0, 2.0] {
        let mut client = ask_over_tls(&gate, &authority).await;
        gate.until_active(active).await;
        // The tickets for later sessions: who leaves something unread resets the connection.
        assert!(client.read(&mut [0]).now_or_never().is_none());
        // Until neither side's system takes more.
        while let Some(written) = client.write(&[b'x'; 16 << 10]).now_or_never() {
            assert!(written.unwrap() > 0);
        }
        clients.push(client);
    }
    origin.wait_for("a request", |log| log.len() == 1).await;
    drop(clients);
    leave_but(&gate, (), 0.0).await;
    origin
        .wait_for("the origin to be let go", |log| log[0].state == State::Left)
        .await;
}

/// A look at a client and the read of a body's last byte ask for the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_byte_of_a_body_may_come_by_itself() {
    let origin = Origin::with(Script::new(964, 1000)).await;
    let gate = Gate::before(&origin).await;
    let mut client = gate.client().await;
    let head = "POST /film HTTP/1.1\r\nHost: media.test\r\nContent-Length: 5\r\n\r\nhell";
    client.send_raw("POST", head).await;
    gate.until_active(1.0).await;
    client.send_raw("POST", "o").await;
    assert_eq!(client.answer().await.unwrap().status(), 200);
}

/// What passes through is held back for its pace a piece at a time, and nobody looks at the client
/// meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_amid_what_is_paced_and_not_stored_is_let_go_with_the_origin() {
    let mut script = Script::new(965, SIZE);
    script.cache_control = Some("no-store");
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::with(&origin, |settings| {
        settings.routes[0].pace = Some(Pace {
            burst: Burst::Bytes(1),
            rate: 8 << 10,
            times: None,
        });
    })
    .await;
    let mut client = gate.client().await;
    client.send(&Request::get("/film")).await.unwrap();
    assert_eq!(client.head().await.unwrap().status, 200);
    let came = client.at_least(2 << 10).await.unwrap();
    object.content.verify(0, &came).unwrap();
    leave_but(&gate, client, 0.0).await;
    origin
        .wait_for("the origin to be let go", |log| log[0].state == State::Left)
        .await;
}
