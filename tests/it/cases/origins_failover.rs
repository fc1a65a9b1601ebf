//! A server or an origin that can't answer is passed over, and what it did is counted.

use crate::{
    client::Request,
    failover::{
        Refusing, Rude, answering, assert_served, assert_status, failing, failures, gate, gate_of,
        impatient, layouts, no_repetition, sample, silent,
    },
    gate::CHUNK,
    model::{Expected, Object},
    origin::{Origin, Script},
    patience::let_time_pass,
};
use http::StatusCode;
use std::time::Duration;
use tidegate::server::Settings;

const SIZE: u64 = 3 * CHUNK + 17;

async fn healthy(seed: u64) -> (Origin, Object) {
    let script = Script::new(seed, SIZE);
    let object = Object::from(&script);
    (Origin::with(script).await, object)
}

fn next_on_404(settings: &mut Settings) {
    settings.routes[0].next_on = vec![StatusCode::NOT_FOUND];
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_goes_on_to_the_next_server_or_origin() {
    let dead = Refusing::new();
    let (origin, object) = healthy(301).await;
    for layout in layouts(dead.address(), origin.address()) {
        let gate = gate_of(&layout, |_| ()).await;
        assert_served(&gate, &object).await;
        assert_eq!(failures(&gate, "connect").await, 1.0, "{layout:?}");
        let again = "kind=\"next_server\"";
        assert_eq!(
            sample(&gate, "tidegate_origin_retries_total", again).await,
            1.0
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_origin_is_asked_when_all_servers_of_the_first_are_dead() {
    let dead = [Refusing::new(), Refusing::new()];
    let (origin, object) = healthy(302).await;
    let dead = [dead[0].address(), dead[1].address()];
    let gate = gate(&[&dead, &[origin.address()]], |_| ()).await;
    assert_served(&gate, &object).await;
    assert_eq!(failures(&gate, "connect").await, 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_is_passed_over() {
    let (origin, object) = healthy(303).await;
    for first in [true, false] {
        let silent = silent().await;
        let layout = &layouts(silent.address(), origin.address())[usize::from(first)];
        let gate = gate_of(layout, impatient).await;
        assert_served(&gate, &object).await;
        assert_eq!(failures(&gate, "timeout").await, 1.0);
        // It is not left waiting for a reader that has gone on.
        silent.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_error_goes_on_to_the_next() {
    let (origin, object) = healthy(304).await;
    for status in [500, 502, 503, 504] {
        let broken = answering(status).await;
        for layout in layouts(broken.address(), origin.address()) {
            let gate = gate_of(&layout, |_| ()).await;
            assert_served(&gate, &object).await;
            assert_eq!(failures(&gate, "status").await, 1.0, "{status} {layout:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_404_goes_on_only_where_the_route_says_so() {
    let (origin, object) = healthy(305).await;
    let lacking = answering(404).await;
    for layout in layouts(lacking.address(), origin.address()) {
        let gate = gate_of(&layout, next_on_404).await;
        assert_served(&gate, &object).await;
        let asked = origin.log().len();
        let gate = gate_of(&layout, |_| ()).await;
        assert_status(&gate, 404).await;
        assert_eq!(origin.log().len(), asked, "nobody else was to be asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_is_a_404() {
    let (one, two) = (answering(404).await, answering(404).await);
    for layout in layouts(one.address(), two.address()) {
        let gate = gate_of(&layout, next_on_404).await;
        assert_status(&gate, 404).await;
    }
    assert_eq!((one.log().len(), two.log().len()), (2, 2));
}

/// The one that could not be asked may have it.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_fallback_lacks_is_no_404_while_the_primary_is_unreachable() {
    let (dead, fallback) = (Refusing::new(), answering(404).await);
    for layout in layouts(dead.address(), fallback.address()) {
        let gate = gate_of(&layout, next_on_404).await;
        assert_status(&gate, 502).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_fail_an_error_of_theirs_is_passed_on() {
    let (one, two) = (answering(503).await, answering(500).await);
    for layout in layouts(one.address(), two.address()) {
        let gate = gate_of(&layout, no_repetition).await;
        let answer = gate.get("/film").await;
        let scripted = match answer.status() {
            503 => failing(503),
            500 => failing(500),
            other => panic!("{other} is none of theirs: {answer}"),
        };
        // Theirs, not one that we made up.
        scripted.content.verify(0, &answer.body).unwrap();
        assert_eq!(answer.body.len(), 100);
    }
    assert_eq!((one.log().len(), two.log().len()), (2, 2));
}

fn posts() -> [Request; 2] {
    let bare = Request::new("POST", "/film");
    let mut full = bare.clone();
    full.body = b"once and no more".to_vec();
    [bare, full]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_not_sent_twice_after_a_503() {
    let (other, _) = healthy(306).await;
    for request in posts() {
        let busy = answering(503).await;
        for layout in layouts(busy.address(), other.address()) {
            let gate = gate_of(&layout, |_| ()).await;
            let answer = gate.ask(request.clone()).await;
            assert_eq!(answer.status(), 503, "{answer}");
        }
        assert_eq!(busy.log().len(), 2);
    }
    assert_eq!(other.log().len(), 0, "{:#?}", other.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_not_sent_twice_when_its_server_breaks() {
    let (other, _) = healthy(307).await;
    for request in posts() {
        let rude = Rude::closing(b"").await;
        for layout in layouts(rude.address(), other.address()) {
            let gate = gate_of(&layout, |_| ()).await;
            let answer = gate.ask(request.clone()).await;
            assert_eq!(answer.status(), 502, "{answer}");
        }
        assert_eq!(rude.asked(), 2);
    }
    assert_eq!(other.log().len(), 0, "{:#?}", other.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_goes_to_the_next_when_nothing_was_sent() {
    let dead = Refusing::new();
    for request in posts() {
        let (other, _) = healthy(308).await;
        for (nth, layout) in layouts(dead.address(), other.address()).iter().enumerate() {
            let gate = gate_of(layout, |_| ()).await;
            let answer = gate.ask(request.clone()).await;
            assert_eq!(answer.status(), 200, "{answer}");
            let log = other.log();
            assert_eq!(log.len(), nth + 1, "{log:#?}");
            assert_eq!(log[nth].received, request.body.len() as u64);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_the_fallback_soon_gives_way() {
    let primary = answering(503).await;
    let (fallback, second_best) = healthy(309).await;
    let gate = gate(&[&[primary.address()], &[fallback.address()]], |settings| {
        settings.routes[0].origins[1].ttl = Some(Duration::from_secs(1));
    })
    .await;
    assert_served(&gate, &second_best).await;
    let mut script = Script::new(310, SIZE);
    script.content.version = 2;
    let best = Object::from(&script);
    primary.put("/film", script);
    // If not for long.
    gate.until_stored(SIZE).await;
    let_time_pass(Duration::from_millis(2100)).await;
    assert_served(&gate, &best).await;
    assert_served(&gate, &best).await;
    let asked = primary.log().len();
    let_time_pass(Duration::from_millis(2100)).await;
    assert_served(&gate, &best).await;
    assert_eq!(
        primary.log().len(),
        asked,
        "the primary's answer is fresh for an hour"
    );
}

/// The same for what it lacks, where each of them is asked and none has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_404_of_the_fallback_soon_gives_way_too() {
    let primary = answering(404).await;
    let mut lacking = failing(404);
    lacking.cache_control = Some("max-age=3600");
    let fallback = Origin::with(lacking).await;
    let gate = gate(&[&[primary.address()], &[fallback.address()]], |settings| {
        next_on_404(settings);
        settings.routes[0].origins[1].ttl = Some(Duration::from_secs(1));
    })
    .await;
    assert_status(&gate, 404).await;
    let script = Script::new(311, SIZE);
    let best = Object::from(&script);
    primary.put("/film", script);
    let_time_pass(Duration::from_millis(2100)).await;
    assert_served(&gate, &best).await;
}

fn one_at_a_time(settings: &mut Settings) {
    settings.origins[0].limit.requests = 1;
    settings.origins[0].limit.queue = 0;
}

/// An origin that is busy is passed over; where there is no other, it is said when to come again.
#[tokio::test(flavor = "multi_thread")]
async fn an_origin_with_enough_to_do_is_passed_over() {
    let (other, object) = healthy(312).await;
    for has_other in [true, false] {
        let busy = silent().await;
        busy.put("/other", Script::new(313, SIZE));
        let both = [&[busy.address()][..], &[other.address()]];
        let origins = if has_other { &both[..] } else { &both[..1] };
        let gate = gate(origins, one_at_a_time).await;
        let mut waiting = gate.client().await;
        waiting.send(&Request::get("/film")).await.unwrap();
        busy.wait_for("the only request", |log| log.len() == 1)
            .await;
        other.put("/other", Script::new(312, SIZE));
        let answer = gate.get("/other").await;
        match has_other {
            true => object.verify(&Expected::Whole, &answer).unwrap(),
            false => {
                assert_eq!(answer.status(), 503, "{answer}");
                assert!(answer.head.header("retry-after").is_some(), "{answer}");
                let own = answer.head.header("cache-status");
                assert_eq!(own, Some("tidegate; detail=origin-not-asked"), "{answer}");
            }
        }
        assert_eq!(busy.log().len(), 1, "{:#?}", busy.log());
        let full = "reason=\"queue_full\"";
        assert_eq!(
            sample(&gate, "tidegate_origin_refused_total", full).await,
            1.0
        );
    }
}
