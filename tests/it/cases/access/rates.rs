//! How often clients may ask.

use crate::{
    client::{Answer, H2, Request},
    gate::Gate,
    origin::{Origin, Script},
};
use std::{num::NonZeroU32, time::Duration};
use tidegate::{server::Settings, traffic::Rate};

/// So rarely that no test lasts until the next one.
fn burst(burst: u32) -> Option<Rate> {
    Some(Rate {
        requests: NonZeroU32::new(1).unwrap(),
        per: Duration::from_secs(3600),
        burst: NonZeroU32::new(burst).unwrap(),
    })
}

async fn scene(script: Script, change: impl FnOnce(&mut Settings)) -> (Origin, Gate) {
    let origin = Origin::with(script).await;
    let gate = Gate::with(&origin, |settings| {
        settings.clients.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        change(settings);
    })
    .await;
    (origin, gate)
}

fn film(client: &str) -> Request {
    Request::get("/film").header("x-forwarded-for", client)
}

fn is_refused(answer: &Answer, why: &str) {
    assert_eq!(answer.status(), 429, "{answer}");
    assert!(
        answer.head.cache_status().has(&format!("detail={why}")),
        "{answer}"
    );
    let wait = answer
        .head
        .header("retry-after")
        .map(|wait| wait.parse::<u64>().unwrap());
    assert!(
        wait.is_some_and(|wait| (3500..=3600).contains(&wait)),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_address_has_its_own_rate_over_all_protocols() {
    let (origin, gate) = scene(Script::new(1050, 1000), |s| s.clients.rate = burst(3)).await;
    let h2 = H2::connect(gate.address(), 1 << 20).await;
    for client in ["192.0.2.1", "2001:db8::1", "2001:db8:0:1::1"] {
        assert_eq!(gate.ask(film(client)).await.status(), 200);
        for _ in 0..2 {
            assert_eq!(h2.ask(&film(client)).await.status(), 200);
        }
        is_refused(&h2.ask(&film(client)).await, "rate");
        is_refused(&gate.ask(film(client)).await, "rate");
    }
    // One customer has the whole network.
    is_refused(&gate.ask(film("2001:db8::ffff")).await, "rate");
    assert_eq!(origin.log().len(), 1, "{:#?}", origin.log());
    assert_eq!(gate.metric("requests_refused_total").await, 7.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_has_rates_for_each_and_for_all() {
    let (_origin, gate) = scene(Script::new(1051, 1000), |settings| {
        let rates = &mut settings.routes[0].rates;
        rates.per_address = burst(2);
        rates.all = burst(3);
    })
    .await;
    for _ in 0..2 {
        assert_eq!(gate.ask(film("192.0.2.1")).await.status(), 200);
    }
    // Who asks too often does not use up what there is for the others.
    for _ in 0..5 {
        is_refused(&gate.ask(film("192.0.2.1")).await, "rate_address");
    }
    assert_eq!(gate.ask(film("192.0.2.2")).await.status(), 200);
    is_refused(&gate.ask(film("192.0.2.3")).await, "rate_route");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wait_is_a_whole_second_at_least_and_then_it_goes_on() {
    let (_origin, gate) = scene(Script::new(1052, 1000), |settings| {
        settings.clients.rate = Some(Rate {
            requests: NonZeroU32::new(2).unwrap(),
            per: Duration::from_secs(1),
            burst: NonZeroU32::new(1).unwrap(),
        });
    })
    .await;
    let mut answers = Vec::new();
    while answers.iter().filter(|status| **status == 200).count() < 3 {
        let answer = gate.ask(film("192.0.2.1")).await;
        if answer.status() == 429 {
            assert_eq!(answer.head.header("retry-after"), Some("1"), "{answer}");
        }
        answers.push(answer.status());
    }
    assert!(answers.contains(&429), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revalidation_behind_is_not_counted() {
    let mut script = Script::new(1053, 1000);
    script.cache_control = Some("max-age=0, stale-while-revalidate=60");
    let (origin, gate) = scene(script, |settings| settings.clients.rate = burst(4)).await;
    for _ in 0..2 {
        assert_eq!(gate.ask(film("192.0.2.1")).await.status(), 200);
    }
    let asked = origin.wait_for("the revalidation", |log| log.len() > 1);
    asked.await;
    for _ in 0..2 {
        assert_eq!(gate.ask(film("192.0.2.1")).await.status(), 200);
    }
    is_refused(&gate.ask(film("192.0.2.1")).await, "rate");
}
