//! Requests of which nothing can be made: each leaves a line and is counted, wherever it is refused.

use super::Scene;
use crate::{
    client::{H2, Request},
    origin::{Origin, Script},
    patience::within,
};
use serde_json::{Value, json};
use std::time::Duration;
use tidegate::logs::Format;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

impl Scene {
    /// Sends this, and waits for the end of the connection and the line about it.
    async fn malformed(&self, sent: &[u8]) -> (String, Value) {
        let before = self.written();
        let mut stream = TcpStream::connect(self.gate.address()).await.unwrap();
        // It may be refused before all of it is read.
        let _ = stream.write_all(sent).await;
        let mut came = Vec::new();
        let _ = within("the end of it", stream.read_to_end(&mut came)).await;
        let entry = self.entries(before + 1).await.pop().unwrap();
        (String::from_utf8_lossy(&came).into_owned(), entry)
    }

    fn written(&self) -> usize {
        std::fs::read_to_string(self.path())
            .unwrap()
            .lines()
            .count()
    }

    async fn count(&self, reason: &str) -> String {
        let name = format!("tidegate_requests_malformed_total{{reason=\"{reason}\"}} ");
        let page = self.gate.metrics().await;
        let line = page.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("no {name}")).to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_malformed_gets_a_line() {
    let origin = Origin::with(Script::new(1620, 1000)).await;
    let scene = Scene::new(&origin, Format::Json, |settings| {
        settings.clients.header_timeout = Duration::from_millis(300);
    })
    .await;
    let get = |fields: &str| format!("GET /film?token=SECRET HTTP/1.1\r\n{fields}\r\n");
    let long = "x".repeat(33 << 10);
    let endless = format!("GET /film HTTP/1.1\r\nX: {}", "x".repeat(1 << 20));
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for (sent, status, reason, known) in [
        ("garbage\r\n\r\n".into(), 400, "unreadable", false),
        ("\0\u{1}\u{2}\r\n\r\n".into(), 400, "unreadable", false),
        ("GET SECRET\r\n\r\n".into(), 400, "unreadable", false),
        (
            "\x16\x03\x01 TLS SECRET\r\n\r\n".into(),
            400,
            "unreadable",
            false,
        ),
        (get("Host: a\r\nHost: b\r\n"), 400, "unreadable", false),
        (get("Host: u:SECRET@a\r\n"), 400, "unreadable", false),
        (get(""), 400, "bad-host", true),
        (
            get("Host: media.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
            400,
            "two-lengths",
            true,
        ),
        (
            get("Host: media.test\r\nTransfer-Encoding: gzip, chunked\r\n"),
            501,
            "transfer-coding",
            true,
        ),
        (
            get(&format!("Host: media.test\r\nX: {long}\r\n")),
            431,
            "request-header-too-large",
            true,
        ),
        (endless, 431, "request-header-too-large", false),
        // It never ends, and is not waited for.
        (
            "GET /film HTTP/1.1\r\nHost".into(),
            408,
            "request-header-too-slow",
            false,
        ),
        (
            "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n".into(),
            405,
            "method",
            false,
        ),
    ] {
        let (answer, entry) = scene.malformed(sent.as_bytes()).await;
        let sent = sent.get(..60).unwrap_or(&sent);
        let begin = format!("HTTP/1.1 {status} ");
        // A client that sends on may see no more than that it is cut.
        let is_told = answer.starts_with(&begin) || (status == 431 && answer.is_empty());
        assert!(is_told, "{sent:?}: {answer}");
        assert_eq!(entry["status"], status, "{sent:?}: {entry}");
        assert_eq!(entry["cache"], format!("detail={reason}"), "{entry}");
        assert_eq!(entry["client"], "127.0.0.1");
        let (method, path) = (entry.get("method"), entry.get("path"));
        match known {
            true => assert_eq!((method, path), (Some(&json!("GET")), Some(&json!("/film")))),
            false => assert_eq!((method, path), (None, None)),
        }
        let took = entry["total_ms"].as_f64().unwrap();
        assert!(status != 408 || took >= 299.0, "{entry}");
        *counts.entry(reason).or_default() += 1;
        assert_eq!(scene.count(reason).await, counts[reason].to_string());
    }
    assert!(origin.log().is_empty(), "{:#?}", origin.log());
    let lines = scene.all().await;
    assert_eq!(lines.len(), counts.values().sum::<usize>(), "{lines:#?}");
    assert!(!lines.concat().contains("SECRET"), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_request_on_a_connection_is_told_of_as_well() {
    let origin = Origin::with(Script::new(1621, 1000)).await;
    let scene = Scene::json(&origin).await;
    let good = "GET /film HTTP/1.1\r\nHost: media.test\r\n\r\n";
    for sent in [
        format!("{good}garbage\r\n\r\n"),
        format!("{good}{good}\0\r\n\r\n"),
    ] {
        scene.malformed(sent.as_bytes()).await;
    }
    let entries = scene.entries(5).await;
    let statuses = entries.iter().map(|entry| entry["status"].clone());
    assert_eq!(statuses.collect::<Vec<_>>(), [200, 400, 200, 200, 400]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_over_http_2_gets_a_line() {
    let origin = Origin::with(Script::new(1622, 1000)).await;
    let scene = Scene::json(&origin).await;
    let client = H2::connect(scene.gate.address(), 1 << 20).await;
    let film = || Request::get("/film?w=1&token=SECRET");
    for (request, status, reason, path) in [
        (
            film().header("Host", "other.test"),
            400,
            "bad-host",
            Some("/film?w=1"),
        ),
        (Request::new("CONNECT", "/"), 405, "method", None),
    ] {
        let before = scene.written();
        assert_eq!(client.ask(&request).await.status(), status);
        let entry = scene.entries(before + 1).await.pop().unwrap();
        assert_eq!(entry["status"], status, "{entry}");
        assert_eq!(entry["cache"], format!("detail={reason}"), "{entry}");
        assert_eq!(
            (&entry["client"], &entry["protocol"]),
            (&json!("127.0.0.1"), &json!("HTTP/2"))
        );
        assert_eq!(entry["method"], request.method);
        assert_eq!(entry.get("path").and_then(Value::as_str), path);
        assert_eq!(scene.count(reason).await, "1");
    }
    assert!(origin.log().is_empty(), "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_is_a_sample_of_malformed_requests_too() {
    let origin = Origin::with(Script::new(1623, 1000)).await;
    let scene = Scene::new(&origin, Format::Json, |settings| {
        settings.log.access.as_mut().unwrap().rules.sample = 0.0;
    })
    .await;
    let mut stream = TcpStream::connect(scene.gate.address()).await.unwrap();
    stream.write_all(b"garbage\r\n\r\n").await.unwrap();
    let mut came = Vec::new();
    let _ = within("the end of it", stream.read_to_end(&mut came)).await;
    assert_eq!(scene.count("unreadable").await, "1");
    let lines = scene.all().await;
    assert!(lines.is_empty(), "{lines:#?}");
}
