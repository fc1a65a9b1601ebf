//! Redirects of an origin: passed on, or followed without telling others who we are.

use super::{SIZE, assert_both_ways, both_ways, lines};
use crate::{
    client::Request,
    gate::Gate,
    model::Object,
    origin::{Origin, Script, Seen},
};
use http::{HeaderName, HeaderValue};
use std::fs;
use tempfile::TempDir;
use tidegate::{
    domain::HostPattern,
    origin::{Config, Credentials, Redirects, SecretSource},
};

/// An answer that sends elsewhere.
fn to(location: &str) -> Script {
    Script {
        status: 302,
        cache_control: None,
        headers: vec![("Location", location.into())],
        ..Script::new(0, 0)
    }
}

/// Follows this many redirects within the origin's own host and to these hosts.
async fn following(
    origin: &Origin,
    limit: u32,
    hosts: &[&str],
    change: impl FnOnce(&mut Config),
) -> Gate {
    let hosts = hosts.iter().map(|host| HostPattern::parse(host).unwrap());
    let redirects = Redirects {
        limit,
        hosts: hosts.collect(),
    };
    Gate::with(origin, |settings| {
        settings.origins[0].redirects = redirects;
        change(&mut settings.origins[0]);
    })
    .await
}

/// The same server under a name that is not the origin's own.
fn by_name(origin: &Origin, path: &str) -> String {
    format!("http://localhost:{}{path}", origin.address().port())
}

fn log_of(origin: &Origin, target: &str) -> Vec<Seen> {
    let log = origin.asked(target);
    assert!(!log.is_empty(), "{:#?}", origin.log());
    log
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_limit_a_redirect_is_the_clients() {
    let origin = Origin::with(to("/elsewhere")).await;
    let gate = following(&origin, 0, &[], |_| ()).await;
    for request in [Request::get("/film"), Request::get("/film").bytes(0, 9)] {
        let answer = gate.ask(request).await;
        assert_eq!(answer.status(), 302, "{answer}");
        assert_eq!(answer.head.header("location"), Some("/elsewhere"));
    }
    assert!(origin.asked("/elsewhere").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_a_host_that_is_not_named_is_the_clients() {
    let origin = Origin::start().await;
    let location = by_name(&origin, "/real");
    origin.put("/film", to(&location));
    origin.put("/real", Script::new(350, SIZE));
    let gate = following(&origin, 3, &["other.test"], |_| ()).await;
    let answer = gate.get("/film").await;
    assert_eq!(answer.status(), 302, "{answer}");
    assert_eq!(answer.head.header("location"), Some(&*location));
    assert!(origin.asked("/real").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_within_the_origin_is_followed_on_both_ways() {
    let script = Script::new(351, SIZE);
    let object = Object::from(&script);
    let origin = Origin::with(to("/step?x=1")).await;
    origin.put("/step?x=1", to("/real"));
    origin.put("/real", script);
    let gate = following(&origin, 2, &[], |_| ()).await;
    both_ways(&gate, &Request::get("/film"), &object).await;
    assert_both_ways(&log_of(&origin, "/real"));
    let head = gate.ask(Request::head("/film")).await;
    assert_eq!(head.head.length(), Some(SIZE), "{head}");
}

/// A server with several sites must know which one is asked for, after a redirect, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_within_the_origin_keeps_the_host_that_is_set() {
    let script = Script::new(352, SIZE);
    let object = Object::from(&script);
    let origin = Origin::with(to("/real")).await;
    origin.put("/real", script);
    let set = |config: &mut Config| config.host = Some("inner.example".into());
    let gate = following(&origin, 1, &[], set).await;
    both_ways(&gate, &Request::get("/film"), &object).await;
    for seen in origin.settled().await {
        assert_eq!(lines(&seen, "host"), ["inner.example"], "{seen:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_a_named_host_is_followed_on_both_ways() {
    let script = Script::new(353, SIZE);
    let object = Object::from(&script);
    let (origin, other) = (Origin::start().await, Origin::start().await);
    let location = by_name(&other, "/real?signed=1");
    origin.put("/film", to(&location));
    other.put("/real?signed=1", script);
    let gate = following(&origin, 1, &["localhost"], |_| ()).await;
    both_ways(&gate, &Request::get("/film"), &object).await;
    let log = log_of(&other, "/real?signed=1");
    assert_both_ways(&log);
    let authority = format!("localhost:{}", other.address().port());
    for seen in &log {
        assert_eq!(lines(seen, "host"), [authority.as_str()], "{seen:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_is_a_502() {
    let origin = Origin::with(to("/back")).await;
    origin.put("/back", to("/film"));
    let gate = following(&origin, 4, &[], |_| ()).await;
    for request in [
        Request::get("/film"),
        Request::get("/film").bytes(0, 9),
        Request::head("/film"),
    ] {
        let before = origin.log().len();
        let answer = gate.ask(request).await;
        assert_eq!(answer.status(), 502, "{answer}");
        // The first and four more; nothing that would be the same again is repeated.
        assert_eq!(origin.log().len() - before, 5);
    }
}

fn secrets() -> (TempDir, SecretSource) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    fs::write(&file, "hidden\n").unwrap();
    (directory, SecretSource::File(file))
}

/// Whatever names us or the client, in whatever field.
fn names_anybody(seen: &Seen) -> bool {
    let fields = seen.headers.iter().map(|(_, value)| value.as_str());
    let mut all = fields.chain([seen.target.as_str()]);
    all.any(|text| text.contains("hidden") || text.contains("theirs"))
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_never_learns_who_we_are() {
    let (_directory, secret) = secrets();
    for credentials in [
        Credentials::Bearer(secret.clone()),
        Credentials::Header {
            name: HeaderName::from_static("x-key"),
            value: secret.clone(),
        },
        Credentials::Query {
            name: "key".into(),
            value: secret.clone(),
        },
    ] {
        let script = Script::new(354, SIZE);
        let object = Object::from(&script);
        let (origin, other) = (Origin::start().await, Origin::start().await);
        let in_query = matches!(credentials, Credentials::Query { .. });
        let own = |path: &str| match in_query {
            true => format!("{path}?key=hidden"),
            false => path.to_owned(),
        };
        // First to the own host, which is to know us, then to another one.
        origin.put(&own("/film"), to("/step"));
        origin.put(&own("/step"), to(&by_name(&other, "/real")));
        other.put("/real", script);
        let gate = following(&origin, 2, &["localhost"], |config| {
            config.credentials = Some(credentials.clone());
        })
        .await;
        let request = Request::get("/film")
            .header("Cookie", "id=theirs")
            .header("X-Plain", "kept");
        both_ways(&gate, &request, &object).await;
        for seen in origin.settled().await {
            assert!(names_anybody(&seen), "{credentials:?} {seen:#?}");
        }
        let log = log_of(&other, "/real");
        assert_both_ways(&log);
        for seen in &log {
            assert!(!names_anybody(seen), "{credentials:?} {seen:#?}");
            assert_eq!(lines(seen, "x-plain"), ["kept"]);
        }
    }
}

/// The client's own words are not for another host either, where we have no credentials.
#[tokio::test(flavor = "multi_thread")]
async fn another_host_never_learns_who_the_client_is() {
    let (origin, other) = (Origin::start().await, Origin::start().await);
    origin.put("/film", to(&by_name(&other, "/real")));
    let mut script = Script::new(355, SIZE);
    script.cache_control = Some("public, max-age=3600");
    let object = Object::from(&script);
    other.put("/real", script);
    let gate = following(&origin, 2, &["localhost"], |_| ()).await;
    let request = Request::get("/film")
        .header("Authorization", "Basic theirs")
        .header("Cookie", "id=theirs");
    both_ways(&gate, &request, &object).await;
    for seen in origin.settled().await {
        assert_eq!(lines(&seen, "authorization"), ["Basic theirs"]);
        assert_eq!(lines(&seen, "cookie"), ["id=theirs"]);
    }
    for seen in log_of(&other, "/real") {
        assert!(!names_anybody(&seen), "{seen:#?}");
    }
}

/// What the operator adds for the origin is the origin's.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_in_request_rules_stay_with_the_origin() {
    let (origin, other) = (Origin::start().await, Origin::start().await);
    origin.put("/film", to(&by_name(&other, "/real")));
    let script = Script::new(356, SIZE);
    let object = Object::from(&script);
    other.put("/real", script);
    let gate = Gate::with(&origin, |settings| {
        settings.origins[0].redirects = Redirects {
            limit: 2,
            hosts: vec![HostPattern::parse("localhost").unwrap()],
        };
        let rule = |name, value| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        settings.routes[0].request_headers.set = vec![rule("authorization", "Key hidden")];
    })
    .await;
    both_ways(&gate, &Request::get("/film"), &object).await;
    for seen in origin.settled().await {
        assert_eq!(lines(&seen, "authorization"), ["Key hidden"]);
    }
    for seen in log_of(&other, "/real") {
        assert!(!names_anybody(&seen), "{seen:#?}");
    }
}
