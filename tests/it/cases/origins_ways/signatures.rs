//! URLs that their senders have signed: many of them name one object.

use super::{SIZE, assert_both_ways, both_ways, verify};
use crate::{
    client::Request,
    gate::Gate,
    model::{Expected, Object},
    origin::{Origin, Script},
};

fn signed(signature: &str) -> String {
    format!("/film?v=1&X-Amz-Date=20260101T000000Z&X-Amz-Signature={signature}")
}

async fn scene(ignores: bool) -> (Origin, Gate, Object) {
    let script = Script::new(390, SIZE);
    let object = Object::from(&script);
    let origin = Origin::start().await;
    for signature in ["a", "b", "c"] {
        origin.put(&signed(signature), script.clone());
    }
    let gate = Gate::with(&origin, |settings| {
        settings.routes[0].key.query.ignores_signatures = ignores;
    })
    .await;
    (origin, gate, object)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_object_has_many_signed_names() {
    let (origin, gate, object) = scene(true).await;
    let part = gate.bytes(&signed("a"), 0, 9).await;
    verify(&object, &object.expected(Some("bytes=0-9"), None), &part);
    // What lacks is asked for by who wants it, with their own signature.
    verify(&object, &Expected::Whole, &gate.get(&signed("b")).await);
    let log = origin.settled().await;
    assert_both_ways(&log);
    for seen in &log {
        let first = seen.window().is_some_and(|(first, _)| first == 0);
        let own = signed(if first { "a" } else { "b" });
        assert_eq!(seen.target, own, "{log:#?}");
    }
    let sent: u64 = log.iter().map(|seen| seen.sent).sum();
    assert_eq!(sent, SIZE, "{log:#?}");

    verify(&object, &Expected::Whole, &gate.get(&signed("c")).await);
    assert_eq!(origin.log().len(), log.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_parameters_name_other_objects() {
    let (origin, gate, object) = scene(true).await;
    verify(&object, &Expected::Whole, &gate.get(&signed("a")).await);
    let other = Script::new(391, SIZE);
    let target = signed("a").replace("v=1", "v=2");
    origin.put(&target, other.clone());
    both_ways(&gate, &Request::get(&target), &Object::from(&other)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_count_where_nobody_says_otherwise() {
    let (origin, gate, object) = scene(false).await;
    for signature in ["a", "b"] {
        both_ways(&gate, &Request::get(&signed(signature)), &object).await;
        assert!(!origin.asked(&signed(signature)).is_empty());
    }
}
