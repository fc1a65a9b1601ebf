//! The PROXY protocol: load balancers say whose a connection is.

use crate::{
    child::{Tidegate, binary},
    client::{Client, Request},
    gate::Gate,
    origin::{Origin, Script},
    patience::within,
};
use ipnet::IpNet;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn scene(network: &str) -> (Origin, Gate) {
    let origin = Origin::with(Script::new(920, 1000)).await;
    let network: IpNet = network.parse().unwrap();
    let gate = Gate::with(&origin, |settings| {
        settings.listen[0].proxy_protocol = Some(vec![network]);
        settings.clients.max_connections_per_address = Some(1);
        // Whoever purges must be who they are said to be.
        settings.clients.purge_from = vec!["192.0.2.7/32".parse().unwrap()];
    })
    .await;
    (origin, gate)
}

async fn connect(gate: &Gate, header: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(gate.address()).await.unwrap();
    stream.write_all(header).await.unwrap();
    stream
}

async fn is_closed(mut stream: TcpStream) -> bool {
    let _ = stream
        .write_all(b"GET /film HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    let mut came = Vec::new();
    let _ = within("it to be closed", stream.read_to_end(&mut came)).await;
    came.is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_is_who_the_header_says() {
    let (_origin, gate) = scene("127.0.0.0/8").await;
    let by_text = b"PROXY TCP4 192.0.2.7 10.0.0.1 8080 80\r\n".to_vec();
    let mut binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    binary.extend([192, 0, 2, 7, 10, 0, 0, 1, 0x1f, 0x90, 0, 80]);
    for header in [by_text, binary] {
        let mut client = Client::on(connect(&gate, &header).await);
        assert_eq!(client.ask(&Request::get("/film")).await.status(), 200);
        // A second one of the same client is one too many, one of another is not.
        assert!(is_closed(connect(&gate, &header).await).await);
        let other = connect(&gate, b"PROXY TCP4 192.0.2.8 10.0.0.1 8080 80\r\n").await;
        let mut other = Client::on(other);
        assert_eq!(other.ask(&Request::get("/film")).await.status(), 200);
        let purge = Request::new("PURGE", "/film");
        assert_eq!(other.ask(&purge).await.status(), 403);
        assert_eq!(client.ask(&purge).await.status(), 200);
        drop((client, other));
        while gate.metric("connections_active").await > 0.0 {
            tokio::task::yield_now().await;
        }
    }
    let own = Client::on(connect(&gate, b"PROXY UNKNOWN\r\n").await);
    assert_eq!({ own }.ask(&Request::get("/film")).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_header_or_from_elsewhere_nothing_is_served() {
    let (origin, gate) = scene("127.0.0.0/8").await;
    for bytes in [
        &b"GET /film HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"PROXY TCP4 nonsense\r\n",
    ] {
        assert!(is_closed(connect(&gate, bytes).await).await);
    }
    let (_, elsewhere) = scene("10.0.0.0/8").await;
    let header = b"PROXY TCP4 192.0.2.7 10.0.0.1 8080 80\r\n";
    assert!(is_closed(connect(&elsewhere, header).await).await);
    assert!(origin.log().is_empty());
}

/// A balancer that is not listed, or does not say whose its connections are, would else be found by
/// nothing but a counter.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_closed_for_that_is_said() {
    let said_of = async |network: &str, bytes: &[u8], words: &str| {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("tidegate.yaml");
        let text = format!(
            "listen: [{{address: 127.0.0.1:0, proxy_protocol: [{network}]}}]\n\
             admin: {{address: 127.0.0.1:0}}\n\
             cache: {{directory: cache}}\n\
             origins: {{media: {{servers: [{{url: \"http://127.0.0.1:1\"}}]}}}}\n\
             routes: [{{path: /, origins: [media]}}]\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut tidegate = Tidegate::run(&binary(), &config).await;
        // Whoever is listed and only looks whether the port is open is nobody to speak of.
        drop(TcpStream::connect(tidegate.address).await.unwrap());
        let mut stream = TcpStream::connect(tidegate.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        assert!(is_closed(stream).await);
        tidegate.said(words, 1).await;
        tidegate.log()
    };
    let header = b"PROXY TCP4 192.0.2.7 10.0.0.1 8080 80\r\n";
    let unlisted = "closed a connection from 127.0.0.1: it is not in proxy_protocol";
    said_of("10.0.0.0/8", header, unlisted).await;
    let silent = "closed a connection from 127.0.0.1: it does not begin with a PROXY header";
    let lines = said_of("127.0.0.0/8", b"GET / HTTP/1.1\r\n\r\n", silent).await;
    let closed = lines.iter().filter(|line| line.contains("closed a"));
    assert_eq!(closed.count(), 1, "{lines:#?}");
}
