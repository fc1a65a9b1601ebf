//! The operators' way past the cache.

use crate::{
    client::{Answer, H2, Request},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Origin, Script},
};
use std::{io::Write, sync::Mutex};
use tempfile::NamedTempFile;
use tidegate::{origin::SecretSource, proxy::Bypass};

const SIZE: u64 = 3 * CHUNK + 5;
const SECRET: &str = "open sesame";

struct Scene {
    origin: Origin,
    gate: Gate,
    object: Mutex<Object>,
    _secret: NamedTempFile,
}

impl Scene {
    async fn new() -> Self {
        let mut secret = NamedTempFile::new().unwrap();
        writeln!(secret, "{SECRET}").unwrap();
        let script = Script::new(920, SIZE);
        let object = Object::from(&script);
        let origin = Origin::with(script).await;
        let path = secret.path().to_owned();
        let gate = Gate::with(&origin, |settings| {
            settings.clients.bypass = Some(Bypass {
                secret: SecretSource::File(path),
                header: Some(http::HeaderName::from_static("x-past")),
                parameter: Some("past".into()),
            });
        })
        .await;
        Self {
            origin,
            gate,
            object: Mutex::new(object),
            _secret: secret,
        }
    }

    /// From now on the origin has other bytes, under the same tag or another.
    fn change(&self, same_tag: bool) {
        self.origin.change("/film", |script| {
            script.content.seed += 1;
            if !same_tag {
                script.content.version += 1;
            }
            *self.object.lock().unwrap() = Object::from(&*script);
        });
    }

    fn is_current(&self, answer: &Answer) -> bool {
        let object = self.object.lock().unwrap();
        object.verify(&Expected::Whole, answer).is_ok()
    }

    fn seen_nothing_of_it(&self) {
        for seen in self.origin.log() {
            assert_eq!(seen.header("x-past"), None, "{seen:?}");
            assert!(!seen.target.contains("past"), "{seen:?}");
        }
    }
}

fn plain() -> Request {
    Request::get("/film")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_passes_the_cache_by_and_leaves_it_as_it_is() {
    let scene = Scene::new().await;
    assert!(scene.is_current(&scene.gate.ask(plain()).await));
    scene.origin.settled().await;
    scene.change(false);
    for request in [
        plain().header("X-Past", SECRET),
        Request::get("/film?past=open%20sesame"),
    ] {
        let passed = scene.gate.ask(request.clone()).await;
        assert!(scene.is_current(&passed), "{passed}");
        let status = passed.head.cache_status();
        assert_eq!(status.forward(), Some("bypass"), "{passed}");
        assert!(!status.has("stored"), "{passed}");
        let h2 = H2::connect(scene.gate.address(), 1 << 20).await;
        assert!(scene.is_current(&h2.ask(&request).await));
        let stored = scene.gate.ask(plain()).await;
        assert!(stored.head.cache_status().is_hit(), "{stored}");
        assert!(!scene.is_current(&stored));
    }
    scene.seen_nothing_of_it();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_takes_the_place_of_what_is_stored_even_under_the_same_tag() {
    for same_tag in [false, true] {
        for http2 in [false, true] {
            let scene = Scene::new().await;
            assert!(scene.is_current(&scene.gate.ask(plain()).await));
            scene.origin.settled().await;
            scene.change(same_tag);
            let refresh = plain().header("X-Past", format!("refresh:{SECRET}"));
            let fresh = match http2 {
                false => scene.gate.ask(refresh).await,
                true => {
                    let h2 = H2::connect(scene.gate.address(), 1 << 20).await;
                    h2.ask(&refresh).await
                }
            };
            assert!(scene.is_current(&fresh), "{fresh}");
            let status = fresh.head.cache_status();
            assert_eq!(status.forward(), Some("request"), "{fresh}");
            assert!(status.has("stored"), "{fresh}");
            scene.origin.settled().await;
            let asked = scene.origin.log().len();
            let stored = scene.gate.ask(plain()).await;
            assert!(scene.is_current(&stored), "{stored}");
            assert!(stored.head.cache_status().is_hit(), "{stored}");
            assert_eq!(scene.origin.log().len(), asked);
            scene.seen_nothing_of_it();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_secret_it_is_a_request_like_any_other() {
    let scene = Scene::new().await;
    for request in [
        plain().header("X-Past", "open sesam"),
        plain().header("X-Past", ""),
        Request::get("/film?past=1"),
        Request::get("/film?past=refresh:wrong"),
        plain(),
    ] {
        let answer = scene.gate.ask(request).await;
        assert!(scene.is_current(&answer), "{answer}");
        scene.origin.settled().await;
    }
    assert_eq!(scene.origin.log().len(), 1, "one key for all of them");
    scene.seen_nothing_of_it();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_fails_leaves_what_is_stored() {
    let scene = Scene::new().await;
    assert!(scene.is_current(&scene.gate.ask(plain()).await));
    scene.origin.settled().await;
    scene.origin.change("/film", |script| {
        script.status = 503;
        script.cache_control = None;
    });
    let refresh = plain().header("X-Past", format!("refresh:{SECRET}"));
    let failed = scene.gate.ask(refresh).await;
    assert!(failed.status() >= 500, "{failed}");
    let stored = scene.gate.ask(plain()).await;
    assert!(stored.head.cache_status().is_hit(), "{stored}");
    assert!(scene.is_current(&stored));
}
