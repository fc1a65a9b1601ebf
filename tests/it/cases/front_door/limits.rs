//! How many connections and requests there may be, and how long idle connections are kept.

use crate::{
    client::{Answer, Client, H2, Request},
    gate::Gate,
    model::{Expected, Object},
    origin::{Origin, Script, Valve},
    patience::within,
};
use std::time::Duration;
use tokio::{io::AsyncReadExt, net::TcpStream};

async fn scene(most: usize, idle: Duration) -> (Origin, Gate) {
    let origin = Origin::with(Script::new(930, 1000)).await;
    let gate = Gate::with(&origin, |settings| {
        settings.clients.max_connections = most;
        settings.clients.idle_timeout = idle;
    })
    .await;
    (origin, gate)
}

async fn is_closed(mut stream: TcpStream) -> bool {
    let mut one = [0];
    let read = within("it to be closed", stream.read(&mut one)).await;
    read.map_or(true, |read| read == 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_are_closed_and_the_others_served() {
    let (_origin, gate) = scene(3, Duration::from_secs(60)).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = gate.client().await;
        assert_eq!(client.ask(&Request::get("/film")).await.status(), 200);
        clients.push(client);
    }
    for _ in 0..5 {
        assert!(is_closed(TcpStream::connect(gate.address()).await.unwrap()).await);
    }
    for client in &mut clients {
        assert_eq!(client.ask(&Request::get("/film")).await.status(), 200);
    }
    assert_eq!(gate.metric("connections_refused_total").await, 5.0);
    assert_eq!(gate.metric("connections_active").await, 3.0);
    drop(clients);
    while gate.metric("connections_active").await > 0.0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(gate.get("/film").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_are_closed_before_and_after_a_request() {
    let (_origin, gate) = scene(100, Duration::from_secs(1)).await;
    assert!(is_closed(TcpStream::connect(gate.address()).await.unwrap()).await);
    let stream = TcpStream::connect(gate.address()).await.unwrap();
    let mut client = Client::on(stream);
    assert_eq!(client.ask(&Request::get("/film")).await.status(), 200);
    client.send_raw("GET", "").await;
    let ended = within("it to be closed", client.head()).await;
    assert!(ended.is_err());
    while gate.metric("connections_active").await > 0.0 {
        tokio::task::yield_now().await;
    }
}

fn film_for(client: &str) -> Request {
    Request::get("/film").header("x-forwarded-for", client)
}

fn is_put_off(answer: &Answer, status: u16, why: &str) {
    assert_eq!(answer.status(), status, "{answer}");
    let why = format!("detail={why}");
    assert!(answer.head.cache_status().has(&why), "{answer}");
    assert_eq!(answer.head.header("retry-after"), Some("1"), "{answer}");
}

/// Over HTTP/2 one connection brings many requests, so that the number of connections bounds nothing.
#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_limits_are_put_off_and_the_others_served() {
    let script = Script::new(931, 100_000);
    let (object, valve) = (Object::from(&script), Valve::at(1000));
    let origin = Origin::with(Script {
        valve: Some(valve.clone()),
        ..script
    })
    .await;
    let mut gate = Gate::with(&origin, |settings| {
        settings.clients.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        settings.clients.max_requests = Some(3);
        settings.clients.max_requests_per_address = Some(2);
    })
    .await;
    let h2 = H2::connect(gate.address(), 1 << 20).await;
    let (one, other, third) = ("192.0.2.1", "192.0.2.2", "192.0.2.3");
    let mut held = Vec::new();
    for client in [one, one] {
        held.push(h2.open(&film_for(client)).await);
    }
    for _ in 0..3 {
        is_put_off(&h2.ask(&film_for(one)).await, 429, "full_address");
    }
    held.push(h2.open(&film_for(other)).await);
    for _ in 0..3 {
        is_put_off(&h2.ask(&film_for(third)).await, 503, "full");
        is_put_off(&gate.ask(film_for(third)).await, 503, "full");
    }
    assert_eq!(gate.metric("requests_refused_total").await, 9.0);
    // Those who have a place keep it.
    gate.reload(|settings| settings.clients.max_requests = Some(1))
        .unwrap();
    is_put_off(&h2.ask(&film_for(third)).await, 503, "full");
    gate.reload(|settings| settings.clients.max_requests = None)
        .unwrap();
    held.push(h2.open(&film_for(third)).await);
    valve.open();
    for answer in held {
        let answer = answer.whole().await;
        object.verify(&Expected::Whole, &answer).unwrap();
    }
    gate.until_active(0.0).await;
    assert_eq!(h2.ask(&film_for(one)).await.status(), 200);
}
