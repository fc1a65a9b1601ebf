//! A server that fails again and again is left alone for a while, then tried.

use crate::{
    client::{Answer, Request},
    failover::{
        Refusing, answering, assert_served, failing, failures, gate, no_repetition, sample,
    },
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Origin, Script},
    patience::{let_time_pass, within},
};
use std::{ops::Range, time::Duration};
use tidegate::{origin::Breaker, server::Settings};

const SIZE: u64 = 6 * CHUNK + 17;
const LONG: Duration = Duration::from_secs(60);
const TRIPS: &str = "tidegate_origin_breaker_trips_total";
const STATE: &str = "tidegate_origin_breaker_state";

/// Breakers that open after so many failures in a row, for so long.
fn breakers(settings: &mut Settings, failures: u32, open: Duration) {
    no_repetition(settings);
    for origin in &mut settings.origins {
        origin.breaker = Breaker {
            failures,
            failure_rate: 0.0,
            open,
            trials: 2,
            ..Breaker::default()
        };
    }
}

/// An origin that has `/film` and fails for what is below `/broken`.
async fn half_broken(script: Script) -> (Origin, Object) {
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    for nth in 0..BROKEN {
        origin.put(&broken(nth), failing(500));
    }
    (origin, object)
}

const BROKEN: usize = 12;

fn broken(nth: usize) -> String {
    format!("/broken/{nth}")
}

async fn fail(gate: &Gate, which: Range<usize>) {
    for nth in which {
        let answer = gate.get(&broken(nth)).await;
        assert_eq!(answer.status(), 500, "{answer}");
    }
}

fn assert_not_asked(answer: &Answer) {
    assert_not_asked_with(503, answer);
}

fn assert_not_asked_with(status: u16, answer: &Answer) {
    assert_eq!(answer.status(), status, "{answer}");
    let after = answer.head.header("retry-after").map(str::parse::<u64>);
    assert!(
        matches!(after, Some(Ok(1..=60))),
        "when is it worth another try? {answer}"
    );
    let own = answer.head.header("cache-status");
    assert_eq!(own, Some("tidegate; detail=origin-not-asked"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_five_failures_in_a_row_nobody_is_asked() {
    let (origin, _) = half_broken(Script::new(320, SIZE)).await;
    let gate = gate(&[&[origin.address()]], |s| breakers(s, 5, LONG)).await;
    fail(&gate, 0..4).await;
    // An answer that is good in between sets the count back.
    gate.bytes("/film", 0, 9).await;
    fail(&gate, 0..4).await;
    assert_eq!(sample(&gate, TRIPS, "").await, 0.0);
    assert_eq!(gate.metric(STATE).await, 0.0);
    fail(&gate, 4..5).await;
    assert_eq!(gate.metric(TRIPS).await, 1.0);
    assert_eq!(gate.metric(STATE).await, 2.0);

    let asked = origin.log().len();
    for request in [
        Request::get("/broken/0"),
        Request::get("/new").bytes(0, 9),
        Request::head("/new"),
        Request::new("POST", "/new"),
        Request::get("/film").bytes(5 * CHUNK, 6 * CHUNK),
    ] {
        assert_not_asked(&gate.ask(request).await);
    }
    assert_eq!(origin.log().len(), asked, "{:#?}", origin.log());
    let reason = "reason=\"breaker_open\"";
    let refused = sample(&gate, "tidegate_origin_refused_total", reason).await;
    assert!(refused >= 5.0, "{refused}");
}

/// An object that is broken is no broken server: what its readers get, however often they ask, is
/// no reason to leave all others without the origin.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_for_one_url_only_is_asked_for_all_others() {
    let (origin, object) = half_broken(Script::new(331, SIZE)).await;
    let gate = gate(&[&[origin.address()]], |s| breakers(s, 5, LONG)).await;
    for _ in 0..10 {
        fail(&gate, 0..4).await;
    }
    assert_served(&gate, &object).await;
    assert_eq!(sample(&gate, TRIPS, "").await, 0.0);
}

/// Never three in a row, but two of three.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_too_often_is_left_alone() {
    let (origin, _) = half_broken(Script::new(329, SIZE)).await;
    origin.put("/fine", failing(200));
    let gate = gate(&[&[origin.address()]], |settings| {
        breakers(settings, 5, LONG);
        settings.origins[0].breaker.failure_rate = 0.5;
        settings.origins[0].breaker.min_requests = 10;
        settings.origins[0].breaker.window = LONG;
    })
    .await;
    for _ in 0..3 {
        fail(&gate, 0..2).await;
        assert_eq!(gate.get("/fine").await.status(), 200);
    }
    // Nine say nothing yet.
    assert_eq!(sample(&gate, TRIPS, "").await, 0.0);
    fail(&gate, 0..1).await;
    assert_eq!(gate.metric(TRIPS).await, 1.0);
    assert_eq!(gate.metric(STATE).await, 2.0);
    let asked = origin.log().len();
    assert_not_asked(&gate.get("/fine").await);
    assert_eq!(origin.log().len(), asked, "{:#?}", origin.log());
}

/// Connections that fail count like bad answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_connections_is_left_alone_too() {
    let dead = Refusing::new();
    let gate = gate(&[&[dead.address()]], |s| breakers(s, 5, LONG)).await;
    for _ in 0..5 {
        assert_eq!(gate.get("/film").await.status(), 502);
    }
    assert_not_asked(&gate.get("/film").await);
    assert_eq!(failures(&gate, "connect").await, 5.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stale_is_served_while_nobody_is_asked() {
    let script = Script {
        cache_control: Some("max-age=1, stale-if-error=600"),
        ..Script::new(321, SIZE)
    };
    let (origin, object) = half_broken(script).await;
    let gate = gate(&[&[origin.address()]], |s| breakers(s, 5, LONG)).await;
    assert_served(&gate, &object).await;
    origin.settled().await;
    fail(&gate, 0..5).await;
    let_time_pass(Duration::from_millis(2100)).await;
    let asked = origin.log().len();
    assert_served(&gate, &object).await;
    let part = gate.bytes("/film", 5, CHUNK + 5).await;
    let expected = object.expected(Some(&format!("bytes=5-{}", CHUNK + 5)), None);
    object.verify(&expected, &part).unwrap();
    assert_eq!(origin.log().len(), asked, "{:#?}", origin.log());
    assert_eq!(gate.metric(STATE).await, 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_leave_nothing_stale_is_served() {
    let script = Script {
        cache_control: Some("max-age=1, must-revalidate"),
        ..Script::new(322, SIZE)
    };
    let (origin, object) = half_broken(script).await;
    let gate = gate(&[&[origin.address()]], |s| breakers(s, 5, LONG)).await;
    assert_served(&gate, &object).await;
    origin.settled().await;
    fail(&gate, 0..5).await;
    let_time_pass(Duration::from_millis(2100)).await;
    // Who must ask and can't waits in vain: RFC 9111, section 5.2.2.2.
    assert_not_asked_with(504, &gate.get("/film").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_origin_answers_meanwhile() {
    let broken = answering(503).await;
    let other = Origin::start().await;
    let targets: Vec<_> = (0..9).map(|nth| format!("/film/{nth}")).collect();
    for target in &targets {
        broken.put(target, failing(503));
        other.put(target, Script::new(323, SIZE));
    }
    let object = Object::from(&Script::new(323, SIZE));
    let gate = gate(&[&[broken.address()], &[other.address()]], |settings| {
        breakers(settings, 5, LONG);
    })
    .await;
    for target in &targets {
        let answer = gate.get(target).await;
        object.verify(&Expected::Whole, &answer).unwrap();
    }
    assert_eq!(broken.log().len(), 5, "{:#?}", broken.log());
    assert_eq!(gate.metric(TRIPS).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn trials_close_it_again() {
    let (origin, object) = half_broken(Script::new(324, SIZE)).await;
    let gate = gate(&[&[origin.address()]], |settings| {
        breakers(settings, 5, Duration::from_millis(300));
    })
    .await;
    fail(&gate, 0..5).await;
    origin.change("/broken/0", |script| script.status = 404);
    let tried = async {
        while gate.get("/broken/0").await.status() == 503 {
            assert_eq!(origin.log().len(), 5, "{:#?}", origin.log());
        }
    };
    within("a trial", tried).await;
    assert_eq!(gate.metric(STATE).await, 1.0, "one trial is not enough");
    assert_served(&gate, &object).await;
    assert_eq!(gate.metric(STATE).await, 0.0);
    assert_eq!(gate.metric(TRIPS).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_fails_opens_it_again() {
    let (origin, _) = half_broken(Script::new(325, SIZE)).await;
    let gate = gate(&[&[origin.address()]], |settings| {
        breakers(settings, 5, Duration::from_millis(300));
    })
    .await;
    fail(&gate, 0..5).await;
    let tried = async { while gate.get("/broken/0").await.status() == 503 {} };
    within("a trial", tried).await;
    assert_eq!(gate.metric(TRIPS).await, 2.0);
    assert_eq!(origin.log().len(), 6, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_may_ignore_breakers() {
    let (origin, object) = half_broken(Script::new(326, SIZE)).await;
    let gate = gate(&[&[origin.address()]], |settings| {
        breakers(settings, 5, LONG);
        settings.routes[0].features.breaker = false;
    })
    .await;
    fail(&gate, 0..BROKEN).await;
    assert_eq!(origin.log().len(), 12);
    assert_served(&gate, &object).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_fills_and_of_clients_count_alike() {
    for fill_first in [true, false] {
        let (origin, _) = half_broken(Script::new(327, SIZE)).await;
        let gate = gate(&[&[origin.address()]], |settings| {
            breakers(settings, 2, LONG);
            settings.fill.attempts = 1;
        })
        .await;
        let known = gate.bytes("/film", 0, 9).await;
        assert_eq!(known.status(), 206, "{known}");
        origin.settled().await;
        origin.change("/film", |script| script.status = 500);
        if !fill_first {
            fail(&gate, 0..1).await;
        }
        let lacking = gate.bytes("/film", 5 * CHUNK, 5 * CHUNK + 9).await;
        assert!(lacking.status() >= 500, "{lacking}");
        let fills = "purpose=\"fill\"";
        let fills = sample(&gate, "tidegate_origin_requests_total", fills).await;
        assert_eq!(fills, 1.0, "the hole was asked for by a fill, and once");
        if fill_first {
            assert_eq!(sample(&gate, TRIPS, "").await, 0.0);
            fail(&gate, 0..1).await;
        }
        assert_eq!(gate.metric(TRIPS).await, 1.0, "fill first: {fill_first}");
        assert_not_asked(&gate.get("/broken/0").await);
    }
}

/// What makes us ask elsewhere is an answer all the same: the server is there again.
#[tokio::test(flavor = "multi_thread")]
async fn a_404_that_goes_on_to_the_next_closes_it_too() {
    let primary = answering(503).await;
    let (fallback, _) = half_broken(Script::new(328, SIZE)).await;
    let targets: Vec<_> = (0..8).map(|nth| format!("/film/{nth}")).collect();
    for target in &targets {
        primary.put(target, failing(503));
        fallback.put(target, Script::new(328, SIZE));
    }
    let gate = gate(&[&[primary.address()], &[fallback.address()]], |settings| {
        breakers(settings, 3, Duration::from_millis(1));
        settings.routes[0].next_on = vec![http::StatusCode::NOT_FOUND];
    })
    .await;
    for target in &targets[..3] {
        assert_eq!(gate.get(target).await.status(), 200);
    }
    assert_eq!(gate.metric(TRIPS).await, 1.0);
    for target in &targets[3..] {
        primary.put(target, failing(404));
        assert_eq!(gate.get(target).await.status(), 200);
    }
    assert_eq!(primary.log().len(), 8, "{:#?}", primary.log());
    assert_eq!(gate.metric(STATE).await, 0.0);
}
