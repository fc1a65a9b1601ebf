//! Who may ask for what, and how often.

mod address;
mod client;
mod cors;
mod hop;
mod rates;
mod referer;
mod signed;
