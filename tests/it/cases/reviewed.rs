//! What a review of caching and purging found, one case each.

use crate::{
    client::Request,
    gate::Gate,
    origin::{Origin, Script},
    patience::let_time_pass,
};
use std::time::Duration;

const SIZE: u64 = 1000;

async fn scene(script: Script) -> (Origin, Gate) {
    let origin = Origin::with(script).await;
    let gate = Gate::before(&origin).await;
    (origin, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_connection_takes_out_does_not_choose_among_answers() {
    for name in ["Accept-Language", "Origin"] {
        let script = Script {
            vary_by: Some(name),
            ..Script::new(950, SIZE)
        };
        let (_origin, gate) = scene(script).await;
        let asked = |value: &str| Request::get("/film").header(name, value);
        let poisoning = asked("de").header("Connection", format!("keep-alive, {name}"));
        let without = gate.ask(poisoning).await;
        let with = gate.ask(asked("de")).await;
        assert!(!with.head.cache_status().is_hit(), "{with}");
        assert_ne!(with.body, without.body);
        assert_eq!(gate.get("/film").await.body, without.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_the_first_client_spells_a_path_does_not_decide_its_lifetime() {
    let script = Script {
        cache_control: None,
        last_modified: false,
        ..Script::new(951, SIZE)
    };
    let origin = Origin::start().await;
    origin.put("/live.m3u8", script);
    let gate = Gate::with(&origin, |settings| {
        settings.routes[0].freshness.ttl.ok = Some(Duration::from_secs(3600));
    })
    .await;
    gate.get("/live.m3u%38").await;
    // Longer than a playlist is fresh.
    let_time_pass(Duration::from_millis(3100)).await;
    let later = gate.get("/live.m3u8").await;
    let stored = later.head.cache_status();
    assert_eq!(stored.forward(), Some("stale"), "{later}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_puts_all_variants_out_of_date() {
    let script = Script {
        vary_by: Some("X-Kind"),
        ..Script::new(952, SIZE)
    };
    let (origin, gate) = scene(script).await;
    let kind = |n: usize| Request::get("/film").header("X-Kind", n.to_string());
    let mut client = gate.client().await;
    for n in 0..300 {
        client.ask(&kind(n)).await;
    }
    let asked = origin.log().len();
    gate.ask(Request::new("POST", "/film")).await;
    for n in 0..300 {
        let only = kind(n).header("Cache-Control", "only-if-cached");
        assert_eq!(client.ask(&only).await.status(), 504, "{n}");
        client = gate.client().await;
    }
    assert_eq!(origin.log().len(), asked + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_minds_gets_nothing_stale_while_the_origin_is_asked() {
    let script = Script {
        cache_control: Some("max-age=1, stale-while-revalidate=600"),
        headers: vec![("Age", "10".to_owned())],
        ..Script::new(953, SIZE)
    };
    for control in ["no-cache", "max-age=0", "max-age=5", "min-fresh=1"] {
        let (origin, gate) = scene(script.clone()).await;
        gate.get("/film").await;
        origin.change("/film", |script| script.content.version = 2);
        let minding = Request::get("/film").header("Cache-Control", control);
        let answer = gate.ask(minding).await;
        let expected = origin_body(&origin).await;
        assert_eq!(answer.body, expected, "{control}: {answer}");
    }
}

/// What the origin has now.
async fn origin_body(origin: &Origin) -> Vec<u8> {
    let mut client = crate::client::Client::connect(origin.address()).await;
    client.ask(&Request::get("/film")).await.body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_by_tag_means_the_bytes_of_the_tag() {
    let script = Script {
        headers: vec![("Cache-Tag", "caf\u{e9}, plain".to_owned())],
        ..Script::new(954, SIZE)
    };
    let (_origin, gate) = scene(script).await;
    for tag in ["caf\u{e9}", " plain "] {
        gate.get("/film").await;
        assert!(gate.get("/film").await.head.cache_status().is_hit());
        let mut admin = crate::client::Client::operator(gate.admin_address()).await;
        let mut order = Request::new("POST", "/purge").header("Content-Type", "application/json");
        order.body = format!("{{\"tag\": \"{tag}\"}}").into_bytes();
        let told = admin.ask(&order).await;
        let text = String::from_utf8_lossy(&told.body).into_owned();
        assert!(
            text.contains("\"objects\":1") || text.contains("\"objects\": 1"),
            "{text}"
        );
    }
}
