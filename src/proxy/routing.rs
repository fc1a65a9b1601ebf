//! Which route takes a request.

use super::{Matcher, Route};
use crate::origin::{Source, Upstream};
use std::sync::Arc;

/// A route with its origins at hand.
#[derive(Debug)]
pub struct BoundRoute {
    /// The route as configured.
    pub route: Route,
    /// Its origins, in order.
    pub upstream: Arc<Upstream>,
    /// The same, as where missing chunks come from.
    pub source: Arc<dyn Source>,
}

impl BoundRoute {
    /// A route that asks `upstream`.
    pub fn new(route: Route, upstream: Arc<Upstream>) -> Self {
        let source = upstream.clone();
        Self {
            route,
            upstream,
            source,
        }
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

/// The first route that takes a path.
pub fn find<'a>(routes: &'a [Arc<BoundRoute>], path: &str) -> Option<&'a Arc<BoundRoute>> {
    routes.iter().find(|bound| bound.route.matcher.takes(path))
}
