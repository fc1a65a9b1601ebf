//! A client's connection, as the hooks see it.
//!
//! Pingora reads requests off a stream and writes answers to it. Here that stream is ours: it
//! keeps the bounds on a request's head, gives answers that are passed on their own `Date`, and
//! knows whether anybody is still there, so that a request that waits can ask.

mod chunk_lines;
mod connections;
mod date_line;
mod enciphered;
mod farewell;
mod head_read;
mod held_head;
mod http2;
mod link;
mod socket;
mod stream;

pub use connections::{Connections, Refusal, Ticket};
pub use enciphered::Enciphered;
pub use head_read::HeadLimits;
pub use http2::{Http2Limits, serve as serve_http2};
pub use link::Link;
pub use socket::Socket;
pub use stream::ClientStream;

pub(super) use date_line::Date;
pub(super) use http2::Http2Stream;
pub(super) use link::Closed;
pub(super) use stream::{NextHead, announce};
