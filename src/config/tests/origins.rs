//! Origins and how their names are resolved.

use super::super::parse;
use super::{altered, mistakes};
use crate::{
    domain::{Groups, HostPattern},
    origin::{Balance, Breaker, Check, Config, Limit, Redirects, Resolving, Retry, Tls},
};
use http::StatusCode;
use std::time::Duration;

/// A line with an origin that has these keys beside its server.
pub(super) fn origin(keys: &str) -> String {
    format!("origins: {{media: {{servers: [{{url: \"https://x\"}}], {keys}}}}}")
}

fn read(keys: &str) -> Config {
    let settings = parse(&altered(&origin(keys))).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    settings.origins[0].clone()
}

#[test]
fn what_is_left_out_has_the_default_of_its_type() {
    let servers = vec!["https://x".parse().unwrap()];
    assert_eq!(read(""), Config::new("media".into(), servers));
    let empty = "tls: , limit: , breaker: , retry: , redirects: ";
    assert_eq!(read(empty), read(""));
}

#[test]
fn each_key_of_an_origin_is_set() {
    let text = r#"
listen: [{address: 127.0.0.1:8080}]
cache: {directory: d}
routes: [{path: /, origins: [a]}]
resolver: {servers: [127.0.0.1:53, "[::1]:5353"], timeout: 1s, min_ttl: 0s, max_ttl: 2m}
origins:
  a:
    servers: [{url: "https://one.example", weight: 1000}, {url: "https://two.example"}]
    balance: hash
    hash_group: 4MiB
    host: media.example.com:8443
    sni: media.example.com
    http2: true
    tls: {ca: ca.pem, certificate: client.pem, key: client.key}
    connect_timeout: 1s
    tls_timeout: 2s
    first_byte_timeout: 3s
    read_timeout: 4s
    idle_timeout: 5s
    min_rate: 0
    limit: {requests: 100000, queue: 0, wait: 6s}
    breaker: {failures: 0, failure_rate: 0%, min_requests: 7, window: 8s, open: 9s, trials: 10}
    check: {path: "/healthz?a=b", status: 204, interval: 11s, timeout: 11s, rise: 12, fall: 13}
    retry: {rounds: 0, budget: 100%, backoff: 0ms}
    redirects: {follow: 10, hosts: ["*.cdn.example.com", other.example]}
"#;
    let settings = parse(text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let seconds = Duration::from_secs;
    let addresses = ["127.0.0.1:53", "[::1]:5353"].map(|text| text.parse().unwrap());
    assert_eq!(
        settings.resolving,
        Resolving {
            servers: addresses.to_vec(),
            timeout: seconds(1),
            min_ttl: Duration::ZERO,
            max_ttl: seconds(120),
        }
    );
    let urls = ["https://one.example", "https://two.example"].map(|text| text.parse().unwrap());
    let mut expected = Config {
        balance: Balance::Hash,
        groups: Groups::of(4 << 20),
        host: Some("media.example.com:8443".into()),
        sni: Some("media.example.com".into()),
        http2: true,
        tls: Tls {
            verify: true,
            ca: Some("ca.pem".into()),
            identity: Some(("client.pem".into(), "client.key".into())),
        },
        connect_timeout: seconds(1),
        tls_timeout: seconds(2),
        first_byte_timeout: seconds(3),
        read_timeout: seconds(4),
        idle_timeout: seconds(5),
        min_rate: 0,
        limit: Limit {
            requests: 100_000,
            queue: 0,
            wait: seconds(6),
        },
        breaker: Breaker {
            failures: 0,
            failure_rate: 0.0,
            min_requests: 7,
            window: seconds(8),
            open: seconds(9),
            trials: 10,
        },
        check: Some(Check {
            path: "/healthz?a=b".into(),
            status: StatusCode::NO_CONTENT,
            interval: seconds(11),
            timeout: seconds(11),
            rise: 12,
            fall: 13,
        }),
        retry: Retry {
            rounds: 0,
            budget: 1.0,
            backoff: Duration::ZERO,
        },
        redirects: Redirects {
            limit: 10,
            hosts: ["*.cdn.example.com", "other.example"]
                .map(|text| HostPattern::parse(text).unwrap())
                .to_vec(),
        },
        ..Config::new("a".into(), urls.to_vec())
    };
    expected.servers[0].weight = 1000;
    assert_eq!(settings.origins, [expected]);
}

#[test]
fn words_and_switches_are_read() {
    assert_eq!(read("balance: round_robin").balance, Balance::RoundRobin);
    assert_eq!(read("balance: least_loaded").balance, Balance::LeastLoaded);
    assert!(read("pass_host: true").pass_host);
    let tls = read("tls: {verify: false, certificate: a, key: b}").tls;
    assert!(!tls.verify && tls.identity.is_some());
    assert_eq!(
        read("breaker: {failure_rate: 7%}").breaker.failure_rate,
        0.07
    );
}

#[test]
fn timeouts_that_were_one_are_one_until_told_apart() {
    let seconds = Duration::from_secs;
    let old = read("connect_timeout: 1s, read_timeout: 60s");
    assert_eq!(
        (old.tls_timeout, old.first_byte_timeout),
        (seconds(1), seconds(60))
    );
    let new =
        read("connect_timeout: 1s, tls_timeout: 2s, read_timeout: 60s, first_byte_timeout: 3s");
    assert_eq!(
        (new.tls_timeout, new.first_byte_timeout),
        (seconds(2), seconds(3))
    );
}

#[test]
fn each_mistake_in_an_origin_is_told() {
    for (keys, expected) in WRONG {
        let text = altered(&origin(keys));
        assert_eq!(
            mistakes(&text),
            [format!("origins.media.{expected}")],
            "{keys}"
        );
    }
}

#[rustfmt::skip]
const WRONG: &[(&str, &str)] = &[
    ("balanse: hash", "balanse: unknown key; did you mean balance? (known here: servers, connect_timeout, read_timeout, balance, hash_group, pass_host, host, sni, http2, tls, tls_timeout, first_byte_timeout, idle_timeout, min_rate, limit, breaker, check, retry, redirects, credentials)"),
    ("balance: random", "balance: expected round_robin, least_loaded or hash, found \"random\""),
    ("balance: 1", "balance: expected round_robin, least_loaded or hash, found 1"),
    ("balance: hash, hash_group: 3MiB", "hash_group: expected a power of two from 1MiB (a chunk) to 1EiB, found \"3MiB\""),
    ("balance: hash, hash_group: 512KiB", "hash_group: expected a power of two from 1MiB (a chunk) to 1EiB, found \"512KiB\""),
    ("balance: hash, hash_group: 0", "hash_group: expected a power of two from 1MiB (a chunk) to 1EiB, found 0"),
    ("balance: hash, hash_group: much", "hash_group: expected a size such as 64KiB or 10GiB, found \"much\""),
    ("hash_group: 64MiB", "hash_group: needs balance: hash, by which groups are shared out"),
    ("balance: least_loaded, hash_group: 64MiB", "hash_group: needs balance: hash, by which groups are shared out"),
    ("pass_host: true, host: x", "host: contradicts pass_host: true, by which it is the client's"),
    ("pass_host: true, redirects: {follow: 1}", "redirects: contradicts pass_host: true; they are for the servers to follow, which are caches as well"),
    ("host: 'http://x'", "host: expected a host, with its port if need be, such as media.example.com, found \"http://x\""),
    ("host: 'a@x'", "host: expected a host, with its port if need be, such as media.example.com, found \"a@x\""),
    ("sni: 'x:443'", "sni: expected a host name without port such as media.example.com, found \"x:443\""),
    ("sni: '*.x'", "sni: expected a host name without port such as media.example.com, found \"*.x\""),
    ("http2: h2", "http2: expected true or false, found \"h2\""),
    ("tls: {verify: false, ca: a}", "tls.ca: contradicts verify: false, which trusts every server"),
    ("tls: {certificate: a}", "tls.key: required beside certificate, but missing"),
    ("tls: {key: a}", "tls.certificate: required beside key, but missing"),
    ("tls: {cert: a}", "tls.cert: unknown key (known here: verify, ca, certificate, key)"),
    ("tls_timeout: 0s", "tls_timeout: expected a duration from 1ms to 1day, found \"0s\""),
    ("first_byte_timeout: 5", "first_byte_timeout: expected a duration such as 250ms, 10s or 5m, found 5"),
    ("min_rate: 2TiB", "min_rate: expected a size from 0B to 1TiB, found \"2TiB\""),
    ("limit: {requests: 0}", "limit.requests: expected a whole number from 1 to 100000, found 0"),
    ("limit: {queue: 100001}", "limit.queue: expected a whole number from 0 to 100000, found 100001"),
    ("limit: {wait: 0s}", "limit.wait: expected a duration from 1ms to 1day, found \"0s\""),
    ("limit: 100", "limit: expected a mapping (key: value), found 100"),
    ("breaker: {failures: -1}", "breaker.failures: expected a whole number from 0 to 1000000, found -1"),
    ("breaker: {failure_rate: 0.5}", "breaker.failure_rate: expected a percentage from 0% to 100%, found 0.5"),
    ("breaker: {failure_rate: 101%}", "breaker.failure_rate: expected a percentage from 0% to 100%, found \"101%\""),
    ("breaker: {failure_rate: +5%}", "breaker.failure_rate: expected a percentage from 0% to 100%, found \"+5%\""),
    ("breaker: {min_requests: 0}", "breaker.min_requests: expected a whole number from 1 to 1000000, found 0"),
    ("breaker: {trials: 0}", "breaker.trials: expected a whole number from 1 to 1000, found 0"),
    ("breaker: {window: 0s}", "breaker.window: expected a duration from 1ms to 1day, found \"0s\""),
    ("breaker: {open: never}", "breaker.open: expected a duration such as 250ms, 10s or 5m, found \"never\""),
    ("check: {}", "check.path: required, but missing"),
    ("check: {path: healthz}", "check.path: expected a path from its \"/\" on, perhaps with a query, found \"healthz\""),
    ("check: {path: '/a b'}", "check.path: expected a path from its \"/\" on, perhaps with a query, found \"/a b\""),
    ("check: {path: '/a#b'}", "check.path: expected a path from its \"/\" on, perhaps with a query, found \"/a#b\""),
    ("check: {path: /, status: 100}", "check.status: expected a whole number from 200 to 599, found 100"),
    ("check: {path: /, interval: 10ms, timeout: 5ms}", "check.interval: expected a duration from 100ms to 1day, found \"10ms\""),
    ("check: {path: /, interval: 5s, timeout: 6s}", "check.timeout: expected at most interval (5s), found 6s"),
    ("check: {path: /, interval: 1s}", "check.timeout: expected at most interval (1s), found 2s, the default"),
    ("check: {path: /, timeout: 11s}", "check.timeout: expected at most interval (10s, the default), found 11s"),
    ("check: {path: /, rise: 0}", "check.rise: expected a whole number from 1 to 100, found 0"),
    ("check: {path: /, fall: 101}", "check.fall: expected a whole number from 1 to 100, found 101"),
    ("retry: {rounds: 11}", "retry.rounds: expected a whole number from 0 to 10, found 11"),
    ("retry: {budget: 20}", "retry.budget: expected a percentage from 0% to 100%, found 20"),
    ("retry: {backoff: 2m}", "retry.backoff: expected a duration from 0s to 1m, found \"2m\""),
    ("redirects: {follow: 11}", "redirects.follow: expected a whole number from 0 to 10, found 11"),
    ("redirects: {hosts: [x]}", "redirects.hosts: needs follow, without which no redirect is followed"),
    ("redirects: {follow: 0, hosts: [x]}", "redirects.hosts: needs follow, without which no redirect is followed"),
    ("redirects: {follow: 1, hosts: []}", "redirects.hosts: expected a list of at least one host, found an empty list"),
    ("redirects: {follow: 1, hosts: [x, X]}", "redirects.hosts[1]: stands earlier in this list already"),
    ("redirects: {follow: 1, hosts: ['*']}", "redirects.hosts[0]: expected a host without port such as video.example.com, or *.example.com for all below it, found \"*\""),
];

#[test]
fn each_mistake_elsewhere_is_told() {
    for (lines, expected) in [
        (
            "origins: {media: {servers: [{url: \"http://x\", weight: 0}]}}",
            "origins.media.servers[0].weight: expected a whole number from 1 to 1000, found 0",
        ),
        (
            "cache: {directory: d, max_size: 1GiB, chunk_size: 4MiB}\norigins: {media: {servers: [{url: \"http://x\"}], balance: hash, hash_group: 2MiB}}",
            "origins.media.hash_group: expected a power of two from 4MiB (a chunk) to 1EiB, found \"2MiB\"",
        ),
        (
            "origins: {media: {servers: [{url: \"http://x\"}], balance: hash, hash_group: 2MiB}}\nroutes: [{path: /, origins: [media], chunk_size: 4MiB}]",
            "routes[0].chunk_size: expected at most the hash_group of the origin media (2MiB), found 4MiB",
        ),
        (
            "origins: {media: {servers: [{url: \"http://x\"}], pass_host: true}}\nroutes: [{path: /, origins: [media], key: {host: films}}]",
            "routes[0].key: host contradicts pass_host of the origin media, which would get the host of whoever asks first; leave out one of the two",
        ),
        (
            "resolver: {servers: [ns.example.com]}",
            "resolver.servers[0]: expected IP:port such as 127.0.0.1:8080 or \"[::1]:8080\", found the host name \"ns.example.com\"",
        ),
        (
            "resolver: {servers: [127.0.0.1:0]}",
            "resolver.servers[0]: expected a port from 1 to 65535, found \"127.0.0.1:0\"",
        ),
        (
            "resolver: {servers: [127.0.0.1:53, 127.0.0.1:53]}",
            "resolver.servers[1]: stands earlier in this list already",
        ),
        (
            "resolver: {timeout: 0s}",
            "resolver.timeout: expected a duration from 1ms to 1day, found \"0s\"",
        ),
        (
            "resolver: {min_ttl: 10s, max_ttl: 5s}",
            "resolver.min_ttl: expected at most max_ttl (5s), found 10s",
        ),
        (
            "resolver: {min_ttl: 2h}",
            "resolver.min_ttl: expected at most max_ttl (1h, the default), found 2h",
        ),
        (
            "resolver: {ttl: 2h}",
            "resolver.ttl: unknown key (known here: servers, timeout, min_ttl, max_ttl)",
        ),
    ] {
        assert_eq!(mistakes(&altered(lines)), [expected], "{lines}");
    }
}
