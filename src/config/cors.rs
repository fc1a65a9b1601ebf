//! The section `cors` of a route: what scripts on others' pages may do with what it has.

use super::{
    node::Value,
    scalar::{DAY, duration, switch, text},
    spot::Spot,
};
use crate::proxy::{Cors, PageOrigin, PageOrigins};
use http::{HeaderName, Method};
use std::time::Duration;

pub(super) fn cors(at: &Spot) -> Option<Cors> {
    at.section(|keys| {
        let origins = keys.required("origins", origins);
        // Without them the other keys are still read, for the mistakes in them.
        let default = Cors::of(origins.clone().unwrap_or(PageOrigins::Any));
        let names = |at: &Spot| at.distinct("header field", name);
        let methods = |at: &Spot| at.distinct("method", method);
        let cors = Cors {
            methods: keys.or("methods", default.methods, methods),
            headers: keys.or("headers", default.headers, names),
            expose: keys.or("expose", default.expose, names),
            max_age: keys.or("max_age", default.max_age, duration(Duration::ZERO..=DAY)),
            credentials: keys.or("credentials", default.credentials, switch),
            origins: default.origins,
        };
        if cors.credentials && origins == Some(PageOrigins::Any) {
            keys.refuse(
                "credentials",
                "contradicts origins: [\"*\"], with which browsers take no answer to a request with cookies",
            );
        }
        origins.map(|_| cors)
    })
}

fn origins(at: &Spot) -> Option<PageOrigins> {
    match at.value() {
        Value::List(items) if matches!(&items[..], [only] if is_star(&only.value)) => {
            Some(PageOrigins::Any)
        }
        _ => at.distinct("origin", origin).map(PageOrigins::These),
    }
}

fn is_star(value: &Value) -> bool {
    matches!(value, Value::Text(text) if text == "*")
}

fn origin(at: &Spot) -> Option<PageOrigin> {
    const EXPECTED: &str = "scheme and host of a page such as https://example.com or https://*.example.com, or \"*\" alone";
    let text = text(at, EXPECTED)?;
    PageOrigin::parse(text).or_else(|| at.expected(EXPECTED))
}

fn name(at: &Spot) -> Option<HeaderName> {
    const EXPECTED: &str = "the name of a header field";
    let name = text(at, EXPECTED)?.parse().ok();
    name.or_else(|| at.expected(EXPECTED))
}

fn method(at: &Spot) -> Option<Method> {
    const EXPECTED: &str = "a method such as GET";
    let text = text(at, EXPECTED)?;
    // Methods differ in their case, and no usual one has lower letters.
    let method = text
        .parse()
        .ok()
        .filter(|_| !text.contains(char::is_lowercase));
    method.or_else(|| at.expected(EXPECTED))
}
