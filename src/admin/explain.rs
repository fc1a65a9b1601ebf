//! What a URL gets: the route that takes it, what its origins are asked for, and its cache key.
//!
//! Worked out from the configuration alone, so that it can be asked of a running process and of a
//! file that nobody runs yet.

use crate::{
    origin,
    proxy::{Matcher, Route, object_id},
};
use http::Uri;
use serde::{Deserialize, Serialize};
use std::fmt;

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
}

/// What a URL gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The URL.
    pub url: String,
    /// The place of its route in the configuration, such as `routes[0]`, and what it matches.
    pub route: String,
    /// Its origins, in the order in which they are asked.
    pub origins: Vec<Asked>,
    /// The parts of its cache key.
    pub key: Key,
    /// The route's settings, by name.
    pub settings: Vec<(String, String)>,
}

/// One origin of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// `cache.version`.
    pub version: u32,
    /// The host.
    pub host: String,
    /// Path and query, without what the route leaves out.
    pub target: String,
    /// The name of the object in the store; variants have others.
    pub object: String,
}

/// Why a URL can't be explained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unexplained {
    /// It is not a URL with a host.
    #[error(
        "{0:?} is not a URL: give it as clients do, with its host, such as http://video.example/film.mp4"
    )]
    NotAUrl(String),
    /// No route takes it.
    #[error(
        "no route takes {0}: clients get 404; add a route for its host and path, or one with path: /"
    )]
    NoRoute(String),
}

impl Configured {
    /// What a URL gets.
    pub fn explain(&self, url: &str) -> Result<Explanation, Unexplained> {
        let parsed: Uri = url.parse().map_err(|_| Unexplained::NotAUrl(url.into()))?;
        let host = parsed.authority().map(|authority| authority.as_str());
        let host = host.ok_or_else(|| Unexplained::NotAUrl(url.into()))?;
        let takes = |(_, route): &(usize, &Route)| route.takes(host, parsed.path());
        let found = self.routes.iter().enumerate().find(takes);
        let (number, route) = found.ok_or_else(|| Unexplained::NoRoute(url.into()))?;
        let target = parsed
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let key = route.key_of(self.version, host, target);
        Ok(Explanation {
            url: url.to_owned(),
            route: format!("routes[{number}] ({})", describe(route)),
            origins: self.asked(route, target),
            key: Key {
                version: key.version,
                object: object_id(&key.encode()),
                target: key.target(),
                host: key.host,
            },
            settings: self.settings(route),
        })
    }

    fn asked(&self, route: &Route, target: &str) -> Vec<Asked> {
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
                    Some(path) => path.target(pattern, target),
                    None => target.to_owned(),
                },
                host: config.and_then(|config| config.host.clone()),
                servers: servers.map(|server| server.url.to_string()).collect(),
                ttl: named.ttl.map(|ttl| ttl.as_secs()),
            }
        };
        route.origins.iter().map(asked).collect()
    }

    fn settings(&self, route: &Route) -> Vec<(String, String)> {
        let chunk = route.chunk_size.unwrap_or(self.chunk_size);
        let chunk = bytesize::ByteSize(chunk.into()).display().iec().to_string();
        let ttl = [
            ("ttl.ok", route.freshness.ttl.ok),
            ("ttl.redirect", route.freshness.ttl.redirect),
            ("ttl.client_error", route.freshness.ttl.client_error),
            ("ttl.server_error", route.freshness.ttl.server_error),
        ];
        let ttl = ttl.map(|(name, ttl)| {
            let shown = ttl.map(|ttl| humantime::format_duration(ttl).to_string());
            (
                name,
                shown.unwrap_or_else(|| "the origin's word only".into()),
            )
        });
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
        let mut line = |name: &str, value: &str| writeln!(f, "{name:<28}{value}");
        line("url", &self.url)?;
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
        line("key: cache.version", &self.key.version.to_string())?;
        line("key: host", &self.key.host)?;
        line("key: path and query", &self.key.target)?;
        line("object in the store", &self.key.object)?;
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
        assert_eq!(explained.key.host, "a.example:80");
        assert_eq!(explained.key.target, "/films/7.mp4?b=1");
        let again: Explanation =
            serde_json::from_str(&serde_json::to_string(&explained).unwrap()).unwrap();
        assert_eq!(again, explained);
        assert!(explained.to_string().contains("/store/7?b=1"));
    }

    #[test]
    fn what_can_not_be_explained_says_what_to_do() {
        let explain = |url: &str| configured().explain(url).unwrap_err();
        assert_eq!(
            explain("/films/7.mp4"),
            Unexplained::NotAUrl("/films/7.mp4".into())
        );
        assert!(matches!(
            explain("http://b.test/films/7.mp4"),
            Unexplained::NoRoute(_)
        ));
    }
}
