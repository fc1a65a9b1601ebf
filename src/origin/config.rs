//! What an origin may be told.

pub use crate::traffic::breaker::Settings as Breaker;
use crate::{
    domain::{Groups, HostPattern},
    secret::SecretSource,
};
use http::{HeaderName, StatusCode, Uri};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Settings of one named origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The name that routes use.
    pub name: String,
    /// The servers that answer for this origin.
    pub servers: Vec<ServerConfig>,
    /// Which of them is asked.
    pub balance: Balance,
    /// How much of an object falls to one of them, where that goes by hash.
    pub groups: Groups,
    /// What is sent as `Host`; the server's own host and port when absent.
    pub host: Option<String>,
    /// Whether the host that the client asks is sent as `Host` instead.
    pub pass_host: bool,
    /// The name that the server's certificate must be for, sent as SNI; the host without its
    /// port when absent.
    pub sni: Option<String>,
    /// Whether HTTP/2 is spoken, where the server offers it by ALPN; on cleartext by prior
    /// knowledge.
    pub http2: bool,
    /// How servers are verified, and who we are to them.
    pub tls: Tls,
    /// Longest wait for a TCP connection.
    pub connect_timeout: Duration,
    /// Longest wait for the TLS handshake.
    pub tls_timeout: Duration,
    /// Longest wait for the head of an answer.
    pub first_byte_timeout: Duration,
    /// Longest wait between two reads of a body.
    pub read_timeout: Duration,
    /// How long an idle connection is kept for the next request.
    pub idle_timeout: Duration,
    /// Slowest rate of a body, in bytes per second, before what lacks is asked of another server
    /// where one could continue; 0 = any.
    pub min_rate: u64,
    /// How many requests at a time.
    pub limit: Limit,
    /// When a server is left alone.
    pub breaker: Breaker,
    /// Active health checks; none when absent.
    pub check: Option<Check>,
    /// When a request is repeated.
    pub retry: Retry,
    /// Which redirects are followed instead of being passed on.
    pub redirects: Redirects,
    /// Who we are to this origin.
    pub credentials: Option<Credentials>,
}

/// One server of an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Base URL: scheme, host and port; no path, query or user information.
    pub url: Uri,
    /// Its share of the requests beside the other servers', at least 1.
    pub weight: u32,
}

/// Which server of an origin is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// One after the other, by weight.
    #[default]
    RoundRobin,
    /// The one with the fewest requests under way for its weight.
    LeastLoaded,
    /// The one that the part of the object falls to, so that servers which are caches themselves
    /// share the objects, or groups of their bytes, among them.
    Hash,
}

/// How servers are verified, and who we are to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Whether a server's certificate is verified at all.
    pub verify: bool,
    /// PEM file of the authorities that are trusted; the system's when absent.
    pub ca: Option<PathBuf>,
    /// PEM files of our own certificate chain and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// How many requests an origin gets at a time, over all its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Requests under way at a time.
    pub requests: usize,
    /// Requests that may wait.
    pub queue: usize,
    /// Longest wait.
    pub wait: Duration,
}

/// An active health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Path and query that are asked for.
    pub path: String,
    /// The status of a healthy server.
    pub status: StatusCode,
    /// Time between two checks of a server.
    pub interval: Duration,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// So many good answers in a row make an unhealthy server healthy.
    pub rise: u32,
    /// So many bad ones make a healthy server unhealthy.
    pub fall: u32,
}

/// When a request that no server could answer is repeated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Further rounds over the servers after the first.
    pub rounds: u32,
    /// Share of requests that may be repeated or hedged, over the last ten seconds.
    pub budget: f64,
    /// Pause before the first repetition; it doubles each time, with jitter.
    pub backoff: Duration,
}

/// Which redirects are followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirects {
    /// How many in a row; 0 passes them on to the client.
    pub limit: u32,
    /// Hosts that a redirect may lead to, beside the server's own.
    pub hosts: Vec<HostPattern>,
}

/// Who we are to an origin. Secrets come from files or the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// `Authorization: Bearer …`.
    Bearer(SecretSource),
    /// `Authorization: Basic …`.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: SecretSource,
    },
    /// A field of its own.
    Header {
        /// Its name.
        name: HeaderName,
        /// Its value.
        value: SecretSource,
    },
    /// A query parameter.
    Query {
        /// Its name.
        name: String,
        /// Its value.
        value: SecretSource,
    },
    /// AWS Signature Version 4, for S3 and what is compatible with it.
    Aws {
        /// Region, `us-east-1` for most compatible stores.
        region: String,
        /// Service, `s3` for object stores.
        service: String,
        /// Access key ID.
        access_key: SecretSource,
        /// Secret access key.
        secret_key: SecretSource,
        /// Session token of temporary credentials.
        session_token: Option<SecretSource>,
    },
}

/// How names are resolved, for all origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolving {
    /// DNS servers to ask; the system's when empty.
    pub servers: Vec<SocketAddr>,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// An answer is used at least so long, whatever its TTL.
    pub min_ttl: Duration,
    /// And at most so long.
    pub max_ttl: Duration,
}

impl Config {
    /// Everything at its default but the name and the servers.
    pub fn new(name: String, servers: Vec<Uri>) -> Self {
        let server = |url| ServerConfig { url, weight: 1 };
        Self {
            name,
            servers: servers.into_iter().map(server).collect(),
            balance: Balance::default(),
            groups: Groups::ONE,
            host: None,
            pass_host: false,
            sni: None,
            http2: false,
            tls: Tls::default(),
            connect_timeout: Duration::from_secs(5),
            tls_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_secs(15),
            read_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(60),
            min_rate: 4 << 10,
            limit: Limit::default(),
            breaker: Breaker::default(),
            check: None,
            retry: Retry::default(),
            redirects: Redirects::default(),
            credentials: None,
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            verify: true,
            ca: None,
            identity: None,
        }
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            requests: 100,
            queue: 50,
            wait: Duration::from_secs(10),
        }
    }
}

impl Check {
    /// A check of `path` with everything else at its default.
    pub fn of(path: String) -> Self {
        Self {
            path,
            status: StatusCode::OK,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            rise: 2,
            fall: 3,
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            rounds: 1,
            budget: 0.2,
            backoff: Duration::from_millis(100),
        }
    }
}

impl Default for Resolving {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::from_secs(5),
            min_ttl: Duration::from_secs(1),
            max_ttl: Duration::from_secs(3600),
        }
    }
}
