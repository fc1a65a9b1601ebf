//! One derivative, one form.

use super::*;
use proptest::prelude::*;

fn parameter(name: &str, aliases: &[&str], kind: Kind, default: Option<&str>) -> Parameter {
    Parameter {
        name: name.into(),
        aliases: aliases.iter().map(|alias| alias.to_string()).collect(),
        kind,
        default: default.map(str::to_owned),
    }
}

fn variants(on_bad: OnBad) -> Variants {
    let fit = Words {
        allowed: ["contain".to_owned(), "cover".to_owned()].into(),
        ignores_case: true,
    };
    let width = Scale {
        min: Some(16),
        max: Some(4096),
        steps: Steps::Breakpoints(vec![320, 720, 1080]),
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Variants {
        parameters: vec![
            parameter("fit", &[], Kind::Word(fit), Some("contain")),
            parameter("time", &["t"], Kind::Duration(Scale::default()), None),
            parameter("width", &["imwidth", "w[]"], Kind::Integer(width), None),
        ],
        derivatives: Some(Derivatives {
            parameter: "derivative".into(),
            aliases: vec!["d".into()],
            named: vec![(
                "thumb".into(),
                vec![pair("width", "320"), pair("time", "5s")],
            )],
        }),
        on_bad,
    }
}

/// The canonical query, and the rest.
fn form(on_bad: OnBad, query: &str) -> Result<(String, String), String> {
    let all = variants(on_bad);
    let derivative = all.derivative(Some(query)).map_err(|bad| bad.to_string())?;
    let values: Vec<_> = written(&derivative.values).collect();
    Ok((values.join("&"), derivative.rest.join("&")))
}

#[test]
fn spellings_of_one_derivative_have_one_form() {
    let own = ("fit=cover&time=10s&width=720".to_owned(), "v=1".to_owned());
    for query in [
        "v=1&width=720&time=10&fit=cover",
        "fit=COVER&imwidth=700&v=1&t=00:10",
        "w%5B%5D=0701&t=00%3A10&fit=%63over&v=1",
        "width=700&v=1&w[]=720&time=10s&time=10.0&fit=cover",
        "d=thumb&v=1&width=650&t=10000ms&fit=Cover",
    ] {
        assert_eq!(form(OnBad::Refuse, query), Ok(own.clone()), "{query}");
    }
}

#[test]
fn what_is_not_said_comes_from_the_name_and_from_the_defaults() {
    let values = |query| form(OnBad::Refuse, query).unwrap().0;
    assert_eq!(values(""), "fit=contain");
    assert_eq!(values("fit=contain"), "fit=contain");
    assert_eq!(values("derivative=thumb"), "fit=contain&time=5s&width=320");
    assert_eq!(values("d=thumb&t=6"), "fit=contain&time=6s&width=320");
    let none = Variants::default().derivative(None).unwrap();
    assert_eq!(none, Derivative::default());
}

#[test]
fn bad_values_are_told_or_dropped() {
    for (query, why, dropped) in [
        (
            "width=5",
            "width: expected a whole number from 16 to 4096, found \"5\"",
            "fit=contain",
        ),
        (
            "imwidth=x&fit=cover",
            "width: expected a whole number from 16 to 4096, found \"x\"",
            "fit=cover",
        ),
        (
            "width",
            "width: expected a whole number from 16 to 4096, found \"\"",
            "fit=contain",
        ),
        (
            "fit=fill",
            "fit: expected one of contain, cover, found \"fill\"",
            "fit=contain",
        ),
        (
            "t=%FF",
            "time: expected a time such as 10s or 00:10, found \"\"",
            "fit=contain",
        ),
        (
            "width=100&imwidth=900&width=100",
            "imwidth: given more than once, with different values",
            "fit=contain",
        ),
        (
            "d=poster&width=100",
            "derivative: expected one of thumb, found \"poster\"",
            "fit=contain&width=320",
        ),
    ] {
        assert_eq!(form(OnBad::Refuse, query), Err(why.into()), "{query}");
        let lenient = form(OnBad::Drop, query).unwrap();
        assert_eq!(lenient, (dropped.into(), String::new()), "{query}");
    }
}

fn any_query() -> impl Strategy<Value = String> {
    let name = prop::sample::select(&["width", "imwidth", "w%5B%5D", "t", "time", "fit", "d", "x"]);
    let value = "[0-9]{1,4}|cover|Contain|thumb|0:1[0-9]|%37[0-9]";
    let pair = (name, value).prop_map(|(name, value)| format!("{name}={value}"));
    prop::collection::vec(pair, 0..6).prop_map(|pairs| pairs.join("&"))
}

proptest! {
    #[test]
    fn the_one_form_is_its_own(query in any_query()) {
        let all = variants(OnBad::Drop);
        let once = all.lenient(Some(&query));
        let written = written(&once.values).collect::<Vec<_>>().join("&");
        let again = variants(OnBad::Refuse).derivative(Some(&written)).unwrap();
        prop_assert_eq!(again.values, once.values);
        prop_assert!(again.rest.is_empty());
    }

    #[test]
    fn order_makes_no_difference(
        mut pairs in prop::collection::vec(any_query(), 0..5), seed: u64,
    ) {
        let values = |query: &str| variants(OnBad::Drop).lenient(Some(query)).values;
        let before = values(&pairs.join("&"));
        let turn = seed as usize % pairs.len().max(1);
        pairs.rotate_left(turn);
        prop_assert_eq!(values(&pairs.join("&")), before);
    }

    #[test]
    fn different_breakpoints_are_different(a in 16..2000u64, b in 16..2000u64) {
        let point = |n: u64| [320, 720].into_iter().find(|p| *p >= n).unwrap_or(1080);
        let values = |n: u64| variants(OnBad::Refuse).derivative(Some(&format!("w[]={n}"))).unwrap().values;
        prop_assert_eq!(values(a) == values(b), point(a) == point(b));
    }
}
