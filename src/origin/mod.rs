//! The origins as a source of objects and of missing chunks.
//!
//! Two paths lead to an origin: Pingora's own, for first contact and for what is not cached, and
//! the detached fills. Both take their peers, deadlines and counters from here.

mod client;
mod config;
mod resolve;
mod server;
mod stats;

pub use crate::source::{Request, Source};
pub use client::{Client, Upstream};
pub use config::Config;
pub use server::{Origin, Server};
pub use stats::{Purpose, Stats};
