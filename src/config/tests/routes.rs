//! Routes: what they take, whom they ask for what, and which of them are never reached.

use super::super::parse;
use super::{altered, mistakes};
use crate::{
    domain::{FieldRules, HostPattern, QueryRules, Template},
    proxy::{KeyRules, Matcher, Route, RouteOrigin},
    traffic::{Burst, Features, Pace, Sending},
};
use std::time::Duration;

const TWO_ORIGINS: &str =
    "origins: {media: {servers: [{url: \"http://x\"}]}, other: {servers: [{url: \"http://y\"}]}}";

fn read(routes: &str) -> Vec<Route> {
    let text = altered(&format!("{TWO_ORIGINS}\nroutes: {routes}"));
    parse(&text)
        .unwrap_or_else(|mistakes| panic!("{routes}: {mistakes}"))
        .routes
}

#[test]
fn what_is_left_out_has_the_default_of_its_type() {
    let prefix = Matcher::Prefix("/".into());
    let default = Route::new(prefix, vec![RouteOrigin::named("media")]);
    for keys in [
        "",
        "key: , features: , delivery: , request_headers: , response_headers: , ttl: ",
    ] {
        let routes = read(&format!("[{{path: /, origins: [media], {keys}}}]"));
        assert_eq!(format!("{routes:?}"), format!("{:?}", [&default]), "{keys}");
    }
}

#[test]
fn each_key_of_a_route_is_set() {
    let routes = read(
        r#"
  - host: [Video.example.com, "*.example.org", "[::1]"]
    pattern: ^/films/(?<id>[0-9]+)\.(?<kind>mp4|webm)$
    origins:
      - media
      - {origin: other, path: "/orig/${id}?kind=${kind}&price=$$1", ttl: 30s}
      - {origin: media, path: /last, ttl: 0s}
      - {origin: other}
    origin_path: /store/${id}.mp4
    next_on: [404, 403]
    request_headers: {set: {X-A: b}, add: {X-B: "1"}, remove: [Cookie, X-C]}
    response_headers: {set: {Server: x, X-D: y}}
    key: {ignore_signatures: true, ignore_query: [utm_source, "a[]"]}
    pace: {burst: 10s, rate: 1MiB, times: 2}
    prefetch: {segments: 2, at_a_time: 8, max_size: 1MiB}
    delivery: {range: {segment: 64KiB, least_time: 1s}, whole: {min_rate: 1MiB}}
    features: {breaker: false, priority_queue: false, speculation: true, preconnect: true,
               hedging: true, parallel_fetches: false}
  - {host: one.example, path: /, origins: [media]}
"#,
    );
    let route = &routes[0];
    let ahead = route
        .prefetch
        .map(|it| (it.segments, it.at_a_time, it.max_size));
    assert_eq!(ahead, Some((2, 8, 1 << 20)));
    let hosts = ["video.example.com", "*.example.org", "[::1]"];
    let host = |text| HostPattern::parse(text).unwrap();
    assert_eq!(route.hosts, hosts.map(host));
    let leg = |name, path, ttl: Option<u64>| RouteOrigin {
        path: Some(Template::parse(path).unwrap()),
        ttl: ttl.map(Duration::from_secs),
        ..RouteOrigin::named(name)
    };
    assert_eq!(
        route.origins,
        [
            leg("media", "/store/${id}.mp4", None),
            leg("other", "/orig/${id}?kind=${kind}&price=$$1", Some(30)),
            leg("media", "/last", Some(0)),
            leg("other", "/store/${id}.mp4", None),
        ]
    );
    assert_eq!(route.next_on, [404, 403]);
    let field = |name: &str, value: &str| (name.parse().unwrap(), value.parse().unwrap());
    assert_eq!(
        route.request_headers,
        FieldRules {
            remove: ["cookie", "x-c"].map(|name| name.parse().unwrap()).to_vec(),
            set: vec![field("x-a", "b")],
            add: vec![field("x-b", "1")],
        }
    );
    assert_eq!(
        route.response_headers.set,
        [field("server", "x"), field("x-d", "y")]
    );
    assert_eq!(
        route.key,
        KeyRules {
            query: QueryRules {
                ignores_signatures: true,
                ignored: vec!["utm_source".into(), "a[]".into()],
                ..QueryRules::default()
            },
            ..KeyRules::default()
        }
    );
    let mut sending = Sending::default();
    sending.range.segment = 64 << 10;
    sending.range.least_time = Duration::from_secs(1);
    sending.whole.min_rate = 1 << 20;
    assert_eq!(route.sending, sending);
    assert_eq!(
        route.pace,
        Some(Pace {
            burst: Burst::Time(Duration::from_secs(10)),
            rate: 1 << 20,
            times: Some(2.0),
        })
    );
    assert_eq!(
        route.features,
        Features {
            breaker: false,
            priority_queue: false,
            speculation: true,
            preconnect: true,
            hedging: true,
            parallel_fetches: false,
        }
    );
    assert_eq!(routes[1].hosts, [host("one.example")]);
}

#[test]
fn routes_that_differ_in_hosts_are_reached() {
    for routes in [
        "[{host: a.x, path: /, origins: [media]}, {path: /, origins: [media]}]",
        "[{host: a.x, path: /, origins: [media]}, {host: '*.x', path: /, origins: [media]}]",
        "[{host: '*.x', path: /, origins: [media]}, {host: x, path: /, origins: [media]}]",
        "[{host: a.x, path: /, origins: [media]}, {host: [a.x, b.x], path: /, origins: [media]}]",
        "[{host: a.x, path: /a, origins: [media]}, {host: a.x, path: /, origins: [media]}]",
    ] {
        assert_eq!(read(routes).len(), 2, "{routes}");
    }
}

#[test]
fn each_route_that_is_never_reached_is_told_with_those_that_take_its_requests() {
    for (earlier, later, expected) in [
        (
            "path: /",
            "host: a.x, path: /b",
            "routes[0] (path \"/\") takes",
        ),
        (
            "host: a.x, path: /",
            "host: A.X, pattern: ^/b",
            "routes[0] (host \"a.x\", path \"/\") takes",
        ),
        (
            "host: '*.x', path: /",
            "host: [a.x, '*.b.x'], path: /",
            "routes[0] (host \"*.x\", path \"/\") takes",
        ),
        (
            "host: a.x, path: /, origins: [media]}, {host: [b.x, c.x], path: /b",
            "host: [b.x, a.x, c.x], path: /b/c",
            "routes[0] (host \"a.x\", path \"/\") and routes[1] (host \"b.x, c.x\", path \"/b\") take",
        ),
    ] {
        let routes =
            format!("routes: [{{{earlier}, origins: [media]}}, {{{later}, origins: [media]}}]");
        let told = mistakes(&altered(&routes));
        assert_eq!(told.len(), 1, "{told:?}");
        let (_, message) = told[0].split_once("]: ").unwrap();
        assert_eq!(
            message,
            format!("never reached: {expected} its requests"),
            "{routes}"
        );
    }
}

#[test]
fn each_mistake_in_a_route_is_told() {
    for (keys, expected) in WRONG {
        let lines = format!("{TWO_ORIGINS}\nroutes: [{{{keys}}}]");
        assert_eq!(
            mistakes(&altered(&lines)),
            [format!("routes[0].{expected}")],
            "{keys}"
        );
    }
}

#[rustfmt::skip]
const WRONG: &[(&str, &str)] = &[
    ("path: /, origins: [media], hosts: x", "hosts: unknown key; did you mean host? (known here: host, path, pattern, variants, origin_path, origins, next_on, request_headers, response_headers, key, ttl, freshness, chunk_size, min_size, max_size, mode, delivery, pace, finish_when, debug_headers, features, access, rate, cors, prefetch, tier)"),
    ("path: /, origins: [media], host: 'x:80'", "host: expected a host without port such as video.example.com, or *.example.com for all below it, found \"x:80\""),
    ("path: /, origins: [media], host: []", "host: expected a list of at least one host, found an empty list"),
    ("path: /, origins: [media], host: [x, y, X]", "host[2]: stands earlier in this list already"),
    ("path: /, origins: [5]", "origins[0]: expected the name of an origin, found 5"),
    ("path: /, origins: [{path: /a}]", "origins[0].origin: required, but missing"),
    ("path: /, origins: [{origin: medai}]", "origins[0].origin: there is no origin \"medai\"; did you mean media?"),
    ("path: /, origins: [{origin: media, name: x}]", "origins[0].name: unknown key (known here: origin, path, ttl)"),
    ("path: /, origins: [{origin: media, ttl: 5}]", "origins[0].ttl: expected a duration such as 250ms, 10s or 5m, found 5"),
    ("path: /, origins: [media, {origin: media, ttl: 5s}]", "origins[1]: stands earlier in this list already"),
    ("path: /, origin_path: /a, origins: [media, {origin: media, path: /a}]", "origins[1]: stands earlier in this list already"),
    ("path: /, origins: [{origin: media, path: '/${id}'}]", "origins[0].path: nothing to fill ${id} with: a route by path has no named groups; use pattern"),
    ("path: /, origins: [media], origin_path: '/${id}'", "origin_path: nothing to fill ${id} with: a route by path has no named groups; use pattern"),
    ("pattern: '^/(?<film>.)', origins: [media], origin_path: '/${flim}'", "origin_path: the route's pattern has no group named flim; did you mean film? (known here: film)"),
    ("pattern: '^/(.)', origins: [media], origin_path: '/${id}'", "origin_path: the route's pattern has no group named id (it has none)"),
    ("pattern: '^/(?<id>.)', origins: [media], origin_path: 'store/${id}'", "origin_path: expected a path from its \"/\" on such as /store/${id}.mp4, found \"store/${id}\""),
    ("pattern: '^/(?<id>.)', origins: [media], origin_path: '${id}'", "origin_path: expected a path from its \"/\" on such as /store/${id}.mp4, found \"${id}\""),
    ("pattern: '^/(?<id>.)', origins: [media], origin_path: '/a b'", "origin_path: expected a path from its \"/\" on such as /store/${id}.mp4, found \"/a b\""),
    ("pattern: '^/(?<id>.)', origins: [media], origin_path: '/$id'", "origin_path: expected a path from its \"/\" on such as /store/${id}.mp4, found \"/$id\": a \"$\" must be followed by {name}, or be written \"$$\""),
    ("path: /, origins: [media], next_on: 404", "next_on: expected a list of at least one status, found 404"),
    ("path: /, origins: [media], next_on: [500]", "next_on[0]: expected a whole number from 400 to 499, found 500"),
    ("path: /, origins: [media], next_on: [404, 404]", "next_on[1]: stands earlier in this list already"),
    ("path: /, origins: [media], request_headers: {set: [X]}", "request_headers.set: expected a mapping of at least one header field to its value, found a list"),
    ("path: /, origins: [media], request_headers: {set: {}}", "request_headers.set: expected a mapping of at least one header field to its value, found an empty mapping"),
    ("path: /, origins: [media], request_headers: {set: {X-A: 5}}", "request_headers.set.X-A: expected the value of a header field, a text in ASCII on one line, found 5"),
    ("path: /, origins: [media], request_headers: {add: {X-A: \"a\\nb\"}}", "request_headers.add.X-A: expected the value of a header field, a text in ASCII on one line, found \"a\\nb\""),
    ("path: /, origins: [media], request_headers: {add: {X A: b}}", "request_headers.add.\"X A\": expected the name of a header field, found \"X A\""),
    ("path: /, origins: [media], request_headers: {set: {X-A: b, x-a: c}}", "request_headers.set.x-a: stands earlier in other letters already"),
    ("path: /, origins: [media], request_headers: {set: {X-A: b, X-A: c}}", "request_headers.set.X-A: given more than once; a key may stand only once"),
    ("path: /, origins: [media], request_headers: {remove: Cookie}", "request_headers.remove: expected a list of at least one header field, found \"Cookie\""),
    ("path: /, origins: [media], request_headers: {remove: [Cookie, cookie]}", "request_headers.remove[1]: stands earlier in this list already"),
    ("path: /, origins: [media], request_headers: {delete: [Cookie]}", "request_headers.delete: unknown key (known here: set, add, remove)"),
    ("path: /, origins: [media], request_headers: {set: {Host: x}}", "request_headers.set.Host: host cannot be changed: origins.*.host is for that"),
    ("path: /, origins: [media], request_headers: {remove: [Range]}", "request_headers.remove[0]: range cannot be changed: what to ask for is the cache's to say"),
    ("path: /, origins: [media], request_headers: {remove: [If-None-Match]}", "request_headers.remove[0]: if-none-match cannot be changed: conditions are the cache's to set"),
    ("path: /, origins: [media], request_headers: {add: {Content-Length: '5'}}", "request_headers.add.Content-Length: content-length cannot be changed: it belongs to the connection"),
    ("path: /, origins: [media], response_headers: {set: {Transfer-Encoding: x}}", "response_headers.set.Transfer-Encoding: transfer-encoding cannot be changed: it belongs to the connection"),
    ("path: /, origins: [media], response_headers: {remove: [Content-Range]}", "response_headers.remove[0]: content-range cannot be changed: it belongs to the range that is sent"),
    ("path: /, origins: [media], response_headers: {remove: [Via]}", "response_headers.remove[0]: via cannot be changed: it tells the truth about the cache"),
    ("path: /, origins: [media], key: {ignore_query: utm}", "key.ignore_query: expected a list of at least one query parameter, found \"utm\""),
    ("path: /, origins: [media], key: {ignore_query: ['utm_*']}", "key.ignore_query[0]: expected the whole name of a query parameter, as it stands in URLs, found \"utm_*\""),
    ("path: /, origins: [media], key: {ignore_query: [a, a]}", "key.ignore_query[1]: stands earlier in this list already"),
    ("path: /, origins: [media], key: {ignore_signature: true}", "key.ignore_signature: unknown key; did you mean ignore_signatures? (known here: host, query, sort_query, ignore_signatures, ignore_tracking, ignore_query, headers, cookies)"),
    ("path: /, origins: [media], delivery: {range: {segment: 1KiB}}", "delivery.range.segment: expected a size from 4KiB to 4MiB, found \"1KiB\""),
    ("path: /, origins: [media], delivery: {whole: {least_time: 0s}}", "delivery.whole.least_time: expected a duration from 1ms to 1day, found \"0s\""),
    ("path: /, origins: [media], delivery: {whole: {min_rate: 0}}", "delivery.whole.min_rate: expected a size from 1B to 1TiB, found 0"),
    ("path: /, origins: [media], pace: {rate: 1MiB}", "pace.burst: required, but missing"),
    ("path: /, origins: [media], pace: {rate: 1KiB, burst: 1MiB}", "pace.rate: expected a size from 4KiB to 1TiB, found \"1KiB\""),
    ("path: /, origins: [media], pace: {rate: 1MiB, burst: 0s}", "pace.burst: expected a size from 64KiB to 1TiB, or a duration from 1s to 1day, found \"0s\""),
    ("path: /, origins: [media], pace: {rate: 1MiB, burst: 1MiB, times: 0.5}", "pace.times: expected a number from 1 to 100, found 0.5"),
    ("path: /, origins: [media], delivery: {all: {}}", "delivery.all: unknown key (known here: range, whole)"),
    ("path: /, origins: [media], prefetch: {segments: 1, at_a_time: 8, max_size: 1KiB}", "prefetch.max_size: expected a size from 64KiB to 1TiB, found \"1KiB\""),
    ("path: /, origins: [media], features: {hedging: 1}", "features.hedging: expected true or false, found 1"),
    ("path: /, origins: [media], features: {preconnect: true, speculation: false}", "features.preconnect: contradicts speculation: false, of which it is a part"),
    ("path: /, origins: [media], features: {prefetch: true}", "features.prefetch: unknown key (known here: breaker, priority_queue, speculation, preconnect, hedging, parallel_fetches)"),
];
