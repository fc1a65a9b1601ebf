//! `freshness.jitter`: what was stored together is not revalidated together.

use super::route;
use crate::{
    gate::Gate,
    model::{Expected, Object},
    origin::{Origin, Script},
};

const OBJECTS: u64 = 24;
/// Seconds for which the origin's answers are fresh.
const LIFETIME: u64 = 1000;

fn target(nth: u64) -> String {
    format!("/{nth}")
}

/// Which of the objects are still fresh when they are so many seconds old. Each time it is the
/// same objects, in a store of its own.
async fn fresh_at(age: u64, keys: &str) -> Vec<u64> {
    let origin = Origin::start().await;
    let gate = Gate::with(&origin, route(keys)).await;
    let mut fresh = Vec::new();
    for nth in 0..OBJECTS {
        let script = Script {
            cache_control: Some("max-age=1000"),
            headers: vec![("Age", age.to_string())],
            ..Script::new(nth, 1000 + nth)
        };
        let mut new = script.clone();
        new.content.version = 2;
        origin.put(&target(nth), script.clone());
        verify(&gate, nth, &script).await;
        origin.put(&target(nth), new.clone());
        let before = origin.settled().await.len();
        assert_eq!(before as u64, 2 * nth + 1 - fresh.len() as u64);
        // What is given out is what the origin was asked for, or else what there was.
        let answer = gate.get(&target(nth)).await;
        let is_fresh = origin.settled().await.len() == before;
        let given = Object::from(if is_fresh { &script } else { &new });
        let verdict = given.verify(&Expected::Whole, &answer);
        verdict.unwrap_or_else(|wrong| panic!("{nth} at {age}: {wrong}\n{answer}"));
        assert_eq!(answer.head.cache_status().is_hit(), is_fresh, "{answer}");
        fresh.extend(is_fresh.then_some(nth));
    }
    fresh
}

async fn verify(gate: &Gate, nth: u64, script: &Script) {
    let answer = gate.get(&target(nth)).await;
    let verdict = Object::from(script).verify(&Expected::Whole, &answer);
    verdict.unwrap_or_else(|wrong| panic!("{nth}: {wrong}\n{answer}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_object_is_fresh_for_its_own_share_and_always_for_the_same() {
    let all = Vec::from_iter(0..OBJECTS);
    let keys = "freshness: {jitter: 40%}";
    assert_eq!(fresh_at(LIFETIME * 60 / 100 - 30, keys).await, all);
    let mut before = all;
    for age in [700, 800, 900] {
        let fresh = fresh_at(age, keys).await;
        assert!(
            fresh.iter().all(|nth| before.contains(nth)),
            "{fresh:?} at {age}, {before:?} before"
        );
        assert!(fresh.len() < before.len(), "{fresh:?} at {age}");
        before = fresh;
    }
    assert!(!before.is_empty(), "none is left at nine tenths");
    assert!(fresh_at(LIFETIME + 1, keys).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_jitter_all_are_fresh_for_the_same_time() {
    for keys in ["", "freshness: {jitter: 0%}"] {
        let all = Vec::from_iter(0..OBJECTS);
        assert_eq!(fresh_at(LIFETIME - 30, keys).await, all);
        assert!(fresh_at(LIFETIME + 1, keys).await.is_empty());
    }
}
