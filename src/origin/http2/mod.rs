//! HTTP/2 with servers: connections that many requests share, and one exchange on one of them.
//!
//! Pingora's own client for it reads no interim answers (RFC 9110, section 15.2), and gives a
//! connection no more room than one of its streams, so that one body that nobody reads would hold
//! up all others.

mod link;
mod links;
mod stream;

pub(super) use links::{Links, Opened};
pub(super) use stream::Stream;
