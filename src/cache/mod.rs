//! pingora-cache's face of the store and the fills.
//!
//! To pingora-cache an object is always whole: what lacks is fetched while it is read. So a hit
//! and a fill are one path, and 206, 416, 304, HEAD and freshness are decided once, on the object.
//!
//! What this room promises: an object is visible to lookups before `get_miss_handler` returns; a
//! broken store or fill never fails the request that fills; a reader ends with an error, never
//! with too few bytes.

mod attendance;
mod lock;
mod meta;
mod order;
mod pacing;
mod reader;
mod storage;
mod writer;

pub use crate::fill::{Catalogue, Coverage, Errand, FillError, Gathered, Tally};
pub use crate::store::{How, Object, Obstacle, PurgeError, Purged};
pub use attendance::{ABSENT, Attendance};
pub use lock::{ContactLock, OF_THE_REQUEST};
pub use order::{Incoming, Order};
pub use reader::Reader;
pub use storage::{ChunkStorage, id_of};
