//! What the operator sees.

use crate::{
    client::{Client, Request},
    gate::{CHUNK, Gate},
    origin::{Origin, Script},
};

#[tokio::test(flavor = "multi_thread")]
async fn health_and_readiness_are_told() {
    let origin = Origin::start().await;
    let gate = Gate::before(&origin).await;
    let mut client = Client::operator(gate.admin_address()).await;
    for target in ["/healthz", "/readyz"] {
        assert_eq!(
            client.ask(&Request::get(target)).await.status(),
            200,
            "{target}"
        );
    }
    assert_eq!(client.ask(&Request::get("/nowhere")).await.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_the_origin_counts() {
    let origin = Origin::with(Script::new(140, 4 * CHUNK)).await;
    let gate = Gate::before(&origin).await;
    gate.bytes("/film", 0, 9).await;
    gate.get("/film").await;
    gate.get("/film").await;
    let log = origin.settled().await;
    assert_eq!(gate.metric("origin_requests_total").await, log.len() as f64);
    assert_eq!(
        gate.metric("origin_body_bytes_total").await,
        origin.sent("/film") as f64
    );
    assert_eq!(gate.metric("tidegate_requests_total").await, 3.0);
    assert_eq!(gate.metric("checksum").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_ours_and_explained() {
    let origin = Origin::with(Script::new(141, 4 * CHUNK)).await;
    let gate = Gate::before(&origin).await;
    gate.get("/film").await;
    let text = gate.metrics().await;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(
            line.starts_with("tidegate_") || line.starts_with("process_"),
            "{line}"
        );
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        let known = [Some(name), family].into_iter().flatten();
        let helped = known
            .into_iter()
            .any(|name| text.contains(&format!("# HELP {name} ")));
        assert!(helped, "{name} has no help");
    }
}

/// One page about the film on the admin address, as JSON.
async fn about(gate: &Gate, page: &str, target: &str) -> serde_json::Value {
    let url = format!("http://media.test{target}");
    let url = url
        .replace(':', "%3A")
        .replace('/', "%2F")
        .replace('?', "%3F");
    let mut client = Client::operator(gate.admin_address()).await;
    let answer = client
        .ask(&Request::get(&format!("/{page}?url={url}")))
        .await;
    assert_eq!(answer.status(), 200, "{answer}");
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_can_be_looked_at() {
    let script = Script {
        headers: vec![("Surrogate-Key", "red film".into())],
        ..Script::new(142, 4 * CHUNK)
    };
    let origin = Origin::with(script).await;
    let gate = Gate::before(&origin).await;
    let nothing = about(&gate, "inspect", "/film").await;
    assert_eq!(nothing["objects"].as_array().unwrap().len(), 0);
    let outlook = about(&gate, "explain", "/film").await;
    assert_eq!(outlook["now"], "a miss: nothing is stored");

    gate.bytes("/film", CHUNK, 2 * CHUNK - 1).await;
    gate.until_stored(CHUNK).await;
    let found = about(&gate, "inspect", "/film").await;
    let film = &found["objects"][0];
    assert_eq!(film["place"], "media.test/film");
    assert_eq!(
        (&film["chunks"], &film["runs"]),
        (&4.into(), &serde_json::json!([[1, 1]]))
    );
    assert_eq!(film["tags"], serde_json::json!(["film", "red"]));
    assert_eq!(film["etag"], "\"v1\"");
    let outlook = about(&gate, "explain", "/film").await;
    let now = outlook["now"].as_str().unwrap();
    assert!(
        now.starts_with("fresh for 3") && now.contains("1 of 4 chunks"),
        "{now}"
    );
    // Another object of the same path is another.
    let other = about(&gate, "explain", "/film?b=1").await;
    assert_eq!(other["now"], "a miss: nothing is stored");
}
