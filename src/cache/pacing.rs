//! One reader served at a pace. Fills and other readers keep their own.

use crate::{
    fill::Board,
    traffic::{Pace, Pacer},
};

/// The pace of one reader. It waits before bytes are read, so that it holds none meanwhile.
#[derive(Debug)]
pub(super) struct Pacing {
    pace: Pace,
    pacer: Pacer,
    /// Whether the medium's own rate is known.
    tuned: bool,
}

impl Pacing {
    pub fn new(pace: Pace) -> Self {
        Self {
            pace,
            pacer: pace.pacer(None),
            tuned: pace.times.is_none(),
        }
    }

    /// Waits until something may be sent: how many bytes, and whether it had to wait. It may be
    /// dropped and called again.
    pub async fn wait(&mut self, board: &Board) -> (usize, bool) {
        self.tune(board);
        let mut waited = false;
        loop {
            match self.pacer.next(tokio::time::Instant::now().into_std()) {
                Ok(bytes) => return (bytes.max(1), waited),
                Err(wait) => {
                    waited = true;
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    pub fn sent(&mut self, bytes: usize) {
        self.pacer.sent(bytes);
    }

    /// How long a movie plays may show only when its index has come in.
    fn tune(&mut self, board: &Board) {
        if self.tuned {
            return;
        }
        if let Some(own) = board.byte_rate() {
            self.pacer.become_like(self.pace.pacer(Some(own)));
            self.tuned = true;
        }
    }
}
