//! Whatever the collector does, no request waits for it; what it lacks is counted.

use super::{all, spans, telling, until_spans};
use crate::{
    client::Request,
    collector::{Collector, Mood},
    gate::Gate,
    origin::{Origin, Script},
    patience::within,
};
use std::{
    fs,
    time::{Duration, Instant},
};
use tidegate::{
    secret::SecretSource,
    server::Settings,
    traces::{CollectorConfig, FieldValue},
};
use tokio::net::TcpListener;

const SOON: Duration = Duration::from_millis(200);

async fn origin(seed: u64) -> Origin {
    Origin::with(Script::new(seed, 1000)).await
}

/// How soon a request is answered.
async fn took(gate: &Gate) -> Duration {
    let began = Instant::now();
    assert_eq!(gate.get("/film").await.status(), 200);
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_go_where_they_are_to_with_what_they_are_to_bear() {
    let collector = Collector::start().await;
    let origin = origin(1240).await;
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("token");
    fs::write(&secret, "Bearer hush\n").unwrap();
    let change = |settings: &mut Settings| {
        let traces = settings.traces.as_mut().unwrap();
        traces.collector.endpoint = format!("{}otlp/", collector.endpoint()).parse().unwrap();
        traces.collector.service = "edge".into();
        traces.collector.fields = vec![
            (
                "x-tenant".parse().unwrap(),
                FieldValue::Plain("video".parse().unwrap()),
            ),
            (
                http::header::AUTHORIZATION,
                FieldValue::Secret(SecretSource::File(secret.clone())),
            ),
        ];
    };
    let gate = telling(&collector, &origin, change).await;
    gate.get("/film").await;
    let request = &collector.requests(1).await[0];
    assert_eq!(request.service, "edge");
    let head = collector.seen().posts[0].head.to_ascii_lowercase();
    assert!(
        head.starts_with("post /otlp/v1/traces http/1.1\r\n"),
        "{head}"
    );
    for line in [
        "content-type: application/x-protobuf",
        "x-tenant: video",
        "authorization: bearer hush",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    until_spans(&gate, "sent", 3).await;
    assert_eq!(spans(&gate, "unsent").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_down_costs_spans_and_nothing_else() {
    let origin = origin(1241).await;
    // Bound and gone again: nobody listens there.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let nowhere = listener.local_addr().unwrap();
    drop(listener);
    let collector = Collector::start().await;
    let gate = telling(&collector, &origin, |settings| {
        let endpoint = format!("http://{nowhere}").parse().unwrap();
        settings.traces.as_mut().unwrap().collector = CollectorConfig::new(endpoint);
    })
    .await;
    for _ in 0..20 {
        assert!(took(&gate).await < Duration::from_secs(5));
    }
    until_spans(&gate, "unsent", 1).await;
    assert_eq!(spans(&gate, "sent").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_collector_that_stalls() {
    let origin = origin(1242).await;
    let collector = Collector::start().await;
    collector.will([Mood::IsSilent; 5]);
    let mut gate = telling(&collector, &origin, |_| ()).await;
    assert!(took(&gate).await < Duration::from_secs(5));
    collector
        .until("spans to be sent", |seen| !seen.posts.is_empty())
        .await;
    let began = Instant::now();
    gate.stop().await;
    // The drain limit of the tests, and what closing takes.
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_sends_the_last_spans() {
    let origin = origin(1243).await;
    let collector = Collector::start().await;
    let mut gate = telling(&collector, &origin, |_| ()).await;
    gate.get("/film").await;
    gate.until_active(0.0).await;
    gate.stop().await;
    assert!(
        !collector.seen().spans.is_empty(),
        "they are there when it has stopped"
    );
    collector.requests(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_stalls_is_asked_again() {
    let origin = origin(1244).await;
    let collector = Collector::start().await;
    collector.will([Mood::IsSilent]);
    let gate = telling(&collector, &origin, |settings| {
        settings.traces.as_mut().unwrap().collector.timeout = SOON;
    })
    .await;
    assert!(took(&gate).await < Duration::from_secs(5));
    collector.requests(1).await;
    assert_eq!(collector.seen().posts.len(), 2);
    assert_eq!(spans(&gate, "unsent").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_is_asked_again_when_it_says() {
    let origin = origin(1245).await;
    let collector = Collector::start().await;
    collector.will([Mood::Refuses(503, Some(2))]);
    let gate = telling(&collector, &origin, |_| ()).await;
    assert!(took(&gate).await < Duration::from_secs(5));
    collector.requests(1).await;
    let posts = collector.seen().posts;
    assert_eq!(posts.len(), 2);
    let waited = posts[1].came - posts[0].came;
    assert!(waited >= Duration::from_secs(2), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_does_not_want_is_not_sent_again() {
    let origin = origin(1246).await;
    let collector = Collector::start().await;
    collector.will([Mood::Refuses(400, None), Mood::Rejects(1)]);
    let gate = telling(&collector, &origin, |_| ()).await;
    gate.get("/film").await;
    until_spans(&gate, "rejected", 1).await;
    let refused = spans(&gate, "rejected").await;
    assert_eq!(collector.seen().posts.len(), 1);
    gate.get("/film").await;
    until_spans(&gate, "rejected", refused + 1).await;
    assert_eq!(spans(&gate, "rejected").await, refused + 1);
    assert!(spans(&gate, "sent").await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_turns_traces_on_elsewhere_and_off() {
    let origin = origin(1247).await;
    let (first, second) = (Collector::start().await, Collector::start().await);
    let mut gate = Gate::before(&origin).await;
    gate.get("/film").await;
    for (collector, target) in [(&first, "/film?1"), (&second, "/film?2")] {
        gate.reload(|settings| settings.traces = Some(all(collector)))
            .unwrap();
        gate.get(target).await;
        let request = &collector.requests(1).await[0];
        assert_eq!(format!("/film?{}", request.says("url.query")), target);
    }
    gate.reload(|settings| settings.traces = None).unwrap();
    gate.get("/film").await;
    gate.stop().await;
    assert_eq!([&first, &second].map(|it| it.seen().posts.len()), [1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_there_refuses_a_reload() {
    let origin = origin(1248).await;
    let collector = Collector::start().await;
    let mut gate = telling(&collector, &origin, |_| ()).await;
    let refused = gate.reload(|settings| {
        let missing = SecretSource::File("/nowhere/token".into());
        let fields = &mut settings.traces.as_mut().unwrap().collector.fields;
        fields.push((http::header::AUTHORIZATION, FieldValue::Secret(missing)));
    });
    let refused = refused.unwrap_err().to_string();
    assert!(refused.starts_with("traces.headers: "), "{refused}");
    gate.get("/film").await;
    collector.requests(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_there_is_room_for_is_counted_and_holds_up_nobody() {
    let origin = origin(1249).await;
    let collector = Collector::start().await;
    collector.will([Mood::IsSilent; 50]);
    let gate = telling(&collector, &origin, |_| ()).await;
    let mut client = gate.client().await;
    let asking = async {
        while spans(&gate, "full").await == 0 {
            for _ in 0..200 {
                let answer = client.ask(&Request::get("/film")).await;
                assert_eq!(answer.status(), 200);
            }
        }
    };
    within("the queue to be full", asking).await;
}
