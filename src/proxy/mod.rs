//! Pingora's face: the hooks, keys, policy, and errors turned into statuses.

mod config;
pub use config::{Clients, Matcher, Route, Ttl};
