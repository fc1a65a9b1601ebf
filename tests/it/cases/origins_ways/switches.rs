//! Switches of a route that show at its origin.

use super::verify;
use crate::{
    client::Request,
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Origin, Script, State},
};
use std::sync::{
    Arc, Mutex, Weak,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

const SIZE: u64 = 64 * CHUNK + 5;

/// The most requests for one object that were under way at its origin at a time, while a client
/// read what first contact had not brought.
async fn most_at_a_time(parallel: bool) -> usize {
    let origin = Arc::new(Origin::start().await);
    let most = Arc::new(AtomicUsize::new(0));
    let counter: Mutex<Weak<Origin>> = Mutex::new(Arc::downgrade(&origin));
    let script = Script {
        rate: Some(2 << 20),
        ..Script::new(460, SIZE)
    };
    let object = Object::from(&script);
    let seen = most.clone();
    let script = script.twisted(move |_, _| {
        let Some(origin) = counter.lock().unwrap().upgrade() else {
            return;
        };
        let log = origin.log();
        let now = log.iter().filter(|seen| seen.state == State::Sending);
        seen.fetch_max(now.count(), SeqCst);
    });
    origin.put("/film", script);
    let gate = Gate::with(&origin, |settings| {
        settings.routes[0].features.parallel_fetches = parallel;
    })
    .await;
    gate.bytes("/film", 0, 9).await;
    origin.settled().await;
    let asked = origin.log().len();
    let whole = gate.ask(Request::get("/film")).await;
    verify(&object, &Expected::Whole, &whole);
    let log = origin.settled().await;
    assert!(log.len() > asked + 1, "one window brought it all: {log:#?}");
    most.load(SeqCst)
}

/// On one thread, so that nothing comes between the last byte of an answer and the note of its
/// end, and the origin's count is exact.
#[tokio::test]
async fn windows_come_in_one_after_the_other_where_a_route_says_so() {
    assert_eq!(most_at_a_time(false).await, 1);
    assert!(most_at_a_time(true).await > 1);
}
