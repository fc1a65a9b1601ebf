//! What the chain tells its clients and its operators, and where it ends.

use super::SIZE;
use crate::{
    client::{Answer, Request},
    gate::Gate,
    model::Object,
    origin::{Origin, Script},
    ring::{HOST, addresses, edge, film, lead_to, shields},
};

fn chain(answer: &Answer) -> Vec<&str> {
    let lines = answer.head.all("cache-status");
    lines.flat_map(|line| line.split(", ")).collect()
}

fn purge() -> Request {
    Request::new("PURGE", "/film").header("Host", HOST)
}

#[tokio::test(flavor = "multi_thread")]
async fn cache_status_shows_the_chain_from_the_origin_on() {
    let origin = Origin::with(Script::new(1310, 1000)).await;
    let shields = shields(&origin, 1).await;
    let edge = edge("edge", &addresses(&shields)).await;
    const BROUGHT: &str = "tidegate-shield-0; fwd=miss; stored";
    let miss = edge.ask(film()).await;
    assert_eq!(chain(&miss), [BROUGHT, "tidegate-edge; fwd=miss; stored"]);
    // As in section 3 of RFC 9211: what the shield said when the answer was stored stays with it.
    let hit = edge.ask(film()).await;
    assert_eq!(chain(&hit), [BROUGHT, "tidegate-edge; hit"]);

    assert_eq!(edge.ask(purge()).await.status(), 200);
    let again = edge.ask(film()).await;
    let expected = ["tidegate-shield-0; hit", "tidegate-edge; fwd=miss; stored"];
    assert_eq!(chain(&again), expected);
    assert_eq!(origin.log().len(), 1);
}

/// Both know the object by the name that the client gave it.
#[tokio::test(flavor = "multi_thread")]
async fn a_purge_by_its_url_finds_the_object_at_shields_and_edge() {
    let origin = Origin::with(Script::new(1311, SIZE)).await;
    let shields = shields(&origin, 2).await;
    let edge = edge("edge", &addresses(&shields)).await;
    edge.ask(film()).await;
    assert_eq!(
        origin.log()[0].header("host"),
        Some(&*origin.address().to_string())
    );
    for gate in shields.iter().chain([&edge]) {
        let purged = gate.ask(purge()).await;
        let told: serde_json::Value = serde_json::from_slice(&purged.body).unwrap();
        assert_eq!(told["objects"], 1, "{purged}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn time_spent_at_a_shield_counts_at_the_edge() {
    for (age, is_fresh) in [(1800, true), (3600, false)] {
        let mut script = Script::new(1312, 1000);
        script.headers = vec![("Age", age.to_string())];
        let object = Object::from(&script);
        let origin = Origin::with(script).await;
        let shields = shields(&origin, 1).await;
        let edge = edge("edge", &addresses(&shields)).await;
        for nth in 0..2 {
            let answer = edge.ask(film()).await;
            object
                .verify(&object.expected(None, None), &answer)
                .unwrap();
            let told: u64 = answer.head.header("age").unwrap().parse().unwrap();
            assert!((age..age + 60).contains(&told), "{answer}");
            let hit = answer
                .head
                .all("cache-status")
                .any(|line| line == "tidegate-edge; hit");
            assert_eq!(hit, is_fresh && nth == 1, "{answer}");
        }
    }
}

/// Whatever falls to itself comes back to it, once; the rest is served.
#[tokio::test(flavor = "multi_thread")]
async fn a_shield_in_its_own_ring_answers_508_for_its_share() {
    let script = Script::new(1313, 1000);
    let object = Object::from(&script);
    let origin = Origin::start().await;
    let shields = shields(&origin, 1).await;
    let mut gate = Gate::before(&origin).await;
    let ring = [gate.address(), shields[0].address()];
    gate.reload(|settings| lead_to(settings, &ring)).unwrap();
    let mut looped = 0.0;
    for nth in 0..40 {
        let target = format!("/{nth}");
        origin.put(&target, script.clone());
        let answer = gate.get(&target).await;
        match answer.status() {
            508 => looped += 1.0,
            _ => object
                .verify(&object.expected(None, None), &answer)
                .unwrap(),
        }
    }
    assert!((1.0..40.0).contains(&looped), "{looped} of 40");
    gate.until_active(0.0).await;
    let asked = gate.metric("tidegate_requests_total").await;
    assert_eq!(asked, 40.0 + looped, "each loop is one more request");
}
