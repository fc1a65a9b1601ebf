//! The operator's face: metrics, health, and what a URL gets.
//!
//! It only reads. Every room makes its own counters; here they get their place in one registry.

mod ask;
mod explain;
mod pages;
mod registry;

pub use ask::{AskError, explanation};
pub use explain::{Asked, Configured, Explanation, Key, Unexplained};
pub use pages::{InForce, Pages, State};
pub use registry::Readings;
