//! Requests that come back to where they have been end there.

use crate::{
    client::Request,
    gate::Gate,
    model::{Expected, Object},
    origin::{Origin, Script},
};
use std::net::SocketAddr;
use tidegate::server::Settings;

fn lead_to(settings: &mut Settings, address: SocketAddr) {
    let url = format!("http://{address}").parse().unwrap();
    settings.origins[0].servers[0].url = url;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tidegate_that_is_its_own_origin_says_so_at_once() {
    let origin = Origin::start().await;
    let mut gate = Gate::before(&origin).await;
    let address = gate.address();
    gate.reload(|settings| lead_to(settings, address)).unwrap();
    for (nth, request) in [
        Request::get("/film"),
        Request::get("/film").bytes(0, 9),
        Request::new("POST", "/film"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = gate.ask(request).await;
        assert_eq!(answer.status(), 508, "{answer}");
        let said = answer
            .head
            .all("cache-status")
            .any(|line| line.contains("detail=loop"));
        assert!(said, "{answer}");
        gate.until_active(0.0).await;
        let asked = gate.metric("tidegate_requests_total").await;
        assert_eq!(asked, 2.0 * (nth + 1) as f64);
    }
    assert_eq!(gate.metric("requests_refused_total").await, 3.0);
    assert!(origin.log().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_lead_to_each_other_say_so_too() {
    let origin = Origin::start().await;
    let mut one = Gate::before(&origin).await;
    let two = Gate::at(one.address(), |_| ()).await;
    one.reload(|settings| lead_to(settings, two.address()))
        .unwrap();
    let answer = one.get("/film").await;
    assert_eq!(answer.status(), 508, "{answer}");
    one.until_active(0.0).await;
    assert_eq!(one.metric("tidegate_requests_total").await, 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_no_loop_until_it_is_longer_than_any() {
    let script = Script::new(1010, 200_000);
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let mut chain = vec![Gate::before(&origin).await];
    for _ in 0..2 {
        let next = chain[chain.len() - 1].address();
        chain.push(Gate::at(next, |_| ()).await);
    }
    let last = &chain[2];
    let answer = last.get("/film").await;
    object.verify(&Expected::Whole, &answer).unwrap();
    assert_eq!(
        origin.log()[0]
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("via"))
            .count(),
        3
    );
    for (hops, status) in [(5, 200), (8, 508)] {
        let via = vec!["1.1 tidegate"; hops].join(", ");
        let request = Request::new("POST", "/film").header("Via", via);
        assert_eq!(last.ask(request).await.status(), status);
    }
}
