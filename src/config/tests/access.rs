//! Who may ask, and how often.

use super::super::parse;
use super::{altered, mistakes};
use crate::{
    domain::{ForwardedField, HostPattern},
    origin::SecretSource,
    proxy::{Access, Addresses, Cors, PageOrigin, PageOrigins, Referers, Route},
    server::Settings,
    traffic::Rate,
};
use http::{HeaderName, Method};
use std::{num::NonZeroU32, time::Duration};

fn read(lines: &str) -> Settings {
    parse(&altered(lines)).unwrap_or_else(|mistakes| panic!("{lines}: {mistakes}"))
}

fn route(keys: &str) -> Route {
    let lines = format!("routes: [{{path: /, origins: [media], {keys}}}]");
    read(&lines).routes.remove(0)
}

#[test]
fn how_clients_are_known_is_set() {
    let settings =
        read("clients: {trusted_proxies: [10.1.2.3/8, \"::1\"], trusted_field: Forwarded}");
    let networks: Vec<_> = settings
        .clients
        .trusted_proxies
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(networks, ["10.0.0.0/8", "::1/128"]);
    assert_eq!(settings.clients.trusted_field, ForwardedField::Forwarded);
}

#[test]
fn each_mistake_is_told() {
    for (lines, expected) in WRONG {
        assert_eq!(mistakes(&altered(lines)), [*expected], "{lines}");
    }
}

#[test]
fn who_may_ask_is_set() {
    let route = route("access: {allow: [10.0.0.0/8, 192.0.2.1], deny: [\"2001:db8::/32\"]}");
    let Addresses { allow, deny } = &route.access.addresses;
    assert_eq!((allow.len(), deny.len()), (2, 1));
    let keys = "[{name: k1, secret: {file: one}}, {name: k0, secret: {env: TWO}}]";
    for (more, parameter, cookie) in [
        ("", "token", None),
        (", parameter: t, cookie: c", "t", Some("c".into())),
    ] {
        let route = self::route(&format!("access: {{signed: {{keys: {keys}{more}}}}}"));
        let signed = route.access.signed.unwrap();
        assert_eq!(
            (signed.parameter.as_str(), signed.cookie),
            (parameter, cookie)
        );
        assert_eq!(signed.keys[1].name, "k0");
        assert_eq!(
            signed.keys[1].secret,
            SecretSource::Environment("TWO".into())
        );
    }
    let hosts = vec![HostPattern::parse("*.a.example").unwrap()];
    for (keys, allow_none) in [("", true), (", allow_none: false", false)] {
        let route = self::route(&format!(
            "access: {{referers: {{hosts: [\"*.a.example\"]{keys}}}}}"
        ));
        let hosts = hosts.clone();
        assert_eq!(route.access.referers, Some(Referers { hosts, allow_none }));
    }
    assert_eq!(self::route("access: ").access, Access::default());
}

#[test]
fn how_often_they_may_ask_is_set() {
    let rate = |requests, per, burst| {
        let number = |n| NonZeroU32::new(n).unwrap();
        let per = Duration::from_secs(per);
        Some(Rate {
            requests: number(requests),
            per,
            burst: number(burst),
        })
    };
    let settings = read("clients: {rate: {requests: 100/s, burst: 200}}");
    assert_eq!(settings.clients.rate, rate(100, 1, 200));
    let route =
        route("rate: {per_address: {requests: 20/m}, all: {requests: 1000000/h, burst: 1}}");
    assert_eq!(route.rates.per_address, rate(20, 60, 20));
    assert_eq!(route.rates.all, rate(1_000_000, 3600, 1));
}

#[test]
fn what_scripts_may_do_is_set() {
    let route = route("cors: {origins: [\"*\"]}");
    assert_eq!(route.cors, Some(Cors::of(PageOrigins::Any)));
    let route = self::route(
        "cors: {origins: [\"https://*.a.example\"], methods: [GET, PUT], headers: [x-a], \
         expose: [X-B], max_age: 0s, credentials: true}",
    );
    let page = PageOrigin::parse("https://*.a.example").unwrap();
    let expected = Cors {
        methods: vec![Method::GET, Method::PUT],
        headers: vec![HeaderName::from_static("x-a")],
        expose: vec![HeaderName::from_static("x-b")],
        max_age: Duration::ZERO,
        credentials: true,
        ..Cors::of(PageOrigins::These(vec![page]))
    };
    assert_eq!(route.cors, Some(expected));
}

#[rustfmt::skip]
const WRONG: &[(&str, &str)] = &[
    ("clients: {trusted_proxies: [lb.example]}", "clients.trusted_proxies[0]: expected an IP address or network such as 10.0.0.0/8 or \"2001:db8::/32\", found \"lb.example\""),
    ("clients: {trusted_field: X-Real-IP}", "clients.trusted_field: expected X-Forwarded-For or Forwarded, found \"X-Real-IP\""),
    ("clients: {rate: {requests: 100}}", "clients.rate.requests: expected 1 to 1000000 requests in a second, minute or hour, such as 100/s, 20/m or 1000/h, found 100"),
    ("clients: {rate: {requests: 0/s}}", "clients.rate.requests: expected 1 to 1000000 requests in a second, minute or hour, such as 100/s, 20/m or 1000/h, found \"0/s\""),
    ("clients: {rate: {burst: 5}}", "clients.rate.requests: required, but missing"),
    ("routes: [{path: /, origins: [media], cors: {origins: [\"*\"], credentials: true}}]", "routes[0].cors.credentials: contradicts origins: [\"*\"], with which browsers take no answer to a request with cookies"),
    ("routes: [{path: /, origins: [media], cors: {origins: [\"*\", \"https://a\"]}}]", "routes[0].cors.origins[0]: expected scheme and host of a page such as https://example.com or https://*.example.com, or \"*\" alone, found \"*\""),
    ("routes: [{path: /, origins: [media], cors: {origins: [\"https://a/b\"]}}]", "routes[0].cors.origins[0]: expected scheme and host of a page such as https://example.com or https://*.example.com, or \"*\" alone, found \"https://a/b\""),
    ("routes: [{path: /, origins: [media], cors: {origins: [\"*\"], methods: [get]}}]", "routes[0].cors.methods[0]: expected a method such as GET, found \"get\""),
    ("routes: [{path: /, origins: [media], cors: {max_age: 1h}}]", "routes[0].cors.origins: required, but missing"),
    ("routes: [{path: /, origins: [media], rate: {}}]", "routes[0].rate: expected per_address, all or both"),
    ("routes: [{path: /, origins: [media], rate: {all: {requests: 1/s, burst: 0}}}]", "routes[0].rate.all.burst: expected a whole number from 1 to 1000000, found 0"),
    ("routes: [{path: /, origins: [media], access: {deny: []}}]", "routes[0].access.deny: expected a list of at least one network, found an empty list"),
    ("routes: [{path: /, origins: [media], access: {denied: []}}]", "routes[0].access.denied: unknown key (known here: allow, deny, referers, signed)"),
    ("routes: [{path: /, origins: [media], access: {signed: {keys: [{name: k.1, secret: {file: a}}]}}}]", "routes[0].access.signed.keys[0].name: expected a name of 1 to 64 letters, digits, \"-\" and \"_\", found \"k.1\""),
    ("routes: [{path: /, origins: [media], access: {signed: {keys: [{name: k, secret: {file: a}}, {name: k, secret: {file: b}}]}}}]", "routes[0].access.signed.keys[1]: k is the name of an earlier key"),
    ("routes: [{path: /, origins: [media], access: {signed: {}}}]", "routes[0].access.signed.keys: required, but missing"),
    ("routes: [{path: /, origins: [media], access: {signed: {keys: [{name: k, secret: hush}]}}}]", "routes[0].access.signed.keys[0].secret: expected {file: PATH} or {env: NAME}; the secret itself does not belong in this file"),
    ("routes: [{path: /, origins: [media], access: {referers: {allow_none: false}}}]", "routes[0].access.referers.hosts: required, but missing"),
];
