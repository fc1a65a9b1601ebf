//! The origins of a route, in order, and what each of them is asked for.

use super::{
    guard::is_target,
    node::{Value, quoted},
    scalar::{freshness, text},
    section::hint,
    spot::Spot,
};
use crate::{
    domain::{Template, Variants},
    proxy::{Matcher, RouteOrigin},
};

/// What a route's origins refer to elsewhere; `None` where that itself is wrong.
#[derive(Debug)]
pub(super) struct Known<'a> {
    /// The names of all origins.
    pub(super) origins: Option<&'a [&'a str]>,
    /// What the route takes, of whose groups paths are made.
    pub(super) matcher: Option<&'a Matcher>,
    /// The parameters that make derivatives, of whose values paths are made too.
    pub(super) variants: Option<&'a Variants>,
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

/// A path, perhaps with a query, whose places are named groups of the route's pattern or variants.
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
    let strange = |(matcher, variants)| {
        let mut places = template.places();
        places.find_map(|place| why_strange(place, matcher, variants))
    };
    match known.matcher.zip(known.variants).and_then(strange) {
        Some(why) => at.refuse(why),
        None => Some(template),
    }
}

/// Why nothing is ever found for a place.
fn why_strange(place: &str, matcher: &Matcher, variants: &Variants) -> Option<String> {
    let mut names: Vec<_> = match matcher {
        Matcher::Pattern(pattern) => pattern.capture_names().flatten().collect(),
        Matcher::Prefix(_) if variants.is_empty() => {
            return Some(format!(
                "nothing to fill ${{{place}}} with: a route by path has no named groups; use pattern"
            ));
        }
        Matcher::Prefix(_) => Vec::new(),
    };
    names.extend(variants.parameters.iter().map(|p| p.name.as_str()));
    if names.contains(&place) {
        return None;
    }
    let hint = hint(place, names.iter().copied());
    let known = match names.is_empty() {
        true => "it has none".to_owned(),
        false => format!("known here: {}", names.join(", ")),
    };
    let whose = match variants.is_empty() {
        true => "the route's pattern has no group",
        false => "the route has neither a group nor a variant",
    };
    Some(format!("{whose} named {place}{hint} ({known})"))
}
