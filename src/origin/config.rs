//! What an origin may be told.

use http::Uri;
use std::time::Duration;

/// Settings of one named origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The name that routes use.
    pub name: String,
    /// Base URLs of the servers that answer for this origin, in order of preference: scheme,
    /// host and port; no path, query or user information.
    pub servers: Vec<Uri>,
    /// Longest wait for a connection, TLS included.
    pub connect_timeout: Duration,
    /// Longest wait for the head of an answer and between two reads of its body.
    pub read_timeout: Duration,
    /// How long an idle connection is kept for the next request.
    pub idle_timeout: Duration,
}

impl Config {
    /// Everything at its default but the name and the servers.
    pub fn new(name: String, servers: Vec<Uri>) -> Self {
        Self {
            name,
            servers,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(60),
        }
    }
}
