//! Purging: what is purged is not served any more, what is not stays, and nothing brings it back.

use crate::{
    client::{Answer, Client, Request},
    gate::{CHUNK, Gate},
    origin::{Origin, Script, Valve},
};

fn order(body: &str) -> Request {
    let mut request = Request::new("POST", "/purge").header("Content-Type", "application/json");
    request.body = body.as_bytes().to_vec();
    request
}

async fn post(gate: &Gate, request: Request) -> Answer {
    Client::operator(gate.admin_address())
        .await
        .ask(&request)
        .await
}

/// Purges and returns how many objects were found.
async fn purge(gate: &Gate, body: &str) -> u64 {
    let answer = post(gate, order(body)).await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status(), 200, "{answer}{text}");
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    told["objects"].as_u64().unwrap()
}

fn tagged(seed: u64, field: &'static str, tags: &str) -> Script {
    Script {
        headers: vec![(field, tags.into())],
        ..Script::new(seed, 2 * CHUNK)
    }
}

/// Whether an object is answered from the store.
async fn is_stored(gate: &Gate, target: &str) -> bool {
    let range = Request::head(target);
    gate.ask(range).await.head.cache_status().is_hit()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_takes_what_it_names_and_leaves_the_rest() {
    let kinds = [
        (r#"{"url":"http://media.test/a/1"}"#, &["/a/1"][..]),
        (r#"{"prefix":"https://media.test/a/"}"#, &["/a/1", "/a/2"]),
        (r#"{"tag":"red"}"#, &["/a/2", "/b/1"]),
        (r#"{"tag":"two words"}"#, &["/b/1"]),
        (r#"{"all":true}"#, &["/a/1", "/a/2", "/b/1"]),
    ];
    let all = ["/a/1", "/a/2", "/b/1"];
    for (nth, (body, gone)) in kinds.into_iter().enumerate() {
        let origin = Origin::start().await;
        origin.put("/a/1", Script::new(900, 2 * CHUNK));
        origin.put("/a/2", tagged(901, "Surrogate-Key", "blue red"));
        origin.put("/b/1", tagged(902, "Cache-Tag", "red, two words"));
        let mut gate = Gate::before(&origin).await;
        for target in all {
            gate.get(target).await;
        }
        if nth % 2 == 1 {
            // Known from the walk only.
            gate.restart().await;
        }
        let dry = format!("{},\"dry_run\":true}}", &body[..body.len() - 1]);
        assert_eq!(purge(&gate, &dry).await, gone.len() as u64, "{body}");
        for target in all {
            assert!(
                is_stored(&gate, target).await,
                "{body}: {target} after a dry run"
            );
        }
        assert_eq!(purge(&gate, body).await, gone.len() as u64, "{body}");
        let files = |gate: &Gate| {
            let manifests = gate.files().into_iter();
            manifests
                .filter(|f| f.extension().is_some_and(|e| e == "manifest"))
                .count()
        };
        assert_eq!(
            files(&gate),
            all.len() - gone.len(),
            "{body}: manifests go first"
        );
        gate.restart().await;
        for target in all {
            let stays = !gone.contains(&target);
            assert_eq!(is_stored(&gate, target).await, stays, "{body}: {target}");
        }
        assert_eq!(purge(&gate, r#"{"tag":"nobody's"}"#).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_variants_go_with_their_url() {
    let origin = Origin::with(Script {
        vary_by: Some("X-Colour"),
        ..Script::new(910, CHUNK)
    })
    .await;
    let gate = Gate::before(&origin).await;
    for colour in ["red", "blue", "green"] {
        gate.ask(Request::get("/film").header("X-Colour", colour))
            .await;
    }
    assert_eq!(purge(&gate, r#"{"url":"http://media.test/film"}"#).await, 3);
    let before = origin.log().len();
    for colour in ["red", "blue", "green"] {
        gate.ask(Request::get("/film").header("X-Colour", colour))
            .await;
    }
    assert_eq!(origin.log().len(), before + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_softly_purged_is_revalidated() {
    let origin = Origin::with(Script::new(920, 2 * CHUNK)).await;
    let mut gate = Gate::before(&origin).await;
    for restarts in [false, true] {
        gate.get("/film").await;
        if restarts {
            gate.restart().await;
        }
        let soft = r#"{"url":"http://media.test/film","soft":true}"#;
        assert_eq!(purge(&gate, soft).await, 1);
        if restarts {
            gate.restart().await;
        }
        let before = origin.log().len();
        let answer = gate.get("/film").await;
        assert_eq!(
            answer.body,
            Script::new(920, 2 * CHUNK).content.bytes(0..2 * CHUNK)
        );
        let log = origin.settled().await;
        assert_eq!(log.len(), before + 1);
        assert_eq!((log[before].is_conditional(), log[before].sent), (true, 0));
        assert!(is_stored(&gate, "/film").await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_can_not_undo_a_purge_and_its_reader_reads_on() {
    let valve = Valve::at(2 * CHUNK);
    let script = Script {
        valve: Some(valve.clone()),
        ..Script::new(930, 6 * CHUNK)
    };
    let origin = Origin::with(script).await;
    let gate = Gate::before(&origin).await;
    let mut reader = gate.client().await;
    reader.send(&Request::get("/film")).await.unwrap();
    reader.head().await.unwrap();
    let mut body = reader.at_least(CHUNK as usize).await.unwrap();
    assert_eq!(purge(&gate, r#"{"all":true}"#).await, 1);
    valve.open();
    body.extend(reader.rest().await.0);
    assert_eq!(
        body,
        Script::new(930, 6 * CHUNK).content.bytes(0..6 * CHUNK)
    );
    let log = origin.settled().await;
    assert!(!is_stored(&gate, "/film").await);
    assert!(origin.log().len() > log.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_before_a_purge_is_not_kept() {
    for body in [r#"{"url":"http://media.test/film"}"#, r#"{"tag":"red"}"#] {
        let valve = Valve::at(0);
        let origin = Origin::with(Script {
            valve: Some(valve.clone()),
            holds_head: true,
            ..tagged(940, "Surrogate-Key", "red")
        })
        .await;
        let gate = Gate::before(&origin).await;
        let mut first = gate.client().await;
        first.send(&Request::get("/film")).await.unwrap();
        origin.wait_for("the request", |log| !log.is_empty()).await;
        assert_eq!(purge(&gate, body).await, 0);
        valve.open();
        first.head().await.unwrap();
        let (bytes, cut) = first.rest().await;
        assert_eq!((bytes.len() as u64, cut), (2 * CHUNK, None));
        let before = origin.settled().await.len();
        assert_eq!(gate.get("/film").await.status(), 200);
        assert_eq!(origin.log().len(), before + 1, "{body}");
        assert!(is_stored(&gate, "/film").await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_change_nothing() {
    let origin = Origin::with(Script::new(950, CHUNK)).await;
    let gate = Gate::guarded(&origin, "secret").await;
    gate.get("/film").await;
    let all = || order(r#"{"all":true}"#);
    for request in [all(), all().header("Authorization", "Bearer wrong")] {
        let answer = post(&gate, request).await;
        assert_eq!(answer.status(), 401, "{answer}");
        assert_eq!(answer.head.header("www-authenticate"), Some("Bearer"));
    }
    assert!(is_stored(&gate, "/film").await);
    let answer = post(&gate, all().header("Authorization", "Bearer secret")).await;
    assert_eq!(answer.status(), 200, "{answer}");
    assert!(!is_stored(&gate, "/film").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_token_lets_nobody_in_and_says_why() {
    let origin = Origin::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let token_file = Some(file.clone());
    let gate = Gate::with(&origin, |settings| {
        settings.admin.as_mut().unwrap().token_file = token_file;
    })
    .await;
    let all = || order(r#"{"all":true}"#).header("Authorization", "Bearer secret");
    for (text, why) in [
        (None, "can't be read"),
        (Some("secret\nother\n"), "has 2 lines; a token is one"),
        (Some("\n"), "holds no token"),
    ] {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let answer = post(&gate, all()).await;
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status(), 500, "{answer}");
        assert!(said.contains(why), "{said}");
    }
    std::fs::write(&file, "secret\n\n").unwrap();
    assert_eq!(post(&gate, all()).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_malformed_is_refused() {
    let origin = Origin::with(Script::new(960, CHUNK)).await;
    let gate = Gate::before(&origin).await;
    gate.get("/film").await;
    for body in [
        "{",
        r#"{"url":"/film"}"#,
        r#"{"all":true,"tag":"a"}"#,
        r#"{"every":1}"#,
    ] {
        assert_eq!(post(&gate, order(body)).await.status(), 400, "{body}");
    }
    let large = format!(r#"{{"tag":"{}"}}"#, "x".repeat(70_000));
    assert_eq!(post(&gate, order(&large)).await.status(), 413);
    let mut form = Request::new("POST", "/purge").header("Content-Type", "text/plain");
    form.body = br#"{"all":true}"#.to_vec();
    assert_eq!(post(&gate, form).await.status(), 415);
    let browser = order(r#"{"all":true}"#).header("Origin", "http://evil.test");
    assert_eq!(post(&gate, browser).await.status(), 403);
    assert_eq!(post(&gate, Request::get("/purge")).await.status(), 405);
    assert!(is_stored(&gate, "/film").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_request_is_for_those_who_are_named() {
    let origin = Origin::with(Script::new(970, CHUNK)).await;
    for (allowed, relay) in [
        (false, None),
        (true, None),
        (false, Some("Via")),
        (false, Some("X-Forwarded-For")),
    ] {
        let gate = Gate::with(&origin, |settings| {
            // This machine may by default, unless it asks for somebody else.
            if !allowed && relay.is_none() {
                settings.clients.purge_from = vec!["127.0.0.2/32".parse().unwrap()];
            }
        })
        .await;
        gate.get("/film").await;
        let mut purge = Request::new("PURGE", "/film");
        if let Some(name) = relay {
            purge = purge.header(name, "1.1 front");
        }
        let answer = gate.ask(purge).await;
        assert_eq!(answer.status(), if allowed { 200 } else { 403 }, "{answer}");
        assert_eq!(is_stored(&gate, "/film").await, !allowed);
    }
    assert!(origin.log().iter().all(|seen| seen.method != "PURGE"));
}
