//! A reader's presence at an object. As long as somebody is there, fills go on.

use super::{Board, Errand, Fills, transfer};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// One reader at one board, from its coming to its leaving or its drop.
#[derive(Debug)]
pub struct Visit {
    fills: Arc<Fills>,
    board: Arc<Board>,
    errand: Errand,
    left: AtomicBool,
}

impl Visit {
    /// A reader that may come; it has not begun.
    pub fn planned(fills: Arc<Fills>, board: Arc<Board>, errand: Errand) -> Arc<Self> {
        Arc::new(Self {
            fills,
            board,
            errand,
            left: AtomicBool::new(true),
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

    pub(super) fn parts(&self) -> (Arc<Fills>, Arc<Board>, Errand) {
        (self.fills.clone(), self.board.clone(), self.errand.clone())
    }

    /// The reader begins, or goes on after it had left.
    pub fn come(&self) {
        if self.left.swap(false, Relaxed) {
            self.board.reader_came();
        }
    }

    /// The reader leaves; once is enough.
    pub fn leave(&self) {
        let first = !self.left.swap(true, Relaxed);
        let goes_on = first && self.board.reader_left(self.errand.finish_when);
        if first && self.board.is_abandoned() {
            self.fills.store().remove(self.board.object());
        } else if goes_on {
            let (fills, board, errand) = self.parts();
            // A process that is going down drops readers outside of its runtime.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(transfer::complete(fills, board, errand));
            }
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.leave();
    }
}
