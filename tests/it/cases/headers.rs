//! What Tidegate says about an answer, and what it leaves alone.

use crate::{
    client::{Answer, Request},
    gate::{CHUNK, Gate},
    origin::{Origin, Script, Valve},
    patience::let_time_pass,
};
use std::time::Duration;

const SIZE: u64 = 6 * CHUNK;

async fn scene(script: Script) -> (Origin, Gate) {
    let origin = Origin::with(script).await;
    let gate = Gate::before(&origin).await;
    (origin, gate)
}

fn forward(answer: &Answer) -> Option<String> {
    let status = answer.head.cache_status();
    assert_eq!(status.cache, "tidegate", "{answer}");
    status.forward().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn cache_status_tells_miss_partial_and_hit() {
    let (origin, gate) = scene(Script::new(60, SIZE)).await;
    let miss = gate.bytes("/film", 0, 9).await;
    assert_eq!(forward(&miss).as_deref(), Some("miss"), "{miss}");
    assert!(miss.head.cache_status().has("stored"), "{miss}");
    origin.settled().await;

    let partial = gate.bytes("/film", 0, 2 * CHUNK).await;
    assert_eq!(forward(&partial).as_deref(), Some("partial"), "{partial}");
    origin.settled().await;

    let hit = gate.bytes("/film", 10, 20).await;
    assert_eq!(
        (forward(&hit), hit.head.cache_status().is_hit()),
        (None, true),
        "{hit}"
    );

    let unknown = gate.get("/other").await;
    assert_eq!(forward(&unknown).as_deref(), Some("miss"), "{unknown}");
    assert!(!unknown.head.cache_status().has("stored"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cache_status_tells_who_joined_a_fill() {
    let valve = Valve::at(CHUNK / 2);
    let (_origin, gate) = scene(Script {
        valve: Some(valve.clone()),
        ..Script::new(61, SIZE)
    })
    .await;
    let mut first = gate.client().await;
    first.send(&Request::get("/film")).await.unwrap();
    let first_head = first.head().await.unwrap();
    let mut second = gate.client().await;
    second.send(&Request::get("/film")).await.unwrap();
    let head = second.head().await.unwrap();
    valve.open();
    assert!(head.cache_status().has("collapsed"), "{head:?}");
    assert!(
        !first_head.cache_status().has("collapsed"),
        "{first_head:?}"
    );
    assert!(first.rest().await.1.is_none() && second.rest().await.1.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn cache_status_tells_stale_and_method() {
    let (_origin, gate) = scene(Script {
        cache_control: Some("max-age=1"),
        ..Script::new(62, SIZE)
    })
    .await;
    gate.get("/film").await;
    let_time_pass(Duration::from_millis(2100)).await;
    let stale = gate.get("/film").await;
    assert_eq!(forward(&stale).as_deref(), Some("stale"), "{stale}");

    let mut post = Request::new("POST", "/film");
    post.body = b"a form".to_vec();
    let passed = gate.ask(post).await;
    assert_eq!(forward(&passed).as_deref(), Some("method"), "{passed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn age_grows_while_an_object_lies_in_the_store() {
    let (_origin, gate) = scene(Script::new(63, SIZE)).await;
    gate.get("/film").await;
    let_time_pass(Duration::from_millis(2100)).await;
    let hit = gate.bytes("/film", 0, 9).await;
    let age = hit
        .head
        .header("age")
        .and_then(|age| age.parse::<u64>().ok());
    assert!(age.is_some_and(|age| (1..60).contains(&age)), "{hit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_advertised_on_every_answer_of_an_object() {
    let (_origin, gate) = scene(Script::new(64, SIZE)).await;
    for request in [
        Request::get("/film").bytes(0, 9),
        Request::get("/film"),
        Request::head("/film"),
        Request::get("/film").bytes(CHUNK, CHUNK),
    ] {
        let answer = gate.ask(request).await;
        assert_eq!(
            answer.head.header("accept-ranges"),
            Some("bytes"),
            "{answer}"
        );
        assert_eq!(answer.head.all("accept-ranges").count(), 1, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn via_names_this_hop_in_both_directions() {
    let (origin, gate) = scene(Script::new(65, SIZE)).await;
    for _ in 0..2 {
        let answer = gate.get("/film").await;
        let via = answer.head.header("via").unwrap_or_default();
        assert!(
            via.starts_with("1.1 ") && via.contains("tidegate"),
            "{answer}"
        );
    }
    assert!(
        origin.log()[0].header("via").is_some(),
        "{:#?}",
        origin.log()
    );
}

/// The contract: nothing is added beyond the documented fields.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_else_is_added() {
    let (origin, gate) = scene(Script {
        headers: vec![
            ("Content-Type", "video/mp4".into()),
            ("X-Own", "kept".into()),
        ],
        ..Script::new(66, SIZE)
    })
    .await;
    let known = [
        "content-type",
        "x-own",
        "date",
        "etag",
        "last-modified",
        "cache-control",
        "accept-ranges",
        "content-length",
        "content-range",
        "age",
        "via",
        "cache-status",
        "connection",
        "keep-alive",
    ];
    for request in [
        Request::get("/film").bytes(0, 9),
        Request::get("/film").bytes(0, 9),
        Request::get("/film"),
        Request::get("/film").header("If-None-Match", "\"v1\""),
    ] {
        let answer = gate.ask(request).await;
        for (name, _) in &answer.head.headers {
            let name = name.to_ascii_lowercase();
            assert!(known.contains(&name.as_str()), "{name} was added: {answer}");
        }
        if answer.status() != 304 {
            assert_eq!(answer.head.header("x-own"), Some("kept"), "{answer}");
        }
    }
    origin.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_passes_through_with_its_body() {
    let (origin, gate) = scene(Script::new(67, 3000)).await;
    let mut post = Request::new("POST", "/film");
    post.body = vec![b'x'; 100_000];
    for nth in 1..=2 {
        let answer = gate.ask(post.clone()).await;
        assert_eq!(
            (answer.status(), answer.body.len()),
            (200, 3000),
            "{answer}"
        );
        let log = origin.settled().await;
        assert_eq!((log.len(), log[nth - 1].received), (nth, 100_000));
        assert_eq!(log[nth - 1].method, "POST");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_serves_many_requests_of_every_kind() {
    let (_origin, gate) = scene(Script::new(68, SIZE)).await;
    let mut client = gate.client().await;
    for _ in 0..3 {
        assert_eq!(
            client
                .ask(&Request::get("/film").bytes(9, 99))
                .await
                .body
                .len(),
            91
        );
        assert_eq!(client.ask(&Request::head("/film")).await.status(), 200);
        assert_eq!(
            client
                .ask(&Request::get("/film").range("bytes=0-1,9-10"))
                .await
                .status(),
            206
        );
        assert_eq!(
            client
                .ask(&Request::get("/film").range("bytes=9999999-"))
                .await
                .status(),
            416
        );
        assert_eq!(client.ask(&Request::get("/missing")).await.status(), 404);
        let unchanged = Request::get("/film").header("If-None-Match", "\"v1\"");
        assert_eq!(client.ask(&unchanged).await.status(), 304);
        assert_eq!(
            client.ask(&Request::get("/film")).await.body.len() as u64,
            SIZE
        );
    }
}

/// What an answer leaves undone at the origin does not cost its connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_said_to_be_kept_is_kept() {
    let origin = Origin::start().await;
    let gate = Gate::before(&origin).await;
    let requests = [
        Request::get("").bytes(0, 9),
        Request::get("").bytes(CHUNK - 5, CHUNK + 5),
        Request::get("").range("bytes=-5"),
        Request::get("").range("bytes=0-1,9-10"),
        Request::get("").range("bytes=9999999-"),
        Request::get("").range("bytes=99999999999999999999-"),
        Request::get("").header("If-None-Match", "\"v1\""),
        Request::get("").header("If-Match", "\"v2\""),
        Request::head(""),
        Request::get(""),
    ];
    let mut lost = Vec::new();
    for round in 0..10 {
        for (nth, request) in requests.iter().enumerate() {
            let target = format!("/{round}/{nth}");
            origin.put(&target, Script::new(69, SIZE));
            let mut client = gate.client().await;
            let request = Request {
                target,
                ..request.clone()
            };
            let answer = client.ask(&request).await;
            let kept = answer.head.header("connection") != Some("close");
            if kept && let Err(cut) = client.try_ask(&Request::get("/missing")).await {
                lost.push(format!("{request:?}: {cut:?}"));
            }
        }
    }
    assert!(
        lost.is_empty(),
        "{} of 100 were lost after\n{}",
        lost.len(),
        lost.join("\n")
    );
}

/// RFC 9110, sections 7.6.2 and 15.5.6.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_a_hop_what_may_be_done_is_answered_by_it() {
    let origin = Origin::with(Script::new(1310, 10)).await;
    let gate = Gate::before(&origin).await;
    let options = |hops: &str| Request::new("OPTIONS", "/film").header("Max-Forwards", hops);
    for (request, status) in [(options("0"), 204), (Request::new("TRACE", "/film"), 405)] {
        let answer = gate.ask(request).await;
        assert_eq!(answer.status(), status, "{answer}");
        let allowed = answer.head.header("allow").unwrap_or_default();
        assert!(allowed.contains("GET, HEAD"), "{answer}");
    }
    assert!(origin.log().is_empty(), "{:#?}", origin.log());
    gate.ask(options("3")).await;
    gate.ask(options("many")).await;
    gate.ask(Request::get("/film").header("Max-Forwards", "0"))
        .await;
    let log = origin.settled().await;
    let hops: Vec<_> = log.iter().map(|seen| seen.header("max-forwards")).collect();
    assert_eq!(hops, [Some("2"), Some("many"), Some("0")]);
}
