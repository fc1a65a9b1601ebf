//! The origins as a source of missing chunks.

mod config;
pub use config::Config;
