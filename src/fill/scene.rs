//! What goes on around an object, for operators to look at: who reads where, and what is coming in.
//! Everything here is bounded, whatever there is.

use super::{Board, Fills, flights::Driver};
use crate::domain::{ChunkIndex, ChunkRun, chunk_at};
use std::{collections::BTreeMap, sync::Arc};

/// What goes on around one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// Requests that read it.
    pub readers: usize,
    /// Where they are, and how many of them; the first places, if there are too many.
    pub places: Vec<(ChunkIndex, usize)>,
    /// Chunks whose bytes come in or wait for the disk, likewise.
    pub coming: Vec<ChunkRun>,
    /// Transfers under way, likewise.
    pub transfers: Vec<Transfer>,
}

/// A transfer from an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// What it is still to bring.
    pub run: ChunkRun,
    /// Whether it is a client's own request rather than a detached fill.
    pub of_client: bool,
}

/// Objects with transfers, of many the first.
#[derive(Debug)]
pub struct UnderWay {
    /// How many there are.
    pub count: usize,
    /// Those that are shown.
    pub boards: Vec<Arc<Board>>,
}

impl Board {
    /// What goes on here, at most `most` of each kind.
    pub fn scene(&self, most: usize) -> Scene {
        let size = self.object().chunk_size();
        let mut places = BTreeMap::new();
        let positions = self.positions();
        for position in &positions {
            *places.entry(chunk_at(size, *position)).or_default() += 1;
        }
        let (mut coming, transfers) = self.transfers();
        coming.sort_unstable();
        let runs = runs(coming.into_iter());
        Scene {
            readers: positions.len(),
            places: places.into_iter().take(most).collect(),
            coming: runs.take(most).collect(),
            transfers: transfers.into_iter().take(most).collect(),
        }
    }
}

impl Transfer {
    pub(super) fn new(run: ChunkRun, driver: Driver) -> Self {
        let of_client = matches!(driver, Driver::Client { .. });
        Self { run, of_client }
    }
}

impl Fills {
    /// The board of a generation, if anybody is at it.
    pub fn board_of(&self, generation: u64) -> Option<Arc<Board>> {
        self.boards.lock().get(&generation)
    }

    /// The objects that something is brought in of, at most `most` of them.
    pub fn under_way(&self, most: usize) -> UnderWay {
        let mut boards = self.boards.lock().all();
        boards.retain(|board| board.is_under_way());
        boards.sort_unstable_by_key(|board| board.object().generation());
        let count = boards.len();
        boards.truncate(most);
        UnderWay { count, boards }
    }
}

/// Ascending chunks, neighbours joined.
fn runs(chunks: impl Iterator<Item = ChunkIndex>) -> impl Iterator<Item = ChunkRun> {
    let mut chunks = chunks.peekable();
    std::iter::from_fn(move || {
        let start = chunks.next()?;
        let mut end = start.next();
        while let Some(next) = chunks.next_if_eq(&end) {
            end = next.next();
        }
        Some(ChunkRun { start, end })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_joined() {
        let chunks = [0, 1, 2, 5, 7, 8].into_iter().map(ChunkIndex);
        let runs: Vec<_> = runs(chunks).map(|run| (run.start.0, run.end.0)).collect();
        assert_eq!(runs, [(0, 3), (5, 6), (7, 9)]);
    }
}
