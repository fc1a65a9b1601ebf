//! Places at an origin, and in the queue before it, of those who leave.

use super::{
    limit::{
        ACTIVE, DEPTH, LONG, REFUSED, asking, assert_all_free, assert_whole, holder, narrow, order,
        put,
    },
    sample, until,
};
use crate::{
    client::{Client, H2, Request},
    gate::{CHUNK, Gate},
    model::Object,
    origin::{Origin, Script, Valve},
    patience::{let_time_pass, within},
};
use std::time::{Duration, Instant};
use tidegate::{fill::FinishWhen, origin::Limit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const ABORTS: &str = "tidegate_response_aborts_total";
/// A second on an idle machine, and far less than what it would wait otherwise.
const SOON: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_that_leaves_frees_its_place_in_the_queue() {
    let origin = Origin::start().await;
    let gate = narrow(&origin, 1, LONG).await;
    put(&origin, "/left", 334);
    let next = put(&origin, "/next", 335);
    let (mut holder, valve) = holder(&origin, &gate).await;
    let waiter = asking(&gate, &Request::get("/left")).await;
    until(&gate, DEPTH, "", 1.0).await;
    drop(waiter);
    until(&gate, DEPTH, "", 0.0).await;
    assert_eq!(sample(&gate, REFUSED, "reason=\"client_left\"").await, 1.0);
    let mut waiter = asking(&gate, &Request::get("/next")).await;
    until(&gate, DEPTH, "", 1.0).await;
    valve.open();
    holder.rest().await;
    assert_whole(&mut waiter, &next).await;
    assert_eq!(order(&origin), ["/held", "/next"]);
    assert_all_free(&gate).await;
    // That is nobody's failure but the client's own.
    until(&gate, ABORTS, "cause=\"client\"", 1.0).await;
    assert_eq!(sample(&gate, ABORTS, "").await, 1.0);
}

/// `/known` with its first chunks stored, and the one place at its origin taken.
async fn partly_stored(seed: u64) -> (Origin, Gate, Object, Client, Valve) {
    let origin = Origin::start().await;
    let gate = narrow(&origin, 1, LONG).await;
    let object = put(&origin, "/known", seed);
    gate.bytes("/known", 0, 9).await;
    assert_all_free(&gate).await;
    let (holder, valve) = holder(&origin, &gate).await;
    (origin, gate, object, holder, valve)
}

/// What is not stored of `/known`.
fn rest_of_known() -> Request {
    Request::get("/known").bytes(3 * CHUNK, 4 * CHUNK)
}

/// The same for what lacks of an object that is partly there.
#[tokio::test(flavor = "multi_thread")]
async fn a_fill_whose_reader_leaves_frees_its_place_in_the_queue() {
    let (_origin, gate, _, mut holder, valve) = partly_stored(346).await;
    let waiter = asking(&gate, &rest_of_known()).await;
    until(&gate, DEPTH, "", 1.0).await;
    let left = Instant::now();
    drop(waiter);
    until(&gate, DEPTH, "", 0.0).await;
    assert!(left.elapsed() < SOON, "{:?}", left.elapsed());
    until(&gate, ABORTS, "cause=\"client\"", 1.0).await;
    assert_eq!(sample(&gate, ABORTS, "").await, 1.0);
    valve.open();
    holder.rest().await;
    assert_all_free(&gate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_whose_reader_over_http_2_leaves_frees_its_place_in_the_queue() {
    let (_origin, gate, _, mut holder, valve) = partly_stored(436).await;
    let client = H2::connect(gate.address(), 1 << 20).await;
    let waiter = tokio::spawn(async move { client.ask(&rest_of_known()).await });
    until(&gate, DEPTH, "", 1.0).await;
    let left = Instant::now();
    waiter.abort();
    until(&gate, DEPTH, "", 0.0).await;
    assert!(left.elapsed() < SOON, "{:?}", left.elapsed());
    valve.open();
    holder.rest().await;
    assert_all_free(&gate).await;
}

/// A client may close its side and still read; where nobody queues, that costs nobody anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_closed_its_side_gets_what_lacks() {
    let origin = Origin::start().await;
    let gate = narrow(&origin, 1, LONG).await;
    put(&origin, "/known", 437);
    gate.bytes("/known", 0, 9).await;
    assert_all_free(&gate).await;
    let valve = Valve::at(0);
    origin.change("/known", |script| script.valve = Some(valve.clone()));
    let mut stream = TcpStream::connect(gate.address()).await.unwrap();
    let range = format!("bytes={}-{}", 3 * CHUNK, 4 * CHUNK);
    let head = format!("GET /known HTTP/1.1\r\nHost: media.test\r\nRange: {range}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    until(&gate, ACTIVE, "", 1.0).await;
    stream.shutdown().await.unwrap();
    // Longer than a fill goes on for nobody.
    let_time_pass(Duration::from_secs(1)).await;
    valve.open();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    within("the answer", reading).await.unwrap();
    // It was asked meanwhile whether it is there.
    let answer = answer.strip_prefix(b"HTTP/1.1 102 Processing\r\n\r\n");
    let answer = answer.expect("an interim answer first");
    assert!(answer.starts_with(b"HTTP/1.1 206"), "{}", answer.len());
    assert!(answer.len() as u64 > CHUNK, "{}", answer.len());
    assert_all_free(&gate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_sends_while_it_waits_is_its_next_request() {
    let (_origin, gate, object, mut holder, valve) = partly_stored(438).await;
    let mut client = asking(&gate, &rest_of_known()).await;
    until(&gate, DEPTH, "", 1.0).await;
    let next = Request::get("/known").bytes(0, 9);
    client.send(&next).await.unwrap();
    valve.open();
    holder.rest().await;
    for (first, length) in [(3 * CHUNK, CHUNK + 1), (0, 10)] {
        assert_eq!(client.head().await.unwrap().status, 206);
        let (body, cut) = client.rest().await;
        assert!(cut.is_none() && body.len() as u64 == length, "{cut:?}");
        object.content.verify(first, &body).unwrap();
    }
    assert_all_free(&gate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_amid_a_body_frees_the_place() {
    for range in [None, Some((0, 12 * CHUNK))] {
        let origin = Origin::start().await;
        let gate = narrow(&origin, 1, LONG).await;
        let script = Script {
            rate: Some(1 << 20),
            ..Script::new(336, 64 << 20)
        };
        origin.put("/long", script);
        let next = put(&origin, "/next", 337);
        let mut request = Request::get("/long");
        if let Some((first, last)) = range {
            request = request.bytes(first, last);
        }
        let mut leaver = asking(&gate, &request).await;
        leaver.head().await.unwrap();
        leaver.at_least(1000).await.unwrap();
        let mut waiter = asking(&gate, &Request::get("/next")).await;
        until(&gate, DEPTH, "", 1.0).await;
        drop(leaver);
        assert_whole(&mut waiter, &next).await;
        assert_all_free(&gate).await;
        let log = origin.settled().await;
        assert_eq!(log.last().unwrap().target, "/next", "{log:#?}");
    }
}

/// Who leaves does not take those along who wait for the same object.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_behind_one_that_leaves_is_served() {
    let origin = Origin::start().await;
    let gate = narrow(&origin, 2, LONG).await;
    let object = put(&origin, "/wanted", 430);
    let (mut holder, valve) = holder(&origin, &gate).await;
    let leaver = asking(&gate, &Request::get("/wanted")).await;
    until(&gate, DEPTH, "", 1.0).await;
    let mut followers = Vec::new();
    for _ in 0..3 {
        followers.push(asking(&gate, &Request::get("/wanted")).await);
    }
    drop(leaver);
    // Its place in the queue is theirs as well: long after its leaving was seen it is still there.
    let_time_pass(SOON).await;
    assert_eq!(sample(&gate, DEPTH, "").await, 1.0);
    assert_eq!(sample(&gate, REFUSED, "reason=\"client_left\"").await, 0.0);
    valve.open();
    holder.rest().await;
    for mut follower in followers {
        assert_whole(&mut follower, &object).await;
    }
    assert_eq!(order(&origin), ["/held", "/wanted"]);
    assert_all_free(&gate).await;
}

/// The place goes with the last who waits behind it.
#[tokio::test(flavor = "multi_thread")]
async fn when_all_have_left_who_waited_for_the_same_the_place_is_free() {
    let origin = Origin::start().await;
    let gate = narrow(&origin, 2, LONG).await;
    put(&origin, "/wanted", 439);
    let (mut holder, valve) = holder(&origin, &gate).await;
    let leaver = asking(&gate, &Request::get("/wanted")).await;
    until(&gate, DEPTH, "", 1.0).await;
    let follower = asking(&gate, &Request::get("/wanted")).await;
    drop((leaver, follower));
    until(&gate, DEPTH, "", 0.0).await;
    valve.open();
    holder.rest().await;
    assert_all_free(&gate).await;
    assert_eq!(order(&origin), ["/held"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_brought_in_in_any_case_waits_without_its_client() {
    let origin = Origin::start().await;
    let gate = Gate::with(&origin, |settings| {
        settings.origins[0].limit = Limit {
            requests: 1,
            queue: 1,
            wait: LONG,
        };
        settings.routes[0].finish_when = FinishWhen::Always;
    })
    .await;
    let object = put(&origin, "/wanted", 431);
    let (mut holder, valve) = holder(&origin, &gate).await;
    let leaver = asking(&gate, &Request::get("/wanted")).await;
    until(&gate, DEPTH, "", 1.0).await;
    drop(leaver);
    valve.open();
    holder.rest().await;
    origin
        .wait_for("the whole object to be brought in", |log| {
            let sent = log.iter().filter(|seen| seen.target == "/wanted");
            sent.map(|seen| seen.sent).sum::<u64>() >= object.size
        })
        .await;
    assert_all_free(&gate).await;
    let asked = origin.log().len();
    assert_whole(&mut asking(&gate, &Request::get("/wanted")).await, &object).await;
    assert_eq!(origin.log().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_over_http_2_that_leaves_frees_its_place_in_the_queue() {
    let origin = Origin::start().await;
    let gate = narrow(&origin, 1, LONG).await;
    put(&origin, "/left", 432);
    let (mut holder, valve) = holder(&origin, &gate).await;
    let client = H2::connect(gate.address(), 1 << 20).await;
    let asking = tokio::spawn(async move { client.ask(&Request::get("/left")).await });
    until(&gate, DEPTH, "", 1.0).await;
    asking.abort();
    until(&gate, DEPTH, "", 0.0).await;
    assert_eq!(
        sample(&gate, REFUSED, "reason=\"queue_timeout\"").await,
        0.0
    );
    valve.open();
    holder.rest().await;
    assert_all_free(&gate).await;
    assert_eq!(order(&origin), ["/held"]);
}

/// Waits in the queue for `request`, leaves, and sees that nobody waits any more.
async fn leave_while_waiting(request: Request) {
    let origin = Origin::start().await;
    let gate = narrow(&origin, 1, LONG).await;
    put(&origin, "/left", 433);
    let (mut holder, valve) = holder(&origin, &gate).await;
    let leaver = asking(&gate, &request).await;
    until(&gate, DEPTH, "", 1.0).await;
    let left = Instant::now();
    drop(leaver);
    until(&gate, DEPTH, "", 0.0).await;
    assert!(left.elapsed() < LONG / 2, "it waited to the end");
    valve.open();
    holder.rest().await;
    assert_all_free(&gate).await;
    assert_eq!(order(&origin), ["/held"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_cached_frees_its_place_in_the_queue() {
    for method in ["DELETE", "POST", "HEAD"] {
        leave_while_waiting(Request::new(method, "/left")).await;
    }
    let authorized = Request::get("/left").header("Authorization", "Basic eA==");
    leave_while_waiting(authorized).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_frees_its_place_in_the_queue() {
    let mut upload = Request::new("PUT", "/left");
    upload.body = vec![7; 1000];
    leave_while_waiting(upload).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_broken_off_frees_its_place() {
    let origin = Origin::start().await;
    let gate = narrow(&origin, 1, LONG).await;
    let next = put(&origin, "/next", 434);
    for framing in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
        let mut stream = TcpStream::connect(gate.address()).await.unwrap();
        let head = format!("PUT /up HTTP/1.1\r\nHost: media.test\r\n{framing}\r\n\r\n10\r\n0123");
        stream.write_all(head.as_bytes()).await.unwrap();
        until(&gate, ACTIVE, "", 1.0).await;
        drop(stream);
        assert_all_free(&gate).await;
    }
    assert_whole(&mut asking(&gate, &Request::get("/next")).await, &next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_and_readers_share_the_limit() {
    let origin = Origin::start().await;
    let gate = narrow(&origin, 0, LONG).await;
    let (mut holder, valve) = holder(&origin, &gate).await;
    let mut upload = Request::new("PUT", "/up");
    upload.body = vec![7; 1000];
    let answer = gate.ask(upload.clone()).await;
    assert_eq!(answer.status(), 503, "{answer}");
    assert!(answer.head.header("retry-after").is_some(), "{answer}");
    valve.open();
    holder.rest().await;
    assert_all_free(&gate).await;
    let fine = Script {
        cache_control: None,
        ..Script::new(435, 10)
    };
    origin.put("/up", fine);
    let answer = gate.ask(upload).await;
    assert_eq!(answer.status(), 200, "{answer}");
    let last = origin.log().pop().unwrap();
    assert_eq!((last.target.as_str(), last.received), ("/up", 1000));
    assert_all_free(&gate).await;
}

/// Many come and go at every moment of a request; in the end nobody holds anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_leaves_at_any_moment_leaves_nothing_behind() {
    let seed = crate::dice::seed();
    eprintln!("TIDEGATE_SEED={seed}");
    let origin = Origin::start().await;
    for number in 0..6 {
        let script = Script {
            rate: Some(4 << 20),
            ..Script::new(number, 8 * CHUNK)
        };
        origin.put(&format!("/{number}"), script);
    }
    let gate = std::sync::Arc::new(narrow(&origin, 5, LONG).await);
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..40u64 {
        let gate = gate.clone();
        crowd.spawn(async move {
            let mut dice = crate::dice::Dice::new(seed + number);
            for _ in 0..5 {
                let mut request = Request::get(&format!("/{}", dice.below(6)));
                if dice.percent(50) {
                    let first = dice.below(8 * CHUNK);
                    request = request.bytes(first, first + dice.below(CHUNK));
                }
                let mut client = asking(&gate, &request).await;
                let patience = std::time::Duration::from_millis(dice.below(60));
                let reading = async {
                    if client.head().await.is_ok() {
                        client.rest().await;
                    }
                };
                let _ = tokio::time::timeout(patience, reading).await;
            }
        });
    }
    crowd.join_all().await;
    assert_all_free(&gate).await;
}
