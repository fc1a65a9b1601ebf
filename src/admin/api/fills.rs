//! `GET /api/fills`: what is being brought in.

use super::objects::shown_place;
use crate::{
    domain::place_of,
    fill::{Board, Transfer, UnderWay},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The objects that something is brought in of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FillsPage {
    /// How many there are.
    pub total: u64,
    /// The first of them.
    pub fills: Vec<Fill>,
}

/// One object that something is brought in of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fill {
    /// Its name in the store.
    pub id: String,
    /// Host, path and query of its key.
    pub place: String,
    /// Length in bytes, once it is known.
    pub total: Option<u64>,
    /// Bytes of its chunks on disk.
    pub stored: u64,
    /// How many chunks it has, once that is known.
    pub chunks: Option<u32>,
    /// Requests that read it.
    pub readers: u64,
    /// The transfers, up to 100.
    pub transfers: Vec<TransferShown>,
}

/// One transfer from an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TransferShown {
    /// The chunk that comes in.
    pub chunk: u32,
    /// The last chunk that it is to bring; absent where nobody knows.
    pub last: Option<u32>,
    /// Whether it is a client's own request rather than a detached fill.
    pub of_client: bool,
}

/// The most transfers that are shown of an object.
const MOST: usize = 100;

impl FillsPage {
    /// What is under way.
    pub fn of(under_way: &UnderWay) -> Self {
        Self {
            total: under_way.count as u64,
            fills: under_way.boards.iter().map(|board| fill(board)).collect(),
        }
    }
}

fn fill(board: &Board) -> Fill {
    let (object, scene) = (board.object(), board.scene(MOST));
    Fill {
        id: object.id().to_string(),
        place: shown_place(&place_of(object.key())),
        total: object.total(),
        stored: object.stored(),
        chunks: object.grid().map(|grid| grid.count()),
        readers: scene.readers as u64,
        transfers: scene.transfers.iter().map(shown).collect(),
    }
}

/// A transfer, as it is shown.
pub(super) fn shown(transfer: &Transfer) -> TransferShown {
    let end = transfer.run.end.0;
    TransferShown {
        chunk: transfer.run.start.0,
        last: (end < u32::MAX).then(|| end.saturating_sub(1)),
        of_client: transfer.of_client,
    }
}
