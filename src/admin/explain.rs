//! What a URL gets: the route that takes it, what its origins are asked for, and its cache key.
//!
//! Worked out from the configuration alone, so that it can be asked of a running process and of a
//! file that nobody runs yet.

use crate::{
    domain::{ContentTtl, Extra, ExtraKind, FreshnessRules, ObjectKey, Overrides, split_target},
    origin,
    proxy::{Matcher, Route, object_id, spelled},
};
use http::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// The parts of a configuration that decide what a URL gets.
#[derive(Clone, Debug)]
pub struct Configured {
    /// `cache.version`.
    pub version: u32,
    /// The grid of objects whose route has none of its own, in bytes.
    pub chunk_size: u32,
    /// All routes, in order.
    pub routes: Vec<Route>,
    /// All origins.
    pub origins: Vec<origin::Config>,
    /// All of it as it was written, without secrets.
    pub shown: Shown,
}

/// A configuration as it was written, without secrets: a JSON object, or nothing where it was not
/// written as a file.
pub type Shown = serde_json::Map<String, serde_json::Value>;

/// What a URL gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The URL.
    pub url: String,
    /// The place of its route in the configuration, such as `routes[0]`, and what it matches.
    pub route: String,
    /// Its origins, in the order in which they are asked.
    pub origins: Vec<Asked>,
    /// The parts of its cache key; `None` where it is too long to have one.
    pub key: Option<Key>,
    /// Variants that count as not given, and why.
    pub dropped: Vec<String>,
    /// The route's settings, by name.
    pub settings: Vec<(String, String)>,
    /// What a request for it would get now, where a running process was asked.
    #[serde(default)]
    pub now: Option<String>,
}

/// One origin of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Asked {
    /// Its name.
    pub name: String,
    /// Path and query that it is asked for.
    pub target: String,
    /// What it gets as `Host`, if that is the same for all its servers.
    pub host: Option<String>,
    /// Its servers.
    pub servers: Vec<String>,
    /// How long its answers are fresh at most, in seconds, if the route says so.
    pub ttl: Option<u64>,
}

/// The parts of a cache key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Key {
    /// `cache.version`.
    pub version: u32,
    /// The host, or in angle brackets the route's name for it.
    pub host: String,
    /// The path.
    pub path: String,
    /// The query, without what the route leaves out.
    pub query: Option<String>,
    /// Header fields; those of a request without any.
    pub headers: Vec<(String, String)>,
    /// Cookies, likewise.
    pub cookies: Vec<(String, String)>,
    /// What makes the derivative.
    pub variants: Vec<(String, String)>,
    /// The name of the object in the store; what `Vary` tells apart has others.
    pub object: String,
}

impl Key {
    fn of(key: &ObjectKey) -> Self {
        let of = |kind| {
            let extras = key.extras.iter().filter(move |extra| extra.kind == kind);
            let pair = |extra: &Extra| (extra.name.clone(), extra.value.clone());
            extras.map(pair).collect()
        };
        Self {
            version: key.version,
            host: key.host.clone(),
            path: key.path.clone(),
            query: key.query.clone(),
            headers: of(ExtraKind::Field),
            cookies: of(ExtraKind::Cookie),
            variants: of(ExtraKind::Variant),
            object: object_id(&key.encode()),
        }
    }

    /// Its parts, each with its name.
    fn lines(&self) -> Vec<(String, String)> {
        let line = |name: &str, value: &str| (format!("key: {name}"), value.to_owned());
        let mut lines = vec![
            line("cache.version", &self.version.to_string()),
            line("host", &self.host),
            line("path", &self.path),
        ];
        lines.extend(self.query.iter().map(|query| line("query", query)));
        let kinds = [
            ("header", &self.headers),
            ("cookie", &self.cookies),
            ("variant", &self.variants),
        ];
        for (kind, extras) in kinds {
            let extra = |(name, value): &(String, String)| line(&format!("{kind} {name}"), value);
            lines.extend(extras.iter().map(extra));
        }
        lines.push(("object in the store".to_owned(), self.object.clone()));
        lines
    }
}

/// Why a URL can't be explained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unexplained {
    /// It is not a URL with a host.
    #[error(
        "{0:?} is not a URL: give it as clients do, with its scheme and host, such as http://video.example/film.mp4"
    )]
    NotAUrl(String),
    /// No route takes it.
    #[error(
        "no route takes {0}: clients get 404; add a route for its host and path, or one with path: /"
    )]
    NoRoute(String),
    /// It asks for a derivative that its route refuses.
    #[error("clients get 400: {0}")]
    BadVariant(String),
}

impl Configured {
    /// What a URL gets.
    pub fn explain(&self, url: &str) -> Result<Explanation, Unexplained> {
        let found = spelled(url);
        let (host, target) = found.ok_or_else(|| Unexplained::NotAUrl(url.into()))?;
        let (path, _) = split_target(&target);
        let takes = |(_, route): &(usize, &Route)| route.takes(&host, path);
        let found = self.routes.iter().enumerate().find(takes);
        let (number, route) = found.ok_or_else(|| Unexplained::NoRoute(url.into()))?;
        let keyed = route.keyed(self.version, &host, &target, &HeaderMap::new());
        let keyed = keyed.map_err(|bad| Unexplained::BadVariant(bad.to_string()))?;
        Ok(Explanation {
            url: url.to_owned(),
            route: format!("routes[{number}] ({})", describe(route)),
            origins: self.asked(route, &host, &keyed.target),
            key: keyed.key.as_ref().map(Key::of),
            dropped: keyed.dropped.iter().map(ToString::to_string).collect(),
            settings: self.settings(route),
            now: None,
        })
    }

    fn asked(&self, route: &Route, host: &str, target: &str) -> Vec<Asked> {
        let pattern = match &route.matcher {
            Matcher::Pattern(pattern) => Some(pattern),
            Matcher::Prefix(_) => None,
        };
        let asked = |named: &crate::proxy::RouteOrigin| {
            let config = self.origins.iter().find(|origin| origin.name == named.name);
            let servers = config.into_iter().flat_map(|config| &config.servers);
            Asked {
                name: named.name.clone(),
                target: match &named.path {
                    Some(path) => path.target(pattern, &route.variants, target),
                    None => target.to_owned(),
                },
                host: config.and_then(|config| match config.pass_host {
                    true => Some(host.to_owned()),
                    false => config.host.clone(),
                }),
                servers: servers.map(|server| server.url.to_string()).collect(),
                ttl: named.ttl.map(|ttl| ttl.as_secs()),
            }
        };
        route.origins.iter().map(asked).collect()
    }

    fn settings(&self, route: &Route) -> Vec<(String, String)> {
        let chunk = route.chunk_size.unwrap_or(self.chunk_size);
        let chunk = bytesize::ByteSize(chunk.into()).display().iec().to_string();
        let ttl = freshness_of(&route.freshness);
        let next_on: Vec<_> = route
            .next_on
            .iter()
            .map(|s| s.as_str().to_owned())
            .collect();
        let features = route.features;
        let switch = |on: bool| if on { "on" } else { "off" }.to_owned();
        let others = [
            ("chunk_size", chunk),
            ("finish_when", route.finish_when.to_string()),
            (
                "next_on",
                format!("5xx {}", next_on.join(" ")).trim_end().to_owned(),
            ),
            ("features.breaker", switch(features.breaker)),
            ("features.priority_queue", switch(features.priority_queue)),
            ("features.speculation", switch(features.speculation)),
            ("features.preconnect", switch(features.preconnect)),
            ("features.hedging", switch(features.hedging)),
            (
                "features.parallel_fetches",
                switch(features.parallel_fetches),
            ),
        ];
        let all = ttl.into_iter().chain(others);
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// How long answers are fresh, by name.
fn freshness_of(rules: &FreshnessRules) -> Vec<(&'static str, String)> {
    let ttl = &rules.ttl;
    let classes = [
        ("ttl.ok", ttl.ok),
        ("ttl.redirect", ttl.redirect),
        ("ttl.client_error", ttl.client_error),
        ("ttl.server_error", ttl.server_error),
    ];
    let classes = classes.map(|(name, ttl)| {
        (
            name,
            ttl.map_or_else(|| "the origin's word only".into(), shown),
        )
    });
    let overrides = match rules.overrides {
        Overrides::Nothing => "nothing",
        Overrides::Lifetime => "lifetime",
        Overrides::All => "all",
    };
    let statuses = ttl.statuses.iter();
    let statuses = statuses.map(|(status, ttl)| {
        (
            "ttl.statuses",
            format!("{}: {}", status.as_u16(), shown(*ttl)),
        )
    });
    let kinds = ttl.kinds.iter().map(|kind| ("ttl.kinds", described(kind)));
    let others = [
        ("ttl.playlist", shown(ttl.playlist)),
        ("ttl.segment", shown(ttl.segment)),
        ("freshness.override", overrides.to_owned()),
        ("freshness.minimum", shown(rules.minimum)),
        ("freshness.maximum", shown(rules.maximum)),
        ("freshness.heuristic", format!("{}%", rules.heuristic)),
        ("freshness.jitter", format!("{}%", rules.jitter)),
        (
            "freshness.stale_while_revalidate",
            shown(rules.stale_while_revalidate),
        ),
        ("freshness.stale_if_error", shown(rules.stale_if_error)),
        (
            "freshness.keep",
            rules.keep.map_or_else(|| "until evicted".into(), shown),
        ),
    ];
    let classes = statuses.chain(kinds).chain(classes);
    classes.chain(others).collect()
}

fn described(kind: &ContentTtl) -> String {
    let content_type = kind
        .content_type
        .iter()
        .map(|t| format!("content_type: {t}, "));
    let path = kind.path.iter().map(|path| format!("path: {path}, "));
    content_type.chain(path).collect::<String>() + &shown(kind.ttl)
}

/// A time in units that always last the same, as it may stand in a configuration.
fn shown(duration: Duration) -> String {
    let mut left = duration.as_secs();
    let mut parts = Vec::new();
    for (length, unit) in [(86400, "d"), (3600, "h"), (60, "m"), (1, "s")] {
        if left >= length {
            parts.push(format!("{}{unit}", left / length));
            left %= length;
        }
    }
    let rest = duration.subsec_millis();
    match (rest, parts.is_empty()) {
        (0, true) => parts.push("0s".to_owned()),
        (0, false) => {}
        (rest, _) => parts.push(format!("{rest}ms")),
    }
    parts.join(" ")
}

fn describe(route: &Route) -> String {
    let hosts: Vec<_> = route.hosts.iter().map(|host| host.to_string()).collect();
    let path = match &route.matcher {
        Matcher::Prefix(path) => format!("path: {path}"),
        Matcher::Pattern(pattern) => format!("pattern: {pattern}"),
    };
    match hosts.is_empty() {
        true => path,
        false => format!("host: {}; {path}", hosts.join(", ")),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, value: &str| writeln!(f, "{name:<34}{value}");
        line("url", &self.url)?;
        if let Some(now) = &self.now {
            line("now", now)?;
        }
        line("route", &self.route)?;
        for origin in &self.origins {
            let ttl = origin
                .ttl
                .map_or(String::new(), |s| format!(", fresh for at most {s}s"));
            line(
                &format!("origin {}", origin.name),
                &format!("{}{ttl}", origin.target),
            )?;
            if let Some(host) = &origin.host {
                line("  Host", host)?;
            }
            for server in &origin.servers {
                line("  server", server)?;
            }
        }
        for dropped in &self.dropped {
            line("left out", dropped)?;
        }
        match &self.key {
            Some(key) => {
                let lines = key.lines();
                lines
                    .iter()
                    .try_for_each(|(name, value)| line(name, value))?;
            }
            None => line(
                "key",
                "none: too long; the request is passed on, its answer not kept",
            )?,
        }
        self.settings
            .iter()
            .try_for_each(|(name, value)| line(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{HostPattern, Template},
        proxy::RouteOrigin,
    };

    fn configured() -> Configured {
        let url = || vec!["http://10.0.0.1:8000".parse().unwrap()];
        let films = Route {
            hosts: vec![HostPattern::parse("*.example").unwrap()],
            ..Route::new(
                Matcher::Pattern(r"^/films/(?<id>\d+)\.mp4$".parse().unwrap()),
                vec![RouteOrigin {
                    path: Some(Template::parse("/store/${id}").unwrap()),
                    ..RouteOrigin::named("media")
                }],
            )
        };
        Configured {
            version: 3,
            chunk_size: 1 << 20,
            routes: vec![films],
            origins: vec![origin::Config::new("media".into(), url())],
            shown: Shown::new(),
        }
    }

    #[test]
    fn a_url_is_followed_to_its_origin() {
        let explained = configured()
            .explain("http://A.example:80/films/7.mp4?b=1")
            .unwrap();
        assert!(
            explained.route.starts_with("routes[0]"),
            "{}",
            explained.route
        );
        assert_eq!(explained.origins[0].target, "/store/7?b=1");
        let key = explained.key.as_ref().unwrap();
        assert_eq!(
            (key.host.as_str(), key.path.as_str()),
            ("a.example", "/films/7.mp4")
        );
        assert_eq!(key.query.as_deref(), Some("b=1"));
        let again: Explanation =
            serde_json::from_str(&serde_json::to_string(&explained).unwrap()).unwrap();
        assert_eq!(again, explained);
        assert!(explained.to_string().contains("/store/7?b=1"));
    }

    #[test]
    fn names_and_values_stand_apart_and_times_as_they_are_written() {
        let mut configured = configured();
        let freshness = &mut configured.routes[0].freshness;
        freshness.maximum = Duration::from_secs(365 * 86400);
        freshness.ttl.statuses = vec![(http::StatusCode::GONE, Duration::from_millis(90_500))];
        let explained = configured.explain("http://a.example/films/7.mp4").unwrap();
        for (name, value) in &explained.settings {
            assert!(
                explained.to_string().contains(&format!("{name} ")),
                "{name}"
            );
            assert!(!value.contains("month"), "{value}");
        }
        let said = |name: &str| {
            let found = explained.settings.iter().find(|(n, _)| n == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(said("freshness.maximum"), Some("365d"));
        assert_eq!(said("ttl.statuses"), Some("410: 1m 30s 500ms"));
        assert_eq!(said("ttl.kinds"), None);
    }

    #[test]
    fn what_can_not_be_explained_says_what_to_do() {
        let explain = |url: &str| configured().explain(url).unwrap_err();
        for url in [
            "/films/7.mp4",
            "a.example/films/7.mp4",
            "a.example:80",
            "http:///films/7.mp4",
            "ftp://a.example/films/7.mp4",
            "http://me@a.example/films/7.mp4",
        ] {
            assert_eq!(explain(url), Unexplained::NotAUrl(url.into()));
        }
        assert!(matches!(
            explain("http://b.test/films/7.mp4"),
            Unexplained::NoRoute(_)
        ));
    }
}
