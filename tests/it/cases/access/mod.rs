//! Who may ask for what, and how often.

mod address;
mod client;
mod hop;
mod rates;
mod referer;
mod signed;
