//! Origins and routes that change while Tidegate runs.

use super::{SIZE, both_ways, config, route_to, sample, until, verify};
use crate::{
    client::Request,
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Origin, Script, Valve},
};
use http::{HeaderName, HeaderValue};
use std::{path::PathBuf, time::Duration};
use tidegate::{
    origin::{Breaker, Credentials, SecretSource},
    server::Settings,
};

const BREAKER: &str = "tidegate_origin_breaker_state";

/// Two origins with the same names of objects and other bytes.
async fn origins() -> (Origin, Origin) {
    let (old, new) = (Origin::start().await, Origin::start().await);
    for target in ["/film", "/next"] {
        old.put(target, Script::new(400, SIZE));
        new.put(target, Script::new(401, SIZE));
    }
    (old, new)
}

#[tokio::test(flavor = "multi_thread")]
async fn new_requests_go_the_new_way_while_an_answer_goes_on() {
    for range in [None, Some((0, SIZE - 1))] {
        let (old, new) = origins().await;
        let valve = Valve::at(CHUNK);
        old.change("/film", |script| script.valve = Some(valve.clone()));
        let mut gate = Gate::before(&old).await;
        let mut request = Request::get("/film");
        if let Some((first, last)) = range {
            request = request.bytes(first, last);
        }
        let mut client = gate.client().await;
        client.send(&request).await.unwrap();
        let head = client.head().await.unwrap();
        assert!(matches!(head.status, 200 | 206), "{head:?}");

        let replaced = config("media", &[&new]);
        gate.reload(|settings| settings.origins[0] = replaced)
            .unwrap();
        let next = Object::from(&Script::new(401, SIZE));
        both_ways(&gate, &Request::get("/next"), &next).await;
        assert!(old.asked("/next").is_empty());

        valve.open();
        let (body, cut) = client.rest().await;
        assert!(cut.is_none() && body.len() as u64 == SIZE, "{cut:?}");
        let film = Object::from(&Script::new(400, SIZE));
        film.content.verify(0, &body).unwrap();
        assert!(new.asked("/film").is_empty());
        // It is stored, whichever way it came.
        verify(&film, &Expected::Whole, &gate.get("/film").await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_route_and_its_rules_are_in_force_at_once() {
    let (old, new) = origins().await;
    let mut gate = Gate::before(&old).await;
    let film = Object::from(&Script::new(400, SIZE));
    both_ways(&gate, &Request::get("/film"), &film).await;
    let asked = old.log().len();
    let other = config("other", &[&new]);
    gate.reload(|settings| {
        settings.origins.push(other);
        let name = HeaderName::from_static("x-rule");
        let rule = (name, HeaderValue::from_static("new"));
        settings.routes[0].response_headers.set = vec![rule];
        let mut route = route_to("other");
        route.matcher = tidegate::proxy::Matcher::Prefix("/next".into());
        settings.routes.insert(0, route);
    })
    .unwrap();
    let next = Object::from(&Script::new(401, SIZE));
    both_ways(&gate, &Request::get("/next"), &next).await;
    for answer in both_ways(&gate, &Request::get("/film"), &film).await {
        assert_eq!(answer.head.header("x-rule"), Some("new"), "{answer}");
    }
    assert_eq!(old.log().len(), asked);
}

const DOWN: [&str; 2] = ["/down/1", "/down/2"];

/// An origin whose one server has failed so often that it is left alone.
async fn tripped() -> (Origin, Gate) {
    let origin = Origin::start().await;
    let down = Script {
        status: 500,
        cache_control: None,
        ..Script::new(402, 10)
    };
    for target in DOWN {
        origin.put(target, down.clone());
    }
    origin.put("/film", Script::new(403, SIZE));
    let gate = Gate::with(&origin, |settings| {
        settings.origins[0].breaker = Breaker {
            failures: 2,
            ..Breaker::default()
        };
    })
    .await;
    for target in DOWN {
        assert_eq!(gate.get(target).await.status(), 500);
    }
    until(&gate, BREAKER, "", 2.0).await;
    (origin, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_stays_the_same_keeps_its_record() {
    let (origin, mut gate) = tripped().await;
    let asked = origin.log().len();
    let other = config("other", &[&origin]);
    gate.reload(|settings| settings.origins.push(other))
        .unwrap();
    assert_eq!(sample(&gate, BREAKER, "origin=\"media\"").await, 2.0);
    assert_eq!(sample(&gate, BREAKER, "origin=\"other\"").await, 0.0);
    let answer = gate.get("/film").await;
    assert_eq!(answer.status(), 503, "{answer}");
    assert!(answer.head.header("retry-after").is_some(), "{answer}");
    assert_eq!(origin.log().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_changes_begins_anew() {
    let (_origin, mut gate) = tripped().await;
    gate.reload(|settings| settings.origins[0].read_timeout += Duration::from_secs(1))
        .unwrap();
    assert_eq!(sample(&gate, BREAKER, "").await, 0.0);
    let film = Object::from(&Script::new(403, SIZE));
    both_ways(&gate, &Request::get("/film"), &film).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_is_turned_off_and_on_again() {
    let (origin, mut gate) = tripped().await;
    let asked = origin.log().len();
    assert_eq!(gate.get("/film").await.status(), 503);
    assert_eq!(origin.log().len(), asked);
    gate.reload(|settings| settings.routes[0].features.breaker = false)
        .unwrap();
    let film = Object::from(&Script::new(403, SIZE));
    both_ways(&gate, &Request::get("/film"), &film).await;
    for target in DOWN {
        assert_eq!(gate.get(target).await.status(), 500);
    }
    gate.reload(|settings| settings.routes[0].features.breaker = true)
        .unwrap();
    for target in DOWN {
        gate.get(target).await;
    }
    let asked = origin.log().len();
    assert_eq!(gate.get("/next").await.status(), 503);
    assert_eq!(origin.log().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_held_counts_after_a_reload_too() {
    let (origin, other) = origins().await;
    let valve = Valve::at(0);
    origin.change("/film", |script| script.valve = Some(valve.clone()));
    let mut gate = Gate::with(&origin, |settings| settings.origins[0].limit.requests = 1).await;
    let mut client = gate.client().await;
    client.send(&Request::get("/film")).await.unwrap();
    assert_eq!(client.head().await.unwrap().status, 200);
    let added = config("other", &[&other]);
    gate.reload(|settings| settings.origins.push(added))
        .unwrap();
    let mut waiter = gate.client().await;
    waiter.send(&Request::get("/next")).await.unwrap();
    until(&gate, "tidegate_origin_queue_depth", "", 1.0).await;
    valve.open();
    client.rest().await;
    assert_eq!(waiter.head().await.unwrap().status, 200);
    waiter.rest().await;
    assert_eq!(origin.log().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_change_nothing() {
    let (old, new) = origins().await;
    let mut gate = Gate::before(&old).await;
    let gone = PathBuf::from("/nowhere/at/all");
    let (ca, secret) = (gone.clone(), SecretSource::File(gone));
    type Change = Box<dyn FnOnce(&mut Settings)>;
    let wrong: [Change; 2] = [
        Box::new(move |settings| settings.origins[1].tls.ca = Some(ca)),
        Box::new(move |settings| {
            settings.origins[1].credentials = Some(Credentials::Bearer(secret));
        }),
    ];
    for (target, wrong) in ["/film", "/next"].into_iter().zip(wrong) {
        let other = config("other", &[&new]);
        let refused = gate.reload(|settings| {
            settings.origins.push(other);
            settings.routes[0] = route_to("other");
            wrong(settings);
        });
        let told = refused.unwrap_err().to_string();
        assert!(
            told.contains("other") && told.contains("/nowhere"),
            "{told}"
        );
        let object = Object::from(&Script::new(400, SIZE));
        both_ways(&gate, &Request::get(target), &object).await;
    }
    assert!(new.log().is_empty());
    assert_eq!(sample(&gate, BREAKER, "origin=\"other\"").await, 0.0);
}
