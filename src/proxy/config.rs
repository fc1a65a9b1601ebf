//! What a route may be told.

use super::{Access, Bypass, Cors, Prefetch, Rates, RequestIds};
use crate::{
    domain::{
        FieldRules, ForwardedField, FreshnessRules, HostPattern, QueryRules, Sizes, Template,
        Variants,
    },
    fill::FinishWhen,
    traffic::{CrowdLimits, Features, Pace, Rate, Sending},
};
use http::{HeaderName, StatusCode};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

/// One route: which requests, which origins, and how they are kept.
#[derive(Clone, Debug)]
pub struct Route {
    /// Which hosts this route takes; every one when empty.
    pub hosts: Vec<HostPattern>,
    /// Which request paths this route takes.
    pub matcher: Matcher,
    /// Origins, tried in this order.
    pub origins: Vec<RouteOrigin>,
    /// Statuses, beside 5xx, on which the next server or origin is tried.
    pub next_on: Vec<StatusCode>,
    /// Fields of requests to the origins.
    pub request_headers: FieldRules,
    /// Fields of responses to clients.
    pub response_headers: FieldRules,
    /// What of a request is part of its cache key.
    pub key: KeyRules,
    /// The parameters that make derivatives of an object.
    pub variants: Variants,
    /// How long answers are fresh.
    pub freshness: FreshnessRules,
    /// Grid of new objects of this route, in bytes; the store's own when absent.
    pub chunk_size: Option<u32>,
    /// The sizes of objects that are kept.
    pub sizes: Sizes,
    /// When answers begin.
    pub mode: Mode,
    /// How answers are sent.
    pub sending: Sending,
    /// How fast each reader is served; as fast as it reads where absent.
    pub pace: Option<Pace>,
    /// What becomes of a fill whose last reader has left.
    pub finish_when: FinishWhen,
    /// Adds headers that explain to a client what was done.
    pub debug_headers: bool,
    /// Switches for the riskier parts.
    pub features: Features,
    /// Who may ask for what it has.
    pub access: Access,
    /// How often it may be asked.
    pub rates: Rates,
    /// What scripts on others' pages may do with it; the origin's word counts where absent.
    pub cors: Option<Cors>,
    /// How much of streams is fetched ahead; nothing where absent.
    pub prefetch: Option<Prefetch>,
    /// Whether the second tier is used, where there is one.
    pub tier: bool,
}

impl Route {
    /// Everything at its default but the matcher and the origins.
    pub fn new(matcher: Matcher, origins: Vec<RouteOrigin>) -> Self {
        Self {
            hosts: Vec::new(),
            matcher,
            origins,
            next_on: Vec::new(),
            request_headers: FieldRules::default(),
            response_headers: FieldRules::default(),
            key: KeyRules::default(),
            variants: Variants::default(),
            freshness: FreshnessRules::default(),
            chunk_size: None,
            sizes: Sizes::default(),
            mode: Mode::default(),
            sending: Sending::default(),
            pace: None,
            finish_when: FinishWhen::default(),
            debug_headers: false,
            features: Features::default(),
            access: Access::default(),
            rates: Rates::default(),
            cors: None,
            prefetch: None,
            tier: true,
        }
    }
}

/// When an answer of which something is not stored begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// As soon as its first byte is there.
    #[default]
    Streaming,
    /// When all of it is stored.
    StoreFirst,
}

/// One origin of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteOrigin {
    /// Its name.
    pub name: String,
    /// The path that it is asked for, made of the named groups of the route's pattern and of its
    /// variants; the client's own when absent.
    pub path: Option<Template>,
    /// How long its answers are fresh at most. A fallback's should soon give way.
    pub ttl: Option<Duration>,
}

impl RouteOrigin {
    /// An origin that is asked for what the client asks for.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            path: None,
            ttl: None,
        }
    }
}

/// What of a request is part of its cache key, beside the path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRules {
    /// The name under which the objects of all hosts of the route are kept; each host has its own
    /// when absent.
    pub host: Option<String>,
    /// What of the query.
    pub query: QueryRules,
    /// Header fields, in the order of their names.
    pub headers: Vec<HeaderName>,
    /// Cookies, in the order of their names. The others are not sent to the origin.
    pub cookies: Vec<String>,
}

/// Which request paths a route takes.
#[derive(Clone, Debug)]
pub enum Matcher {
    /// Paths that begin with this text.
    Prefix(String),
    /// Paths that this regular expression matches.
    Pattern(regex::Regex),
}

/// How clients are met, whatever the route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// Longest wait for the next request on an idle connection.
    pub idle_timeout: Duration,
    /// Longest wait for the next bytes of a request.
    pub read_timeout: Duration,
    /// Slowest rate of a request's body beyond a first `read_timeout`, in bytes per second; 0 where
    /// any will do.
    pub min_rate: u64,
    /// Longest time that the head of a request may take, from its first byte to its last.
    pub header_timeout: Duration,
    /// Longest time for TLS and the PROXY header together.
    pub handshake_timeout: Duration,
    /// Largest head of a request, in bytes.
    pub max_header_size: u64,
    /// Most fields in the head of a request.
    pub max_header_fields: usize,
    /// Most connections at a time.
    pub max_connections: usize,
    /// Most connections at a time from one address; not counted where absent.
    pub max_connections_per_address: Option<usize>,
    /// Most requests at a time on one HTTP/2 connection.
    pub max_http2_streams: usize,
    /// Most requests at a time, over all connections; where absent 16384, or as many as connections.
    pub max_requests: Option<usize>,
    /// Most requests at a time from one address; not counted where absent.
    pub max_requests_per_address: Option<usize>,
    /// Largest number of ranges answered in one request; above it the whole object is sent.
    pub max_ranges: usize,
    /// How an operator's request gets past the cache.
    pub bypass: Option<Bypass>,
    /// The networks whose `PURGE` requests are carried out; nobody's when empty.
    pub purge_from: Vec<IpNet>,
    /// The networks of proxies in front whose word on whom they ask for counts.
    pub trusted_proxies: Vec<IpNet>,
    /// The field in which they say it.
    pub trusted_field: ForwardedField,
    /// How often each address may ask, whatever the route; as often as it likes where absent.
    pub rate: Option<Rate>,
    /// The names that requests have in all logs on their way.
    pub request_id: RequestIds,
    /// What this Tidegate is called beside others.
    pub name: Option<String>,
}

/// Requests at a time that are many, in most places.
const MANY_REQUESTS: usize = 16_384;

impl Clients {
    /// How many requests there may be at a time.
    pub fn request_limits(&self) -> CrowdLimits {
        // Over HTTP/1 there can't be more than connections.
        let all = self.max_connections.max(MANY_REQUESTS);
        CrowdLimits {
            all: self.max_requests.unwrap_or(all),
            per_address: self.max_requests_per_address,
        }
    }
}

/// The addresses of this machine itself.
fn loopback() -> Vec<IpNet> {
    let v4 = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
    let v6 = Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128);
    vec![v4.into(), v6.into()]
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(60),
            read_timeout: Duration::from_secs(30),
            min_rate: 1 << 10,
            header_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            max_header_size: 32 << 10,
            max_header_fields: 100,
            max_connections: 16_384,
            max_connections_per_address: None,
            max_http2_streams: 100,
            max_requests: None,
            max_requests_per_address: None,
            max_ranges: 32,
            bypass: None,
            purge_from: loopback(),
            trusted_proxies: Vec::new(),
            trusted_field: ForwardedField::default(),
            rate: None,
            request_id: RequestIds::default(),
            name: None,
        }
    }
}
