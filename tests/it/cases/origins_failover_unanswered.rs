//! A server whose machine does not even answer the first packet of a connection.

use crate::{
    client::Request,
    failover::{SHORT, assert_served, failures, gate, layouts, no_repetition},
    gate::CHUNK,
    model::Object,
    origin::{Origin, Script},
    patience::within,
};
use std::{net::SocketAddr, time::Instant};
use tidegate::server::Settings;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A listener that never accepts, with its backlog full: the kernel drops what more comes.
struct Unanswering {
    listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

/// More than the least backlog holds.
const MOST: usize = 16;

impl Unanswering {
    async fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while waiting.len() < MOST {
            // On loopback a connection comes about at once, or not at all.
            match tokio::time::timeout(SHORT, TcpStream::connect(address)).await {
                Ok(stream) => waiting.push(stream.unwrap()),
                Err(_) => {
                    return Self {
                        listener,
                        _waiting: waiting,
                    };
                }
            }
        }
        panic!("a backlog of nothing took {MOST} connections");
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }
}

fn short(settings: &mut Settings) {
    no_repetition(settings);
    for origin in &mut settings.origins {
        origin.connect_timeout = SHORT;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_a_504_after_the_time_to_connect() {
    let server = Unanswering::start().await;
    let gate = gate(&[&[server.address()]], short).await;
    let requests = [
        Request::get("/film"),
        Request::get("/film").bytes(CHUNK, 2 * CHUNK),
        Request::new("POST", "/film"),
    ];
    for (nth, request) in requests.into_iter().enumerate() {
        let began = Instant::now();
        let answer = within("an answer", gate.ask(request)).await;
        assert_eq!(answer.status(), 504, "{answer}");
        assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
        assert_eq!(failures(&gate, "timeout").await, nth as f64 + 1.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_server_is_asked_in_place_of_one_that_does_not_answer() {
    let server = Unanswering::start().await;
    for (nth, layout) in [0, 1].into_iter().enumerate() {
        let script = Script::new(450 + nth as u64, 6 * CHUNK + 17);
        let object = Object::from(&script);
        let good = Origin::with(script).await;
        let layout = &layouts(server.address(), good.address())[layout];
        let gate = crate::failover::gate_of(layout, short).await;
        assert_served(&gate, &object).await;
        assert_eq!(failures(&gate, "timeout").await, 1.0);
    }
}
