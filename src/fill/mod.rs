//! Each missing chunk once: flights, read-ahead and the transfer task.

mod config;
pub use config::{Config, FinishWhen};
