//! Shields that die, come back, and are added.

use super::{SIZE, check_film, groups};
use crate::{
    child::{Tidegate, binary},
    client::Request,
    failover::sample,
    gate::Gate,
    model::Object,
    origin::{Origin, Script, Valve},
    ring::{GROUP, HOST, addresses, edge, edge_with, film, lead_to, shields},
};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use tempfile::TempDir;
use tidegate::origin::Breaker;
use tokio::task::JoinSet;

/// Which server each group of the film is asked of, by asking for all of it anew.
async fn homes(edge: &Gate, servers: &[&Origin]) -> BTreeMap<u64, usize> {
    let purge = Request::new("PURGE", "/film").header("Host", HOST);
    assert_eq!(edge.ask(purge).await.status(), 200);
    let mut before = Vec::new();
    for server in servers {
        before.push(server.settled().await.len());
    }
    let answer = edge.ask(film()).await;
    assert!(answer.is_whole(), "{answer}");
    let mut homes = BTreeMap::new();
    for (nth, server) in servers.iter().enumerate() {
        let log = server.settled().await;
        let own = groups(&log[before[nth]..]).into_iter();
        homes.extend(own.map(|group| (group, nth)));
    }
    assert_eq!(homes.len() as u64, SIZE / GROUP + 1);
    homes
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_share_of_a_server_that_dies_or_comes_moves() {
    let script = Script::new(1330, SIZE);
    let mut servers = Vec::new();
    for _ in 0..4 {
        servers.push(Origin::with(script.clone()).await);
    }
    let ring: Vec<_> = servers.iter().map(Origin::address).collect();
    let mut edge = edge_with("edge", &ring[..3], |settings| {
        settings.origins[0].breaker = Breaker {
            failures: 1,
            open: Duration::from_millis(50),
            trials: 1000,
            ..Breaker::default()
        };
    })
    .await;
    let all: Vec<_> = servers.iter().collect();
    let three = homes(&edge, &all[..3]).await;

    // One more takes its share from the others, and nothing moves among them.
    edge.reload(|settings| lead_to(settings, &ring)).unwrap();
    let four = homes(&edge, &all).await;
    let moved = |group: &u64| three[group] != four[group];
    assert!(
        four.keys()
            .filter(|group| moved(group))
            .all(|group| four[group] == 3)
    );
    assert!(four.values().any(|home| *home == 3));

    // One that dies gives its share to the others; what they had stays with them.
    let dead = servers.remove(1);
    let address = dead.address();
    drop(dead);
    let left: Vec<_> = servers.iter().collect();
    let after = homes(&edge, &left).await;
    let nth = |home: usize| [0, 2, 3][home];
    for (group, home) in &four {
        assert!(*home == 1 || nth(after[group]) == *home, "group {group}");
    }

    // And gets it back.
    let back = Origin::start_at(address).await;
    back.put("/film", script);
    edge.reload(|settings| {
        lead_to(settings, &ring);
        settings.origins[0].min_rate = 1;
    })
    .unwrap();
    let all = [&servers[0], &back, &servers[1], &servers[2]];
    assert_eq!(homes(&edge, &all).await, four);
}

/// A shield in a process of its own.
async fn shield(origin: SocketAddr, directory: &TempDir, name: &str) -> Tidegate {
    let file = directory.path().join(format!("{name}.yaml"));
    let text = format!(
        "listen: [{{address: 127.0.0.1:0}}]\n\
         admin: {{address: 127.0.0.1:0}}\n\
         cache: {{directory: {name}, chunk_size: 64KiB}}\n\
         clients: {{name: {name}}}\n\
         origins: {{media: {{servers: [{{url: \"http://{origin}\"}}]}}}}\n\
         routes: [{{path: /, origins: [media]}}]\n"
    );
    std::fs::write(&file, text).unwrap();
    Tidegate::run(&binary(), &file).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_a_shield_that_is_killed() {
    let valve = Valve::at(SIZE / 2);
    let script = Script {
        valve: Some(valve.clone()),
        ..Script::new(1331, SIZE)
    };
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let directory = tempfile::tempdir().unwrap();
    let mut ring = Vec::new();
    for name in ["a", "b", "c"] {
        ring.push(shield(origin.address(), &directory, name).await);
    }
    let at: Vec<_> = ring.iter().map(|shield| shield.address).collect();
    let edges = [edge("edge-0", &at).await, edge("edge-1", &at).await];
    let mut clients = JoinSet::new();
    for nth in 0..40 {
        let (object, edge) = (object.clone(), edges[nth % 2].address());
        clients.spawn(async move { check_film(edge, &object, None).await });
    }
    let half = |log: &[_]| {
        groups(log)
            .last()
            .is_some_and(|last| *last >= SIZE / GROUP / 2)
    };
    origin
        .wait_for("half of the film to be asked for", half)
        .await;
    ring[1].signal(ring[1].current(), "KILL");
    valve.open();
    clients.join_all().await;
    origin.settled().await;
    // What the dead one had, others have fetched anew, and no more than that.
    assert!(origin.sent("/film") < 2 * SIZE);
}

/// The origin's failures are not the shields': what they have is served.
#[tokio::test(flavor = "multi_thread")]
async fn shields_whose_origin_fails_are_asked_all_the_same() {
    let script = Script::new(1333, SIZE);
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let shields = shields(&origin, 2).await;
    let edge = edge("edge", &addresses(&shields)).await;
    check_film(edge.address(), &object, None).await;
    drop(origin);
    for nth in 0..20 {
        let answer = edge.get(&format!("/{nth}")).await;
        assert!(answer.status() >= 500, "{answer}");
    }
    let purge = Request::new("PURGE", "/film").header("Host", HOST);
    assert_eq!(edge.ask(purge).await.status(), 200);
    check_film(edge.address(), &object, None).await;
    let refused = sample(&edge, "tidegate_origin_refused_total", "breaker").await;
    assert_eq!(refused, 0.0);
}

/// One that stops as it should: nothing is cut, and nobody waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_shield_that_stops_is_left_out() {
    let script = Script::new(1332, SIZE);
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let mut shields = shields(&origin, 2).await;
    let edge = edge("edge", &addresses(&shields)).await;
    shields[0].stop().await;
    check_film(edge.address(), &object, None).await;
    origin.settled().await;
    assert_eq!(origin.sent("/film"), SIZE);
}
