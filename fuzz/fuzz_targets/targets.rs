//! Targets of requests: their one spelling, what of a query counts, and derivatives.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_fuzz::domain::{
    Chosen, Derivatives, Kind, OnBad, Parameter, QueryRules, Scale, Steps, Variants, Words,
    normal_target, split_target, written,
};

fuzz_target!(|input: (u8, &[u8])| {
    let (switches, raw) = input;
    let target = normal_target(raw);
    // What is spelled as it should be stays.
    assert_eq!(normal_target(target.as_bytes()), target);
    let (path, query) = split_target(&target);
    assert!(!path.contains('?'));
    selection(switches, query);
    derivatives(switches, query);
});

fn selection(switches: u8, query: Option<&str>) {
    let rules = QueryRules {
        chosen: match switches % 3 {
            0 => Chosen::All,
            1 => Chosen::None,
            _ => Chosen::Only(vec!["a".into(), "b".into()]),
        },
        ignored: vec!["c".into()],
        ignores_tracking: switches & 4 != 0,
        ignores_signatures: switches & 8 != 0,
        sorted: switches & 16 != 0,
    };
    let selected = rules.select(query);
    // What counts is all there is to what counts.
    let again = rules.select(selected.keyed.as_deref());
    assert_eq!(again.keyed, selected.keyed);
}

fn derivatives(switches: u8, query: Option<&str>) {
    let variants = variants(match switches & 32 {
        0 => OnBad::Refuse,
        _ => OnBad::Drop,
    });
    let Ok(derivative) = variants.derivative(query) else {
        return;
    };
    // The one form of a derivative is a form of it, and of no other.
    let canonical: Vec<String> = written(&derivative.values).collect();
    let canonical = canonical.join("&");
    let again = variants
        .derivative(Some(&canonical))
        .expect("the one form is a form");
    assert_eq!(again.values, derivative.values);
    assert!(again.rest.is_empty() && again.dropped.is_empty());
}

fn variants(on_bad: OnBad) -> Variants {
    let scale = |steps| Scale {
        min: Some(1),
        max: Some(4000),
        steps,
    };
    let parameter = |name: &str, alias: &str, kind, default: Option<&str>| Parameter {
        name: name.into(),
        aliases: vec![alias.into()],
        kind,
        default: default.map(Into::into),
    };
    let words = Words {
        allowed: vec!["mp4".into(), "webm".into()],
        ignores_case: true,
    };
    Variants {
        parameters: vec![
            parameter("format", "f", Kind::Word(words), Some("mp4")),
            parameter("time", "t", Kind::Duration(scale(Steps::Any)), None),
            parameter(
                "width",
                "imwidth",
                Kind::Integer(scale(Steps::Breakpoints(vec![360, 720, 1080]))),
                None,
            ),
        ],
        derivatives: Some(Derivatives {
            parameter: "derivative".into(),
            aliases: Vec::new(),
            named: vec![("thumb".into(), vec![("width".into(), "360".into())])],
        }),
        on_bad,
    }
}
