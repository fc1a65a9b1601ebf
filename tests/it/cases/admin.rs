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
    let mut client = Client::connect(gate.admin_address()).await;
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
