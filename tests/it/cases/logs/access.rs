//! Lines for requests: what came of them, and nothing that is nobody's business.

use super::Scene;
use crate::{
    client::{H2, Request},
    gate::CHUNK,
    origin::{Cut, End, Origin, Script, Tag, Valve},
};
use serde_json::{Value, json};
use std::net::TcpListener;
use tidegate::{
    logs::Format,
    origin::SecretSource,
    proxy::{Bypass, Signed, SigningKey},
};

const SIZE: u64 = 3 * CHUNK + 7;

fn origin_of(entry: &Value) -> (&Value, &Value, &Value) {
    (&entry["origin"], &entry["server"], &entry["attempts"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_tells_what_came_of_a_request() {
    let origin = Origin::with(Script::new(1600, SIZE)).await;
    let scene = Scene::json(&origin).await;
    let server = json!(origin.address().to_string());
    let missing = scene.ask(Request::get("/film?b=1")).await;
    let miss = scene.ask(Request::get("/film")).await;
    let hit = scene.ask(Request::get("/film")).await;
    let part = scene.ask(Request::get("/film").bytes(5, 9)).await;
    let head = scene.ask(Request::head("/film")).await;
    let none = scene.ask(Request::get("/film").bytes(SIZE, SIZE)).await;
    let bad = scene.ask(Request::new("TRACE", "/film")).await;
    let connection = H2::connect(scene.gate.address(), 1 << 20).await;
    connection.ask(&Request::get("/film")).await;
    let http2 = scene.entries(8).await.pop().unwrap();

    assert_eq!(missing["status"], 404);
    assert_eq!(missing["path"], "/film?b=1");
    for (entry, status, bytes) in [
        (&miss, 200, SIZE),
        (&hit, 200, SIZE),
        (&part, 206, 5),
        (&head, 200, 0),
        (&none, 416, 0),
        (&http2, 200, SIZE),
    ] {
        assert_eq!(
            (&entry["status"], &entry["bytes"]),
            (&json!(status), &json!(bytes)),
            "{entry}"
        );
        assert_eq!(entry["key"], miss["key"]);
        assert_eq!(entry["key"].as_str().unwrap().len(), 16);
        assert_eq!(
            (&entry["client"], &entry["host"]),
            (&json!("127.0.0.1"), &json!("media.test"))
        );
        assert_eq!(
            (&entry["path"], &entry["route"]),
            (&json!("/film"), &json!("routes[0]"))
        );
        assert!(
            entry.get("abort").is_none() && entry["id"].is_string(),
            "{entry}"
        );
        let (first, total) = (entry["first_byte_ms"].as_f64(), entry["total_ms"].as_f64());
        assert!(
            total.unwrap() < 20_000.0 && first.unwrap_or(0.0) <= total.unwrap(),
            "{entry}"
        );
    }
    assert_eq!(miss["cache"], "fwd=miss; stored");
    // What is brought in may be on disk before its client has taken it, or on its way there when
    // the next one comes.
    for (entry, asks) in [(&miss, true), (&hit, false)] {
        let sources = entry["sources"].as_object().unwrap();
        let sum: u64 = sources.values().filter_map(Value::as_u64).sum();
        assert_eq!(
            (sum, sources.contains_key("origin")),
            (SIZE, asks),
            "{entry}"
        );
    }
    assert_eq!(origin_of(&miss), (&json!("media"), &server, &json!(1)));
    assert_eq!(hit["cache"], "hit");
    assert_eq!(origin_of(&hit), (&Value::Null, &Value::Null, &json!(0)));
    assert_eq!(
        (&part["range"], &part["method"]),
        (&json!("bytes=5-9"), &json!("GET"))
    );
    assert_eq!(
        (&head["method"], &head["protocol"]),
        (&json!("HEAD"), &json!("HTTP/1.1"))
    );
    assert_eq!(http2["protocol"], "HTTP/2");
    assert_eq!(
        (&bad["status"], &bad["cache"]),
        (&json!(405), &json!("detail=method"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_fill_brought_in_names_who_was_asked() {
    let origin = Origin::with(Script::new(1601, 8 * CHUNK)).await;
    let scene = Scene::json(&origin).await;
    scene.ask(Request::get("/film").bytes(0, 9)).await;
    let far = Request::get("/film").bytes(6 * CHUNK, 6 * CHUNK + 9);
    let partial = scene.ask(far).await;
    assert_eq!(partial["cache"], "fwd=partial; stored");
    assert_eq!(partial["origin"], "media");
    assert_eq!(partial["server"], json!(origin.address().to_string()));
    assert!(partial["attempts"].as_u64().unwrap() >= 1, "{partial}");
    assert_eq!(partial["sources"], json!({"origin": 10}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_cut_says_by_whose_doing() {
    let valve = Valve::at(CHUNK);
    let held = Script {
        valve: Some(valve.clone()),
        ..Script::new(1602, 64 * CHUNK)
    };
    let origin = Origin::with(held).await;
    let cut = Script {
        cut: Some(Cut {
            after: CHUNK,
            how: End::Reset,
        }),
        // So that nobody can tell whether what another request brings goes on with it.
        etag: Tag::None,
        last_modified: false,
        ..Script::new(1603, 8 * CHUNK)
    };
    origin.put("/cut", cut);
    let scene = Scene::json(&origin).await;
    let mut client = scene.gate.client().await;
    client.send(&Request::get("/film")).await.unwrap();
    client.head().await.unwrap();
    client.at_least(CHUNK as usize / 2).await.unwrap();
    drop(client);
    valve.open();
    let left = &scene.entries(1).await[0];
    assert_eq!(
        (&left["abort"], left.get("reason")),
        (&json!("client"), None),
        "{left}"
    );
    assert!(left["bytes"].as_u64().unwrap() < 64 * CHUNK);

    assert!(!scene.gate.get("/cut").await.is_whole());
    let cut = &scene.entries(2).await[1];
    assert_eq!(
        (&cut["abort"], &cut["reason"]),
        (&json!("origin"), &json!("broken")),
        "{cut}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_is_not_there_is_named_with_its_failure() {
    // Nobody listens where somebody has listened.
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let origin = Origin::start().await;
    let url = format!("http://{gone}").parse().unwrap();
    let scene = Scene::new(&origin, Format::Json, |settings| {
        settings.origins = vec![tidegate::origin::Config::new("media".into(), vec![url])];
        let access = settings.log.access.as_mut().unwrap();
        access.rules.sample = 0.0;
    })
    .await;
    assert_eq!(scene.gate.get("/film").await.status(), 502);
    let failed = &scene.entries(1).await[0];
    assert_eq!(
        (&failed["status"], &failed["abort"]),
        (&json!(502), &json!("origin"))
    );
    assert_eq!(
        (&failed["reason"], &failed["server"]),
        (&json!("connect"), &json!(gone.to_string()))
    );
    assert!(failed["attempts"].as_u64().unwrap() > 1, "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_leaves_out_what_went_well_and_a_reload_changes_it() {
    let origin = Origin::with(Script::new(1604, SIZE)).await;
    let mut scene = Scene::new(&origin, Format::Json, |settings| {
        settings.log.access.as_mut().unwrap().rules.sample = 0.0;
    })
    .await;
    let failing = Script {
        status: 503,
        ..Script::new(1605, 10)
    };
    origin.put("/failing", failing);
    scene.gate.get("/film").await;
    scene.gate.get("/missing").await;
    assert_eq!(scene.gate.get("/failing").await.status(), 503);
    scene.lines(1).await;
    let all = |settings: &mut tidegate::server::Settings| {
        settings.log.access.as_mut().unwrap().rules.sample = 1.0;
    };
    scene.gate.reload(all).unwrap();
    scene.gate.get("/film").await;
    let lines = scene.all().await;
    let statuses = lines
        .iter()
        .map(|line| line.parse::<Value>().unwrap()["status"].clone());
    assert_eq!(statuses.collect::<Vec<_>>(), [503, 200], "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_not_written_down() {
    let origin = Origin::with(Script::new(1606, SIZE)).await;
    let keys = tempfile::tempdir().unwrap();
    let key = |name: &str| {
        let path = keys.path().join(name);
        std::fs::write(&path, "SECRET").unwrap();
        SecretSource::File(path)
    };
    for format in [Format::Text, Format::Json] {
        let scene = Scene::new(&origin, format, |settings| {
            let mut films = settings.routes[0].clone();
            films.matcher = tidegate::proxy::Matcher::Prefix("/films/".into());
            films.access.signed = Some(Signed {
                keys: vec![SigningKey {
                    name: "k1".into(),
                    secret: key("films"),
                }],
                parameter: "pass".into(),
                cookie: Some("pass".into()),
            });
            settings.routes.insert(0, films);
            settings.clients.bypass = Some(Bypass {
                secret: key("bypass"),
                header: Some(http::HeaderName::from_static("x-bypass")),
                parameter: Some("fresh".into()),
            });
            let access = settings.log.access.as_mut().unwrap();
            access.rules.redacted = vec!["visitor".into()];
        })
        .await;
        let targets = [
            "/film?fresh=SECRET",
            "/film?w=1&%70ass=SECRET",
            "/films/7?pass=SECRET",
            "/film?X-Amz-Credential=SECRET&X-Amz-Signature=SECRET&w=2",
            "/film?visitor=SECRET&Token=SECRET",
            "http://u:SECRET@media.test/film",
            "/film",
        ];
        let mut asked = 0;
        for target in targets {
            let request = Request::get(target)
                .header("Authorization", "Bearer SECRET")
                .header("Cookie", "pass=SECRET; sid=SECRET")
                .header("X-Bypass", "SECRET")
                .header("Referer", "http://page.test/?SECRET");
            let answer = scene.gate.client().await.try_ask(&request).await;
            asked += usize::from(answer.is_ok_and(|it| it.head.header("cache-status").is_some()));
        }
        assert!(asked >= 6, "{asked}");
        scene.lines(asked).await;
        let text = scene.all().await.join("\n");
        assert!(!text.contains("SECRET"), "{text}");
        assert!(
            text.contains("/film?w=1") && text.contains("/film?w=2"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_send_forges_no_line() {
    let origin = Origin::with(Script::new(1607, SIZE)).await;
    for format in [Format::Text, Format::Json] {
        let scene = Scene::new(&origin, format, |settings| {
            settings.clients.request_id.trust = tidegate::domain::Trust::Everybody;
        })
        .await;
        let forged = "x\" status=999 \"status\":999,\\";
        let requests = [
            Request::get("/film?a=\"%0astatus=999").range(forged),
            Request::get("/film?a=\\").range("bytes=0-1\t status=999"),
            Request::get("/film").header("X-Request-Id", forged),
            Request::get("/film\u{85}\u{2028}status=999"),
            Request::new("\"STATUS=999\"", "/film"),
            Request::get("/film").header("Host", "media.test\"status=999"),
        ];
        for request in &requests {
            // What is no HTTP gets a line as well.
            let _ = scene.gate.client().await.try_ask(request).await;
        }
        scene.lines(requests.len()).await;
        let lines = scene.all().await;
        assert_eq!(lines.len(), requests.len(), "{lines:#?}");
        for line in lines {
            let status = match format {
                Format::Json => line.parse::<Value>().unwrap()["status"].as_u64(),
                Format::Text => {
                    // Outside of quotes it stands once.
                    let bare = line.replace("\\\\", "").replace("\\\"", "");
                    let bare: String = bare.split('"').step_by(2).collect();
                    let mut fields = bare.split(' ').filter_map(|it| it.strip_prefix("status="));
                    let status = fields.next().and_then(|it| it.parse().ok());
                    assert_eq!(fields.next(), None, "{line}");
                    status
                }
            };
            assert!(status.is_some_and(|status| status != 999), "{line}");
        }
    }
}
