//! Lists of addresses that may ask, and that may not.

use crate::{
    client::{Answer, Request},
    gate::Gate,
    origin::{Origin, Script},
};
use ipnet::IpNet;
use tidegate::proxy::Matcher;

async fn scene(allow: &[&str], deny: &[&str]) -> (Origin, Gate) {
    let networks = |list: &[&str]| -> Vec<IpNet> {
        list.iter()
            .map(|network| network.parse().unwrap())
            .collect()
    };
    let origin = Origin::with(Script::new(1020, 1000)).await;
    let gate = Gate::with(&origin, |settings| {
        settings.clients.trusted_proxies = networks(&["127.0.0.1/32"]);
        let addresses = &mut settings.routes[0].access.addresses;
        addresses.allow = networks(allow);
        addresses.deny = networks(deny);
    })
    .await;
    (origin, gate)
}

async fn ask(gate: &Gate, client: &str) -> Answer {
    gate.ask(Request::get("/film").header("X-Forwarded-For", client))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn others_get_403_on_hits_and_misses_alike() {
    let (origin, gate) = scene(&["192.0.2.0/24"], &["192.0.2.13/32"]).await;
    for _ in 0..2 {
        for stranger in ["192.0.2.13", "198.51.100.1", "2001:db8::1"] {
            let answer = ask(&gate, stranger).await;
            assert_eq!(answer.status(), 403, "{answer}");
            assert!(answer.head.cache_status().has("detail=address"), "{answer}");
            assert_eq!(
                answer.head.header("cache-control"),
                Some("no-store"),
                "{answer}"
            );
        }
        assert_eq!(ask(&gate, "192.0.2.1").await.status(), 200);
    }
    assert_eq!(origin.log().len(), 1, "{:#?}", origin.log());
    assert_eq!(gate.metric("requests_refused_total").await, 6.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_connects_counts_where_nobody_else_is_named() {
    let (_origin, gate) = scene(&[], &["127.0.0.0/8"]).await;
    assert_eq!(gate.get("/film").await.status(), 403);
    assert_eq!(ask(&gate, "nonsense").await.status(), 403);
    assert_eq!(ask(&gate, "192.0.2.1").await.status(), 200);
}

/// To an origin `//film` may be `/film`: where that has a door, nobody comes in beside it.
#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_path_leads_around_its_door() {
    let origin = Origin::with(Script::new(1021, 1000)).await;
    let gate = Gate::with(&origin, |settings| {
        let mut guarded = settings.routes[0].clone();
        guarded.matcher = Matcher::Prefix("/film".to_owned());
        guarded.access.addresses.deny = vec!["127.0.0.0/8".parse().unwrap()];
        settings.routes.insert(0, guarded);
    })
    .await;
    assert_eq!(gate.get("/film").await.status(), 403);
    for way in [
        "//film",
        "/./film",
        "/a/../film",
        "/%2Ffilm",
        "/a/%2e%2e/film",
        "/%66ilm",
    ] {
        let answer = gate.get(way).await;
        assert!([400, 403].contains(&answer.status()), "{way} {answer}");
    }
    assert_eq!(origin.log().len(), 0, "{:#?}", origin.log());
    for other in ["//a", "/./a", "/%2Fa"] {
        origin.put(other, Script::new(1022, 10));
    }
    for open in ["//a", "/./a", "/%2Fa"] {
        assert_eq!(gate.get(open).await.status(), 200, "{open}");
    }
}
