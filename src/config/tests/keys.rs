//! Keys and variants: what they are set to, and what contradicts itself in them.

use super::super::parse;
use super::{altered, mistakes};
use crate::{
    domain::{Chosen, Derivatives, Kind, OnBad, Parameter, QueryRules, Scale, Steps, Words},
    proxy::{KeyRules, Route},
};

fn lines(keys: &str) -> String {
    altered(&format!(
        "origins: {{media: {{servers: [{{url: \"http://x\"}}]}}}}\nroutes: [{{origins: [media], {keys}}}]"
    ))
}

fn read(keys: &str) -> Route {
    let settings = parse(&lines(keys)).unwrap_or_else(|mistakes| panic!("{keys}: {mistakes}"));
    settings.routes[0].clone()
}

#[test]
fn each_key_of_a_key_is_set() {
    let route = read(
        "path: /, key: {host: films, query: [v, \"a[]\"], sort_query: true, ignore_signatures: true,
         headers: [X-Lang, accept], cookies: [tier, a]}",
    );
    let expected = KeyRules {
        host: Some("films".into()),
        query: QueryRules {
            chosen: Chosen::Only(vec!["v".into(), "a[]".into()]),
            sorted: true,
            ignores_signatures: true,
            ..QueryRules::default()
        },
        headers: ["accept", "x-lang"]
            .map(|name| name.parse().unwrap())
            .to_vec(),
        cookies: vec!["a".into(), "tier".into()],
    };
    assert_eq!(route.key, expected);
    let key = |text: &str| read(&format!("path: /, key: {{{text}}}")).key.query;
    assert_eq!(key("query: none").chosen, Chosen::None);
    assert_eq!(key("query: all"), QueryRules::default());
    let rules = key("ignore_tracking: true, ignore_query: [x]");
    assert!(rules.ignores_tracking && rules.ignored == ["x"]);
}

#[test]
fn each_key_of_variants_is_set() {
    let route = read(
        "pattern: '^/(?<id>.)$', origin_path: '/${width}/${id}?f=${format}', variants: {on_bad: drop,
         parameters: {
           width: {type: integer, aliases: [w, 'w[]'], min: 16, max: 4096, breakpoints: [320, 720], default: 720},
           time: {type: duration, min: 1s, max: 00:10, default: 1.50},
           clip: {type: duration, allowed: [5, 10s]},
           format: {type: word, allowed: [mp4, webm], ignore_case: true, default: MP4},
           quality: {type: word}},
         derivative: {parameter: preset, aliases: [p], named: {thumb: {width: 300, quality: 80}}}}",
    );
    let variants = route.variants;
    assert_eq!(variants.on_bad, OnBad::Drop);
    let parameter = |name: &str, kind, default: Option<&str>| Parameter {
        name: name.into(),
        aliases: Vec::new(),
        kind,
        default: default.map(str::to_owned),
    };
    let scale = |min, max, steps| Scale { min, max, steps };
    let words = Words {
        allowed: vec!["mp4".into(), "webm".into()],
        ignores_case: true,
    };
    let expected = [
        parameter(
            "clip",
            Kind::Duration(scale(None, None, Steps::Allowed(vec![5000, 10_000]))),
            None,
        ),
        parameter("format", Kind::Word(words), Some("mp4")),
        parameter("quality", Kind::Word(Words::default()), None),
        parameter(
            "time",
            Kind::Duration(scale(Some(1000), Some(10_000), Steps::Any)),
            Some("1.5s"),
        ),
        Parameter {
            aliases: vec!["w".into(), "w[]".into()],
            ..parameter(
                "width",
                Kind::Integer(scale(
                    Some(16),
                    Some(4096),
                    Steps::Breakpoints(vec![320, 720]),
                )),
                Some("720"),
            )
        },
    ];
    assert_eq!(variants.parameters, expected);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let derivatives = Derivatives {
        parameter: "preset".into(),
        aliases: vec!["p".into()],
        named: vec![(
            "thumb".into(),
            vec![pair("width", "320"), pair("quality", "80")],
        )],
    };
    assert_eq!(variants.derivatives, Some(derivatives));
}

#[test]
fn each_mistake_in_a_key_is_told() {
    for (keys, expected) in WRONG_KEYS {
        let told = mistakes(&lines(&format!("path: /, key: {{{keys}}}")));
        assert_eq!(told, [format!("routes[0].key.{expected}")], "{keys}");
    }
}

#[test]
fn each_mistake_in_variants_is_told() {
    for (keys, expected) in WRONG_VARIANTS {
        let told = mistakes(&lines(&format!("path: /, variants: {{{keys}}}")));
        assert_eq!(told, [format!("routes[0].{expected}")], "{keys}");
    }
}

#[test]
fn variants_and_what_is_beside_them_must_agree() {
    let width = "variants: {parameters: {width: {type: integer, aliases: [w]}}}";
    for (keys, expected) in [
        (
            "path: /, key: {query: [v, w]}",
            "key.query[1]: makes a derivative by variants, and is in the key as that",
        ),
        (
            "path: /, key: {ignore_query: [width]}",
            "key.ignore_query[0]: makes a derivative by variants, and is in the key as that",
        ),
        (
            "path: /, origin_path: '/${widht}'",
            "origin_path: the route has neither a group nor a variant named widht; did you mean width? (known here: width)",
        ),
        (
            "pattern: '^/(?<width>.)$'",
            "variants.parameters.width: the route's pattern has a group of this name, and ${} would mean both",
        ),
    ] {
        let told = mistakes(&lines(&format!("{keys}, {width}")));
        assert_eq!(told, [format!("routes[0].{expected}")], "{keys}");
    }
}

#[test]
fn all_mistakes_of_variants_are_told_at_once() {
    let told = mistakes(&lines(
        "path: /, key: {query: some}, variants: {on_bad: 404, parameters: {a: {type: int}, b: {type: integer, min: x},
         c: {type: word, aliases: [a, b]}}, derivative: {named: {x: {d: 1}, 'y z': {a: 1}}}}",
    ));
    assert_eq!(told.len(), 7, "{told:#?}");
}

#[rustfmt::skip]
const WRONG_KEYS: &[(&str, &str)] = &[
    ("host: 'a b'", "host: expected a name of letters, digits, \"-\", \"_\" and \".\" for all hosts together, found \"a b\""),
    ("query: some", "query: expected all, none, or a list of query parameters, found \"some\""),
    ("query: []", "query: expected all, none, or a list of query parameters, found an empty list"),
    ("query: none, ignore_query: [a]", "ignore_query: contradicts query: none, which leaves everything out"),
    ("query: none, ignore_tracking: true", "ignore_tracking: contradicts query: none, which leaves everything out"),
    ("query: none, sort_query: true", "sort_query: contradicts query: none, which leaves everything out"),
    ("query: [a], ignore_query: [b]", "ignore_query: contradicts query, which leaves out what it does not list"),
    ("query: [a], ignore_tracking: true", "ignore_tracking: contradicts query, which leaves out what it does not list"),
    ("headers: [Host]", "headers[0]: host cannot be part of the key: key.host is for that"),
    ("headers: [Cookie]", "headers[0]: cookie cannot be part of the key: key.cookies is for that"),
    ("headers: [Range]", "headers[0]: range cannot be part of the key: an object is kept for all its ranges"),
    ("headers: [Authorization]", "headers[0]: authorization cannot be part of the key: it is a secret, and keys are kept on disk"),
    ("headers: [X A]", "headers[0]: expected the name of a header field, found \"X A\""),
    ("headers: [X-A, x-a]", "headers[1]: stands earlier in this list already"),
    ("cookies: ['a=b']", "cookies[0]: expected the name of a cookie, found \"a=b\""),
];

#[rustfmt::skip]
const WRONG_VARIANTS: &[(&str, &str)] = &[
    ("on_bad: drop", "variants.parameters: required, but missing"),
    ("parameters: {}", "variants.parameters: expected a mapping of at least one parameter by its name, found an empty mapping"),
    ("parameters: {a: {type: integer}}, on_bad: 500", "variants.on_bad: expected 400 or drop, found 500"),
    ("parameters: {a: {}}", "variants.parameters.a.type: required, but missing"),
    ("parameters: {a: {type: number}}", "variants.parameters.a.type: expected integer, duration or word, found \"number\""),
    ("parameters: {'a&b': {type: word}}", "variants.parameters.\"a&b\": expected a name of at most 64 letters, digits, \"-\", \"_\" and \".\""),
    ("parameters: {a: {type: word, aliases: [b]}, c: {type: word, aliases: [b]}}", "variants.parameters.c.aliases[0]: is a name of a already"),
    ("parameters: {a: {type: word, aliases: [c]}, c: {type: word}}", "variants.parameters.a.aliases[0]: is a name of c already"),
    ("parameters: {a: {type: integer, min: 5, max: 4}}", "variants.parameters.a.min: expected at most max"),
    ("parameters: {a: {type: integer, min: -1}}", "variants.parameters.a.min: expected a whole number, found -1"),
    ("parameters: {a: {type: duration, max: soon}}", "variants.parameters.a.max: expected a time such as 10s or 00:10, found \"soon\""),
    ("parameters: {a: {type: integer, allowed: [1, 01]}}", "variants.parameters.a.allowed[1]: stands earlier in this list already"),
    ("parameters: {a: {type: integer, allowed: [1], max: 4}}", "variants.parameters.a.max: contradicts allowed, which has all values that there are"),
    ("parameters: {a: {type: integer, allowed: [1], breakpoints: [4]}}", "variants.parameters.a.breakpoints: contradicts allowed, which has all values that there are"),
    ("parameters: {a: {type: integer, breakpoints: [4, 3]}}", "variants.parameters.a.breakpoints: expected in ascending order"),
    ("parameters: {a: {type: integer, max: 4, breakpoints: [4, 5]}}", "variants.parameters.a.breakpoints: expected between min and max"),
    ("parameters: {a: {type: integer, allowed: [1, 2], default: 3}}", "variants.parameters.a.default: expected a whole number, one of 1, 2, found 3"),
    ("parameters: {a: {type: integer, breakpoints: [4, 8], default: 5}}", "variants.parameters.a.default: expected one of the breakpoints, found 5"),
    ("parameters: {a: {type: word, allowed: [b], default: c}}", "variants.parameters.a.default: expected one of b, found \"c\""),
    ("parameters: {a: {type: word, allowed: ['..']}}", "variants.parameters.a.allowed[0]: expected a word of at most 64 letters, digits, \"-\", \".\", \"_\", found \"..\""),
    ("parameters: {a: {type: word, allowed: [b, B], ignore_case: true}}", "variants.parameters.a.allowed: two words are the same when ignore_case is on"),
    ("parameters: {a: {type: word, min: 1}}", "variants.parameters.a.min: only numbers and times have this"),
    ("parameters: {a: {type: integer, ignore_case: true}}", "variants.parameters.a.ignore_case: only words have this"),
    ("parameters: {a: {type: word}}, derivative: {}", "variants.derivative.named: required, but missing"),
    ("parameters: {derivative: {type: word}}, derivative: {named: {x: {derivative: a}}}", "variants.derivative.parameter: is a name of derivative already; give it another"),
    ("parameters: {a: {type: word}}, derivative: {parameter: a, named: {x: {a: b}}}", "variants.derivative.parameter: is a name of a already"),
    ("parameters: {width: {type: word}}, derivative: {named: {x: {widht: b}}}", "variants.derivative.named.x.widht: there is no parameter \"widht\"; did you mean width?"),
    ("parameters: {a: {type: integer}}, derivative: {named: {x: {a: b}}}", "variants.derivative.named.x.a: expected a whole number, found \"b\""),
    ("parameters: {a: {type: integer}}, derivative: {named: {'x/y': {a: 1}}}", "variants.derivative.named.\"x/y\": expected a name of at most 64 letters, digits, \"-\", \"_\" and \".\""),
];
