//! Routes: whose request goes where, and how it looks there.

use super::{SIZE, assert_both_ways, both_ways, config, lines, route_to};
use crate::{
    client::Request,
    gate::Gate,
    model::Object,
    origin::{Origin, Script},
};
use http::{HeaderName, HeaderValue};
use tidegate::{
    domain::{FieldRules, HostPattern, Template},
    proxy::{Matcher, Route, RouteOrigin},
};

/// Origins of which each has a `/film` of its own, behind routes that a case makes.
async fn origins<const N: usize>(seeds: [u64; N]) -> Vec<Origin> {
    let mut origins = Vec::new();
    for seed in seeds {
        origins.push(Origin::with(Script::new(seed, SIZE)).await);
    }
    origins
}

fn host(text: &str) -> HostPattern {
    HostPattern::parse(text).unwrap()
}

fn pattern(text: &str) -> Matcher {
    Matcher::Pattern(regex::Regex::new(text).unwrap())
}

fn field(name: &'static str, value: &'static str) -> (HeaderName, HeaderValue) {
    (
        HeaderName::from_static(name),
        HeaderValue::from_static(value),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_chooses_the_route() {
    let all = origins([300, 301, 302]).await;
    let gate = Gate::with(&all[0], |settings| {
        let routes = [
            (vec![host("a.test")], "a"),
            (vec![host("*.b.test"), host("[::1]")], "b"),
            (vec![host("media.test")], "media"),
        ];
        settings.origins.push(config("a", &[&all[1]]));
        settings.origins.push(config("b", &[&all[2]]));
        settings.routes = routes
            .map(|(hosts, name)| Route {
                hosts,
                ..route_to(name)
            })
            .into();
    })
    .await;
    for (host, seed) in [
        ("media.test", 300),
        ("a.test", 301),
        ("A.Test:8080", 301),
        ("x.b.test", 302),
        ("x.y.b.test:80", 302),
        ("[::1]:80", 302),
    ] {
        let object = Object::from(&Script::new(seed, SIZE));
        let request = Request::get("/film").header("Host", host);
        both_ways(&gate, &request, &object).await;
    }
    for host in ["b.test", "ab.test", "x.a.test", "other.test"] {
        let answer = gate.ask(Request::get("/film").header("Host", host)).await;
        assert_eq!(answer.status(), 404, "{host}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_path_that_matches_chooses_the_route() {
    let all = origins([303, 304, 305]).await;
    for (origin, seed) in all.iter().zip([303, 304, 305]) {
        for target in ["/live/a.ts", "/live/a.m3u8", "/else"] {
            origin.put(target, Script::new(seed, SIZE));
        }
    }
    let gate = Gate::with(&all[0], |settings| {
        settings.origins.push(config("lists", &[&all[1]]));
        settings.origins.push(config("live", &[&all[2]]));
        let routes = [
            (pattern(r"\.m3u8$"), "lists"),
            (Matcher::Prefix("/live/".into()), "live"),
            (Matcher::Prefix("/".into()), "media"),
        ];
        settings.routes = routes
            .map(|(matcher, name)| Route::new(matcher, vec![RouteOrigin::named(name)]))
            .into();
    })
    .await;
    for (target, seed) in [("/live/a.m3u8", 304), ("/live/a.ts", 305), ("/else", 303)] {
        let object = Object::from(&Script::new(seed, SIZE));
        both_ways(&gate, &Request::get(target), &object).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_path_is_mapped_for_first_contact_and_fills() {
    for (template, asked, mapped) in [
        ("/store/${q}/${id}.mp4", "/w/cat/720p", "/store/720/cat.mp4"),
        (
            "/store/${q}/${id}.mp4",
            "/w/cat/720p?t=1&u=%20",
            "/store/720/cat.mp4?t=1&u=%20",
        ),
        ("/get?id=${id}", "/w/cat/720p?t=1", "/get?id=cat"),
        ("/$$${id}", "/w/c%2Ft/720p", "/$c%2Ft"),
    ] {
        let script = Script::new(306, SIZE);
        let object = Object::from(&script);
        let origin = Origin::start().await;
        origin.put(mapped, script);
        let gate = Gate::with(&origin, |settings| {
            let named = RouteOrigin {
                path: Some(Template::parse(template).unwrap()),
                ..RouteOrigin::named("media")
            };
            let matcher = pattern(r"^/w/(?<id>[^/]+)/(?<q>\d+)p$");
            settings.routes = vec![Route::new(matcher, vec![named])];
        })
        .await;
        both_ways(&gate, &Request::get(asked), &object).await;
        let log = origin.settled().await;
        assert!(log.iter().all(|seen| seen.target == mapped), "{log:#?}");
        assert_both_ways(&log);
    }
}

/// The second origin of a route is asked for a path of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_has_a_path_of_its_own() {
    let script = Script::new(307, SIZE);
    let object = Object::from(&script);
    let (first, second) = (Origin::start().await, Origin::start().await);
    second.put("/archive/cat", script);
    let gate = Gate::with(&first, |settings| {
        settings.origins.push(config("archive", &[&second]));
        let named = |name: &str, path: &str| RouteOrigin {
            path: Some(Template::parse(path).unwrap()),
            ..RouteOrigin::named(name)
        };
        let origins = vec![
            named("media", "/new/${id}"),
            named("archive", "/archive/${id}"),
        ];
        settings.routes = vec![Route {
            next_on: vec![http::StatusCode::NOT_FOUND],
            ..Route::new(pattern("^/w/(?<id>.+)$"), origins)
        }];
    })
    .await;
    both_ways(&gate, &Request::get("/w/cat"), &object).await;
    for (origin, path) in [(&first, "/new/cat"), (&second, "/archive/cat")] {
        let log = origin.settled().await;
        assert!(log.iter().all(|seen| seen.target == path), "{log:#?}");
        assert_both_ways(&log);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_for_request_fields_hold_on_both_ways() {
    let all = origins([308]).await;
    let object = Object::from(&Script::new(308, SIZE));
    let gate = Gate::with(&all[0], |settings| {
        settings.routes[0].request_headers = FieldRules {
            remove: vec![http::header::COOKIE],
            set: vec![field("x-tenant", "ours")],
            add: vec![field("x-trail", "us")],
        };
    })
    .await;
    let request = Request::get("/film")
        .header("Cookie", "secret=1")
        .header("X-Tenant", "mine")
        .header("X-Trail", "client");
    both_ways(&gate, &request, &object).await;
    let log = all[0].settled().await;
    assert_both_ways(&log);
    for seen in &log {
        assert_eq!(lines(seen, "cookie"), [""; 0], "{seen:#?}");
        assert_eq!(lines(seen, "x-tenant"), ["ours"], "{seen:#?}");
        assert_eq!(lines(seen, "x-trail"), ["client", "us"], "{seen:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_for_response_fields_hold_for_misses_and_hits() {
    let mut script = Script::new(309, SIZE);
    script.headers = vec![
        ("X-Inner", "secret".into()),
        ("X-Name", "theirs".into()),
        ("X-Trail", "origin".into()),
    ];
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::with(&origin, |settings| {
        settings.routes[0].response_headers = FieldRules {
            remove: vec![HeaderName::from_static("x-inner")],
            set: vec![field("x-name", "ours")],
            add: vec![field("x-trail", "us")],
        };
    })
    .await;
    let mut answers = Vec::from(both_ways(&gate, &Request::get("/film"), &object).await);
    answers.extend(both_ways(&gate, &Request::get("/film"), &object).await);
    answers.push(gate.ask(Request::head("/film")).await);
    let condition = Request::get("/film").header("If-None-Match", object.etag.clone().unwrap());
    answers.push(gate.ask(condition).await);
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status()).collect();
    assert_eq!(statuses, [206, 200, 206, 200, 200, 304]);
    for answer in &answers {
        let values = |name| answer.head.all(name).collect::<Vec<_>>();
        assert_eq!(values("x-inner"), [""; 0], "{answer}");
        assert_eq!(values("x-name"), ["ours"], "{answer}");
        assert_eq!(values("x-trail"), ["origin", "us"], "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_origin_sees_the_host_that_is_set_for_it() {
    let all = origins([310]).await;
    let object = Object::from(&Script::new(310, SIZE));
    for set in [Some("inner.example"), None] {
        let gate = Gate::with(&all[0], |settings| {
            settings.origins[0].host = set.map(Into::into);
        })
        .await;
        let before = all[0].log().len();
        both_ways(&gate, &Request::get("/film"), &object).await;
        let own = all[0].address().to_string();
        let log = &all[0].settled().await[before..];
        assert_both_ways(log);
        for seen in log {
            assert_eq!(lines(seen, "host"), [set.unwrap_or(&own)], "{seen:#?}");
        }
    }
}
