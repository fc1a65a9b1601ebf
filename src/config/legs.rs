//! The origins of a route, in order, and what each of them is asked for.

use super::{
    guard::is_target,
    node::{Value, quoted},
    scalar::{freshness, text},
    section::hint,
    spot::Spot,
};
use crate::{
    domain::Template,
    proxy::{Matcher, RouteOrigin},
};

/// What a route's origins refer to elsewhere; `None` where that itself is wrong.
#[derive(Debug)]
pub(super) struct Known<'a> {
    /// The names of all origins.
    pub(super) origins: Option<&'a [&'a str]>,
    /// What the route takes, of whose groups paths are made.
    pub(super) matcher: Option<&'a Matcher>,
}

/// A list of origins; those without a path of their own are asked for `path`.
pub(super) fn origins(
    at: &Spot,
    known: &Known,
    path: Option<&Template>,
) -> Option<Vec<RouteOrigin>> {
    let mut legs: Vec<RouteOrigin> = Vec::new();
    for item in at.items("origin's name")? {
        let Some(mut leg) = leg(&item, known) else {
            continue;
        };
        leg.path = leg.path.or_else(|| path.cloned());
        // Asked for something else, the same origin is another chance.
        let same = |other: &RouteOrigin| other.name == leg.name && other.path == leg.path;
        match legs.iter().any(same) {
            true => drop(item.refuse::<()>("stands earlier in this list already")),
            false => legs.push(leg),
        }
    }
    Some(legs)
}

/// A name, or a mapping with more than that.
fn leg(at: &Spot, known: &Known) -> Option<RouteOrigin> {
    if !matches!(at.value(), Value::Mapping(_)) {
        return name(at, known).map(RouteOrigin::named);
    }
    at.section(|keys| {
        let name = keys.required("origin", |at| name(at, known));
        let path = keys.optional("path", |at| template(at, known));
        let ttl = keys.optional("ttl", freshness);
        name.map(|name| RouteOrigin { name, path, ttl })
    })
}

fn name(at: &Spot, known: &Known) -> Option<String> {
    let name = text(at, "the name of an origin")?;
    match known.origins {
        Some(origins) if !origins.contains(&name) => {
            let hint = hint(name, origins.iter().copied());
            at.refuse(format!("there is no origin {}{hint}", quoted(name)))
        }
        _ => Some(name.to_owned()),
    }
}

/// A path, perhaps with a query, whose places are named groups of the route's pattern.
pub(super) fn template(at: &Spot, known: &Known) -> Option<Template> {
    const EXPECTED: &str = "a path from its \"/\" on such as /store/${id}.mp4";
    let text = text(at, EXPECTED)?;
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(why) => {
            return at.refuse(format!(
                "expected {EXPECTED}, found {}: {why}",
                quoted(text)
            ));
        }
    };
    if !text.starts_with('/') || !is_target(&template.fill(|_| Some("x"))) {
        return at.expected(EXPECTED);
    }
    let strange = |matcher| {
        template
            .places()
            .find_map(|place| why_strange(place, matcher))
    };
    match known.matcher.and_then(strange) {
        Some(why) => at.refuse(why),
        None => Some(template),
    }
}

/// Why nothing is ever found for a place.
fn why_strange(place: &str, matcher: &Matcher) -> Option<String> {
    let pattern = match matcher {
        Matcher::Pattern(pattern) => pattern,
        Matcher::Prefix(_) => {
            return Some(format!(
                "nothing to fill ${{{place}}} with: a route by path has no named groups; use pattern"
            ));
        }
    };
    let groups: Vec<_> = pattern.capture_names().flatten().collect();
    if groups.contains(&place) {
        return None;
    }
    let hint = hint(place, groups.iter().copied());
    let known = match groups.is_empty() {
        true => "it has none".to_owned(),
        false => format!("known here: {}", groups.join(", ")),
    };
    Some(format!(
        "the route's pattern has no group named {place}{hint} ({known})"
    ))
}
