//! Who may ask for what, and how often.

mod address;
mod client;
mod hop;
mod referer;
mod signed;
