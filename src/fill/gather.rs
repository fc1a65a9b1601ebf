//! A reader that does not begin before all that it reads is stored.

use super::{Cursor, FillError, board::Place, now};

/// What came of waiting until an interval is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gathered {
    /// All of it is on disk.
    Stored,
    /// The store can't keep it: it is read as it comes in.
    NotKept,
}

/// Times that an interval is gone through: chunks may be evicted while others come in.
const ROUNDS: usize = 2;

impl Cursor {
    /// Waits until all that this reader is to read is on disk. Whatever moves of the object is
    /// progress; without any, the wait is as long as that for a byte. It may be dropped and called
    /// again, as any other method, and the reader stands where it stood.
    pub async fn gather(&mut self) -> Result<Gathered, FillError> {
        let begin = self.position();
        let unkept = self.board().unkept();
        let gathered = self.gather_from(begin, unkept).await;
        self.move_to(begin);
        match (gathered, self.board().ended()) {
            // Nothing is kept of an object that can't be completed.
            (Ok(Gathered::NotKept), Some(why)) => Err(why),
            (gathered, _) => gathered,
        }
    }

    async fn gather_from(&mut self, begin: u64, unkept: u64) -> Result<Gathered, FillError> {
        let room = self.room();
        for _ in 0..ROUNDS {
            self.move_to(begin);
            let mut is_whole = true;
            while let Some(left) = self.left() {
                let size = self.position() - begin + left;
                if size > room || self.board().unkept() != unkept {
                    return Ok(Gathered::NotKept);
                }
                match self.settle().await? {
                    Step::Stored => {}
                    Step::Waited => is_whole = false,
                    Step::NotKept => return Ok(Gathered::NotKept),
                }
            }
            // Nothing had to be waited for: nothing can have gone meanwhile, either.
            if is_whole {
                return Ok(Gathered::Stored);
            }
        }
        self.move_to(begin);
        Ok(match self.is_stored() {
            true => Gathered::Stored,
            false => Gathered::NotKept,
        })
    }

    /// One look at the chunk at hand, which is passed when it is on disk.
    async fn settle(&mut self) -> Result<Step, FillError> {
        self.finish_pause().await;
        self.note_progress();
        let chunk = self.chunk();
        self.read_ahead(chunk);
        let board = self.board().clone();
        match board.place(chunk) {
            Place::Stored => {
                self.pass_chunk();
                Ok(Step::Stored)
            }
            Place::Coming(buffer) if buffer.is_unkept() => Ok(Step::NotKept),
            Place::Coming(buffer) => {
                let waited = self.wait(board.settled(chunk, &buffer)).await;
                board.give_up_stalled(chunk, now());
                match waited {
                    // It is the disk that does not get on.
                    Err(FillError::TimedOut) if buffer.is_complete() => Ok(Step::NotKept),
                    waited => waited.map(|()| Step::Waited),
                }
            }
            Place::Nowhere => self.ask_for(chunk).await.map(|()| Step::Waited),
        }
    }
}

/// What a look at a chunk has shown.
enum Step {
    Stored,
    Waited,
    NotKept,
}
