//! Who we are to an origin: told on both ways, and to nobody else.

use super::{SIZE, assert_both_ways, both_ways, lines};
use crate::{
    client::{Answer, Request},
    gate::Gate,
    model::Object,
    origin::{Origin, Script, Seen},
};
use http::HeaderName;
use std::fs;
use tempfile::TempDir;
use tidegate::origin::{Credentials, SecretSource};

const SECRET: &str = "s3cr&t/+";

struct Scene {
    origin: Origin,
    gate: Gate,
    object: Object,
    _directory: TempDir,
}

/// An origin with an object at `target`, which only the request of one who knows the secret meets.
async fn scene(target: &str, credentials: impl FnOnce(SecretSource) -> Credentials) -> Scene {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    fs::write(&file, format!("  {SECRET}\n")).unwrap();
    let script = Script::new(360, SIZE);
    let object = Object::from(&script);
    let origin = Origin::start().await;
    origin.put(target, script);
    let gate = Gate::with(&origin, |settings| {
        settings.origins[0].credentials = Some(credentials(SecretSource::File(file)));
    })
    .await;
    Scene {
        origin,
        gate,
        object,
        _directory: directory,
    }
}

impl Scene {
    /// What the origin saw of a part and a whole; no answer tells the secret.
    async fn seen(&self, request: Request) -> Vec<Seen> {
        let answers = both_ways(&self.gate, &request, &self.object).await;
        answers.iter().for_each(assert_tells_nothing);
        let log = self.origin.settled().await;
        assert_both_ways(&log);
        log
    }
}

fn assert_tells_nothing(answer: &Answer) {
    let mut values = answer.head.headers.iter();
    assert!(!values.any(|(_, value)| tells(value)), "{answer}");
}

fn tells(text: &str) -> bool {
    [SECRET, "s3cr%26t", "dXNlcjpzM2NyJnQvKw=="]
        .iter()
        .any(|secret| text.contains(secret))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_token_takes_the_place_of_the_clients_word() {
    let scene = scene("/film", Credentials::Bearer).await;
    let request = Request::get("/film").header("Authorization", "Bearer theirs");
    // What is stored for all must not hang on a client's own word: say that it does not.
    scene.origin.change("/film", |script| {
        script.cache_control = Some("public, max-age=3600");
    });
    for seen in scene.seen(request).await {
        let expected = format!("Bearer {SECRET}");
        assert_eq!(lines(&seen, "authorization"), [expected.as_str()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_and_a_password_are_told() {
    let scene = scene("/film", |password| Credentials::Basic {
        user: "user".into(),
        password,
    })
    .await;
    for seen in scene.seen(Request::get("/film")).await {
        assert_eq!(
            lines(&seen, "authorization"),
            ["Basic dXNlcjpzM2NyJnQvKw=="]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_of_its_own_takes_the_place_of_the_clients() {
    let scene = scene("/film", |value| Credentials::Header {
        name: HeaderName::from_static("x-key"),
        value,
    })
    .await;
    let request = Request::get("/film").header("X-Key", "theirs");
    for seen in scene.seen(request).await {
        assert_eq!(lines(&seen, "x-key"), [SECRET]);
        assert_eq!(lines(&seen, "authorization"), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_parameter_is_told_and_is_not_part_of_the_key() {
    let target = "/film?a=1&key=s3cr%26t%2F%2B";
    let scene = scene(target, |value| Credentials::Query {
        name: "key".into(),
        value,
    })
    .await;
    for seen in scene.seen(Request::get("/film?a=1")).await {
        assert_eq!(seen.target, target);
    }
    // Another secret is no other object: all is there.
    let asked = scene.origin.log().len();
    fs::write(scene._directory.path().join("secret"), "other").unwrap();
    let mut gate = scene.gate;
    gate.restart().await;
    both_ways(&gate, &Request::get("/film?a=1"), &scene.object).await;
    assert_eq!(scene.origin.log().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_of_any_kind_tells_a_secret() {
    let target = "/film?key=s3cr%26t%2F%2B";
    let scene = scene(target, |value| Credentials::Query {
        name: "key".into(),
        value,
    })
    .await;
    let missing = scene.gate.get("/missing").await;
    assert_eq!(missing.status(), 404, "{missing}");
    assert_tells_nothing(&missing);
    scene.origin.change(target, |script| script.status = 503);
    for request in [Request::get("/film"), Request::head("/film")] {
        let answer = scene.gate.ask(request).await;
        assert_eq!(answer.status(), 503, "{answer}");
        assert_tells_nothing(&answer);
    }
    assert!(!tells(&scene.gate.metrics().await));
}

/// What a client changes it changes in its own name.
#[tokio::test(flavor = "multi_thread")]
async fn writing_is_done_in_the_clients_own_name() {
    let scene = scene("/film", Credentials::Bearer).await;
    let mut request = Request::new("PUT", "/film").header("Authorization", "Bearer theirs");
    request.body = b"news".to_vec();
    scene.gate.ask(request).await;
    let delete = Request::new("DELETE", "/film").header("Authorization", "Bearer theirs");
    scene.gate.ask(delete).await;
    let log = scene.origin.settled().await;
    assert_eq!(log.len(), 2, "{log:#?}");
    for seen in log {
        assert_eq!(lines(&seen, "authorization"), ["Bearer theirs"]);
    }
}
