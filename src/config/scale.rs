//! Which values a variant's parameter takes: whole numbers, times or words.

use super::{
    node::Value,
    scalar::{switch, text},
    section::Section,
    spot::Spot,
};
use crate::domain::{Kind, Scale, Steps, Words, is_word};

/// What kind of values a parameter has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Integer,
    Duration,
    Word,
}

impl Type {
    pub(super) fn read(at: &Spot) -> Option<Self> {
        match text(at, TYPES)? {
            "integer" => Some(Self::Integer),
            "duration" => Some(Self::Duration),
            "word" => Some(Self::Word),
            _ => at.expected(TYPES),
        }
    }

    /// The same without any bounds.
    fn plain(self) -> Kind {
        match self {
            Self::Integer => Kind::Integer(Scale::default()),
            Self::Duration => Kind::Duration(Scale::default()),
            Self::Word => Kind::Word(Words::default()),
        }
    }
}

const TYPES: &str = "integer, duration or word";

/// The keys that bound a parameter's values.
pub(super) fn kind(keys: &mut Section, of: Option<Type>) -> Option<Kind> {
    let kind = match of {
        Some(Type::Word) => words(keys).map(Kind::Word),
        Some(of) => scale(keys, of).map(|scale| match of {
            Type::Duration => Kind::Duration(scale),
            _ => Kind::Integer(scale),
        }),
        None => None,
    };
    let others: &[_] = match of {
        Some(Type::Word) => &["min", "max", "breakpoints"],
        Some(_) => &["ignore_case"],
        None => &["allowed", "min", "max", "breakpoints", "ignore_case"],
    };
    for key in others.iter().copied() {
        if keys.optional(key, |_| Some(())).is_some() && of.is_some() {
            let what = if key == "ignore_case" {
                "words"
            } else {
                "numbers and times"
            };
            keys.refuse(key, format!("only {what} have this"));
        }
    }
    kind
}

fn words(keys: &mut Section) -> Option<Words> {
    let ignores_case = keys.or("ignore_case", false, switch);
    let allowed = keys.optional("allowed", |at| {
        let words = at.distinct("word", word)?;
        let twin = |(nth, word): (usize, &String)| {
            words[..nth]
                .iter()
                .any(|other| other.eq_ignore_ascii_case(word))
        };
        match ignores_case && words.iter().enumerate().any(twin) {
            true => at.refuse("two words are the same when ignore_case is on"),
            false => Some(words),
        }
    });
    let given = keys.has("allowed");
    (given == allowed.is_some()).then(|| Words {
        allowed: allowed.unwrap_or_default(),
        ignores_case,
    })
}

fn scale(keys: &mut Section, of: Type) -> Option<Scale> {
    let one = |at: &Spot| number(at, of);
    let several = |at: &Spot| at.distinct("value", one);
    let min = keys.optional("min", one);
    let max = keys.optional("max", one);
    let allowed = keys.optional("allowed", several);
    let breakpoints = keys.optional("breakpoints", several);
    if let (Some(least), Some(most)) = (min, max)
        && least > most
    {
        keys.refuse("min", "expected at most max");
    }
    if keys.has("allowed") {
        for key in ["min", "max", "breakpoints"] {
            if keys.has(key) {
                keys.refuse(
                    key,
                    "contradicts allowed, which has all values that there are",
                );
            }
        }
    }
    if let Some(points) = &breakpoints {
        let outside = |point: &u64| {
            min.is_some_and(|min| *point < min) || max.is_some_and(|max| *point > max)
        };
        if !points.is_sorted() {
            keys.refuse("breakpoints", "expected in ascending order");
        }
        if points.iter().any(outside) {
            keys.refuse("breakpoints", "expected between min and max");
        }
    }
    let steps = match (allowed, breakpoints) {
        (Some(allowed), _) => Steps::Allowed(allowed),
        (None, Some(points)) => Steps::Breakpoints(points),
        (None, None) => Steps::Any,
    };
    let whole = ["min", "max"].map(|key| keys.has(key)) == [min.is_some(), max.is_some()];
    let stepped = keys.has("allowed") || keys.has("breakpoints");
    (whole && stepped == (steps != Steps::Any)).then_some(Scale { min, max, steps })
}

fn number(at: &Spot, of: Type) -> Option<u64> {
    let expected = match of {
        Type::Duration => "a time such as 10s or 00:10",
        _ => "a whole number",
    };
    let number = value(at).and_then(|text| of.plain().number(&text));
    number.or_else(|| at.expected(expected))
}

fn word(at: &Spot) -> Option<String> {
    let word = value(at).filter(|text| is_word(text));
    word.or_else(|| at.expected("a word of at most 64 letters, digits, \"-\", \".\", \"_\""))
}

/// A value as a request would have it.
fn value(at: &Spot) -> Option<String> {
    match at.value() {
        Value::Text(text) => Some(text.clone()),
        number @ (Value::Integer(_) | Value::Float(_)) => Some(number.to_string()),
        _ => None,
    }
}

/// A value that the kind takes, in its one form.
pub(super) fn written(at: &Spot, kind: &Kind) -> Option<String> {
    match kind.canonical(&value(at).unwrap_or_default()) {
        Ok(value) => Some(value),
        Err(expected) => at.expected(expected),
    }
}

/// The same, where it must not be moved to a breakpoint: it stands for what it is.
pub(super) fn default(at: &Spot, kind: &Kind) -> Option<String> {
    let default = written(at, kind)?;
    let given = value(at).and_then(|text| kind.number(&text));
    match given.is_some() && given != kind.number(&default) {
        true => at.expected("one of the breakpoints"),
        false => Some(default),
    }
}
