//! Who asks, where proxies stand in front, and what origins are told of it.

use crate::{
    client::{Client, H2, Request},
    gate::Gate,
    origin::{Origin, Script, Seen},
};
use tidegate::domain::ForwardedField;
use tokio::{io::AsyncWriteExt, net::TcpStream};

const NOBODY: &str = "192.0.2.99";

async fn scene(trusted: &[&str], field: ForwardedField) -> (Origin, Gate) {
    let origin = Origin::with(Script::new(1000, 1000)).await;
    let gate = Gate::with(&origin, |settings| {
        let trusted = trusted.iter().map(|network| network.parse().unwrap());
        settings.clients.trusted_proxies = trusted.collect();
        settings.clients.trusted_field = field;
    })
    .await;
    (origin, gate)
}

/// All that the origin was told of who asks.
fn told(seen: &Seen) -> Vec<&str> {
    let lines = seen.headers.iter();
    let lines = lines.filter(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-for"));
    lines.map(|(_, value)| value.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_is_trusted_the_last_line_is_true() {
    let (origin, gate) = scene(&[], ForwardedField::XForwardedFor).await;
    gate.ask(Request::get("/film").header("X-Forwarded-For", NOBODY))
        .await;
    gate.ask(Request::new("POST", "/film")).await;
    let log = origin.settled().await;
    assert_eq!(told(&log[0]), [NOBODY, "127.0.0.1"]);
    assert_eq!(told(&log[1]), ["127.0.0.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_trusted_proxies_ask_for_is_the_client() {
    use ForwardedField::{Forwarded, XForwardedFor};
    let all: &[&str] = &["127.0.0.0/8", "10.0.0.0/8"];
    let table: &[(&[&str], ForwardedField, &str, &str)] = &[
        (
            all,
            XForwardedFor,
            "192.0.2.99, 192.0.2.1, 10.0.0.2",
            "192.0.2.1",
        ),
        (
            all,
            XForwardedFor,
            "192.0.2.1, unknown, 10.0.0.2",
            "10.0.0.2",
        ),
        (all, XForwardedFor, "nonsense", "127.0.0.1"),
        (all, XForwardedFor, "\u{e9}, 192.0.2.1", "192.0.2.1"),
        (all, Forwarded, "for=\", for=192.0.2.1", "192.0.2.1"),
        (
            all,
            Forwarded,
            "for=\"[2001:db8::1]:4\", for=10.0.0.2",
            "2001:db8::1",
        ),
        (&["10.0.0.0/8"], XForwardedFor, NOBODY, "127.0.0.1"),
        (&["10.0.0.0/8"], Forwarded, "for=192.0.2.99", "127.0.0.1"),
    ];
    for (trusted, field, said, client) in table {
        let (origin, gate) = scene(trusted, *field).await;
        let others = [("X-Forwarded-For", NOBODY), ("Forwarded", "for=192.0.2.99")];
        for method in ["GET", "POST"] {
            let mut request = Request::new(method, "/film").header("X-Real-IP", NOBODY);
            for (name, other) in others {
                let is_field = field.name().as_str().eq_ignore_ascii_case(name);
                request = request.header(name, if is_field { said } else { other });
            }
            gate.ask(request.clone()).await;
        }
        let h2 = H2::connect(gate.address(), 1 << 20).await;
        let request = Request::new("PUT", "/film").header(field.name().as_str(), *said);
        h2.ask(&request).await;
        let log = origin.settled().await;
        assert_eq!(log.len(), 3, "{log:#?}");
        for seen in &log {
            assert_eq!(told(seen), [*client], "{said}: {seen:#?}");
            assert_eq!(seen.header("forwarded"), None, "{seen:#?}");
            assert_eq!(seen.header("x-real-ip"), None, "{seen:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_can_not_have_the_proxys_word_dropped() {
    let (origin, gate) = scene(&["127.0.0.0/8"], ForwardedField::XForwardedFor).await;
    let request = Request::get("/film").header("X-Forwarded-For", "192.0.2.1");
    gate.ask(request.header("Connection", "X-Forwarded-For"))
        .await;
    assert_eq!(told(&origin.settled().await[0]), ["192.0.2.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_header_says_who_connects() {
    let origin = Origin::with(Script::new(1001, 1000)).await;
    let gate = Gate::with(&origin, |settings| {
        settings.listen[0].proxy_protocol = Some(vec!["127.0.0.0/8".parse().unwrap()]);
        settings.clients.trusted_proxies = vec!["198.51.100.0/24".parse().unwrap()];
    })
    .await;
    for (nth, (connects, client)) in [
        ("198.51.100.1", "192.0.2.1"),
        ("203.0.113.1", "203.0.113.1"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut stream = TcpStream::connect(gate.address()).await.unwrap();
        let header = format!("PROXY TCP4 {connects} 127.0.0.1 1 2\r\n");
        stream.write_all(header.as_bytes()).await.unwrap();
        let request = Request::new("POST", "/film").header("X-Forwarded-For", "192.0.2.1");
        Client::on(stream).ask(&request).await;
        assert_eq!(told(&origin.settled().await[nth]), [client]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_origin_is_told_chooses_among_its_answers() {
    let mut script = Script::new(1002, 1000);
    script.vary_by = Some("X-Forwarded-For");
    let origin = Origin::with(script).await;
    let gate = Gate::with(&origin, |settings| {
        settings.clients.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let ask = |client: &str| gate.ask(Request::get("/film").header("X-Forwarded-For", client));
    let first = ask("192.0.2.1").await;
    let second = ask("192.0.2.2").await;
    assert_ne!(first.body, second.body);
    // What stands before the client is nobody's word, and makes no variant.
    let again = ask("203.0.113.9, 192.0.2.1").await;
    assert_eq!(again.body, first.body);
    assert_eq!(origin.settled().await.len(), 2);
}
