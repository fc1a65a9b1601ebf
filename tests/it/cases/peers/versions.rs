//! Shields that have different versions of one object for a while.

use super::SIZE;
use crate::{
    client::Request,
    content::Content,
    gate::Gate,
    model::Object,
    origin::{Origin, Script},
    ring::{HOST, addresses, edge, film, shields},
};

/// A film of version 1 at an edge and, all of it, at its two shields, after which the origin has
/// version 2.
struct Scene {
    origin: Origin,
    shields: Vec<Gate>,
    edge: Gate,
    new: Object,
    /// Which shield has the first group.
    first: usize,
}

async fn scene(seed: u64) -> Scene {
    let script = Script::new(seed, SIZE);
    let object = Object::from(&script);
    let origin = Origin::with(script.clone()).await;
    let shields = shields(&origin, 2).await;
    let edge = edge("edge", &addresses(&shields)).await;
    let head = edge.ask(film().bytes(0, 9)).await;
    let brought = head.head.all("cache-status").next().unwrap_or_default();
    let first = usize::from(brought.starts_with("tidegate-shield-1"));
    for gate in shields.iter().chain([&edge]) {
        let answer = gate.ask(film()).await;
        let verdict = object.verify(&object.expected(None, None), &answer);
        verdict.unwrap_or_else(|wrong| panic!("{wrong}\n{answer}"));
    }
    origin.settled().await;
    origin.change("/film", |script| script.content.version = 2);
    let mut script = script;
    script.content.version = 2;
    let new = Object::from(&script);
    Scene {
        origin,
        shields,
        edge,
        new,
        first,
    }
}

impl Scene {
    async fn forget_at(&self, gate: &Gate) {
        let purge = Request::new("PURGE", "/film").header("Host", HOST);
        assert_eq!(gate.ask(purge).await.status(), 200);
    }

    async fn assert_new(&self) {
        let answer = self.edge.ask(film()).await;
        let verdict = self.new.verify(&self.new.expected(None, None), &answer);
        verdict.unwrap_or_else(|wrong| panic!("{wrong}\n{answer}"));
    }

    /// The edge has nothing of it; all that it needs is at the shields, or nearly all.
    async fn assert_agreed(&self) {
        let asked = self.origin.settled().await.len();
        self.forget_at(&self.edge).await;
        self.assert_new().await;
        let more = self.origin.settled().await.len() - asked;
        assert!(more < 5, "{more} requests");
    }
}

/// The object begins with the new version; the other shield is behind. Nobody notices.
#[tokio::test(flavor = "multi_thread")]
async fn a_shield_that_is_behind_is_brought_up_to_date() {
    let scene = scene(1320).await;
    scene.forget_at(&scene.shields[scene.first]).await;
    scene.forget_at(&scene.edge).await;
    scene.assert_new().await;
    let disputes = scene.edge.metric("tidegate_version_disputes_total").await;
    assert!((1.0..10.0).contains(&disputes), "{disputes}");
    scene.assert_agreed().await;
}

/// The object begins with the old version, of which the rest is nowhere: that answer can't be
/// completed. The next one is of the new version, though the first shield's copy was fresh.
#[tokio::test(flavor = "multi_thread")]
async fn a_shield_that_is_ahead_costs_one_answer_at_most() {
    let scene = scene(1321).await;
    scene.forget_at(&scene.shields[1 - scene.first]).await;
    scene.forget_at(&scene.edge).await;
    let old = scene.edge.ask(film()).await;
    assert!(!old.is_whole(), "{old}");
    let before = Content {
        version: 1,
        ..scene.new.content
    };
    before.verify(0, &old.body).unwrap();
    scene.assert_new().await;
    scene.assert_agreed().await;
}

/// Both are behind, and the edge with them: nobody knows better until they are stale or purged.
#[tokio::test(flavor = "multi_thread")]
async fn shields_that_agree_are_asked_no_more_often() {
    let scene = scene(1322).await;
    let asked = scene.origin.log().len();
    scene.forget_at(&scene.edge).await;
    let answer = scene.edge.ask(film()).await;
    assert!(answer.is_whole(), "{answer}");
    assert_eq!(scene.origin.log().len(), asked);
}
