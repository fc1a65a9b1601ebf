//! Which of an origin's servers is asked.

use super::{SIZE, both_ways, server, until};
use crate::{
    client::Request,
    gate::Gate,
    model::{Expected, Object},
    origin::{Origin, Script, Valve},
};
use std::collections::HashMap;
use tidegate::origin::{Balance, ServerConfig};

const ACTIVE: &str = "tidegate_origin_active_requests";

/// Servers that all have the same objects, with the weights they are asked by.
struct Servers(Vec<(Origin, u32)>);

impl Servers {
    async fn start(weights: &[u32]) -> Self {
        let mut all = Vec::new();
        for weight in weights {
            all.push((Origin::start().await, *weight));
        }
        Self(all)
    }

    fn put(&self, target: &str, script: &Script) {
        self.0
            .iter()
            .for_each(|(origin, _)| origin.put(target, script.clone()));
    }

    async fn gate(&self, balance: Balance) -> Gate {
        let config = |(origin, weight): &(Origin, u32)| server(origin, *weight);
        let servers: Vec<ServerConfig> = self.0.iter().map(config).collect();
        Gate::with(&self.0[0].0, |settings| {
            settings.origins[0].servers = servers;
            settings.origins[0].balance = balance;
        })
        .await
    }

    fn shares(&self) -> Vec<usize> {
        self.0
            .iter()
            .map(|(origin, _)| origin.log().len())
            .collect()
    }

    /// Which servers have been asked for a target.
    fn asked(&self, target: &str) -> Vec<usize> {
        let asked = |at: &usize| !self.0[*at].0.asked(target).is_empty();
        (0..self.0.len()).filter(asked).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_turn_shares_are_exactly_the_weights() {
    let servers = Servers::start(&[3, 1, 2]).await;
    let gate = servers.gate(Balance::RoundRobin).await;
    for number in 0..36 {
        let (target, script) = (format!("/{number}"), Script::new(number, 1000));
        servers.put(&target, &script);
        let answer = gate.get(&target).await;
        let verdict = Object::from(&script).verify(&Expected::Whole, &answer);
        verdict.unwrap();
    }
    assert_eq!(servers.shares(), [18, 6, 12]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_loaded_gets_what_comes_while_another_hangs() {
    let servers = Servers::start(&[1, 1]).await;
    let valves = [Valve::at(0), Valve::at(0)];
    let gate = servers.gate(Balance::LeastLoaded).await;
    let mut waiting = Vec::new();
    for number in 0..6 {
        let target = format!("/hangs/{number}");
        for ((origin, _), valve) in servers.0.iter().zip(&valves) {
            let script = Script {
                valve: Some(valve.clone()),
                ..Script::new(320, SIZE)
            };
            origin.put(&target, script);
        }
        let mut client = gate.client().await;
        client.send(&Request::get(&target)).await.unwrap();
        assert_eq!(client.head().await.unwrap().status, 200);
        waiting.push(client);
    }
    assert_eq!(servers.shares(), [3, 3]);

    // The second server is free again, the first is not.
    valves[1].open();
    until(&gate, ACTIVE, "", 3.0).await;
    for number in 0..10 {
        let (target, script) = (format!("/{number}"), Script::new(number, SIZE));
        servers.put(&target, &script);
        both_ways(&gate, &Request::get(&target), &Object::from(&script)).await;
    }
    let shares = servers.shares();
    assert!(shares[0] == 3 && shares[1] >= 23, "{shares:?}");

    // Once both are free they take turns.
    valves[0].open();
    for mut client in waiting {
        let (body, cut) = client.rest().await;
        assert!(cut.is_none() && body.len() as u64 == SIZE, "{cut:?}");
    }
    until(&gate, ACTIVE, "", 0.0).await;
    let before = servers.shares();
    for number in 10..20 {
        let (target, script) = (format!("/{number}"), Script::new(number, 1000));
        servers.put(&target, &script);
        gate.get(&target).await;
        until(&gate, ACTIVE, "", 0.0).await;
    }
    let after = servers.shares();
    let gained: Vec<_> = after.iter().zip(&before).map(|(a, b)| a - b).collect();
    assert_eq!(gained, [5, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn by_hash_an_object_stays_with_its_server() {
    let mut servers = Servers::start(&[1, 1, 1]).await;
    let objects: Vec<_> = (0..40)
        .map(|number| (format!("/{number}"), Script::new(number, SIZE)))
        .collect();
    let mut homes = HashMap::new();
    for round in 0..2 {
        for (target, script) in &objects {
            servers.put(target, script);
        }
        let gate = servers.gate(Balance::Hash).await;
        for (target, script) in &objects {
            both_ways(&gate, &Request::get(target), &Object::from(script)).await;
        }
        if round == 0 {
            for (target, _) in &objects {
                let asked = servers.asked(target);
                assert_eq!(asked.len(), 1, "{target}: {asked:?}");
                homes.insert(target.clone(), asked);
            }
            // From the second round on there is one more.
            servers.0.push((Origin::start().await, 1));
        }
    }
    let mut moved = 0;
    for (target, _) in &objects {
        let asked = servers.asked(target);
        if servers.0[3].0.asked(target).is_empty() {
            assert_eq!(asked, homes[target], "{target}");
        } else {
            moved += 1;
        }
    }
    assert!(
        (1..30).contains(&moved),
        "{moved} of {} moved",
        objects.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn by_hash_the_next_server_stands_in_for_one_that_is_down() {
    let servers = Servers::start(&[1, 1, 1]).await;
    let gate = servers.gate(Balance::Hash).await;
    for number in 0..12 {
        let (target, script) = (format!("/{number}"), Script::new(number, SIZE));
        servers.put(&target, &script);
        let mut down = script.clone();
        down.status = 503;
        servers.0[0].0.put(&target, down);
        both_ways(&gate, &Request::get(&target), &Object::from(&script)).await;
    }
    // Those that stand in keep what falls to them.
    for number in 0..12 {
        let asked = servers.asked(&format!("/{number}"));
        let stands_in = asked.iter().filter(|at| **at != 0).count();
        assert_eq!(stands_in, 1, "/{number}: {asked:?}");
    }
}
