//! A reader's presence at an object. As long as somebody is there, fills go on.

use super::{Board, Errand, Fills, now, transfer};
use crate::{
    domain::{ChunkRun, Groups},
    traces::{Attributes, Step},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

/// One reader at one board, from its coming to its leaving or its drop.
#[derive(Debug)]
pub struct Visit {
    fills: Arc<Fills>,
    board: Arc<Board>,
    errand: Errand,
    /// The offset of the next byte, for operators to look at.
    position: Arc<AtomicU64>,
    /// What it is known by at the board.
    number: u64,
}

/// Numbers given out.
static NEXT: AtomicU64 = AtomicU64::new(0);

impl Visit {
    /// A reader that may come; it has not begun.
    pub fn planned(fills: Arc<Fills>, board: Arc<Board>, errand: Errand) -> Arc<Self> {
        Arc::new(Self {
            fills,
            board,
            errand,
            position: Arc::default(),
            number: NEXT.fetch_add(1, Relaxed),
        })
    }

    /// The board that is visited.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// The fills that bring the object in.
    pub fn fills(&self) -> &Arc<Fills> {
        &self.fills
    }

    /// Whether the next window is fetched while another is still coming in.
    pub(super) fn reads_ahead(&self) -> bool {
        self.errand.parallel
    }

    /// The reader has waited for the disk, since then.
    pub(super) fn waited_for_disk(&self, since: Instant) {
        if let Some(trace) = self.errand.trace() {
            trace.step(Step::Disk, since..now(), Attributes::new);
        }
    }

    /// The groups of the object's bytes that come from different places.
    pub(super) fn groups(&self) -> Groups {
        self.errand.source.groups()
    }

    /// Bytes from the beginning of a run on that others have, and that there is room for.
    pub(super) fn near(&self, run: ChunkRun) -> u64 {
        let Some(catalogue) = &self.errand.catalogue else {
            return 0;
        };
        match self.board.part(run) {
            Some(part) if !self.fills.is_pressed() => catalogue.near(&part),
            _ => 0,
        }
    }

    pub(super) fn parts(&self) -> (Arc<Fills>, Arc<Board>, Errand) {
        (self.fills.clone(), self.board.clone(), self.errand.clone())
    }

    /// The reader begins, or goes on after it had left.
    pub fn come(&self) {
        self.board.reader_came(self.number, &self.position);
    }

    /// The reader has come so far.
    pub(super) fn reached(&self, position: u64) {
        self.position.store(position, Relaxed);
    }

    /// The reader leaves; once is enough.
    pub fn leave(&self) {
        let left = self.board.reader_left(self.number, self.errand.finish_when);
        let Some(goes_on) = left else {
            return;
        };
        if !self.fills.remove_abandoned(&self.board) && goes_on {
            let (fills, board, errand) = self.parts();
            fills.run(transfer::complete(fills.clone(), board, errand));
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.leave();
    }
}
