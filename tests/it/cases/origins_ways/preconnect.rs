//! Names that are resolved, and connections that are opened, before it is known whether they are
//! needed.

use super::{SIZE, both_ways, verify};
use crate::{
    client::Request,
    front::{Authority, Front, Style},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Origin, Script},
};
use std::sync::Arc;
use tempfile::TempDir;
use tidegate::origin::ServerConfig;
use tokio::task::JoinSet;

struct Scene {
    origin: Origin,
    front: Front,
    gate: Gate,
    object: Object,
    _directory: TempDir,
}

async fn scene(tls: bool, preconnect: bool) -> Scene {
    let script = Script::new(410, SIZE);
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let style = Style {
        tls: tls.then(|| authority.server("localhost", &[], None)),
        ..Style::default()
    };
    let front = Front::before(&origin, style).await;
    let scheme = if tls { "https" } else { "http" };
    let url = format!("{scheme}://localhost:{}", front.address().port());
    let ca = authority.write(directory.path());
    let gate = Gate::with(&origin, |settings| {
        let url = url.parse().unwrap();
        settings.origins[0].servers = vec![ServerConfig { url, weight: 1 }];
        settings.origins[0].tls.ca = Some(ca);
        settings.routes[0].features.preconnect = preconnect;
    })
    .await;
    Scene {
        origin,
        front,
        gate,
        object,
        _directory: directory,
    }
}

const WAYS: [(bool, bool); 4] = [(false, true), (true, true), (false, false), (true, false)];

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_object_comes_over_one_connection() {
    for (tls, preconnect) in WAYS {
        let scene = scene(tls, preconnect).await;
        let answer = scene.gate.get("/film").await;
        verify(&scene.object, &Expected::Whole, &answer);
        assert_eq!(scene.front.used(), 1, "{:?}", scene.front.taken());
        let most = if preconnect { 2 } else { 1 };
        assert!(
            scene.front.taken().len() <= most,
            "{:?}",
            scene.front.taken()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_opens_no_connection() {
    let scene = scene(false, true).await;
    both_ways(&scene.gate, &Request::get("/film"), &scene.object).await;
    let (taken, asked) = (scene.front.taken().len(), scene.origin.log().len());
    for _ in 0..5 {
        both_ways(&scene.gate, &Request::get("/film"), &scene.object).await;
    }
    assert_eq!(scene.front.taken().len(), taken);
    assert_eq!(scene.origin.log().len(), asked);
}

/// The look-up on the disk takes its time, in which a connection may be opened; it is not used.
#[tokio::test(flavor = "multi_thread")]
async fn a_hit_on_the_disk_asks_for_nothing() {
    let mut scene = scene(false, true).await;
    both_ways(&scene.gate, &Request::get("/film"), &scene.object).await;
    scene.origin.settled().await;
    let (used, asked) = (scene.front.used(), scene.origin.log().len());
    for _ in 0..3 {
        scene.gate.restart().await;
        both_ways(&scene.gate, &Request::get("/film"), &scene.object).await;
    }
    assert_eq!(scene.front.used(), used);
    assert_eq!(scene.origin.log().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_cold_objects_at_once_come_as_they_are() {
    for (tls, preconnect) in WAYS {
        let scene = scene(tls, preconnect).await;
        let gate = Arc::new(scene.gate);
        let mut clients = JoinSet::new();
        for number in 0..30u64 {
            let script = Script::new(420 + number, 3 * CHUNK + number);
            let object = Object::from(&script);
            let target = format!("/{number}");
            scene.origin.put(&target, script);
            let gate = gate.clone();
            clients.spawn(async move {
                both_ways(&gate, &Request::get(&target), &object).await;
            });
        }
        clients.join_all().await;
        let log = scene.origin.settled().await;
        let sent: u64 = log.iter().map(|seen| seen.sent).sum();
        let all: u64 = (0..30).map(|number| 3 * CHUNK + number).sum();
        assert_eq!(sent, all);
    }
}
