//! The admin address while a new process takes over: whoever asks there is answered.

use super::Scene;
use crate::{
    child::Tidegate,
    client::{Client, Request},
    patience::{let_time_pass, within},
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::task::JoinSet;

const UPGRADES: usize = 10;

/// What operators and their machines ask for.
const TARGETS: [&str; 3] = ["/readyz", "/metrics", "/api/status"];

/// Asks over a connection of its own each time: no excuse is taken.
async fn anew(admin: SocketAddr, stop: Arc<AtomicBool>, asked: Arc<AtomicU64>) {
    while !stop.load(Relaxed) {
        for target in TARGETS {
            let answer = Client::operator(admin)
                .await
                .try_ask(&Request::get(target))
                .await;
            let answer = answer.unwrap_or_else(|cut| panic!("{target}: {cut:?}"));
            assert_eq!((answer.status(), &answer.cut), (200, &None), "{answer}");
            asked.fetch_add(1, Relaxed);
        }
    }
}

/// Asks over one connection as long as that is kept. One that was idle may be closed before the
/// request is there, which every client of HTTP has to live with: then it asks once more.
async fn kept(admin: SocketAddr, stop: Arc<AtomicBool>, asked: Arc<AtomicU64>) {
    while !stop.load(Relaxed) {
        let mut client = Client::operator(admin).await;
        for nth in 0.. {
            let answer = match client.try_ask(&Request::get("/readyz")).await {
                Ok(answer) => answer,
                Err(_) if nth > 0 => break,
                Err(cut) => panic!("a new connection: {cut:?}"),
            };
            assert_eq!((answer.status(), &answer.cut), (200, &None), "{answer}");
            asked.fetch_add(1, Relaxed);
            if answer.head.header("connection") == Some("close") || stop.load(Relaxed) {
                break;
            }
            let_time_pass(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_answered_at_every_moment_of_ten_upgrades() {
    let scene = Scene::new("1GiB").await;
    let mut tidegate = scene.run().await;
    let (stop, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut operators = JoinSet::new();
    for _ in 0..3 {
        operators.spawn(anew(tidegate.admin, stop.clone(), asked.clone()));
        operators.spawn(kept(tidegate.admin, stop.clone(), asked.clone()));
    }
    for _ in 0..UPGRADES {
        let before = asked.load(Relaxed);
        tidegate.upgrade().await;
        let served = async {
            while asked.load(Relaxed) < before + 30 {
                tokio::task::yield_now().await;
                if let Some(ended) = operators.try_join_next() {
                    ended.unwrap();
                }
            }
        };
        within("the operators to be answered on", served).await;
    }
    stop.store(true, Relaxed);
    while let Some(operator) = operators.join_next().await {
        operator.unwrap();
    }
    tidegate.first_ended().await;
    println!("{} requests", asked.load(Relaxed));
}

/// The old process has nothing else to do, and would be gone.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_begun_to_ask_the_old_process_is_answered_by_it() {
    let scene = Scene::new("1GiB").await;
    let mut tidegate = scene.run().await;
    // One that has only connected, one amid its head, one amid its body, and one that was asked
    // before: that is owed nothing.
    let mut silent = met(&tidegate).await;
    let mut begun = met(&tidegate).await;
    begun.send_raw("GET", "GET /readyz HTTP/1.1\r\nHo").await;
    let mut purging = met(&tidegate).await;
    let order = r#"{"all": true, "dry_run": true}"#;
    let (half, rest) = order.split_at(9);
    let length = order.len();
    let head = format!(
        "POST /purge HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{half}",
        tidegate.admin
    );
    purging.send_raw("POST", &head).await;
    let mut idle = met(&tidegate).await;
    assert_eq!(idle.ask(&Request::get("/readyz")).await.status(), 200);

    tidegate.upgrade().await;
    silent.send(&Request::get("/readyz")).await.unwrap();
    let tail = format!("st: {}\r\n\r\n", tidegate.admin);
    begun.send_tail(&tail).await;
    for client in [&mut silent, &mut begun] {
        let head = client.head().await.unwrap();
        assert_eq!(
            (head.status, head.header("connection")),
            (200, Some("close"))
        );
        client.rest().await;
    }
    // Later than those who say nothing are waited for.
    let_time_pass(Duration::from_millis(1500)).await;
    purging.send_tail(rest).await;
    // What the store holds is the new process's to purge by now, and that is said.
    let head = purging.head().await.unwrap();
    assert_eq!(head.status, 503, "{:?}", purging.rest().await);
    tidegate.first_ended().await;
}

/// A connection that the process has taken.
async fn met(tidegate: &Tidegate) -> Client {
    let client = Client::operator(tidegate.admin).await;
    // Connections are taken in turn.
    let mut next = Client::operator(tidegate.admin).await;
    assert_eq!(next.ask(&Request::get("/healthz")).await.status(), 200);
    client
}

async fn drain(tidegate: &Tidegate, draining: bool) {
    let mut request = Request::new("POST", "/api/drain").header("Content-Type", "application/json");
    request.body = format!("{{\"draining\": {draining}}}").into_bytes();
    let mut client = Client::operator(tidegate.admin).await;
    assert_eq!(client.ask(&request).await.status(), 200);
}

async fn readiness(tidegate: &Tidegate) -> u16 {
    let mut client = Client::operator(tidegate.admin).await;
    client.ask(&Request::get("/readyz")).await.status()
}

/// A machine that was taken out of service stays out of it until it is called back.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_outlives_an_upgrade() {
    let scene = Scene::new("1GiB").await;
    let mut tidegate = scene.run().await;
    drain(&tidegate, true).await;
    for _ in 0..2 {
        tidegate.upgrade().await;
        assert_eq!(readiness(&tidegate).await, 503);
    }
    drain(&tidegate, false).await;
    assert_eq!(readiness(&tidegate).await, 200);
    // An upgrade that fails leaves the say with whom it was.
    scene.install_script("#!/bin/sh\nexit 3\n");
    tidegate.signal(tidegate.current(), "USR2");
    tidegate.said("goes on as before", 1).await;
    drain(&tidegate, true).await;
    assert_eq!(readiness(&tidegate).await, 503);
}
