//! Whatever is wrong with an origin is told to the client, counted, and not stored.

use crate::{
    client::Request,
    failover::{
        Refusing, Rude, SHORT, assert_status, failing, failures, gate, impatient, no_repetition,
        silent,
    },
    gate::CHUNK,
    origin::Origin,
    patience::DEADLINE,
};
use rustls::pki_types::PrivateKeyDer;
use std::{
    io::{Read, Write},
    net::SocketAddr,
    sync::Arc,
};
use tidegate::server::Settings;
use tokio::{net::TcpListener, task::JoinHandle};

/// A way of being no good: its address stays as it is while it lives.
struct Bad {
    name: &'static str,
    address: SocketAddr,
    status: u16,
    reason: &'static str,
    _alive: Box<dyn std::any::Any>,
}

fn bad(
    name: &'static str,
    address: SocketAddr,
    status: u16,
    reason: &'static str,
    alive: impl std::any::Any,
) -> Bad {
    Bad {
        name,
        address,
        status,
        reason,
        _alive: Box::new(alive),
    }
}

async fn all_bad() -> Vec<Bad> {
    let refusing = Refusing::new();
    let stalling = silent().await;
    let resetting = Rude::resetting().await;
    let closing = Rude::closing(b"").await;
    let garbage = Rude::closing(b"\x00\xff\x16 what is this\r\n\r\nanyway\r\n\r\n").await;
    let half = Rude::closing(b"HTTP/1.1 200 OK\r\nContent-Le").await;
    let mut moved = failing(302);
    moved.headers = vec![("Location", "/film".into())];
    let looping = Origin::with(moved).await;
    vec![
        bad("refusing", refusing.address(), 502, "connect", refusing),
        bad("stalling", stalling.address(), 504, "timeout", stalling),
        bad("resetting", resetting.address(), 502, "broken", resetting),
        bad("closing", closing.address(), 502, "broken", closing),
        bad("garbage", garbage.address(), 502, "broken", garbage),
        bad("half a head", half.address(), 502, "broken", half),
        bad("looping", looping.address(), 502, "redirect", looping),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_an_origin_is_told_counted_and_not_stored() {
    for bad in all_bad().await {
        let gate = gate(&[&[bad.address]], |settings| {
            impatient(settings);
            no_repetition(settings);
            settings.origins[0].redirects.limit = 2;
        })
        .await;
        for request in [
            Request::get("/film"),
            Request::get("/film").bytes(CHUNK, 2 * CHUNK),
            Request::head("/film"),
        ] {
            let before = failures(&gate, bad.reason).await;
            let answer = gate.ask(request).await;
            assert_eq!(answer.status(), bad.status, "{}: {answer}", bad.name);
            assert!(answer.is_whole(), "{}: {answer}", bad.name);
            let after = failures(&gate, bad.reason).await;
            assert_eq!(after, before + 1.0, "{}", bad.name);
        }
        let stored = gate.metric("tidegate_store_size_bytes").await;
        assert_eq!(stored, 0.0, "{}", bad.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_without_an_address_is_a_502() {
    let gate = gate(&[&[([127, 0, 0, 1], 1).into()]], |settings| {
        settings.origins[0].servers[0].url = "http://nowhere.invalid".parse().unwrap();
        // Nobody is asked outside: a DNS server that is not there either.
        settings.resolving.timeout = SHORT;
        settings.resolving.servers = vec![Refusing::new().address()];
    })
    .await;
    assert_status(&gate, 502).await;
    assert!(failures(&gate, "resolve").await >= 1.0);
}

/// A server that speaks TLS with a certificate of its own making, and answers one request each.
struct Sealed {
    address: SocketAddr,
    certificate: rcgen::Certificate,
    accepting: JoinHandle<()>,
}

impl Sealed {
    async fn start() -> Self {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let config = config.clone();
                let stream = stream.into_std().unwrap();
                tokio::task::spawn_blocking(move || answer_sealed(stream, config));
            }
        });
        Self {
            address,
            certificate: cert,
            accepting,
        }
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Whoever does not trust the certificate ends it in the handshake: an error here is expected.
fn answer_sealed(
    mut stream: std::net::TcpStream,
    config: Arc<rustls::ServerConfig>,
) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut session = rustls::ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = rustls::Stream::new(&mut session, &mut stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsealed")
}

fn speak_tls(settings: &mut Settings, address: SocketAddr) {
    let url = format!("https://localhost:{}", address.port());
    settings.origins[0].servers[0].url = url.parse().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_a_502() {
    let sealed = Sealed::start().await;
    let distrustful = gate(&[&[sealed.address]], |settings| {
        speak_tls(settings, sealed.address);
        no_repetition(settings);
    })
    .await;
    assert_status(&distrustful, 502).await;
    assert_eq!(failures(&distrustful, "tls").await, 1.0);
    assert_eq!(distrustful.metric("tidegate_store_size_bytes").await, 0.0);

    // It was the certificate, and nothing else.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, sealed.certificate.pem()).unwrap();
    let trustful = gate(&[&[sealed.address]], |settings| {
        speak_tls(settings, sealed.address);
        settings.origins[0].tls.ca = Some(file);
    })
    .await;
    let answer = trustful.get("/film").await;
    assert_eq!(
        (answer.status(), &answer.body[..]),
        (200, &b"sealed"[..]),
        "{answer}"
    );
}

/// TLS spoken to a port that does not speak it.
#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_with_a_plain_port_is_a_502() {
    let plain = Rude::closing(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let gate = gate(&[&[plain.address()]], |settings| {
        speak_tls(settings, plain.address());
        settings.origins[0].tls_timeout = SHORT;
        no_repetition(settings);
    })
    .await;
    let answer = gate.get("/film").await;
    assert!(matches!(answer.status(), 502 | 504), "{answer}");
    let counted = failures(&gate, "tls").await + failures(&gate, "timeout").await;
    assert_eq!(counted, 1.0);
}

/// Also where a body was sent first: the wait for the head is bounded, not only that between bytes.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_never_answered_is_a_504() {
    let silent = silent().await;
    let gate = gate(&[&[silent.address()]], |settings| {
        impatient(settings);
        settings.origins[0].read_timeout = 10 * DEADLINE;
    })
    .await;
    for body in [b"".as_slice(), b"all of it"] {
        let mut request = Request::new("POST", "/film");
        request.body = body.to_vec();
        let answer = gate.ask(request).await;
        assert_eq!(answer.status(), 504, "{answer}");
    }
    assert_eq!(failures(&gate, "timeout").await, 2.0);
    assert_eq!(silent.log().len(), 2);
}
