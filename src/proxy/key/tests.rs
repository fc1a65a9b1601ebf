//! Keys as whole bytes, and what the origin is asked for beside them.

use super::*;
use crate::{
    domain::{
        Chosen, Derivatives, Kind, OnBad, Parameter, QueryRules, Scale, Steps, Variants,
        normal_target,
    },
    proxy::{KeyRules, Matcher, RouteOrigin},
};
use proptest::prelude::*;

fn route(key: KeyRules, variants: Variants) -> Route {
    Route {
        key,
        variants,
        ..Route::new(Matcher::Prefix("/".into()), vec![RouteOrigin::named("a")])
    }
}

fn plain() -> Route {
    route(KeyRules::default(), Variants::default())
}

/// A route with everything that a key can have.
fn full() -> Route {
    let key = KeyRules {
        host: Some("films".into()),
        query: QueryRules {
            chosen: Chosen::Only(vec!["v".into()]),
            ignores_signatures: true,
            ..QueryRules::default()
        },
        headers: vec![HeaderName::from_static("x-lang")],
        cookies: vec!["tier".into()],
    };
    let parameter = |name: &str, alias: &str, kind, default: Option<&str>| Parameter {
        name: name.into(),
        aliases: vec![alias.into()],
        kind,
        default: default.map(str::to_owned),
    };
    let width = Scale {
        steps: Steps::Breakpoints(vec![320, 720]),
        ..Scale::default()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let variants = Variants {
        parameters: vec![
            parameter("time", "t", Kind::Duration(Scale::default()), Some("0s")),
            parameter("width", "w", Kind::Integer(width), None),
        ],
        derivatives: Some(Derivatives {
            parameter: "derivative".into(),
            aliases: Vec::new(),
            named: vec![("thumb".into(), vec![pair("width", "320")])],
        }),
        on_bad: OnBad::Refuse,
    };
    route(key, variants)
}

fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn keyed(route: &Route, target: &str, headers: &HeaderMap) -> Keyed {
    let target = normal_target(target.as_bytes());
    route.keyed(1, "a.example", &target, headers).unwrap()
}

fn bytes(keyed: &Keyed) -> Vec<u8> {
    keyed.key.as_ref().unwrap().encode()
}

/// An upgrade must find what its predecessor has stored: these bytes stay as they are.
#[test]
fn whole_keys_are_stable() {
    let none = HeaderMap::new();
    let some = headers(&[
        ("x-lang", " de"),
        ("cookie", "a=1; tier=gold"),
        ("x-lang", "en "),
    ]);
    let full = full();
    let table: &[(&Route, &str, &HeaderMap, &[u8], &str)] = &[
        (
            &plain(),
            "/f.mp4",
            &none,
            b"\0\0\0\x01h\0\0\0\x09a.examplep\0\0\0\x06/f.mp4",
            "/f.mp4",
        ),
        (
            &plain(),
            "/%66%2fg?b=%7e&a",
            &some,
            b"\0\0\0\x01h\0\0\0\x09a.examplep\0\0\0\x06/f%2Fgq\0\0\0\x05b=~&a",
            "/f%2Fg?b=~&a",
        ),
        (
            &full,
            "/f.mp4?w=0700&v=2&x=3&sig=4&se=5&t=00:10",
            &some,
            b"\0\0\0\x01h\0\0\0\x07<films>p\0\0\0\x06/f.mp4q\0\0\0\x03v=2\
              f\0\0\0\x06x-lang=\0\0\0\x06de, en\
              c\0\0\0\x04tier=\0\0\0\x04gold\
              v\0\0\0\x04time=\0\0\0\x0310sv\0\0\0\x05width=\0\0\0\x03720",
            "/f.mp4?v=2&sig=4&se=5&time=10s&width=720",
        ),
        (
            &full,
            "/f.mp4?derivative=thumb",
            &none,
            b"\0\0\0\x01h\0\0\0\x07<films>p\0\0\0\x06/f.mp4\
              f\0\0\0\x06x-lang=\0\0\0\0c\0\0\0\x04tier=\0\0\0\0\
              v\0\0\0\x04time=\0\0\0\x020sv\0\0\0\x05width=\0\0\0\x03320",
            "/f.mp4?time=0s&width=320",
        ),
    ];
    for (route, target, headers, key, asked) in table {
        let keyed = keyed(route, target, headers);
        assert_eq!(
            bytes(&keyed).escape_ascii().to_string(),
            key.escape_ascii().to_string()
        );
        assert_eq!(keyed.target, *asked);
    }
}

#[test]
fn the_origin_is_told_what_the_key_says_and_nothing_that_misleads() {
    let mut told = headers(&[
        ("x-lang", " de"),
        ("x-lang", "en "),
        ("cookie", "a=1; tier=gold"),
        ("cookie", "tier=x"),
        ("x-forwarded-host", "evil.example"),
        ("accept", "*/*"),
    ]);
    let Ok(()) = keyed(&full(), "/f", &told).fields.apply(&mut told);
    let expected = headers(&[
        ("x-lang", "de, en"),
        ("cookie", "tier=gold"),
        ("accept", "*/*"),
    ]);
    assert_eq!(told, expected);

    let mut told = headers(&[("cookie", "a=1"), ("x-lang", " ")]);
    let Ok(()) = keyed(&full(), "/f", &told).fields.apply(&mut told);
    assert_eq!(told, HeaderMap::new());

    let mut told = headers(&[("cookie", "a=1"), ("x-original-url", "/x")]);
    let Ok(()) = keyed(&plain(), "/f", &told).fields.apply(&mut told);
    assert_eq!(told, headers(&[("cookie", "a=1")]));
}

#[test]
fn what_is_too_long_or_no_text_has_no_key() {
    let long: &'static str = "x".repeat(1025).leak();
    for list in [
        [("x-lang", "d\u{e9}")],
        [("x-lang", long)],
        [("cookie", "tier=\u{e9}")],
        [("cookie", format!("tier={long}").leak())],
    ] {
        let keyed = keyed(&full(), "/f?w=700", &headers(&list));
        assert_eq!((keyed.key, keyed.fields), (None, FieldRules::default()));
        assert_eq!(keyed.target, "/f?time=0s&width=720");
    }
    let target = |length| format!("/{}", "x".repeat(length));
    let key = |length| keyed(&plain(), &target(length), &HeaderMap::new()).key;
    assert!(key(8000).is_some());
    assert!(key(8 << 10).is_none());
}

#[test]
fn a_name_for_hosts_is_no_host() {
    let rules = |host: Option<&str>| KeyRules {
        host: host.map(str::to_owned),
        ..KeyRules::default()
    };
    let host_of = |host: &str, name| rules(name).host_of(host);
    assert_eq!(host_of("a", Some("films")), host_of("b", Some("films")));
    assert_ne!(host_of("films", None), host_of("a", Some("films")));
    let name = host_of("a", Some("films"));
    assert!(name.parse::<http::uri::Authority>().is_err());
}

fn any_target() -> impl Strategy<Value = String> {
    let piece = "(v|w|t|x|derivative|%76)=([0-9]{1,3}|thumb|0:1[0-9])?|sig=1|se=2";
    let query = prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.join("&"));
    ("/[a-c%2fF.]{0,4}", query).prop_map(|(path, query)| match query.is_empty() {
        true => path,
        false => format!("{path}?{query}"),
    })
}

proptest! {
    /// What the origin is asked for is the same object, asked for in its own words.
    #[test]
    fn what_is_asked_for_has_the_same_key(target in any_target(), lenient: bool) {
        let mut route = full();
        route.variants.on_bad = OnBad::Drop;
        if lenient {
            route.key.query = QueryRules { sorted: true, ..QueryRules::default() };
        }
        let once = keyed(&route, &target, &HeaderMap::new());
        let again = keyed(&route, &once.target, &HeaderMap::new());
        prop_assert_eq!(&again.key, &once.key);
        prop_assert_eq!(&again.target, &once.target);
    }

    /// Requests that share a key are the same to the origin.
    #[test]
    fn one_key_one_request(a in any_target(), b in any_target()) {
        let mut route = full();
        route.variants.on_bad = OnBad::Drop;
        route.key.query.ignores_signatures = false;
        let [a, b] = [a, b].map(|target| keyed(&route, &target, &HeaderMap::new()));
        prop_assert_eq!(a.key == b.key, a.target == b.target);
    }
}
