//! The admin API: it answers as it is described, and only whom it should.

use crate::{
    child::outcome,
    client::{Answer, Client, Request},
    gate::{CHUNK, Gate},
    origin::{Origin, Script, Valve},
    patience::within,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

async fn ask(gate: &Gate, request: Request) -> Answer {
    Client::operator(gate.admin_address())
        .await
        .ask(&request)
        .await
}

async fn read(gate: &Gate, target: &str) -> Value {
    let answer = ask(gate, Request::get(target)).await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status(), 200, "{target}: {answer}{text}");
    serde_json::from_str(&text).unwrap()
}

async fn post(gate: &Gate, target: &str, body: Value) -> Answer {
    let mut request = Request::new("POST", target).header("Content-Type", "application/json");
    request.body = body.to_string().into_bytes();
    ask(gate, request).await
}

/// Fails unless an answer is as the description says.
fn conforms(description: &Value, path: &str, method: &str, answer: &Value) {
    let content = &description["paths"][path][method]["responses"]["200"]["content"];
    let mut schema = content["application/json"]["schema"].clone();
    assert!(schema.is_object(), "{method} {path} is not described");
    schema["components"] = description["components"].clone();
    let checker = jsonschema::draft202012::new(&schema).unwrap();
    let wrong: Vec<_> = checker
        .iter_errors(answer)
        .map(|e| format!("{} at {}", e, e.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{method} {path}: {wrong:#?}\n{answer:#}");
    // A schema that says nothing would let all pass: what is answered is also what is described.
    let described = described_fields(&schema, description);
    let answered: BTreeSet<_> = answer.as_object().unwrap().keys().cloned().collect();
    if !described.is_empty() {
        assert!(answered.is_subset(&described), "{path}: {answered:?}");
    }
}

/// The fields of the object that a schema, or what it refers to, describes.
fn described_fields(schema: &Value, description: &Value) -> BTreeSet<String> {
    let named = schema["$ref"].as_str();
    let named = named.and_then(|name| description.pointer(name.trim_start_matches('#')));
    let fields = named.unwrap_or(schema)["properties"].as_object();
    fields.into_iter().flat_map(|f| f.keys().cloned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_as_it_is_described() {
    let valve = Valve::at(2 * CHUNK);
    let origin = Origin::with(Script {
        valve: Some(valve.clone()),
        headers: vec![("Surrogate-Key", "red".into())],
        ..Script::new(160, 4 * CHUNK)
    })
    .await;
    let gate = Gate::before(&origin).await;
    // A transfer is under way, and somebody reads.
    let mut viewer = gate.client().await;
    viewer.send(&Request::get("/film")).await.unwrap();
    viewer.head().await.unwrap();
    within("the film to be listed", async {
        while read(&gate, "/api/objects").await["objects"] == json!([]) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    within("the first sample", async {
        while read(&gate, "/api/history").await["samples"] == json!([]) {
            tokio::task::yield_now().await;
        }
    })
    .await;

    let description = read(&gate, "/api/openapi.json").await;
    let film = "url=http%3A%2F%2Fmedia.test%2Ffilm";
    let id = read(&gate, "/api/objects").await["objects"][0]["id"].clone();
    let by_id = format!("/api/object?id={}", id.as_str().unwrap());
    let reads = [
        "/api/status",
        "/api/history",
        "/api/history?after=1",
        "/api/objects",
        "/api/objects?search=FILM&sort=bytes&limit=1",
        &by_id,
        &format!("/api/object?{film}"),
        "/api/origins",
        "/api/fills",
        "/api/config",
        "/api/openapi.json",
        &format!("/inspect?{film}"),
        &format!("/explain?{film}"),
    ];
    let mut asked = BTreeSet::from(["/".to_owned()]);
    for target in reads {
        let path = target.split('?').next().unwrap();
        conforms(&description, path, "get", &read(&gate, target).await);
        asked.insert(path.to_owned());
    }
    let changes = [
        ("/api/drain", json!({"draining": false})),
        ("/purge", json!({"tag": "red", "dry_run": true})),
    ];
    for (path, body) in changes {
        let answer = post(&gate, path, body).await;
        assert_eq!(answer.status(), 200, "{answer}");
        let told = serde_json::from_slice(&answer.body).unwrap();
        conforms(&description, path, "post", &told);
        asked.insert(path.to_owned());
    }
    for path in ["/metrics", "/healthz", "/readyz", "/"] {
        let answer = ask(&gate, Request::get(path)).await;
        let kind = answer.head.header("content-type").unwrap();
        let kind = kind.split(';').next().unwrap().to_owned();
        let described = &description["paths"][path]["get"]["responses"]["200"]["content"];
        assert!(described[&kind].is_object(), "{path} answers {kind}");
        asked.insert(path.to_owned());
    }
    let described = description["paths"].as_object().unwrap();
    let described: BTreeSet<_> = described.keys().cloned().collect();
    assert_eq!(asked, described);
    // And what is not described is not there.
    let nowhere = ask(&gate, Request::get("/api/nowhere")).await;
    assert_eq!(nowhere.status(), 404);
    let text = String::from_utf8(nowhere.body).unwrap();
    assert!(
        described.iter().all(|path| text.contains(path.as_str())),
        "{text}"
    );
    valve.open_to(u64::MAX);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_described() {
    let origin = Origin::start().await;
    let gate = Gate::guarded(&origin, "secret").await;
    let paths = read(&gate, "/api/openapi.json").await["paths"].clone();
    let form = || Request::new("POST", "/purge").header("Authorization", "Bearer secret");
    let large = Request {
        body: vec![b' '; 70 << 10],
        ..form().header("Content-Type", "application/json")
    };
    let elsewhere = Request::get("/api/status").header("Host", "evil.example");
    let table = [
        ("/explain", "get", Request::get("/explain"), 400),
        ("/inspect", "get", Request::get("/inspect"), 400),
        (
            "/api/objects",
            "get",
            Request::get("/api/objects?sort=size"),
            400,
        ),
        (
            "/api/objects",
            "get",
            Request::get("/api/objects?limit=501"),
            400,
        ),
        ("/api/status", "get", elsewhere, 401),
        (
            "/api/status",
            "get",
            Request::new("POST", "/api/status"),
            405,
        ),
        ("/healthz", "get", Request::new("POST", "/healthz"), 405),
        ("/purge", "post", Request::new("POST", "/purge"), 401),
        ("/purge", "post", form(), 415),
        ("/purge", "post", large, 413),
        ("/api/status", "head", Request::head("/api/status"), 200),
    ];
    for (path, method, request, status) in table {
        assert_eq!(ask(&gate, request).await.status(), status, "{path}");
        let described = &paths[path][method]["responses"][status.to_string()];
        assert!(described.is_object(), "{method} {path}: {status}");
    }
    let schemas = |path: &str| {
        let parameters = paths[path]["get"]["parameters"].as_array().unwrap();
        let named = parameters.iter().map(|p| (p["name"].as_str().unwrap(), p));
        named.collect::<std::collections::BTreeMap<_, _>>()
    };
    assert_eq!(schemas("/explain")["url"]["required"], true);
    assert_eq!(schemas("/api/object")["url"]["required"], false);
    assert_eq!(schemas("/api/objects")["limit"]["schema"]["maximum"], 500);
    let sorts = &schemas("/api/objects")["sort"]["schema"]["enum"];
    assert_eq!(sorts.as_array().unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_who_reads_where_and_what_comes_in() {
    let valve = Valve::at(CHUNK + 10);
    let origin = Origin::with(Script {
        valve: Some(valve.clone()),
        ..Script::new(161, 4 * CHUNK)
    })
    .await;
    let gate = Gate::before(&origin).await;
    let mut viewer = gate.client().await;
    viewer.send(&Request::get("/film")).await.unwrap();
    viewer.head().await.unwrap();
    let film = "/api/object?url=http%3A%2F%2Fmedia.test%2Ffilm";
    within("the film to be half there", async {
        loop {
            let found = read(&gate, film).await;
            let object = &found["objects"][0];
            let there = object["map"] == json!({"per_cell": 1, "cells": [[1, 1], [3, 0]]});
            let coming = object["coming"] == json!([[1, 1]]);
            if there && coming && object["places"] == json!([[1, 1]]) {
                assert_eq!(object["readers"], 1);
                assert_eq!(
                    object["transfers"],
                    json!([{"chunk": 1, "last": 3, "of_client": true}])
                );
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let fills = read(&gate, "/api/fills").await;
    assert_eq!(fills["total"], 1);
    assert_eq!(fills["fills"][0]["place"], "media.test/film");
    let status = read(&gate, "/api/status").await;
    assert_eq!(status["now"]["streams"], 1);
    // What is sent counts while it goes out, wherever this viewer found it.
    let bytes = &status["since_start"]["bytes"];
    let sources = ["origin", "flight", "disk"].map(|source| bytes[source].as_u64().unwrap());
    assert!(sources.iter().sum::<u64>() >= CHUNK, "{status}");
    valve.open_to(u64::MAX);
    viewer.rest().await;
    gate.get("/film").await;
    gate.until_active(0.0).await;
    let found = read(&gate, film).await;
    assert_eq!(found["objects"][0]["hits"], 1);
    assert_eq!(found["objects"][0]["places"], json!([]));
    let status = read(&gate, "/api/status").await;
    assert_eq!(status["since_start"]["requests"]["store"], 1);
    assert_eq!(status["since_start"]["first_byte"]["cached"]["count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_go_on_page_by_page() {
    let origin = Origin::start().await;
    let gate = Gate::before(&origin).await;
    for n in 0..5 {
        origin.put(&format!("/film/{n}"), Script::new(170 + n, CHUNK));
        gate.get(&format!("/film/{n}")).await;
    }
    within("all to be listed", async {
        while read(&gate, "/api/objects").await["total"] != 5 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (mut found, mut target) = (Vec::new(), "/api/objects?limit=2".to_owned());
    loop {
        let page = read(&gate, &target).await;
        let lines = page["objects"].as_array().unwrap();
        found.extend(lines.iter().map(|line| line["place"].clone()));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        target = format!("/api/objects?limit=2&after={next}");
    }
    let expected: Vec<_> = (0..5)
        .map(|n| json!(format!("media.test/film/{n}")))
        .collect();
    assert_eq!(found, expected);
    let wrong = ask(&gate, Request::get("/api/objects?order=name")).await;
    assert_eq!(wrong.status(), 400);
    let said = String::from_utf8(wrong.body).unwrap();
    assert!(
        said.contains("known here: search, sort, limit, after"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_drains_sends_load_balancers_elsewhere_and_calls_them_back() {
    let origin = Origin::with(Script::new(162, CHUNK)).await;
    let gate = Gate::before(&origin).await;
    for (draining, status) in [(true, 503), (false, 200)] {
        let answer = post(&gate, "/api/drain", json!({"draining": draining})).await;
        assert_eq!(answer.status(), 200, "{answer}");
        let ready = ask(&gate, Request::get("/readyz")).await;
        assert_eq!(ready.status(), status);
        assert_eq!(gate.get("/film").await.status(), 200);
    }
    assert_eq!(post(&gate, "/api/drain", json!({})).await.status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_from_elsewhere_reads_metrics_and_health_only() {
    let origin = Origin::with(Script::new(163, CHUNK)).await;
    let gate = Gate::before(&origin).await;
    let elsewhere = [
        ("Host", "evil.example:9090"),
        ("X-Forwarded-For", "192.0.2.1"),
    ];
    for (name, value) in elsewhere {
        for target in [
            "/api/status",
            "/api/config",
            "/api/openapi.json",
            "/inspect?url=x",
        ] {
            let answer = ask(&gate, Request::get(target).header(name, value)).await;
            assert_eq!(answer.status(), 403, "{target}: {answer}");
        }
        for target in ["/metrics", "/healthz", "/readyz", "/"] {
            let answer = ask(&gate, Request::get(target).header(name, value)).await;
            assert_eq!(answer.status(), 200, "{target}: {answer}");
        }
    }
    // A page of somebody else's changes nothing, this one's does.
    let own = format!("http://{}", gate.admin_address());
    for (page, status) in [("http://127.0.0.1:1", 403), (own.as_str(), 200)] {
        let mut request = Request::new("POST", "/api/drain")
            .header("Content-Type", "application/json")
            .header("Origin", page);
        request.body = br#"{"draining": false}"#.to_vec();
        assert_eq!(ask(&gate, request).await.status(), status, "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stats_are_told_in_words_and_in_json() {
    let origin = Origin::with(Script::new(164, 2 * CHUNK)).await;
    let gate = Gate::before(&origin).await;
    gate.get("/film").await;
    gate.get("/film").await;
    gate.until_active(0.0).await;
    let admin = format!("http://{}", gate.admin_address());
    let stats = async |more: &[&str]| {
        let output = outcome([&["stats", "--admin", &admin], more].concat()).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let told = stats(&[]).await;
    for words in ["serving", "requests", "2 (", "50.0%", "of 256.0 MiB"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let told: Value = serde_json::from_str(&stats(&["--json"]).await).unwrap();
    assert_eq!(told["since_start"]["requests"]["store"], 1);
}

/// Nobody is called healthy before anybody has looked.
#[tokio::test(flavor = "multi_thread")]
async fn the_health_of_servers_is_what_is_known_of_it() {
    let origin = Origin::with(Script::new(186, CHUNK)).await;
    let gate = Gate::before(&origin).await;
    let health = async |gate: &Gate| {
        let origins = read(gate, "/api/origins").await;
        origins["origins"][0]["servers"][0]["health"].clone()
    };
    assert_eq!(health(&gate).await, "not_asked");
    gate.get("/film").await;
    assert_eq!(health(&gate).await, "unchecked");
    let checked = Gate::with(&origin, |settings| {
        settings.origins[0].check = Some(tidegate::origin::Check {
            interval: std::time::Duration::from_millis(20),
            ..tidegate::origin::Check::of("/film".into())
        });
    })
    .await;
    let found = async { while health(&checked).await != "healthy" {} };
    within("a check to end", found).await;
}
