//! The disk: layout, codec, data files, eviction and recovery.

mod config;
pub use config::Config;
