//! The section `routes`: which requests, which origins, and how they are kept.

use super::{
    node::quoted,
    scalar::{duration, show_bytes, switch, text},
    section::{Section, nearest},
    spot::Spot,
    storage::{chunk_size, finish_when, least_store},
};
use crate::proxy::{Matcher, Route, Ttl};
use regex::Regex;
use std::time::Duration;

/// What routes refer to elsewhere in the configuration; `None` where that itself is wrong.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    /// The names of all origins.
    pub(super) origins: Option<Vec<&'a str>>,
    /// What the store may take on disk.
    pub(super) max_size: Option<u64>,
}

pub(super) fn routes(at: &Spot, around: &Surroundings) -> Option<Vec<Route>> {
    let mut earlier: Vec<(String, Matcher)> = Vec::new();
    let mut routes = Vec::new();
    for item in at.items("route")? {
        let route = item.section(|keys| {
            let matcher = matcher(&item, keys);
            if let Some(matcher) = &matcher {
                refuse_unreachable(&item, matcher, &earlier);
                earlier.push((item.path().to_owned(), matcher.clone()));
            }
            route(keys, matcher, around)
        });
        routes.extend(route);
    }
    Some(routes)
}

fn route(keys: &mut Section, matcher: Option<Matcher>, around: &Surroundings) -> Option<Route> {
    let origins = keys.required("origins", |at| origins(at, around));
    let ttl = keys.inner("ttl", ttl);
    let chunk_size = keys.optional("chunk_size", |at| fitting_chunk_size(at, around));
    let finish_when = keys.optional("finish_when", finish_when);
    let debug_headers = keys.or("debug_headers", false, switch);
    Some(Route {
        matcher: matcher?,
        origins: origins?,
        ttl: ttl?,
        chunk_size,
        finish_when: finish_when.unwrap_or_default(),
        debug_headers,
    })
}

/// Exactly one of `path` and `pattern`.
fn matcher(at: &Spot, keys: &mut Section) -> Option<Matcher> {
    let path = keys.optional("path", prefix).map(Matcher::Prefix);
    let pattern = keys.optional("pattern", pattern).map(Matcher::Pattern);
    match (keys.has("path"), keys.has("pattern")) {
        (true, true) => at.refuse("expected either path or pattern, found both"),
        (false, false) => at.refuse("expected path or pattern, found neither"),
        _ => path.or(pattern),
    }
}

fn prefix(at: &Spot) -> Option<String> {
    const EXPECTED: &str = "the beginning of a path, from its \"/\" on and without query";
    let text = text(at, EXPECTED)?;
    match text.starts_with('/') && !text.contains(['?', '#']) {
        true => Some(text.to_owned()),
        false => at.expected(EXPECTED),
    }
}

fn pattern(at: &Spot) -> Option<Regex> {
    const EXPECTED: &str = "a regular expression";
    let text = text(at, EXPECTED)?;
    match Regex::new(text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            // A drawing of the place comes first; the last line says what is wrong.
            let message = error.to_string();
            let why = message.lines().last().unwrap_or_default();
            let why = why.trim().trim_start_matches("error: ");
            at.refuse(format!(
                "expected {EXPECTED}, found {}: {why}",
                quoted(text)
            ))
        }
    }
}

fn refuse_unreachable(at: &Spot, matcher: &Matcher, earlier: &[(String, Matcher)]) {
    let Some((path, by)) = earlier.iter().find(|(_, earlier)| covers(earlier, matcher)) else {
        return;
    };
    let by = match by {
        Matcher::Prefix(prefix) => format!("path {}", quoted(prefix)),
        Matcher::Pattern(pattern) => format!("pattern {}", quoted(pattern.as_str())),
    };
    at.refuse::<()>(format!("never reached: {path} ({by}) takes its requests"));
}

/// Whether the earlier route surely takes all that the later one would. What two regular
/// expressions have in common is not worked out.
fn covers(earlier: &Matcher, later: &Matcher) -> bool {
    match (earlier, later) {
        (Matcher::Prefix(earlier), Matcher::Prefix(later)) => later.starts_with(earlier),
        (Matcher::Prefix(earlier), Matcher::Pattern(_)) => earlier == "/",
        (Matcher::Pattern(earlier), Matcher::Pattern(later)) => earlier.as_str() == later.as_str(),
        (Matcher::Pattern(_), Matcher::Prefix(_)) => false,
    }
}

fn origins(at: &Spot, around: &Surroundings) -> Option<Vec<String>> {
    let mut origins: Vec<String> = Vec::new();
    for item in at.items("origin's name")? {
        let Some(name) = origin(&item, around) else {
            continue;
        };
        match origins.contains(&name) {
            true => drop(item.refuse::<()>("stands earlier in this list already")),
            false => origins.push(name),
        }
    }
    Some(origins)
}

fn origin(at: &Spot, around: &Surroundings) -> Option<String> {
    let name = text(at, "the name of an origin")?;
    match &around.origins {
        Some(known) if !known.contains(&name) => {
            let near = nearest(name, known.iter().copied());
            let hint = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
            at.refuse(format!("there is no origin {}{hint}", quoted(name)))
        }
        _ => Some(name.to_owned()),
    }
}

fn ttl(at: &Spot) -> Option<Ttl> {
    let freshness = || duration(Duration::ZERO..=LONGEST);
    at.section(|keys| {
        Some(Ttl {
            ok: keys.optional("ok", freshness()),
            redirect: keys.optional("redirect", freshness()),
            client_error: keys.optional("client_error", freshness()),
            server_error: keys.optional("server_error", freshness()),
        })
    })
}

/// A grid on which the store still holds enough chunks.
fn fitting_chunk_size(at: &Spot, around: &Surroundings) -> Option<u32> {
    let chunk = chunk_size(at)?;
    match around.max_size {
        Some(max_size) if max_size < least_store(chunk) => at.refuse(format!(
            "expected at most a 16th of cache.max_size ({}), found {}",
            show_bytes(max_size),
            show_bytes(chunk.into())
        )),
        _ => Some(chunk),
    }
}

/// Ten times what RFC 9111 calls practical; added to the time of day it does not overflow.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
