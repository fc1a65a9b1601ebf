//! What a route may be told.

use crate::fill::FinishWhen;
use std::time::Duration;

/// One route: which requests, which origins, and how they are kept.
#[derive(Clone, Debug)]
pub struct Route {
    /// Which request paths this route takes.
    pub matcher: Matcher,
    /// Names of origins, tried in this order.
    pub origins: Vec<String>,
    /// Freshness where the origin gives none.
    pub ttl: Ttl,
    /// Grid of new objects of this route, in bytes; the store's own when absent.
    pub chunk_size: Option<u32>,
    /// What becomes of a fill whose last reader has left.
    pub finish_when: FinishWhen,
    /// Adds headers that explain to a client what was done.
    pub debug_headers: bool,
}

/// Which request paths a route takes.
#[derive(Clone, Debug)]
pub enum Matcher {
    /// Paths that begin with this text.
    Prefix(String),
    /// Paths that this regular expression matches.
    Pattern(regex::Regex),
}

/// Freshness by class of status, only where the origin gives none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ttl {
    /// For 2xx.
    pub ok: Option<Duration>,
    /// For 301, 302, 307, 308.
    pub redirect: Option<Duration>,
    /// For 4xx.
    pub client_error: Option<Duration>,
    /// For 5xx.
    pub server_error: Option<Duration>,
}

/// How clients are met, whatever the route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// Longest wait for the next request on an idle connection.
    pub idle_timeout: Duration,
    /// Longest wait for the next bytes of a request.
    pub read_timeout: Duration,
    /// Slowest rate, in bytes per second, at which a client may take an answer.
    pub min_rate: u64,
    /// Largest number of ranges answered in one request; above it the whole object is sent.
    pub max_ranges: usize,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(60),
            read_timeout: Duration::from_secs(30),
            min_rate: 64 << 10,
            max_ranges: 32,
        }
    }
}
