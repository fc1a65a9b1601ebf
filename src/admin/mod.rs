//! The operator's face: metrics and health.
//!
//! It only reads. Every room makes its own counters; here they get their place in one registry.

mod pages;
mod registry;

pub use pages::{Pages, State};
pub use registry::Readings;
