//! How many connections there may be, and how long idle ones are kept.

use crate::{
    client::{Client, Request},
    gate::Gate,
    origin::{Origin, Script},
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
