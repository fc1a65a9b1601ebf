//! Pure values and decisions of HTTP and of chunked objects.
//!
//! Nothing here touches the world: no clock, no socket, no disk. Text that comes from outside is
//! parsed here once, into types that can then be trusted.

mod chunk_set;
mod content_range;
mod fields;
mod grid;
mod host;
mod key;
mod partial;
mod precondition;
mod range;
mod template;
mod validator;

pub use chunk_set::ChunkSet;
pub use content_range::ContentRange;
pub use fields::{FieldRules, Fields};
pub use grid::{ChunkIndex, ChunkRun, Grid, chunk_at};
pub use host::{HostPattern, without_port};
pub use key::{Extra, ExtraKind, ObjectKey};
pub use partial::{Fault, Partial, is_coded};
pub use precondition::{Outcome, Preconditions, if_range_holds};
pub use range::{ByteRange, RangeSet, RangeSpec, Selection};
pub use template::Template;
pub use validator::{EntityTag, Validators};
