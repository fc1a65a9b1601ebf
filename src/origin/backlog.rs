//! What Pingora has been given of a body and has not looked at yet.
//!
//! Pingora reads a body ahead into a queue of its own, ten pieces long. Where a thousand bodies
//! wait for their turn in the cache, that is most of a gigabyte. So a session reads on only when
//! what it has read before has been looked at.

use bytes::Bytes;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};
use tokio::sync::Notify;

/// The pieces of one body on their way to the hooks.
#[derive(Debug, Default)]
pub struct Backlog {
    given: AtomicU64,
    /// Pieces that a hook has seen: always the first ones.
    seen: AtomicU64,
    /// Pieces that were dropped without having been seen.
    dropped: AtomicU64,
    changed: Notify,
}

impl Backlog {
    /// A hook has seen the next piece.
    pub fn note_seen(&self) {
        self.seen.fetch_add(1, SeqCst);
        self.changed.notify_one();
    }

    /// Waits until no piece is left that nobody has looked at. For one at a time.
    pub(super) async fn cleared(&self) {
        while self.given.load(SeqCst) > self.seen.load(SeqCst) + self.dropped.load(SeqCst) {
            self.changed.notified().await;
        }
    }

    /// The next piece, as it is given out.
    pub(super) fn give(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Piece {
            bytes,
            number: self.given.fetch_add(1, SeqCst),
            backlog: self.clone(),
        })
    }
}

struct Piece {
    bytes: Bytes,
    number: u64,
    backlog: Arc<Backlog>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if self.number >= self.backlog.seen.load(SeqCst) {
            self.backlog.dropped.fetch_add(1, SeqCst);
            self.backlog.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn the_next_is_read_when_the_last_was_seen_or_is_gone() {
        let backlog = Arc::new(Backlog::default());
        let may_read = || backlog.cleared().now_or_never().is_some();
        assert!(may_read());
        let first = backlog.give(Bytes::from_static(b"first"));
        assert!(!may_read());
        backlog.note_seen();
        assert!(may_read());
        let second = backlog.give(Bytes::from_static(b"second"));
        // Kept elsewhere by now: that it goes says nothing any more.
        assert_eq!(first, "first");
        drop(first);
        assert!(!may_read());
        let view = second.slice(1..);
        drop(second);
        assert!(!may_read());
        drop(view);
        assert!(may_read());
    }
}
