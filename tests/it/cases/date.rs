//! `Date` is the origin's, as it came; of answers of our own it is the time they are made.

use crate::{
    client::{Answer, Client, H2, Request},
    front::Authority,
    gate::{CHUNK, Gate},
    origin::{Origin, Script, date},
    patience::within,
};
use rustls::pki_types::ServerName;
use tidegate::server::{Certificate, Tls};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const SIZE: u64 = 2 * CHUNK;

/// A date of 2020, and a body that looks like a head.
fn script(cache_control: &'static str) -> Script {
    Script {
        headers: vec![("Date", date(3))],
        cache_control: Some(cache_control),
        ..Script::new(410, SIZE)
    }
}

/// Ten years: the date is of 2020, and an object's age is counted from it.
const LONG: &str = "max-age=315360000";

/// Every kind of answer over one connection.
async fn check(origin: &Origin, mut ask: impl AsyncFnMut(&Request) -> Answer) {
    origin.put("/film", script(LONG));
    origin.put("/page", script("no-store"));
    let film = || Request::get("/film");
    for (what, request, status) in [
        ("miss", film(), 200),
        ("hit", film(), 200),
        ("range", film().bytes(5, CHUNK + 5), 206),
        ("ranges", film().range("bytes=0-1,9-10"), 206),
        ("head", Request::head("/film"), 200),
        ("unchanged", film().header("If-None-Match", "\"v1\""), 304),
        ("passed", Request::get("/page"), 200),
        (
            "passed unchanged",
            Request::get("/page").header("If-None-Match", "\"v1\""),
            304,
        ),
    ] {
        let answer = ask(&request).await;
        assert_eq!(answer.status(), status, "{what}: {answer}");
        let dates: Vec<_> = answer.head.all("date").collect();
        assert_eq!(dates, [date(3)], "{what}: {answer}");
        origin.settled().await;
    }
    // What is refused bears the present time, and so does what comes after it without a date.
    let refused = ask(&Request::new("TRACE", "/film")).await;
    assert_eq!(refused.status(), 405, "{refused}");
    let now = refused.head.header("date").map(httpdate::parse_http_date);
    let age = now.unwrap().unwrap().elapsed().unwrap_or_default();
    assert!(age.as_secs() < 60, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_date_is_the_origins_over_plain_http_1() {
    for h2c in [true, false] {
        let origin = Origin::start().await;
        let gate = Gate::with(&origin, |settings| settings.listen[0].h2c = h2c).await;
        let mut client = gate.client().await;
        check(&origin, async |request| client.ask(request).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_of_another_form_is_written_in_the_preferred_one() {
    let origin = Origin::start().await;
    let gate = Gate::before(&origin).await;
    for (target, text) in [
        ("/old", "Sunday, 05-Jan-20 00:00:00 GMT"),
        ("/c", "Sun Jan  5 00:00:00 2020"),
    ] {
        let headers = vec![("Date", text.to_owned())];
        origin.put(
            target,
            Script {
                headers,
                ..script(LONG)
            },
        );
        for _ in 0..2 {
            let answer = gate.get(target).await;
            let written = answer.head.header("date");
            assert_eq!(written, Some("Sun, 05 Jan 2020 00:00:00 GMT"), "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_a_row_get_each_their_own_date() {
    let origin = Origin::start().await;
    let gate = Gate::before(&origin).await;
    for version in 1..=4 {
        let headers = vec![("Date", date(version))];
        origin.put(
            &format!("/{version}"),
            Script {
                headers,
                ..script(LONG)
            },
        );
    }
    let mut client = gate.client().await;
    for _ in 0..2 {
        for version in 1..=4 {
            client
                .send(&Request::get(&format!("/{version}")))
                .await
                .unwrap();
        }
        for version in 1..=4 {
            let head = client.head().await.unwrap();
            assert_eq!(head.header("date"), Some(&*date(version)), "{head:?}");
            assert_eq!(client.rest().await.0.len() as u64, SIZE);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_date_is_the_origins_in_either_protocol() {
    let origin = Origin::start().await;
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (certificate, key) = authority.write_identity(directory.path(), "media.test");
    let gate = Gate::with(&origin, |settings| {
        settings.listen[0].tls = Some(Tls {
            certificates: vec![Certificate { certificate, key }],
        });
    })
    .await;
    for alpn in [&[][..], &["http/1.1"]] {
        let stream = connect(&authority, &gate, alpn).await;
        let mut client = Client::on(stream);
        check(&origin, async |request| client.ask(request).await).await;
    }
    let stream = connect(&authority, &gate, &["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let client = H2::on(stream, 1 << 20).await;
    check(&origin, async |request| client.ask(request).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_date_is_the_origins_over_plain_http_2() {
    let origin = Origin::start().await;
    let gate = Gate::before(&origin).await;
    let client = H2::connect(gate.address(), 1 << 20).await;
    check(&origin, async |request| client.ask(request).await).await;
}

async fn connect(authority: &Authority, gate: &Gate, alpn: &[&str]) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(gate.address()).await.unwrap();
    let name = ServerName::try_from("media.test").unwrap();
    let connecting = authority.connector(alpn).connect(name, stream);
    within("a handshake", connecting).await.unwrap()
}
