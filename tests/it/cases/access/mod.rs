//! Who may ask for what, and how often.

mod client;
mod hop;
