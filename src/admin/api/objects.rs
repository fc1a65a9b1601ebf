//! `GET /api/objects`: what is stored, a page at a time.

use crate::store::{Listed, Listing};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// One page of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectsPage {
    /// Its lines.
    pub objects: Vec<ObjectLine>,
    /// What to give as `after` for the next page; absent on the last.
    pub next: Option<String>,
    /// How many objects are on disk, whatever is searched for.
    pub total: u64,
    /// Whether the cache directory is still being read after the start: then there are more.
    pub learning: bool,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectLine {
    /// Its name in the store.
    pub id: String,
    /// Host, path and query of its key; variants of one URL have the same.
    pub place: String,
    /// Length in bytes.
    pub total: u64,
    /// Bytes of its chunks on disk.
    pub stored: u64,
    /// How many chunks it has.
    pub chunks: u32,
    /// Seconds since it was first stored.
    pub age: u64,
    /// Requests that found this version since it came, or the process started.
    pub hits: u64,
    /// Seconds since the last of them.
    pub last_hit: Option<u64>,
}

impl ObjectsPage {
    /// A page of a list, as it is at this moment.
    pub fn of(listing: Listing, total: usize, learning: bool, now: SystemTime) -> Self {
        let line = |object: &Listed| ObjectLine {
            id: object.id.to_string(),
            place: shown_place(&object.place),
            total: object.total,
            stored: object.stored,
            chunks: object.total.div_ceil(u64::from(object.chunk_size.max(1))) as u32,
            age: seconds(now, object.created),
            hits: object.finds,
            last_hit: object.last_found.map(|found| seconds(now, found)),
        };
        Self {
            objects: listing.objects.iter().map(line).collect(),
            next: listing.next.map(|next| next.to_string()),
            total: total as u64,
            learning,
        }
    }
}

/// A place as an operator knows it: host, path and query of a URL.
pub fn shown_place(place: &str) -> String {
    place.replacen('\0', "", 1)
}

/// Whole seconds from one moment to another; 0 where a clock was set back.
pub fn seconds(now: SystemTime, since: SystemTime) -> u64 {
    now.duration_since(since).map_or(0, |since| since.as_secs())
}
