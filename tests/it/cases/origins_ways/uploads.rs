//! Requests with a body: sent once, framed once, and never at the cost of others.

use super::config;
use crate::{
    client::{Client, H2, Request},
    gate::Gate,
    origin::{Origin, Script},
    patience::within,
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

async fn scene() -> (Origin, Gate) {
    let origin = Origin::with(Script::new(970, 1000)).await;
    let gate = Gate::with(&origin, |settings| {
        settings.origins = vec![config("media", &[&origin])];
        settings.origins[0].read_timeout = Duration::from_millis(300);
        settings.origins[0].breaker.failures = 1;
    })
    .await;
    (origin, gate)
}

fn post(target: &str) -> Request {
    let mut request = Request::get(target);
    request.method = "POST".into();
    request.body = b"which film?".to_vec();
    request
}

/// Takes one request, answers it after its body's end, and returns all that came.
async fn take_one(listener: TcpListener) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut came = Vec::new();
    while !came.ends_with(b"\r\n0\r\n\r\n") {
        assert!(stream.read_buf(&mut came).await.unwrap() > 0);
    }
    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
    stream.write_all(answer).await.unwrap();
    // Whatever else there is comes before the end of the connection.
    let _ = stream.read_to_end(&mut came).await;
    String::from_utf8(came).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_http_2_ends_once() {
    let (origin, listener) = (
        Origin::with(Script::new(970, 1000)).await,
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    );
    let url = format!("http://{}", listener.local_addr().unwrap());
    let gate = Gate::with(&origin, |settings| {
        settings.origins[0].servers[0].url = url.parse().unwrap();
    })
    .await;
    let taking = tokio::spawn(take_one(listener));
    let client = H2::connect(gate.address(), 1 << 20).await;
    let answer = client.ask(&post("/film")).await;
    assert_eq!(answer.status(), 204, "{answer}");
    drop((client, gate));
    let came = within("the end of the connection", taking).await.unwrap();
    // What followed the end of a body would be read as another request.
    let (_, body) = came.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "B\r\nwhich film?\r\n0\r\n\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_pauses_in_its_body_is_not_the_servers_fault() {
    let (_origin, gate) = scene().await;
    let mut stream = tokio::net::TcpStream::connect(gate.address())
        .await
        .unwrap();
    let head = b"POST /film HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc";
    stream.write_all(head).await.unwrap();
    // Longer than the origin may be silent; there is nothing else to wait for.
    tokio::time::sleep(Duration::from_millis(900)).await;
    let text = gate.metrics().await;
    assert!(!text.contains("tidegate_origin_failures_total{"), "{text}");
    assert_eq!(gate.get("/film").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn dot_segments_are_not_put_into_a_template() {
    let origin = Origin::with(Script::new(971, 1000)).await;
    let gate = Gate::with(&origin, |settings| {
        let pattern = "^/(?<rest>.+)$".parse().unwrap();
        settings.routes[0].matcher = tidegate::proxy::Matcher::Pattern(pattern);
        let path = "/public/${rest}".parse::<String>().unwrap();
        settings.routes[0].origins[0].path =
            Some(tidegate::domain::Template::parse(&path).unwrap());
    })
    .await;
    for path in ["/../private", "/a/%2e%2e/b", "/a/.%2E/b", "/a/./b"] {
        let mut client = Client::connect(gate.address()).await;
        let answer = within("an answer", client.ask(&Request::get(path))).await;
        assert_eq!(answer.status(), 400, "{path}: {answer}");
    }
    assert!(origin.log().is_empty());
}
