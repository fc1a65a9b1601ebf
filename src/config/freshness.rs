//! The keys `ttl` and `freshness` of a route: how long answers are fresh.

use super::{
    node::Value,
    scalar::{freshness, percent, switch, text},
    section::Section,
    spot::Spot,
};
use crate::domain::{ContentTtl, FreshnessRules, Overrides, Ttl};
use http::StatusCode;
use std::time::Duration;

/// Reads both keys of a route.
pub(super) fn rules(keys: &mut Section) -> FreshnessRules {
    let default = FreshnessRules::default();
    let ttl = keys.optional("ttl", ttl).unwrap_or_default();
    let rules = keys.optional("freshness", |at| at.section(|keys| Some(own(keys))));
    let rules = FreshnessRules {
        ttl,
        ..rules.unwrap_or(default)
    };
    if rules.overrides != Overrides::Nothing && !grants_anything(&rules.ttl) {
        keys.refuse(
            "freshness",
            "override has nothing to put in the place of the origin's word; say how long answers \
             are fresh in ttl",
        );
    }
    rules
}

fn grants_anything(ttl: &Ttl) -> bool {
    let classes = [ttl.ok, ttl.redirect, ttl.client_error, ttl.server_error];
    classes.iter().any(Option::is_some) || !ttl.statuses.is_empty() || !ttl.kinds.is_empty()
}

fn ttl(at: &Spot) -> Option<Ttl> {
    let default = Ttl::default();
    at.section(|keys| {
        Some(Ttl {
            ok: keys.optional("ok", freshness),
            redirect: keys.optional("redirect", freshness),
            client_error: keys.optional("client_error", freshness),
            server_error: keys.optional("server_error", freshness),
            statuses: keys.or("statuses", default.statuses, statuses),
            kinds: keys.or("kinds", default.kinds, kinds),
            playlist: keys.or("playlist", default.playlist, freshness),
            segment: keys.or("segment", default.segment, freshness),
        })
    })
}

/// Statuses that are final and stand for a whole response.
fn statuses(at: &Spot) -> Option<Vec<(StatusCode, Duration)>> {
    let Value::Mapping(entries) = at.value() else {
        return at.expected("a mapping of statuses to durations, such as 404: 10s");
    };
    let read = |entry: &super::node::Entry| {
        let spot = at.key(&entry.key, &entry.node);
        let number = entry.key.parse().ok().filter(|n| (200..=599).contains(n));
        let unfit = [206, 304, 412, 416];
        match number.filter(|n: &u16| !unfit.contains(n)) {
            Some(number) => Some((StatusCode::from_u16(number).ok()?, freshness(&spot)?)),
            None => spot.refuse(
                "expected a status from 200 to 599 of a whole response (not 206, 304, 412, 416)",
            ),
        }
    };
    entries.iter().map(read).collect()
}

fn kinds(at: &Spot) -> Option<Vec<ContentTtl>> {
    let kind = |keys: &mut Section| {
        let kind = ContentTtl {
            content_type: keys.optional("content_type", media_type),
            path: keys.optional("path", pattern),
            ttl: keys.required("ttl", freshness)?,
        };
        if !keys.has("content_type") && !keys.has("path") {
            keys.refuse(
                "ttl",
                "needs content_type, path or both beside it; for all answers there is ttl.ok",
            );
        }
        Some(kind)
    };
    let items = at.items("kind of content")?;
    items.iter().map(|item| item.section(kind)).collect()
}

fn media_type(at: &Spot) -> Option<String> {
    let what = "a media type such as video/mp4, or image/* for all of a type";
    let written = text(at, what)?.to_ascii_lowercase();
    let is_token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    match written.split_once('/') {
        Some((class, kind)) if is_token(class) && (kind == "*" || is_token(kind)) => Some(written),
        _ => at.expected(what),
    }
}

fn pattern(at: &Spot) -> Option<regex::Regex> {
    let written = text(at, "a regular expression for paths")?;
    match regex::Regex::new(written) {
        Ok(pattern) => Some(pattern),
        Err(e) => at.refuse(format!("not a regular expression: {e}")),
    }
}

fn own(keys: &mut Section) -> FreshnessRules {
    let default = FreshnessRules::default();
    let rules = FreshnessRules {
        ttl: default.ttl,
        overrides: keys.or("override", default.overrides, overrides),
        minimum: keys.or("minimum", default.minimum, freshness),
        maximum: keys.or("maximum", default.maximum, freshness),
        heuristic: keys.or("heuristic", default.heuristic, whole_percent),
        heuristic_maximum: keys.or("heuristic_maximum", default.heuristic_maximum, freshness),
        jitter: keys.or("jitter", default.jitter, whole_percent),
        stale_while_revalidate: keys.or(
            "stale_while_revalidate",
            default.stale_while_revalidate,
            freshness,
        ),
        stale_if_error: keys.or("stale_if_error", default.stale_if_error, freshness),
        keep: keys.or("keep", default.keep, keep),
        set_cookie: keys.or("set_cookie", default.set_cookie, switch),
        client_control: keys.or("client_control", default.client_control, switch),
    };
    keys.refuse_longer(("minimum", rules.minimum), ("maximum", rules.maximum));
    let stale = rules.stale_while_revalidate.max(rules.stale_if_error);
    if rules.keep.is_some_and(|keep| keep < stale) {
        keys.refuse(
            "keep",
            "contradicts stale_while_revalidate or stale_if_error, which use objects for longer",
        );
    }
    rules
}

fn overrides(at: &Spot) -> Option<Overrides> {
    match at.value() {
        Value::Text(word) if word == "nothing" => Some(Overrides::Nothing),
        Value::Text(word) if word == "lifetime" => Some(Overrides::Lifetime),
        Value::Text(word) if word == "all" => Some(Overrides::All),
        _ => at.expected("nothing, lifetime or all"),
    }
}

fn whole_percent(at: &Spot) -> Option<u8> {
    let share = match at.value() {
        Value::Text(text) => percent(text).filter(|percent| *percent <= 100),
        _ => None,
    };
    share.or_else(|| at.expected("a percentage from 0% to 100%"))
}

fn keep(at: &Spot) -> Option<Option<Duration>> {
    match at.value() {
        Value::Text(words) if words == "until evicted" => Some(None),
        _ => freshness(at).map(Some),
    }
}
