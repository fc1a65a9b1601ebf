//! Which route takes a request.

use super::{
    Matcher, Route,
    access::{Access, Checks},
    prefetch::Prefetcher,
};
use crate::{
    domain::other_readings,
    origin::{LoadError, Source, Upstream},
};
use parking_lot::RwLock;
use std::sync::Arc;

/// A route with its origins at hand.
#[derive(Debug)]
pub struct BoundRoute {
    /// Its place in the configuration, such as `routes[0]`.
    pub name: String,
    /// The route as configured.
    pub route: Route,
    /// Its origins, in order.
    pub upstream: Arc<Upstream>,
    /// The same, as where missing chunks come from.
    pub source: Arc<dyn Source>,
    /// What stands at its door.
    pub checks: Checks,
    /// What of streams it fetches ahead.
    pub prefetcher: Option<Arc<Prefetcher>>,
}

/// The routes in force, in order. A reload replaces them all at once; requests under way keep
/// theirs.
#[derive(Debug, Default)]
pub struct Routes(RwLock<Arc<[Arc<BoundRoute>]>>);

impl BoundRoute {
    /// The route at this place, which asks `upstream`; its secrets are read for the first time.
    pub fn load(at: usize, route: Route, upstream: Arc<Upstream>) -> Result<Self, LoadError> {
        let source = upstream.clone();
        Ok(Self {
            name: format!("routes[{at}]"),
            checks: Checks::load(&route)?,
            prefetcher: route.prefetch.map(Prefetcher::new).map(Arc::new),
            route,
            upstream,
            source,
        })
    }
}

impl Routes {
    /// These routes.
    pub fn new(routes: Vec<Arc<BoundRoute>>) -> Self {
        Self(RwLock::new(routes.into()))
    }

    /// Puts others in their place.
    pub fn replace(&self, routes: Vec<Arc<BoundRoute>>) {
        *self.0.write() = routes.into();
    }

    /// The first route that takes a request for this host and path.
    pub fn find(&self, host: &str, path: &str) -> Option<Arc<BoundRoute>> {
        let routes = self.0.read();
        let found = routes.iter().find(|bound| bound.route.takes(host, path));
        found.cloned()
    }
}

impl Routes {
    /// Whether an origin may take this path, which `found` takes here, for one of another route that
    /// lets in only some: that would be a way around its door.
    pub fn leads_around(&self, host: &str, path: &str, found: &BoundRoute) -> bool {
        let is_guarded = |other: Arc<BoundRoute>| {
            let access = &other.route.access;
            *access != Access::default() && *access != found.route.access
        };
        let readings = other_readings(path);
        let mut others = readings.iter().filter_map(|read| self.find(host, read));
        others.any(is_guarded)
    }

    /// All routes that take requests for this host, whatever the path.
    pub fn of_host(&self, host: &str) -> Vec<Arc<BoundRoute>> {
        let routes = self.0.read();
        let of_host = routes.iter().filter(|bound| bound.route.takes_host(host));
        of_host.cloned().collect()
    }
}

impl Route {
    /// Whether this takes a request for this host and path.
    pub fn takes(&self, host: &str, path: &str) -> bool {
        self.takes_host(host) && self.matcher.takes(path)
    }

    fn takes_host(&self, host: &str) -> bool {
        let hosts = &self.hosts;
        hosts.is_empty() || hosts.iter().any(|pattern| pattern.takes(host))
    }
}

impl Matcher {
    /// Whether this takes a path.
    pub fn takes(&self, path: &str) -> bool {
        match self {
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Self::Pattern(pattern) => pattern.is_match(path),
        }
    }
}
