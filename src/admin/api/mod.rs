//! The admin API: what is read and changed as JSON, and its description.
//!
//! [`Endpoint`] is the one list of all that the admin address answers; the description is made of it
//! and of the types of the answers, so that it can't differ from what is done.

mod drain;
mod endpoint;
mod fills;
mod history;
mod object;
mod objects;
mod openapi;
mod origins;
mod query;
mod rooms;
mod status;
mod window;

pub use drain::{Drained, Draining};
pub use endpoint::{Endpoint, Who};
pub use fills::{Fill, FillsPage, TransferShown};
pub use history::{History, Keeper, Sample};
pub use object::{MOST_VARIANTS, ObjectView, ObjectsView};
pub use objects::{ObjectLine, ObjectsPage};
pub use openapi::openapi;
pub use origins::{HealthView, OriginView, OriginsView, ServerView};
pub use query::Parameters;
pub use rooms::Rooms;
pub use status::{Amount, Change, Directory, Queued, State, Status, Use};
pub use window::{Answers, Bytes, FirstBytes, Quantiles, Ratios, Window};
