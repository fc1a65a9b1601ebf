//! Certificates: chosen by the name that is asked for, read anew while it runs.

use crate::{
    client::{Client, Request},
    front::Authority,
    gate::Gate,
    origin::{Origin, Script},
    patience::within,
};
use rustls::pki_types::ServerName;
use std::{fs, time::Duration};
use tempfile::TempDir;
use tidegate::server::{Certificate, Tls};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

/// A certificate for a name, in files of its own.
fn identity(directory: &TempDir, authority: &Authority, name: &str, file: &str) -> Certificate {
    let place = directory.path().join(file);
    fs::create_dir_all(&place).unwrap();
    let (certificate, key) = authority.write_identity(&place, name);
    Certificate { certificate, key }
}

async fn connect(
    authority: &Authority,
    gate: &Gate,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    agree(authority, gate, name, "http/1.1").await
}

/// Connects to speak one protocol.
async fn agree(
    authority: &Authority,
    gate: &Gate,
    name: &str,
    protocol: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(gate.address()).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connecting = authority.connector(&[protocol]).connect(name, stream);
    within("a handshake", connecting).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_agreed_to_be_http_2_and_is_not_gets_no_answer() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let origin = Origin::with(Script::new(913, 1000)).await;
    let own = identity(&directory, &authority, "media.test", "own");
    let gate = Gate::with(&origin, |settings| {
        let certificates = vec![own];
        settings.listen[0].tls = Some(Tls { certificates });
    })
    .await;
    let mut stream = agree(&authority, &gate, "media.test", "h2").await.unwrap();
    let request = b"GET /film HTTP/1.1\r\nHost: media.test\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut came = Vec::new();
    let _ = within("it to be closed", stream.read_to_end(&mut came)).await;
    assert_eq!(came, b"", "{}", String::from_utf8_lossy(&came));
    assert!(origin.log().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_that_is_asked_for_chooses_the_certificate() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let origin = Origin::with(Script::new(910, 1000)).await;
    let certificates = ["first.test", "media.test", "*.video.test"];
    let certificates = certificates.map(|name| identity(&directory, &authority, name, name));
    let gate = Gate::with(&origin, |settings| {
        let certificates = certificates.to_vec();
        settings.listen[0].tls = Some(Tls { certificates });
    })
    .await;
    for name in ["first.test", "media.test", "MEDIA.test", "a.video.test"] {
        let stream = connect(&authority, &gate, name).await.unwrap();
        let answer = Client::on(stream).ask(&Request::get("/film")).await;
        assert_eq!(answer.status(), 200);
    }
    // These get the first, which is not theirs.
    for name in ["other.test", "a.b.video.test", "video.test"] {
        assert!(connect(&authority, &gate, name).await.is_err(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn renewed_certificates_are_shown_after_a_reload_and_bad_ones_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new(), Authority::new());
    let origin = Origin::with(Script::new(911, 1000)).await;
    let own = identity(&directory, &old, "media.test", "own");
    let mut gate = Gate::with(&origin, |settings| {
        let certificates = vec![own.clone()];
        settings.listen[0].tls = Some(Tls { certificates });
    })
    .await;
    let kept = connect(&old, &gate, "media.test").await.unwrap();
    let mut kept = Client::on(kept);

    fs::write(&own.key, "no key").unwrap();
    let refused = gate.reload(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("no private key"), "{refused}");
    assert!(connect(&old, &gate, "media.test").await.is_ok());

    // What this authority gives is good for long.
    const EXPIRY: &str = "tidegate_certificate_expiry_timestamp_seconds";
    let expires = gate.metric(EXPIRY).await;
    assert!(expires > 4e9, "{expires}");
    identity(&directory, &new, "media.test", "own");
    assert!(connect(&new, &gate, "media.test").await.is_err());
    gate.reload(|_| ()).unwrap();
    assert_eq!(gate.metric(EXPIRY).await, expires);
    assert!(connect(&new, &gate, "media.test").await.is_ok());
    assert!(connect(&old, &gate, "media.test").await.is_err());
    // Who was connected stays so.
    assert_eq!(kept.ask(&Request::get("/film")).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_not_ended_is_closed_and_counted() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let origin = Origin::with(Script::new(912, 1000)).await;
    let own = identity(&directory, &authority, "media.test", "own");
    let gate = Gate::with(&origin, |settings| {
        let certificates = vec![own];
        settings.listen[0].tls = Some(Tls { certificates });
        settings.clients.handshake_timeout = Duration::from_millis(200);
    })
    .await;
    for begun in [&b""[..], b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = TcpStream::connect(gate.address()).await.unwrap();
        stream.write_all(begun).await.unwrap();
        let mut came = Vec::new();
        let _ = within("it to be closed", stream.read_to_end(&mut came)).await;
    }
    gate.until("connections_refused_total", 3.0).await;
    gate.until("connections_active", 0.0).await;
}
