//! Pingora's face: the hooks, keys, policy, and errors turned into statuses.
//!
//! `hooks` is the whole of `ProxyHttp`, each hook a few lines; `arrival` takes a request in, and
//! `outgoing` sends the head of its answer off. What decides stands beside them as pure functions:
//! `delivery` what a request gets of an object, `window` what is asked of the origin when nothing is
//! known, `first_contact` what its answer means. Whether and how long it may be kept is decided in
//! `domain`.

mod access;
mod answer;
mod arrival;
mod asking;
mod bypass;
mod cache_status;
mod client;
mod config;
mod context;
mod delivery;
mod departure;
mod error;
mod first_contact;
mod foundation;
mod head;
mod headers;
mod hits;
mod hooks;
mod invalidation;
mod journal;
mod key;
mod malformed;
mod meter;
mod outgoing;
mod places;
mod predictor;
mod prefetch;
mod purging;
mod reception;
mod request_id;
mod routing;
mod size;
mod stats;
mod store_first;
mod strict;
mod tracing;
mod trim;
mod up_to_date;
mod window;

pub use access::{
    Access, Addresses, Cors, PageOrigin, PageOrigins, Pass, Rates, Referers, Refused, Signed,
    SigningKey, Unsigned, Wish, sign,
};
pub use bypass::{Bypass, Guard};
pub use cache_status::Answerer;
pub use client::{
    ClientStream, Connections, Enciphered, HeadLimits, Http2Limits, Link, Refusal, Socket, Ticket,
    serve_http2,
};
pub use config::{Clients, KeyRules, Matcher, Mode, Route, RouteOrigin};
pub use foundation::{Foundation, Proxy};
pub use headers::spelled;
pub use key::{Keyed, object_id};
pub use malformed::{Caller, Journal, Malformed};
pub use prefetch::Prefetch;
pub use purging::{Purger, Target, Unpurged};
pub use reception::{Reception, Terms};
pub use request_id::RequestIds;
pub use routing::{BoundRoute, Routes};
pub use stats::{FIRST_BYTE_BUCKETS, SOURCES, Stats};
pub use tracing::Tracer;
