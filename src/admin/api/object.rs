//! `GET /api/object`: one object with its chunks, and what goes on around it.

use super::{TransferShown, fills::shown, objects::seconds};
use crate::{
    admin::Inspected,
    fill::{Fills, Scene},
    store::Object,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// What is stored under a URL, or a name in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectsView {
    /// The object; of a URL with variants all of them, up to 16.
    pub objects: Vec<ObjectView>,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectView {
    /// What it is.
    #[serde(flatten)]
    pub inspected: Inspected,
    /// Bytes of its chunks on disk.
    pub stored: u64,
    /// Requests that found this version since it came, or the process started.
    pub hits: u64,
    /// Seconds since the last of them.
    pub last_hit: Option<u64>,
    /// Requests that read it now.
    pub readers: u64,
    /// Where these are: a chunk, and how many are there.
    pub places: Vec<(u32, u64)>,
    /// Chunks that come in or wait for the disk, in runs, first and last.
    pub coming: Vec<(u32, u32)>,
    /// Transfers from origins.
    pub transfers: Vec<TransferShown>,
}

/// The most variants of a URL that are shown.
pub const MOST_VARIANTS: usize = 16;
/// The most places, runs and transfers that are shown of an object.
const MOST: usize = 1000;

impl ObjectView {
    /// An object as it is now. Looks at every chunk: not for the threads of an event loop.
    pub fn of(object: &Object, fills: &Fills, now: SystemTime) -> Self {
        let board = fills.board_of(object.generation());
        let scene = board.map_or_else(Scene::default, |board| board.scene(MOST));
        let (hits, last) = object.found();
        let places = scene.places.iter();
        let coming = scene.coming.iter();
        Self {
            inspected: Inspected::of(object, now),
            stored: object.stored(),
            hits,
            last_hit: last.map(|last| seconds(now, last)),
            readers: scene.readers as u64,
            places: places.map(|(chunk, n)| (chunk.0, *n as u64)).collect(),
            coming: coming.map(|run| (run.start.0, run.end.0 - 1)).collect(),
            transfers: scene.transfers.iter().map(shown).collect(),
        }
    }
}
