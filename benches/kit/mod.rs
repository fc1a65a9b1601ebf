//! What benches over loopback share: an origin that makes objects up and counts, the servers that
//! are compared, clients that cost next to nothing, the kernel's books, tables and JSON.
//!
//! Nothing here decides what is measured; that is each bench's own.

pub mod body;
pub mod client;
pub mod head;
pub mod limits;
pub mod machine;
pub mod measure;
pub mod memory;
pub mod namespace;
pub mod options;
pub mod origin;
pub mod random;
pub mod report;
pub mod request;
pub mod run;
pub mod servers;
