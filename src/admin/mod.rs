//! The operator's face: metrics, health, and what a URL gets.
//!
//! It only reads, but for purges, which [`Guard`] lets in. Every room makes its own counters; here
//! they get their place in one registry.

mod ask;
mod explain;
mod guard;
mod inspect;
mod pages;
mod purge;
mod registry;
mod token;

pub use ask::{AskError, explanation, inspection, purge};
pub use explain::{Asked, Configured, Explanation, Key, Unexplained};
pub use guard::{Guard, Stranger};
pub use inspect::{Inspected, Inspection};
pub use pages::{InForce, Pages, State};
pub use purge::{Order, Outcome};
pub use registry::Readings;
pub use token::{NoToken, is_open_to_all, read_token};
