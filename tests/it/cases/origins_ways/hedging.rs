//! A second server beside one that is slow to begin.

use super::{SIZE, sample, server, verify};
use crate::{
    client::Request,
    gate::{CHUNK, Gate},
    model::Object,
    origin::{Origin, Script, Valve},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

const HEDGES: &str = "tidegate_origin_hedges_total";
const FIRST: u64 = 3 * CHUNK;

struct Scene {
    servers: [Origin; 2],
    gate: Gate,
    object: Object,
    valve: Valve,
}

/// Two servers that have answered quickly so far. Of the requests for one chunk of `/film` the
/// first one that comes hangs, at whichever of them.
async fn scene(hedging: bool) -> Scene {
    let servers = [Origin::start().await, Origin::start().await];
    let valve = Valve::at(0);
    let object = Script::new(381, SIZE);
    let has_hung = Arc::new(AtomicBool::new(false));
    let hangs = valve.clone();
    let script = object.clone().twisted(move |seen, script| {
        let is_it = seen.window().is_some_and(|(first, _)| first == FIRST);
        if is_it && !has_hung.swap(true, SeqCst) {
            (script.valve, script.holds_head) = (Some(hangs.clone()), true);
        }
    });
    let configs = servers.each_ref().map(|origin| server(origin, 1));
    let gate = Gate::with(&servers[0], |settings| {
        settings.origins[0].servers = configs.into();
        settings.routes[0].features.hedging = hedging;
    })
    .await;
    for origin in &servers {
        origin.put("/film", script.clone());
        for number in 0..80 {
            origin.put(&format!("/{number}"), Script::new(number, 100));
        }
    }
    for number in 0..60 {
        gate.get(&format!("/{number}")).await;
    }
    gate.bytes("/film", 0, 9).await;
    Scene {
        object: Object::from(&object),
        servers,
        gate,
        valve,
    }
}

impl Scene {
    fn asked(&self) -> usize {
        let log = self.servers.iter().flat_map(|origin| origin.asked("/film"));
        log.filter(|seen| seen.window().is_some_and(|(first, _)| first == FIRST))
            .count()
    }
}

const RANGE: &str = "bytes=196608-196700";

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_is_asked_for_a_chunk_when_the_first_hangs() {
    let scene = scene(true).await;
    // The valve stays shut: only the second server can answer.
    let answer = scene.gate.ask(Request::get("/film").range(RANGE)).await;
    verify(
        &scene.object,
        &scene.object.expected(Some(RANGE), None),
        &answer,
    );
    assert_eq!(scene.asked(), 2);
    assert_eq!(sample(&scene.gate, HEDGES, "outcome=\"won\"").await, 1.0);
    super::until(&scene.gate, "tidegate_origin_active_requests", "", 0.0).await;
    scene.valve.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_second_server_is_asked_where_that_is_off() {
    let scene = scene(false).await;
    let mut client = scene.gate.client().await;
    client
        .send(&Request::get("/film").range(RANGE))
        .await
        .unwrap();
    // Much longer than any answer has taken so far.
    for number in 60..80 {
        scene.gate.get(&format!("/{number}")).await;
    }
    scene.valve.open();
    assert_eq!(client.head().await.unwrap().status, 206);
    let (body, cut) = client.rest().await;
    assert!(cut.is_none());
    scene.object.content.verify(FIRST, &body).unwrap();
    assert_eq!(scene.asked(), 1);
    assert_eq!(sample(&scene.gate, HEDGES, "").await, 0.0);
}

/// It would cost every chunk the time that others wait for it to begin, and the other server's help.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_only_loses_is_left_alone() {
    const FILMS: u64 = 16;
    let servers = [Origin::start().await, Origin::start().await];
    let valve = Valve::at(0);
    let is_dead = Arc::new(AtomicBool::new(false));
    let configs = servers.each_ref().map(|origin| server(origin, 1));
    let gate = Gate::with(&servers[0], |settings| {
        settings.origins[0].servers = configs.into();
        settings.origins[0].retry.budget = 1.0;
        settings.routes[0].features.hedging = true;
    })
    .await;
    let film = |number: u64| Script::new(390 + number, SIZE);
    for (at, origin) in servers.iter().enumerate() {
        for number in 0..FILMS {
            let (is_dead, hangs) = (is_dead.clone(), valve.clone());
            let script = film(number).twisted(move |_, script| {
                if at == 0 && is_dead.load(SeqCst) {
                    (script.valve, script.holds_head) = (Some(hangs.clone()), true);
                }
            });
            origin.put(&format!("/{number}"), script);
        }
        for number in 0..60 {
            origin.put(&format!("/small/{number}"), Script::new(number, 100));
        }
    }
    for number in 0..60 {
        gate.get(&format!("/small/{number}")).await;
    }
    for number in 0..FILMS {
        gate.bytes(&format!("/{number}"), 0, 9).await;
    }
    is_dead.store(true, SeqCst);
    for number in 0..FILMS {
        let object = Object::from(&film(number));
        let answer = gate.ask(Request::get(&format!("/{number}")).range(RANGE));
        let expected = object.expected(Some(RANGE), None);
        verify(&object, &expected, &answer.await);
    }
    assert_eq!(sample(&gate, HEDGES, "outcome=\"won\"").await, 5.0);
    let trips = sample(&gate, "tidegate_origin_breaker_trips_total", "").await;
    assert_eq!(trips, 1.0);
    valve.open();
}
