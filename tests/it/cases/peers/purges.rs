//! Purges that an edge knows of before its shield does, where both share a tier.

use crate::{
    cases::tier::{Fleet, purge_reaches},
    client::Request,
    gate::Gate,
    model::{Expected, Object},
    ring::edge_with,
    s3::Fault,
};
use futures_util::future::join_all;
use std::time::Duration;
use tidegate::tier::Config;

/// Nothing of this is looked for by itself while a test runs.
const NEVER: Duration = Duration::from_secs(3600);
/// What requests to origins say of purges.
const PURGES: &str = "X-Tidegate-Purges";

/// A film at an edge and at the shield before its origin, which has another version by now.
struct Scene {
    fleet: Fleet,
    shield: Gate,
    edge: Gate,
    new: Object,
}

impl Scene {
    async fn begin() -> Self {
        let fleet = Fleet::new().await;
        let shield = shield_of(&fleet, NEVER).await;
        let tier = Some(fleet.config());
        let edge = edge_with("edge", &[shield.address()], |settings| settings.tier = tier).await;
        fleet.whole(&edge).await;
        fleet.origin.settled().await;
        let new = fleet.changed();
        Self {
            fleet,
            shield,
            edge,
            new,
        }
    }

    /// It is done at the edge when this returns; the fleet is told behind.
    async fn purge(&self) {
        let purged = self.edge.ask(Request::new("PURGE", "/film")).await;
        assert_eq!(purged.status(), 200, "{purged}");
    }

    async fn assert_new(&self, gate: &Gate) {
        let answer = gate.get("/film").await;
        let verdict = self.new.verify(&Expected::Whole, &answer);
        verdict.unwrap_or_else(|wrong| panic!("{wrong}\n{answer}"));
    }
}

/// One of a fleet that looks for purges so seldom.
async fn shield_of(fleet: &Fleet, poll: Duration) -> Gate {
    let config = Config {
        poll,
        ..fleet.config()
    };
    Gate::with(&fleet.origin, |settings| {
        settings.clients.name = Some("shield".into());
        settings.tier = Some(config);
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shield_that_is_behind_does_not_undo_a_purge() {
    for is_told in [true, false] {
        let scene = Scene::begin().await;
        scene.purge().await;
        if is_told {
            purge_reaches(&scene.fleet, &scene.edge).await;
        }
        scene.assert_new(&scene.edge).await;
        if is_told {
            let number = scene.fleet.last_purge().unwrap();
            let at = scene.shield.metric("tidegate_tier_purges").await;
            assert_eq!(at, number as f64);
        }
        scene.assert_new(&scene.shield).await;
        // What the tier has is new, too.
        scene.fleet.listed_anew(3).await;
        let asked = scene.fleet.asked();
        let third = shield_of(&scene.fleet, NEVER).await;
        scene.assert_new(&third).await;
        assert_eq!(scene.fleet.asked(), asked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shield_that_cannot_see_the_purge_asks_its_origin() {
    let scene = Scene::begin().await;
    scene.purge().await;
    purge_reaches(&scene.fleet, &scene.edge).await;
    scene.fleet.s3.fail(Fault::Fail, "/purges/");
    scene.assert_new(&scene.edge).await;
    let last = scene.fleet.last_purge().unwrap();
    assert!(scene.shield.metric("tidegate_tier_purges").await < last as f64);
    // What is good still is not asked for again.
    let knowing = said(&scene.fleet, last).await;
    let sent = scene.fleet.origin.sent("/film");
    let request = Request::get("/film").header(PURGES, knowing);
    let answer = scene.shield.ask(request).await;
    scene.new.verify(&Expected::Whole, &answer).unwrap();
    let status = answer.head.cache_status();
    assert_eq!(status.forward(), Some("request"), "{answer}");
    assert!(status.has("detail=purges"), "{answer}");
    assert_eq!(scene.fleet.origin.sent("/film"), sent);
}

/// The purge has no number yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_purge_that_the_fleet_is_not_told_of_yet_is_not_undone() {
    let scene = Scene::begin().await;
    scene.fleet.s3.refuse_writes(true);
    scene.purge().await;
    scene.assert_new(&scene.edge).await;
    assert!(scene.fleet.last_purge().is_none());
}

/// What a request to an origin would say that knows of this purge.
async fn said(fleet: &Fleet, number: u64) -> String {
    let log = fleet.origin.settled().await;
    let line = log.iter().rev().find_map(|seen| seen.header(PURGES));
    let (log, _) = line.unwrap().split_once(' ').unwrap();
    format!("{log} {number}")
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_are_made_up_cost_a_look_and_go_no_further() {
    let fleet = Fleet::new().await;
    let shield = shield_of(&fleet, NEVER).await;
    fleet.whole(&shield).await;
    let log = fleet.origin.settled().await;
    let own = log[0].header(PURGES).unwrap().to_owned();
    let far = said(&fleet, u64::MAX).await;
    let ask = |said: &str| shield.ask(Request::get("/film").bytes(0, 9).header(PURGES, said));
    let looks = fleet.s3.asked("GET", "/purges/");
    for nothing in [&*own, "00000000 99999999999999999", "nonsense", ""] {
        let answer = ask(nothing).await;
        assert!(answer.head.cache_status().is_hit(), "{nothing}: {answer}");
    }
    assert_eq!(fleet.s3.asked("GET", "/purges/"), looks);
    for _ in 0..20 {
        let answer = ask(&far).await;
        assert_eq!(answer.status(), 206, "{answer}");
        assert_eq!(answer.head.cache_status().forward(), Some("request"));
    }
    // At once they cost the origin little more than one.
    let asked = fleet.origin.settled().await.len();
    for answer in join_all((0..100).map(|_| ask(&far))).await {
        assert_eq!(answer.status(), 206, "{answer}");
    }
    let more = fleet.origin.settled().await.len() - asked;
    assert!((1..50).contains(&more), "{more} requests");
    // Who comes while it is looked, and does not wait for its end, may cause one more.
    let looked = fleet.s3.asked("GET", "/purges/") - looks;
    assert!((1..=2).contains(&looked), "{looked} looks");
    let log = fleet.origin.settled().await;
    assert!(log.iter().all(|seen| seen.header(PURGES) == Some(&*own)));
}

/// Who may not have the origin asked may not by a number either, but for proxies that are trusted.
#[tokio::test(flavor = "multi_thread")]
async fn whose_word_on_freshness_counts_for_nothing_says_numbers_in_vain() {
    let fleet = Fleet::new().await;
    let mut shield = shield_of(&fleet, NEVER).await;
    shield
        .reload(|settings| settings.routes[0].freshness.client_control = false)
        .unwrap();
    fleet.whole(&shield).await;
    let far = said(&fleet, u64::MAX).await;
    let request = || Request::get("/film").header(PURGES, far.clone());
    let answer = shield.ask(request()).await;
    assert!(answer.head.cache_status().is_hit(), "{answer}");
    shield
        .reload(|settings| settings.clients.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()])
        .unwrap();
    let answer = shield.ask(request()).await;
    assert_eq!(
        answer.head.cache_status().forward(),
        Some("request"),
        "{answer}"
    );
}

/// Without a tier nothing is said, and nothing passed on.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_tier_nothing_is_said_of_purges() {
    let fleet = Fleet::new().await;
    let gate = Gate::before(&fleet.origin).await;
    let request = Request::get("/film").header(PURGES, "00000000 7+");
    for _ in 0..2 {
        let answer = gate.ask(request.clone()).await;
        assert_eq!(answer.status(), 200, "{answer}");
    }
    let log = fleet.origin.settled().await;
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].header(PURGES), None);
}
