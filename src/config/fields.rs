//! Rules for the fields of requests and responses, and which fields are nobody's to touch.

use super::{
    node::{Entry, Value, quoted},
    scalar::text,
    spot::Spot,
};
use crate::domain::FieldRules;
use http::{HeaderName, HeaderValue};

/// Rules for requests to the origins.
pub(super) fn of_requests(at: &Spot) -> Option<FieldRules> {
    rules(at, ASKED)
}

/// Rules for responses to clients.
pub(super) fn of_responses(at: &Spot) -> Option<FieldRules> {
    rules(at, ANSWERED)
}

/// The name of a field that a request to an origin may be given.
pub(super) fn sendable_name(at: &Spot) -> Option<HeaderName> {
    name(at, ASKED)
}

/// The name of a field of requests that a key may have.
pub(super) fn keyable_name(at: &Spot) -> Option<HeaderName> {
    let name = match named(text(at, NAME)?) {
        Ok(name) => name,
        Err(why) => return at.refuse(why),
    };
    match why_reserved(&name, KEYED) {
        Some(why) => at.refuse(format!("{name} cannot be part of the key: {why}")),
        None => Some(name),
    }
}

/// Fields with the reason why they are not the operator's.
type Reserved = &'static [(&'static [&'static str], &'static str)];

const FRAMING: (&[&str], &str) = (
    &[
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ],
    "it belongs to the connection",
);

const ASKED: Reserved = &[
    FRAMING,
    (&["host"], "origins.*.host is for that"),
    (
        &["range", "if-range"],
        "what to ask for is the cache's to say",
    ),
    (
        &[
            "if-match",
            "if-none-match",
            "if-modified-since",
            "if-unmodified-since",
        ],
        "conditions are the cache's to set",
    ),
];

const KEYED: Reserved = &[
    FRAMING,
    (&["host"], "key.host is for that"),
    (&["cookie"], "key.cookies is for that"),
    (
        &["authorization", "proxy-authorization"],
        "it is a secret, and keys are kept on disk",
    ),
    (&["accept-encoding"], "origins do not get it"),
    (
        &["range", "if-range"],
        "an object is kept for all its ranges",
    ),
    (
        &[
            "if-match",
            "if-none-match",
            "if-modified-since",
            "if-unmodified-since",
            "cache-control",
            "pragma",
            "expect",
        ],
        "it says how an object is asked for, not which",
    ),
    (
        &["via", "traceparent", "tracestate"],
        "it is the way of a request",
    ),
];

const TOLD: Reserved = &[
    FRAMING,
    (&["host"], "it is that of the URL"),
    (&["content-type"], "it is that of what is sent"),
];

const ANSWERED: Reserved = &[
    FRAMING,
    (&["content-range"], "it belongs to the range that is sent"),
    (
        &["age", "cache-status", "via"],
        "it tells the truth about the cache",
    ),
];

fn rules(at: &Spot, reserved: Reserved) -> Option<FieldRules> {
    at.section(|keys| {
        let set = keys.optional("set", |at| lines(at, reserved, value));
        let add = keys.optional("add", |at| lines(at, reserved, value));
        let remove = |at: &Spot| at.distinct("header field", |at| name(at, reserved));
        Some(FieldRules {
            remove: keys.optional("remove", remove).unwrap_or_default(),
            set: set.unwrap_or_default(),
            add: add.unwrap_or_default(),
        })
    })
}

/// Fields of requests of our own, each with a value of the reader's kind.
pub(super) fn told<V>(
    at: &Spot,
    value: impl Fn(&Spot) -> Option<V>,
) -> Option<Vec<(HeaderName, V)>> {
    lines(at, TOLD, value)
}

/// A mapping of names to values.
fn lines<V>(
    at: &Spot,
    reserved: Reserved,
    value: impl Fn(&Spot) -> Option<V>,
) -> Option<Vec<(HeaderName, V)>> {
    let entries = match at.value() {
        Value::Mapping(entries) if !entries.is_empty() => entries,
        _ => return at.expected("a mapping of at least one header field to its value"),
    };
    let mut lines = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let at = at.key(&entry.key, &entry.node);
        let name = match free(&entry.key, reserved) {
            Ok(name) => Some(name),
            Err(why) => at.refuse(why),
        };
        // In the same letters it is refused as any key is that stands twice.
        let twin = |e: &Entry| e.key != entry.key && e.key.eq_ignore_ascii_case(&entry.key);
        if entries[..index].iter().any(twin) {
            at.refuse::<()>("stands earlier in other letters already");
        }
        lines.extend(name.zip(value(&at)));
    }
    Some(lines)
}

fn name(at: &Spot, reserved: Reserved) -> Option<HeaderName> {
    match free(text(at, NAME)?, reserved) {
        Ok(name) => Some(name),
        Err(why) => at.refuse(why),
    }
}

/// The field of a name, unless it is reserved.
fn free(text: &str, reserved: Reserved) -> Result<HeaderName, String> {
    let name = named(text)?;
    match why_reserved(&name, reserved) {
        Some(why) => Err(format!("{name} cannot be changed: {why}")),
        None => Ok(name),
    }
}

fn named(text: &str) -> Result<HeaderName, String> {
    let wrong = |_| format!("expected {NAME}, found {}", quoted(text));
    text.parse().map_err(wrong)
}

fn why_reserved(name: &HeaderName, reserved: Reserved) -> Option<&'static str> {
    let is_it = |(names, _): &&(&[&str], &str)| names.contains(&name.as_str());
    reserved.iter().find(is_it).map(|(_, why)| *why)
}

const NAME: &str = "the name of a header field";

/// What a field says.
pub(super) fn value(at: &Spot) -> Option<HeaderValue> {
    const EXPECTED: &str = "the value of a header field, a text in ASCII on one line";
    let text = text(at, EXPECTED)?;
    match HeaderValue::from_str(text) {
        Ok(value) => Some(value),
        Err(_) => at.expected(EXPECTED),
    }
}
