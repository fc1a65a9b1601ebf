//! Why what comes in can't be kept, as far as that is known before it has come.

use super::Store;

/// What stands in the way of keeping anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The directory is gone: see `absence`.
    Gone,
    /// The disk refused what was last to be written.
    Refuses,
    /// Another process has the directory, or is being given it.
    Another,
}

impl Obstacle {
    /// The same in a word, as a `detail` of `Cache-Status`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Gone => "disk-gone",
            Self::Refuses => "disk-refuses",
            Self::Another => "disk-handed-over",
        }
    }
}

impl Store {
    /// Why nothing can be kept now. A disk that refused the last write may take the next: it is tried
    /// with whatever comes in.
    pub fn obstacle(&self) -> Option<Obstacle> {
        if self.is_given_away() {
            Some(Obstacle::Another)
        } else if self.is_lost() {
            Some(Obstacle::Gone)
        } else if self.stats.refusing.get() != 0 {
            Some(Obstacle::Refuses)
        } else {
            None
        }
    }
}
