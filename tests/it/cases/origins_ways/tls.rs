//! TLS and HTTP/2 towards an origin.

use super::{SIZE, assert_both_ways, both_ways, sample, verify};
use crate::{
    client::{Client, Request},
    front::{Authority, Front, Style},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Cut, End, Origin, Script},
    patience::within,
};
use std::sync::Arc;
use tempfile::TempDir;
use tidegate::origin::{Config, ServerConfig, Tls};
use tokio::task::JoinSet;

const NAME: &str = "media.test";

struct Scene {
    origin: Origin,
    front: Front,
    gate: Gate,
    object: Object,
    _directory: TempDir,
}

/// An origin behind a front, and a Tidegate that is told of `scheme` and its authority.
async fn scene(
    scheme: &str,
    style: Style,
    authority: &Authority,
    change: impl FnOnce(&mut Config, &TempDir),
) -> Scene {
    let directory = tempfile::tempdir().unwrap();
    let script = Script::new(370, SIZE);
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let front = Front::before(&origin, style).await;
    let url = format!("{scheme}://{}", front.address()).parse().unwrap();
    let ca = authority.write(directory.path());
    let gate = Gate::with(&origin, |settings| {
        let config = &mut settings.origins[0];
        config.servers = vec![ServerConfig { url, weight: 1 }];
        config.sni = Some(NAME.into());
        config.tls.ca = Some(ca);
        change(config, &directory);
    })
    .await;
    Scene {
        origin,
        front,
        gate,
        object,
        _directory: directory,
    }
}

fn tls(server: Arc<rustls::ServerConfig>) -> Style {
    Style {
        tls: Some(server),
        ..Style::default()
    }
}

impl Scene {
    async fn assert_served(&self) {
        both_ways(&self.gate, &Request::get("/film"), &self.object).await;
        assert_both_ways(&self.origin.settled().await);
    }

    /// Waits until nothing is asked of the origin any more, and connections are free again.
    async fn idle(&self) {
        let idle = async {
            while self.gate.metric("origin_active_requests").await > 0.0 {
                tokio::task::yield_now().await;
            }
        };
        within("the end of all requests", idle).await;
    }

    /// Nothing is asked of a server that is not who it should be, or does not let us in.
    async fn assert_refused(&self) {
        for request in [Request::get("/film"), Request::get("/film").bytes(0, 9)] {
            let answer = self.gate.ask(request).await;
            assert_eq!(answer.status(), 502, "{answer}");
        }
        assert!(self.origin.log().is_empty());
        let failures = sample(&self.gate, "tidegate_origin_failures_total", "").await;
        assert!(failures >= 2.0, "{failures}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_certificate_of_a_trusted_authority_is_asked() {
    let authority = Authority::new();
    let server = authority.server(NAME, &["http/1.1"], None);
    let scene = scene("https", tls(server), &authority, |_, _| ()).await;
    scene.assert_served().await;
    for taken in scene.front.taken() {
        assert_eq!(taken.sni.as_deref(), Some(NAME), "{taken:?}");
        assert_ne!(taken.alpn.as_deref(), Some("h2"), "{taken:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_without_its_port_is_the_name_where_none_is_set() {
    let authority = Authority::new();
    let server = authority.server(NAME, &[], None);
    let scene = scene("https", tls(server), &authority, |config, _| {
        config.sni = None;
        config.host = Some(format!("{NAME}:8443"));
    })
    .await;
    scene.assert_served().await;
    assert_eq!(scene.front.taken()[0].sni.as_deref(), Some(NAME));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_an_unknown_authority_is_not_asked() {
    let (authority, unknown) = (Authority::new(), Authority::new());
    let server = unknown.server(NAME, &[], None);
    let scene = scene("https", tls(server), &authority, |_, _| ()).await;
    scene.assert_refused().await;
    let tls = "reason=\"tls\"";
    assert!(sample(&scene.gate, "tidegate_origin_failures_total", tls).await >= 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_another_name_is_not_asked() {
    let authority = Authority::new();
    let server = authority.server("other.test", &[], None);
    let scene = scene("https", tls(server), &authority, |_, _| ()).await;
    scene.assert_refused().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_server_is_asked_where_none_is_verified() {
    let (authority, unknown) = (Authority::new(), Authority::new());
    let server = unknown.server("other.test", &[], None);
    let scene = scene("https", tls(server), &authority, |config, _| {
        config.tls.verify = false;
    })
    .await;
    scene.assert_served().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_wants_our_certificate_is_shown_it() {
    let authority = Authority::new();
    let clients = Authority::new();
    for shows in [true, false] {
        let server = authority.server(NAME, &[], Some(&clients));
        let scene = scene("https", tls(server), &authority, |config, directory| {
            let identity = clients.write_identity(directory.path(), "tidegate.test");
            let identity = shows.then_some(identity);
            config.tls = Tls {
                identity,
                ..config.tls.clone()
            };
        })
        .await;
        match shows {
            true => {
                scene.assert_served().await;
                assert!(
                    scene
                        .front
                        .taken()
                        .iter()
                        .all(|taken| taken.has_certificate)
                );
            }
            false => scene.assert_refused().await,
        }
    }
}

/// The ways to speak HTTP/2 to an origin.
async fn over_http_2() -> [Scene; 2] {
    let authority = Authority::new();
    let server = authority.server(NAME, &["h2", "http/1.1"], None);
    let on = |config: &mut Config, _: &TempDir| config.http2 = true;
    let clear = Style {
        http2: true,
        ..Style::default()
    };
    [
        scene("https", tls(server), &authority, on).await,
        scene("http", clear, &authority, on).await,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_is_asked_over_http_2() {
    for scene in over_http_2().await {
        let part = |first, last| Request::get("/film").bytes(first, last);
        let mut statuses = Vec::new();
        for request in [
            part(10, 99),
            part(2 * CHUNK, 2 * CHUNK + 9),
            part(4 * CHUNK, 4 * CHUNK + 9),
            Request::head("/film"),
            Request::get("/missing"),
        ] {
            statuses.push(scene.gate.ask(request).await.status());
            scene.idle().await;
        }
        assert_eq!(statuses, [206, 206, 206, 200, 404]);
        assert_both_ways(&scene.origin.settled().await);
        // One connection has them all, one after the other.
        let taken = scene.front.taken();
        assert_eq!(taken.len(), 1, "{taken:?}");
        // Others may be opened where several begin at once.
        let whole = scene.gate.get("/film").await;
        verify(&scene.object, &Expected::Whole, &whole);
        let head = scene.gate.ask(Request::head("/film")).await;
        assert_eq!(head.head.length(), Some(SIZE), "{head}");
        assert!(taken[0].alpn.as_deref().is_none_or(|alpn| alpn == "h2"));
        let authority = scene.front.address().to_string();
        for seen in scene.origin.log() {
            assert_eq!(super::lines(&seen, "host"), [authority.as_str()]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_streams_over_http_2_do_not_mix() {
    for scene in over_http_2().await {
        let gate = Arc::new(scene.gate);
        let mut clients = JoinSet::new();
        for number in 0..20u64 {
            let script = Script::new(400 + number, 20 * CHUNK + number);
            let object = Object::from(&script);
            let target = format!("/{number}");
            scene.origin.put(&target, script);
            let gate = gate.clone();
            clients.spawn(async move {
                let range = format!("bytes={}-", number * CHUNK / 2);
                let part = gate.ask(Request::get(&target).range(range.as_str())).await;
                verify(&object, &object.expected(Some(&range), None), &part);
                verify(&object, &Expected::Whole, &gate.get(&target).await);
            });
        }
        clients.join_all().await;
        assert!(scene.front.taken().len() <= 20, "{:?}", scene.front.taken());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_http_2_that_nobody_reads_holds_up_no_other() {
    for scene in over_http_2().await {
        let endless = Script {
            cache_control: Some("no-store"),
            ..Script::new(372, 64 * CHUNK)
        };
        scene.origin.put("/unread", endless);
        let mut client = Client::narrow(scene.gate.address()).await;
        client.send(&Request::get("/unread")).await.unwrap();
        assert_eq!(client.head().await.unwrap().status, 200);
        for number in 0..50 {
            let script = Script::new(500 + number, 9_999);
            let object = Object::from(&script);
            let target = format!("/{number}");
            scene.origin.put(&target, script);
            verify(&object, &Expected::Whole, &scene.gate.get(&target).await);
        }
        assert_eq!(scene.front.taken().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_over_http_2_that_breaks_is_gone_on_with() {
    for scene in over_http_2().await {
        let script = Script::new(371, SIZE).twisted(|seen, script| {
            if seen.nth == 0 {
                script.cut = Some(Cut {
                    after: CHUNK + 77,
                    how: End::Close,
                });
            }
        });
        let object = Object::from(&script);
        scene.origin.put("/broken", script);
        verify(&object, &Expected::Whole, &scene.gate.get("/broken").await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_offer_http_2_is_asked_over_http_1() {
    let authority = Authority::new();
    let server = authority.server(NAME, &["http/1.1"], None);
    let scene = scene("https", tls(server), &authority, |config, _| {
        config.http2 = true;
    })
    .await;
    scene.assert_served().await;
    assert_eq!(scene.front.taken()[0].alpn.as_deref(), Some("http/1.1"));
}
