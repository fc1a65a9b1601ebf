//! The operator's face: the status page, the API, metrics, health, and what a URL gets.
//!
//! It only reads, but for purges and for sending load balancers elsewhere, which [`Guard`] lets in.
//! Every room makes its own counters; here they get their place in one registry.

mod answer;
pub mod api;
mod ask;
mod chunk_map;
mod explain;
mod guard;
mod inspect;
mod page;
mod pages;
mod process;
mod purge;
mod registry;
mod state;
mod token;

pub use api::{Keeper, Rooms, Status};
pub use ask::{Ask, AskError};
pub use chunk_map::ChunkMap;
pub use explain::{Asked, Configured, Explanation, Key, Shown, Unexplained};
pub use guard::{Guard, Stranger};
pub use inspect::{Inspected, Inspection};
pub use pages::Pages;
pub use purge::{Fleet, Order, Outcome};
pub use registry::Readings;
pub use state::{InForce, State};
pub use token::{NoToken, is_open_to_all, read_token};
