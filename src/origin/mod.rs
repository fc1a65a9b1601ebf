//! The origins as a source of objects and of missing chunks.
//!
//! Two paths lead to an origin: Pingora's own, for first contact and for what is not cached, and
//! the detached fills. Both come together in [`Upstream`]: one way through limits, breakers,
//! servers and repetitions, one client, one set of connections and counters.
//!
//! What this room promises: no request waits without a deadline; an origin never has more requests
//! under way than its limit; a body that goes on at another server is of the same version, byte
//! for byte; credentials are never logged and never sent to another host.
//!
//! | file | what it holds |
//! |---|---|
//! | `balance.rs`, `health.rs`, `retry.rs`, `redirect.rs` | pure: decisions about servers and requests |
//! | `limit.rs` | the limit of requests, and the queue before it |
//! | `server.rs`, `group.rs` | a server with its record; an origin with its servers |
//! | `resolve`, `dial.rs`, `tls.rs`, `credentials` | names, connections, certificates, who we are |
//! | `client.rs`, `wire.rs`, `http2` | one exchange, over HTTP/1.1 or HTTP/2 |
//! | `upstream.rs`, `attempts.rs`, `sending.rs`, `interim.rs`, `incoming.rs` | a route's origins: whom to ask next, asking, the heads and the body that come in |
//! | `as_source.rs`, `session.rs`, `asking.rs`, `handover.rs`, `upload.rs` | the two faces: for fills, for Pingora |
//! | `checks.rs`, `speculation.rs`, `warm.rs` | asking ahead: health checks, preparations |

mod as_source;
mod asking;
mod attempts;
mod backlog;
mod balance;
mod checks;
mod client;
mod config;
mod credentials;
mod dial;
mod failure;
mod group;
mod handover;
mod health;
mod http2;
mod incoming;
mod interim;
mod limit;
mod redirect;
mod resolve;
mod retry;
mod sending;
mod server;
mod session;
mod speculation;
mod stats;
mod tls;
mod upload;
mod upstream;
mod validation;
mod warm;
mod wire;

pub use crate::{
    secret::{LoadError, Rotating, SecretSource},
    source::{Request, Source, Trail},
};
pub use backlog::Backlog;
pub use balance::Part;
pub use client::Client;
pub use config::{
    Balance, Breaker, Check, Config, Credentials, Limit, Redirects, Resolving, Retry, ServerConfig,
    Tls,
};
pub use failure::{CLIENT_LEFT, Cause, Failure, NOT_ASKED, SLOW_BODY, brief};
pub use group::{Origin, OriginError};
pub use handover::Handover;
pub use resolve::Resolver;
pub use server::Server;
pub use session::{Call, Exchange, Report, Sessions, peer};
pub use stats::{Purpose, Stats};
pub use tls::{CertifiedKey, TlsFiles, certified, expires};
pub use upstream::{Leg, Rules, Upstream};

/// A digest of a cache key, by which servers share objects among them. It stays the same from one
/// version of this software to the next.
pub fn digest(key: &[u8]) -> u64 {
    balance::stable_id(key)
}

/// The runtime's clock, which tests may stop.
fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}
