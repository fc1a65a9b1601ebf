//! Which requests a route takes, and whether an earlier one leaves it any.

use super::{hosts, node::quoted, scalar::text, section::Section, spot::Spot};
use crate::{
    domain::HostPattern,
    proxy::{Matcher, Route},
};
use regex::Regex;

/// What a route takes, at a path of the configuration.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    at: String,
    /// Every host when empty.
    pub(super) hosts: Vec<HostPattern>,
    pub(super) matcher: Matcher,
}

/// The keys `host`, and exactly one of `path` and `pattern`.
pub(super) fn reach(at: &Spot, keys: &mut Section) -> Option<Reach> {
    let hosts = keys.optional("host", hosts::one_or_more);
    let path = keys.optional("path", prefix).map(Matcher::Prefix);
    let pattern = keys.optional("pattern", pattern).map(Matcher::Pattern);
    let matcher = match (keys.has("path"), keys.has("pattern")) {
        (true, true) => at.refuse("expected either path or pattern, found both"),
        (false, false) => at.refuse("expected path or pattern, found neither"),
        _ => path.or(pattern),
    };
    let hosts = if keys.has("host") { hosts? } else { Vec::new() };
    Some(Reach {
        at: at.path().to_owned(),
        hosts,
        matcher: matcher?,
    })
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

/// Refuses a route for each of whose hosts there is an earlier one that takes all its paths.
pub(super) fn refuse_unreachable(at: &Spot, later: &Reach, earlier: &[Reach]) {
    let taker = |host| {
        let takes = |earlier: &&Reach| earlier.takes_all(host, &later.matcher);
        earlier.iter().find(takes)
    };
    let takers: Option<Vec<&Reach>> = match &later.hosts[..] {
        [] => taker(None).map(|taker| vec![taker]),
        hosts => hosts.iter().map(|host| taker(Some(host))).collect(),
    };
    let Some(takers) = takers else { return };
    let is_taker = |earlier: &&Reach| takers.iter().any(|taker| taker.at == earlier.at);
    let takers: Vec<&Reach> = earlier.iter().filter(is_taker).collect();
    let verb = if takers.len() == 1 { "takes" } else { "take" };
    let takers: Vec<_> = takers.iter().map(|taker| taker.shown()).collect();
    let takers = takers.join(" and ");
    at.refuse::<()>(format!("never reached: {takers} {verb} its requests"));
}

impl Reach {
    /// Whether this surely takes every request for a host (any, if none is given) whose path the
    /// matcher takes.
    fn takes_all(&self, host: Option<&HostPattern>, matcher: &Matcher) -> bool {
        let takes = |host| self.hosts.iter().any(|own| own.covers(host));
        (self.hosts.is_empty() || host.is_some_and(takes)) && covers(&self.matcher, matcher)
    }

    fn shown(&self) -> String {
        let hosts: Vec<_> = self.hosts.iter().map(ToString::to_string).collect();
        let hosts = match hosts.is_empty() {
            true => String::new(),
            false => format!("host {}, ", quoted(&hosts.join(", "))),
        };
        let matcher = match &self.matcher {
            Matcher::Prefix(prefix) => format!("path {}", quoted(prefix)),
            Matcher::Pattern(pattern) => format!("pattern {}", quoted(pattern.as_str())),
        };
        format!("{} ({hosts}{matcher})", self.at)
    }

    /// A route that takes this, with everything else at its default.
    pub(super) fn route(self) -> Route {
        Route {
            hosts: self.hosts,
            ..Route::new(self.matcher, Vec::new())
        }
    }
}

/// Whether the earlier route surely takes all paths that the later one would. What two regular
/// expressions have in common is not worked out.
fn covers(earlier: &Matcher, later: &Matcher) -> bool {
    match (earlier, later) {
        (Matcher::Prefix(earlier), Matcher::Prefix(later)) => later.starts_with(earlier),
        (Matcher::Prefix(earlier), Matcher::Pattern(_)) => earlier == "/",
        (Matcher::Pattern(earlier), Matcher::Pattern(later)) => earlier.as_str() == later.as_str(),
        (Matcher::Pattern(_), Matcher::Prefix(_)) => false,
    }
}
