//! Nobody is accepted unnoticed.

use super::*;
use crate::server::count::Count;
use async_trait::async_trait;
use parking_lot::Mutex;
use pingora_core::{
    apps::ServerApp,
    protocols::Stream,
    server::{Fds, ShutdownWatch},
    services::listening,
};
use std::{os::fd::IntoRawFd, sync::Arc};
use tokio::{net::TcpStream, task::yield_now};

/// Counts connections, each after others have had their turn.
struct Late(Count);

#[async_trait]
impl ServerApp for Late {
    async fn process_new(self: &Arc<Self>, _: Stream, _: &ShutdownWatch) -> Option<Stream> {
        for _ in 0..100 {
            yield_now().await;
        }
        std::mem::forget(self.0.enter());
        None
    }
}

#[tokio::test]
async fn whoever_was_accepted_is_counted_when_it_has_ended() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut fds = Fds::new();
    fds.add(address.to_string(), socket.into_raw_fd());
    let count = Count::default();
    let mut service = listening::Service::new("late".into(), Late(count.clone()));
    service.add_tcp(&address.to_string());
    let fds = Arc::new(Mutex::new(fds));
    let mut listening = Listening::start(vec![Box::new(service)], &fds);
    let mut clients = Vec::new();
    while count.now() == 0 {
        clients.push(TcpStream::connect(address).await.unwrap());
    }
    listening.end().await;
    let counted = count.now();
    for _ in 0..1000 {
        yield_now().await;
    }
    assert_eq!(count.now(), counted);
}
