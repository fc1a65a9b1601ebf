//! Wrong configurations and what is said of them.

mod access;
mod examples;
mod keys;
mod modes;
mod origins;
mod reload;
mod routes;
mod secrets;

use super::parse;
use crate::{
    domain::Trust,
    fill::FinishWhen,
    logs::{Destination, Format},
    proxy::{Matcher, RouteOrigin},
};
use proptest::prelude::*;
use std::{path::Path, time::Duration};

/// The least that a configuration must say.
pub(super) const MINIMAL: &str = "
listen: [{address: 127.0.0.1:8080}]
cache: {directory: /var/cache/tidegate}
origins: {media: {servers: [{url: http://127.0.0.1:8000}]}}
routes: [{path: /, origins: [media]}]
";

/// The mistakes of a text, without header and lines.
fn mistakes(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(settings) => panic!("nothing wrong in {text}\n{settings:#?}"),
        Err(mistakes) => mistakes
            .iter()
            .map(|mistake| match mistake.path() {
                "" => mistake.message().to_owned(),
                path => format!("{path}: {}", mistake.message()),
            })
            .collect(),
    }
}

#[test]
fn the_least_is_enough() {
    let settings = parse(MINIMAL).unwrap();
    assert_eq!(settings.listen[0].address.port(), 8080);
    assert_eq!(settings.store.directory, Path::new("/var/cache/tidegate"));
    assert_eq!(settings.origins[0].name, "media");
    assert!(settings.admin.is_none());
    assert!(matches!(&settings.routes[0].matcher, Matcher::Prefix(path) if path == "/"));
}

#[test]
fn what_is_written_is_what_is_set() {
    let settings = parse(
        r#"
log: {level: debug, format: json, file: a.log, access: {sample: 0.1%, failures: false, slow: 2s,
      redact: [a, b]}}
server: {threads: 8, drain: 1m, origin_idle_connections: 7}
listen:
  - {address: "[::1]:0", h2c: true}
  - {address: "[::1]:0", tls: {certificate: a.pem, key: b.pem}}
admin: {address: 127.0.0.1:0, token_file: token}
cache: {directory: store, max_size: 1073741824, memory: 64MB, chunk_size: 256KiB, version: 4294967295,
        writes: 1, write_queue: 2, reads: 4, open_objects: 3}
fill: {max_window: 1MiB, in_flight: 8MiB, in_flight_per_client: 9MiB, wait: 250ms, attempts: 9}
clients: {idle_timeout: 1s, read_timeout: 2s, max_ranges: 5,
          request_id: {header: X-Trace, trust: nobody, show: true}, name: edge-1}
origins:
  a: {servers: [{url: "https://one.example"}, {url: "http://[::1]:81/"}], connect_timeout: 1s,
      read_timeout: 2s, idle_timeout: 3s}
  b.c: {servers: [{url: "http://two.example"}]}
routes:
  - {pattern: "^/(?<name>.*)$", origins: [b.c, a], ttl: {ok: 0s, redirect: 1m, client_error: 1h},
     chunk_size: 8MiB, finish_when: 80%, debug_headers: true}
  - {path: /x, origins: [a], finish_when: always}
"#,
    )
    .unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let access = settings.log.access.as_ref().unwrap();
    assert_eq!(
        (settings.log.level, settings.log.format),
        (log::LevelFilter::Debug, Format::Json)
    );
    assert_eq!(settings.log.to, Destination::File("a.log".into()));
    assert_eq!(
        (&access.to, access.format),
        (&Destination::Stderr, Format::Json)
    );
    assert_eq!((access.rules.sample, access.rules.failures), (0.001, false));
    assert_eq!(access.rules.slow, Duration::from_secs(2));
    assert_eq!(access.rules.redacted, ["a", "b"]);
    assert_eq!(settings.clients.name.as_deref(), Some("edge-1"));
    let names = &settings.clients.request_id;
    assert_eq!(
        (names.header.as_str(), names.trust, names.show),
        ("x-trace", Trust::Nobody, true)
    );
    let [a, b] = &settings.origins[..] else {
        panic!("{settings:#?}")
    };
    assert_eq!((a.name.as_str(), b.name.as_str()), ("a", "b.c"));
    assert_eq!(a.servers[1].url.host(), Some("[::1]"));
    assert_eq!(a.idle_timeout, Duration::from_secs(3));
    assert_eq!(settings.server.threads, 8);
    assert_eq!(settings.server.drain, Duration::from_secs(60));
    assert_eq!(settings.cache_version, u32::MAX);
    assert_eq!(settings.store.max_size, 1 << 30);
    assert_eq!(settings.store.memory, 64_000_000);
    assert_eq!(settings.store.chunk_size, 256 << 10);
    assert_eq!(settings.fill.wait, Duration::from_millis(250));
    assert_eq!(settings.fill.in_flight_per_client, Some(9 << 20));
    assert!(settings.listen[0].h2c && settings.listen[1].tls.is_some());
    let tls = settings.listen[1].tls.as_ref().unwrap();
    assert_eq!(tls.certificates[0].key, Path::new("b.pem"));
    let route = &settings.routes[0];
    let named = ["b.c", "a"].map(RouteOrigin::named);
    assert_eq!(route.origins, named);
    assert_eq!(route.freshness.ttl.ok, Some(Duration::ZERO));
    assert_eq!(route.freshness.ttl.server_error, None);
    assert_eq!(route.chunk_size, Some(8 << 20));
    assert_eq!(route.finish_when, FinishWhen::Percent(80));
    assert!(route.debug_headers);
    assert_eq!(settings.routes[1].finish_when, FinishWhen::Always);
}

/// A line of the minimal configuration replaced (by its first key), or lines added.
pub(super) fn altered(lines: &str) -> String {
    let key = |line: &str| line.split_once(':').map(|(key, _)| key.to_owned());
    let kept = MINIMAL
        .lines()
        .filter(|line| !lines.lines().any(|new| key(new) == key(line)));
    kept.chain([lines]).collect::<Vec<_>>().join("\n")
}

#[test]
fn each_mistake_says_where_what_was_expected_and_what_was_found() {
    for (lines, expected) in WRONG {
        assert_eq!(mistakes(&altered(lines)), [*expected], "{lines}");
    }
}

/// Lines of a configuration, and the one mistake that is in them.
#[rustfmt::skip]
const WRONG: &[(&str, &str)] = &[
    // Keys.
    ("chace: {}", "chace: unknown key; did you mean cache? (known here: server, log, traces, listen, admin, cache, tier, clients, resolver, origins, routes, fill)"),
    ("server: {thread: 2}", "server.thread: unknown key; did you mean threads? (known here: threads, drain, upgrade_drain, origin_idle_connections)"),
    ("server: {workers: 2}", "server.workers: unknown key (known here: threads, drain, upgrade_drain, origin_idle_connections)"),
    ("server: {\"a b\": 2}", "server.\"a b\": unknown key (known here: threads, drain, upgrade_drain, origin_idle_connections)"),
    ("server: {[1]: 2}", "server.\"a list\": unknown key (known here: threads, drain, upgrade_drain, origin_idle_connections)"),
    ("server: {threads: 2, threads: 3}", "server.threads: given more than once; a key may stand only once"),
    ("server: {}\nserver: {}", "server: given more than once; a key may stand only once"),
    ("log: {access: {path: x}}", "log.access.path: unknown key (known here: file, format, sample, failures, slow, redact)"),
    ("log: {level: loud}", "log.level: expected error, warn, info, debug or trace, found \"loud\""),
    ("log: {format: xml}", "log.format: expected text or json, found \"xml\""),
    ("log: {access: {sample: 0.5}}", "log.access.sample: expected a percentage from 0% to 100%, such as 10% or 0.1%, found 0.5"),
    ("log: {access: {sample: 101%}}", "log.access.sample: expected a percentage from 0% to 100%, such as 10% or 0.1%, found \"101%\""),
    ("log: {access: {redact: [a, a]}}", "log.access.redact[1]: stands earlier in this list already"),
    ("clients: {name: 'edge 1'}", "clients.name: expected a name of at most 64 letters, digits, \"-\", \"_\" and \".\", found \"edge 1\""),
    ("clients: {request_id: {trust: yes}}", "clients.request_id.trust: expected trusted_proxies, everybody or nobody, found \"yes\""),
    ("clients: {request_id: {trust: all}}", "clients.request_id.trust: expected trusted_proxies, everybody or nobody, found \"all\""),
    ("traces: {}", "traces.endpoint: required, but missing"),
    ("traces: {endpoint: \"127.0.0.1:4318\"}", "traces.endpoint: expected the http:// or https:// URL of a collector without user name or query, such as http://127.0.0.1:4318, found \"127.0.0.1:4318\""),
    ("traces: {endpoint: \"http://a\", sample: 0.1}", "traces.sample: expected a percentage from 0% to 100%, such as 10% or 0.1%, found 0.1"),
    ("traces: {endpoint: \"http://a\", trust: me}", "traces.trust: expected trusted_proxies, everybody or nobody, found \"me\""),
    ("traces: {endpoint: \"http://a\", headers: {Content-Type: a}}", "traces.headers.Content-Type: content-type cannot be changed: it is that of what is sent"),
    ("traces: {endpoint: \"http://a\", headers: {Authorization: {}}}", "traces.headers.Authorization: expected file or env, found neither"),
    ("traces: {endpoint: \"http://a\", timeout: 0s}", "traces.timeout: expected a duration from 1ms to 1day, found \"0s\""),
    ("traces: {endpoint: \"http://a\", protocol: grpc}", "traces.protocol: unknown key (known here: endpoint, sample, trust, service, headers, timeout)"),
    // Types.
    ("server: 2", "server: expected a mapping (key: value), found 2"),
    ("server: {threads: two}", "server.threads: expected a whole number from 1 to 256, found \"two\""),
    ("server: {threads: 0}", "server.threads: expected a whole number from 1 to 256, found 0"),
    ("server: {threads: 257}", "server.threads: expected a whole number from 1 to 256, found 257"),
    ("server: {threads: -1}", "server.threads: expected a whole number from 1 to 256, found -1"),
    ("server: {threads: 1.5}", "server.threads: expected a whole number from 1 to 256, found 1.5"),
    ("server: {threads: }", "server.threads: expected a whole number from 1 to 256, found nothing"),
    ("server: {origin_idle_connections: 0}", "server.origin_idle_connections: expected a whole number from 1 to 65536, found 0"),
    ("server: {drain: 30}", "server.drain: expected a duration such as 250ms, 10s or 5m, found 30"),
    ("server: {drain: -1s}", "server.drain: expected a duration such as 250ms, 10s or 5m, found \"-1s\""),
    ("server: {drain: 2days}", "server.drain: expected a duration from 0s to 1day, found \"2days\""),
    ("clients: {read_timeout: 0s}", "clients.read_timeout: expected a duration from 1ms to 1day, found \"0s\""),
    ("clients: {max_ranges: [1]}", "clients.max_ranges: expected a whole number from 1 to 1024, found a list"),
    // Listeners.
    ("listen: []", "listen: expected a list of at least one listener, found an empty list"),
    ("listen: {address: 127.0.0.1:80}", "listen: expected a list of at least one listener, found a mapping"),
    ("listen: [127.0.0.1:80]", "listen[0]: expected a mapping (key: value), found \"127.0.0.1:80\""),
    ("listen: [{h2c: true}]", "listen[0].address: required, but missing"),
    ("listen: [{address: 8080}]", "listen[0].address: expected IP:port such as 127.0.0.1:8080 or \"[::1]:8080\", found 8080"),
    ("listen: [{address: \":80\"}]", "listen[0].address: expected IP:port such as 127.0.0.1:8080 or \"[::1]:8080\", found \":80\""),
    ("listen: [{address: 127.0.0.1}]", "listen[0].address: expected IP:port such as 127.0.0.1:8080 or \"[::1]:8080\", found \"127.0.0.1\""),
    ("listen: [{address: 127.0.0.1:70000}]", "listen[0].address: expected IP:port such as 127.0.0.1:8080 or \"[::1]:8080\", found \"127.0.0.1:70000\""),
    ("listen: [{address: localhost:80}]", "listen[0].address: expected IP:port such as 127.0.0.1:8080 or \"[::1]:8080\", found the host name \"localhost:80\""),
    ("listen: [{address: 127.0.0.1:80, h2c: yes}]", "listen[0].h2c: expected true or false, found \"yes\""),
    ("listen: [{address: 127.0.0.1:80, tls: {certificate: a}}]", "listen[0].tls.key: required, but missing"),
    ("listen: [{address: 127.0.0.1:80, h2c: true, tls: {certificate: a, key: b}}]", "listen[0].h2c: cleartext HTTP/2 excludes tls, which brings its own HTTP/2"),
    ("listen: [{address: 127.0.0.1:80}, {address: 127.0.0.1:80}]", "listen[1].address: 127.0.0.1:80 is taken by listen[0].address already"),
    ("admin: {address: 127.0.0.1:8080}", "admin.address: 127.0.0.1:8080 is taken by listen[0].address already"),
    ("admin:", "admin.address: required, but missing"),
    // The store and the fills.
    ("cache: {}", "cache.directory: required, but missing"),
    ("cache: {directory: 5}", "cache.directory: expected a path, found 5"),
    ("cache: {directory: ''}", "cache.directory: expected a path, found \"\""),
    ("cache: {directory: d, max_size: 10Gigs}", "cache.max_size: expected a size such as 64KiB or 10GiB, found \"10Gigs\""),
    ("cache: {directory: d, max_size: -1}", "cache.max_size: expected a size such as 64KiB or 10GiB, found -1"),
    ("cache: {directory: d, max_size: 1.5}", "cache.max_size: expected a size such as 64KiB or 10GiB, found 1.5"),
    ("cache: {directory: d, max_size: 1.5GiB}", "cache.max_size: expected a size such as 64KiB or 10GiB, found \"1.5GiB\""),
    ("cache: {directory: d, max_size: 2EiB}", "cache.max_size: expected a size from 0B to 1EiB, found \"2EiB\""),
    ("cache: {directory: d, max_size: 15MiB}", "cache.max_size: expected at least 16MiB (16 chunks of 1MiB), found 15MiB"),
    ("cache: {directory: d, max_size: 256MiB, chunk_size: 32MiB}", "cache.max_size: expected at least 512MiB (16 chunks of 32MiB), found 256MiB"),
    ("cache: {directory: d, memory: .inf}", "cache.memory: expected a size such as 64KiB or 10GiB, found inf"),
    ("cache: {directory: d, chunk_size: 32KiB}", "cache.chunk_size: expected a power of two from 64KiB to 64MiB, found \"32KiB\""),
    ("cache: {directory: d, chunk_size: 1MB}", "cache.chunk_size: expected a power of two from 64KiB to 64MiB, found \"1MB\""),
    ("cache: {directory: d, chunk_size: 128MiB}", "cache.chunk_size: expected a power of two from 64KiB to 64MiB, found \"128MiB\""),
    ("cache: {directory: d, chunk_size: 1TiB}", "cache.chunk_size: expected a power of two from 64KiB to 64MiB, found \"1TiB\""),
    ("cache: {directory: d, version: -1}", "cache.version: expected a whole number from 0 to 4294967295, found -1"),
    ("cache: {directory: d, version: 4294967296}", "cache.version: expected a whole number from 0 to 4294967295, found 4294967296"),
    ("cache: {directory: d, version: 999999999999999999999999999999999999999999}", "cache.version: expected a whole number from 0 to 4294967295, found 1e42"),
    ("fill: {in_flight: 512KiB}", "fill.in_flight: expected a size from 1MiB to 1EiB, found \"512KiB\""),
    ("fill: {attempts: 0}", "fill.attempts: expected a whole number from 1 to 100, found 0"),
    ("fill: {wait: soon}", "fill.wait: expected a duration such as 250ms, 10s or 5m, found \"soon\""),
    // Origins.
    ("origins: {}\nroutes: [{path: /, origins: [media]}]", "origins: expected a mapping of at least one origin by its name, found an empty mapping"),
    ("origins: [media]", "origins: expected a mapping of at least one origin by its name, found a list"),
    ("origins: {media: }", "origins.media.servers: required, but missing"),
    ("origins: {media: {servers: []}}", "origins.media.servers: expected a list of at least one server, found an empty list"),
    ("origins: {media: {servers: [{}]}}", "origins.media.servers[0].url: required, but missing"),
    ("origins: {media: {servers: [{url: \"http://me:secret@x/\"}]}}", "origins.media.servers[0].url: expected an http:// or https:// URL without user name, path or query, found \"http://(removed)@x/\""),
    ("origins: {media: {servers: [{url: \"ftp://x\"}]}}", "origins.media.servers[0].url: expected an http:// or https:// URL without user name, path or query, found \"ftp://x\""),
    ("origins: {media: {servers: [{url: \"http://x\"}, {url: \"http://X/\"}]}}", "origins.media.servers[1]: http://X/ stands earlier in this list already"),
    ("origins: {media: {servers: [{url: \"http://x\"}]}, a b: {servers: [{url: \"http://x\"}]}}", "origins.\"a b\": expected a name of at most 64 letters, digits, \"-\", \"_\" and \".\""),
    ("origins: {media: {servers: [{url: \"http://x\"}]}, media: {servers: [{url: \"http://x\"}]}}", "origins.media: given more than once; a key may stand only once"),
    // Routes.
    ("routes: []", "routes: expected a list of at least one route, found an empty list"),
    ("routes: [{path: /}]", "routes[0].origins: required, but missing"),
    ("routes: [{path: /, origins: []}]", "routes[0].origins: expected a list of at least one origin's name, found an empty list"),
    ("routes: [{path: /, origins: media}]", "routes[0].origins: expected a list of at least one origin's name, found \"media\""),
    ("routes: [{path: /, origins: [media, media]}]", "routes[0].origins[1]: stands earlier in this list already"),
    ("routes: [{path: /, origins: [medai]}]", "routes[0].origins[0]: there is no origin \"medai\"; did you mean media?"),
    ("routes: [{path: /, origins: [films]}]", "routes[0].origins[0]: there is no origin \"films\""),
    ("routes: [{origins: [media]}]", "routes[0]: expected path or pattern, found neither"),
    ("routes: [{path: /, pattern: ., origins: [media]}]", "routes[0]: expected either path or pattern, found both"),
    ("routes: [{path: videos, origins: [media]}]", "routes[0].path: expected the beginning of a path, from its \"/\" on and without query, found \"videos\""),
    ("routes: [{path: \"/a?b\", origins: [media]}]", "routes[0].path: expected the beginning of a path, from its \"/\" on and without query, found \"/a?b\""),
    ("routes: [{pattern: \"^/(a\", origins: [media]}]", "routes[0].pattern: expected a regular expression, found \"^/(a\": unclosed group"),
    ("routes: [{path: /a, origins: [media]}, {path: /a/b, origins: [media]}]", "routes[1]: never reached: routes[0] (path \"/a\") takes its requests"),
    ("routes: [{path: /, origins: [media]}, {pattern: ^/a, origins: [media]}]", "routes[1]: never reached: routes[0] (path \"/\") takes its requests"),
    ("routes: [{pattern: ^/a, origins: [media]}, {pattern: ^/a, origins: [media]}]", "routes[1]: never reached: routes[0] (pattern \"^/a\") takes its requests"),
    ("routes: [{path: /, origins: [media], ttl: {ok: 5}}]", "routes[0].ttl.ok: expected a duration such as 250ms, 10s or 5m, found 5"),
    ("routes: [{path: /, origins: [media], ttl: {statuses: {304: 5s}}}]", "routes[0].ttl.statuses.304: expected a status from 200 to 599 of a whole response (not 206, 304, 412, 416)"),
    ("routes: [{path: /, origins: [media], ttl: {kinds: [{ttl: 5s}]}}]", "routes[0].ttl.kinds[0].ttl: needs content_type, path or both beside it; for all answers there is ttl.ok"),
    ("routes: [{path: /, origins: [media], ttl: {kinds: [{content_type: mp4, ttl: 5s}]}}]", "routes[0].ttl.kinds[0].content_type: expected a media type such as video/mp4, or image/* for all of a type, found \"mp4\""),
    ("routes: [{path: /, origins: [media], freshness: {override: all}}]", "routes[0].freshness: override has nothing to put in the place of the origin's word; say how long answers are fresh in ttl"),
    ("routes: [{path: /, origins: [media], freshness: {override: yes}}]", "routes[0].freshness.override: expected nothing, lifetime or all, found \"yes\""),
    ("routes: [{path: /, origins: [media], freshness: {minimum: 2m, maximum: 1m}}]", "routes[0].freshness.minimum: expected at most maximum (1m), found 2m"),
    ("routes: [{path: /, origins: [media], freshness: {keep: 5s, stale_if_error: 10s}}]", "routes[0].freshness.keep: contradicts stale_while_revalidate or stale_if_error, which use objects for longer"),
    ("routes: [{path: /, origins: [media], freshness: {jitter: 101%}}]", "routes[0].freshness.jitter: expected a percentage from 0% to 100%, found \"101%\""),
    ("routes: [{path: /, origins: [media], ttl: {not_found: 5s}}]", "routes[0].ttl.not_found: unknown key (known here: ok, redirect, client_error, server_error, statuses, kinds, playlist, segment)"),
    ("routes: [{path: /, origins: [media], chunk_size: 3MiB}]", "routes[0].chunk_size: expected a power of two from 64KiB to 64MiB, found \"3MiB\""),
    ("routes: [{path: /, origins: [media], finish_when: 0%}]", "routes[0].finish_when: expected never, always or a percentage from 1% to 100%, found \"0%\""),
    ("routes: [{path: /, origins: [media], finish_when: 101%}]", "routes[0].finish_when: expected never, always or a percentage from 1% to 100%, found \"101%\""),
    ("routes: [{path: /, origins: [media], finish_when: 80}]", "routes[0].finish_when: expected never, always or a percentage from 1% to 100%, found 80"),
];

#[test]
fn a_route_with_large_chunks_needs_a_large_store() {
    let text = altered(
        "cache: {directory: d, max_size: 16MiB}\nroutes: [{path: /, origins: [media], chunk_size: 2MiB}]",
    );
    assert_eq!(
        mistakes(&text),
        ["routes[0].chunk_size: expected at most a 16th of cache.max_size (16MiB), found 2MiB"]
    );
}

#[test]
fn what_is_required_is_named_when_missing() {
    assert_eq!(
        mistakes("server: {}"),
        [
            "listen: required, but missing",
            "cache.directory: required, but missing",
            "origins: required, but missing",
            "routes: required, but missing",
        ]
    );
}

#[test]
fn ten_mistakes_are_ten_lines_in_the_order_of_the_text() {
    let text = "\
server:
  threads: 0
  drian: 10s
listen:
  - address: localhost:80
cache:
  max_size: 10 gigs
  chunk_size: 1000
origins:
  media:
    servers:
      - url: ftp://x
    read_timeout: 15
    read_timeout: 15s
routes:
  - path: videos
    origins: [media, other]
";
    let expected = "\
configuration: 11 mistakes
  server.threads: expected a whole number from 1 to 256, found 0 (line 2)
  server.drian: unknown key; did you mean drain? (known here: threads, drain, upgrade_drain, origin_idle_connections) (line 3)
  listen[0].address: expected IP:port such as 127.0.0.1:8080 or \"[::1]:8080\", found the host name \"localhost:80\" (line 5)
  cache.directory: required, but missing (line 7)
  cache.max_size: expected a size such as 64KiB or 10GiB, found \"10 gigs\" (line 7)
  cache.chunk_size: expected a power of two from 64KiB to 64MiB, found 1000 (line 8)
  origins.media.servers[0].url: expected an http:// or https:// URL without user name, path or query, found \"ftp://x\" (line 12)
  origins.media.read_timeout: expected a duration such as 250ms, 10s or 5m, found 15 (line 13)
  origins.media.read_timeout: given more than once; a key may stand only once (line 14)
  routes[0].path: expected the beginning of a path, from its \"/\" on and without query, found \"videos\" (line 16)
  routes[0].origins[1]: there is no origin \"other\" (line 17)";
    assert_eq!(parse(text).unwrap_err().to_string(), expected);
}

#[test]
fn what_is_not_yaml_is_told_with_line_and_column() {
    for (text, expected) in [
        (
            "",
            "empty, but at least listen, cache.directory, origins and routes are needed",
        ),
        (
            "a: 1\n b: 2\n",
            "not valid YAML: mapping values are not allowed in this context at line 2 column 3",
        ),
        (
            "a: [1\n",
            "not valid YAML: did not find expected ',' or ']' at line 2 column 1, while parsing a flow sequence at line 1 column 4",
        ),
        (
            "a: !tag 1\n",
            "not valid YAML: a: YAML tags (!name) mean nothing here at line 1 column 4",
        ),
        (
            "a: 1\n---\nb: 2\n",
            "expected one YAML document, found a second one after \"---\"",
        ),
        (
            "just text",
            "expected a mapping (key: value), found \"just text\"",
        ),
    ] {
        assert_eq!(mistakes(text), [expected], "{text}");
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC*") {
        let _ = parse(&text);
    }

    #[test]
    fn text_that_looks_like_yaml_never_panics(
        text in "([a-z]{1,3}|[ \n:\\-\\[\\]{},&*!|>'\"#%@`?~]|: |\n  |- |<<|---|0x1|\\.nan){0,60}"
    ) {
        let _ = parse(&text);
    }

    #[test]
    fn a_damaged_file_never_panics(
        from in 0..1000usize,
        length in 0..40usize,
        by in "[a-z0-9 \n:\\-\\[\\]{}]{0,8}",
    ) {
        let whole: Vec<char> = MINIMAL.chars().collect();
        let from = from.min(whole.len());
        let to = (from + length).min(whole.len());
        let text: String = whole[..from]
            .iter()
            .copied()
            .chain(by.chars())
            .chain(whole[to..].iter().copied())
            .collect();
        if let Err(mistakes) = parse(&text) {
            prop_assert!(mistakes.iter().count() > 0);
            prop_assert!(mistakes.to_string().lines().count() == mistakes.iter().count() + 1);
        }
    }
}
