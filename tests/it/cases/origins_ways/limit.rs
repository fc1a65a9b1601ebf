//! How many requests an origin gets at a time, and who waits.

use super::{SIZE, sample, until, verify};
use crate::{
    client::{Client, Request},
    dice::Dice,
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Cut, End, Origin, Script, State, Valve},
};
use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tidegate::origin::Limit;
use tokio::task::JoinSet;

pub(super) const DEPTH: &str = "tidegate_origin_queue_depth";
pub(super) const REFUSED: &str = "tidegate_origin_refused_total";
pub(super) const ACTIVE: &str = "tidegate_origin_active_requests";
pub(super) const LONG: Duration = Duration::from_secs(15);

/// One place at the origin, a queue of this width before it.
pub(super) async fn narrow(origin: &Origin, queue: usize, wait: Duration) -> Gate {
    limited(origin, 1, queue, wait, true).await
}

async fn limited(
    origin: &Origin,
    requests: usize,
    queue: usize,
    wait: Duration,
    priority: bool,
) -> Gate {
    Gate::with(origin, |settings| {
        settings.origins[0].limit = Limit {
            requests,
            queue,
            wait,
        };
        settings.routes[0].features.priority_queue = priority;
    })
    .await
}

/// Takes the one place with an answer that its valve holds.
pub(super) async fn holder(origin: &Origin, gate: &Gate) -> (Client, Valve) {
    let valve = Valve::at(CHUNK);
    let script = Script {
        valve: Some(valve.clone()),
        ..Script::new(330, SIZE)
    };
    origin.put("/held", script);
    let mut client = gate.client().await;
    client.send(&Request::get("/held")).await.unwrap();
    assert_eq!(client.head().await.unwrap().status, 200);
    (client, valve)
}

/// A client that has asked and reads nothing yet.
pub(super) async fn asking(gate: &Gate, request: &Request) -> Client {
    let mut client = gate.client().await;
    client.send(request).await.unwrap();
    client
}

pub(super) fn put(origin: &Origin, target: &str, seed: u64) -> Object {
    let script = Script::new(seed, SIZE);
    let object = Object::from(&script);
    origin.put(target, script);
    object
}

pub(super) async fn assert_whole(client: &mut Client, object: &Object) {
    assert_eq!(client.head().await.unwrap().status, 200);
    let (body, cut) = client.rest().await;
    assert!(cut.is_none() && body.len() as u64 == object.size, "{cut:?}");
    object.content.verify(0, &body).unwrap();
}

/// Nobody holds a place or waits for one.
pub(super) async fn assert_all_free(gate: &Gate) {
    until(gate, ACTIVE, "", 0.0).await;
    until(gate, DEPTH, "", 0.0).await;
}

pub(super) fn order(origin: &Origin) -> Vec<String> {
    origin.log().into_iter().map(|seen| seen.target).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_waits_and_the_third_is_told_to_come_back() {
    let origin = Origin::start().await;
    let gate = narrow(&origin, 1, LONG).await;
    let second = put(&origin, "/second", 331);
    put(&origin, "/third", 332);
    let (mut holder, valve) = holder(&origin, &gate).await;
    let mut waiter = asking(&gate, &Request::get("/second")).await;
    until(&gate, DEPTH, "", 1.0).await;

    let answer = gate.get("/third").await;
    assert_eq!(answer.status(), 503, "{answer}");
    let after = answer.head.header("retry-after");
    assert!(
        after.is_some_and(|after| after.parse::<u64>().unwrap() >= 1),
        "{answer}"
    );
    assert_eq!(sample(&gate, REFUSED, "reason=\"queue_full\"").await, 1.0);
    assert_eq!(order(&origin), ["/held"]);

    valve.open();
    holder.rest().await;
    assert_whole(&mut waiter, &second).await;
    assert_eq!(order(&origin), ["/held", "/second"]);
    assert_all_free(&gate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_waited_for_long_enough_is_told_to_come_back() {
    let origin = Origin::start().await;
    let gate = narrow(&origin, 1, Duration::from_millis(200)).await;
    put(&origin, "/second", 331);
    let (mut holder, valve) = holder(&origin, &gate).await;
    for request in [
        Request::get("/second"),
        Request::get("/second").bytes(0, 9),
        Request::head("/second"),
    ] {
        let answer = gate.ask(request).await;
        assert_eq!(answer.status(), 503, "{answer}");
        assert!(answer.head.header("retry-after").is_some(), "{answer}");
    }
    assert_eq!(
        sample(&gate, REFUSED, "reason=\"queue_timeout\"").await,
        3.0
    );
    valve.open();
    holder.rest().await;
    assert_eq!(order(&origin), ["/held"]);
    assert_all_free(&gate).await;
}

/// What lacks of an object that is partly there waits, too, and is refused in the same way.
#[tokio::test(flavor = "multi_thread")]
async fn a_fill_that_has_waited_for_long_enough_is_a_503() {
    let origin = Origin::start().await;
    let gate = narrow(&origin, 1, Duration::from_millis(200)).await;
    let object = put(&origin, "/known", 333);
    gate.bytes("/known", 0, 9).await;
    assert_all_free(&gate).await;
    let (mut holder, valve) = holder(&origin, &gate).await;
    let answer = gate.bytes("/known", 3 * CHUNK, 3 * CHUNK + 9).await;
    assert_eq!(answer.status(), 503, "{answer}");
    assert!(answer.head.header("retry-after").is_some(), "{answer}");
    // What is there needs no place.
    let expected = object.expected(Some("bytes=0-9"), None);
    verify(&object, &expected, &gate.bytes("/known", 0, 9).await);
    valve.open();
    holder.rest().await;
    verify(&object, &Expected::Whole, &gate.get("/known").await);
    assert_all_free(&gate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_breaks_off_frees_the_place() {
    for how in [End::Reset, End::Close] {
        let origin = Origin::start().await;
        let gate = narrow(&origin, 4, LONG).await;
        let script = Script {
            cut: Some(Cut {
                after: 3 * CHUNK + 7,
                how,
            }),
            // Without a strong tag nothing can go on elsewhere.
            etag: crate::origin::Tag::None,
            ..Script::new(338, SIZE)
        };
        origin.put("/broken", script);
        let next = put(&origin, "/next", 339);
        for request in [
            Request::get("/broken"),
            Request::get("/broken").bytes(4 * CHUNK, 5 * CHUNK),
            Request::get("/broken"),
        ] {
            let mut client = gate.client().await;
            let _ = client.try_ask(&request).await;
        }
        verify(&next, &Expected::Whole, &gate.get("/next").await);
        assert_all_free(&gate).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_and_heads_free_the_place() {
    let origin = Origin::start().await;
    let gate = narrow(&origin, 0, LONG).await;
    for (target, status) in [("/404", 404), ("/500", 500), ("/302", 302), ("/204", 204)] {
        let script = Script {
            status,
            cache_control: None,
            ..Script::new(340, if status == 204 { 0 } else { 50 })
        };
        origin.put(target, script);
    }
    let object = put(&origin, "/fine", 341);
    for target in ["/404", "/500", "/302", "/204", "/nothing"] {
        for request in [
            Request::head(target),
            Request::get(target).bytes(1, 5),
            Request::get(target),
        ] {
            let mut client = gate.client().await;
            let answer = client.try_ask(&request).await.unwrap();
            assert_ne!(answer.status(), 503, "{target}: {answer}");
            assert_all_free(&gate).await;
        }
    }
    let head = gate.ask(Request::head("/fine")).await;
    assert_eq!(head.status(), 200, "{head}");
    assert_all_free(&gate).await;
    verify(&object, &Expected::Whole, &gate.get("/fine").await);
    assert_all_free(&gate).await;
}

async fn who_is_first(priority: bool) -> Vec<String> {
    let origin = Origin::start().await;
    let gate = limited(&origin, 1, 10, LONG, priority).await;
    let whole = put(&origin, "/whole", 342);
    let part = put(&origin, "/part", 343);
    let (mut holder, valve) = holder(&origin, &gate).await;
    let mut first = asking(&gate, &Request::get("/whole")).await;
    until(&gate, DEPTH, "class=\"large\"", 1.0).await;
    let mut second = asking(&gate, &Request::get("/part").bytes(0, 9)).await;
    until(&gate, DEPTH, "", 2.0).await;
    valve.open();
    holder.rest().await;
    assert_whole(&mut first, &whole).await;
    assert_eq!(second.head().await.unwrap().status, 206);
    part.content.verify(0, &second.rest().await.0).unwrap();
    assert_all_free(&gate).await;
    order(&origin)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_passes_a_whole_that_waits_unless_that_is_off() {
    assert_eq!(who_is_first(true).await, ["/held", "/part", "/whole"]);
    assert_eq!(who_is_first(false).await, ["/held", "/whole", "/part"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_takes_the_place_of_a_whole_in_a_full_queue() {
    let origin = Origin::start().await;
    let gate = narrow(&origin, 1, LONG).await;
    put(&origin, "/whole", 344);
    put(&origin, "/part", 345);
    let (mut holder, valve) = holder(&origin, &gate).await;
    let mut whole = asking(&gate, &Request::get("/whole")).await;
    until(&gate, DEPTH, "class=\"large\"", 1.0).await;
    let mut part = asking(&gate, &Request::get("/part").bytes(0, 9)).await;
    let head = whole.head().await.unwrap();
    assert_eq!(head.status, 503);
    assert!(head.header("retry-after").is_some(), "{head:?}");
    assert_eq!(sample(&gate, REFUSED, "reason=\"displaced\"").await, 1.0);
    valve.open();
    holder.rest().await;
    assert_eq!(part.head().await.unwrap().status, 206);
    part.rest().await;
    assert_all_free(&gate).await;
}

/// On one thread, so that nothing comes between the last byte of an answer and the note of its
/// end, and the origin's count is exact.
#[tokio::test]
async fn clients_and_fills_together_never_exceed_the_limit() {
    const LIMIT: usize = 3;
    let origin = Arc::new(Origin::start().await);
    let most = Arc::new(AtomicUsize::new(0));
    let counter: Arc<Mutex<Weak<Origin>>> = Arc::new(Mutex::new(Arc::downgrade(&origin)));
    for number in 0..12 {
        let (most, counter) = (most.clone(), counter.clone());
        let script = Script {
            rate: Some(8 << 20),
            ..Script::new(number, SIZE)
        };
        let script = script.twisted(move |_, _| {
            let Some(origin) = counter.lock().unwrap().upgrade() else {
                return;
            };
            let log = origin.log();
            let now = log.iter().filter(|seen| seen.state == State::Sending);
            most.fetch_max(now.count(), SeqCst);
        });
        origin.put(&format!("/{number}"), script);
    }
    let gate = Arc::new(limited(&origin, LIMIT, 100, LONG, true).await);
    let mut clients = JoinSet::new();
    for number in 0..50u64 {
        let gate = gate.clone();
        clients.spawn(async move {
            let mut dice = Dice::new(number);
            let object = Object::from(&Script::new(number % 12, SIZE));
            let target = format!("/{}", number % 12);
            for _ in 0..3 {
                let first = dice.below(SIZE);
                let last = (first + dice.below(2 * CHUNK)).min(SIZE - 1);
                let (range, request) = match dice.below(3) {
                    0 => (None, Request::get(&target)),
                    _ => {
                        let range = format!("bytes={first}-{last}");
                        (Some(range.clone()), Request::get(&target).range(range))
                    }
                };
                let expected = object.expected(range.as_deref(), None);
                verify(&object, &expected, &gate.ask(request).await);
            }
        });
    }
    clients.join_all().await;
    assert_all_free(&gate).await;
    assert_eq!(most.load(SeqCst), LIMIT);
    assert_eq!(sample(&gate, REFUSED, "").await, 0.0);
}
