//! What Pingora has been given of a body and has not looked at yet.
//!
//! Pingora reads a body ahead into a queue of its own, some pieces long. Where a thousand bodies
//! wait for their turn in the cache, that is hundreds of megabytes. So a session reads on only when
//! what it has read before has been looked at, or as far as the cache has room for it anyway: each
//! look may cost a turn of everybody else's.

use bytes::Bytes;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
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
    /// Pieces that there may be unseen; one where it is none.
    ahead: AtomicU64,
    /// Bytes of the largest piece that is given; any where it is none.
    largest: AtomicUsize,
    /// No more of the body is wanted.
    has_ended: AtomicBool,
    changed: Notify,
}

/// The largest piece, in bytes: so much Pingora reads at a time.
const PIECE: u64 = 64 << 10;

impl Backlog {
    /// From now on no piece is larger than this; `None` leaves them as they are read. A piece is held
    /// back as a whole, and nobody looks at the client meanwhile.
    pub fn cut(&self, largest: Option<usize>) {
        self.largest.store(largest.unwrap_or_default(), SeqCst);
    }

    /// No more of the body is wanted: it is given up, and to Pingora it ends here.
    pub fn end(&self) {
        self.has_ended.store(true, SeqCst);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(SeqCst)
    }

    /// A hook has seen the next piece, and there is room for so many bytes behind it.
    pub fn note_seen(&self, room: u64) {
        self.ahead.store(room / PIECE, SeqCst);
        self.seen.fetch_add(1, SeqCst);
        self.changed.notify_one();
    }

    /// Waits until no piece is left that nobody has looked at, or there is room for one more. For
    /// one at a time.
    pub(super) async fn cleared(&self) {
        while self.unseen() >= self.ahead.load(SeqCst).max(1) {
            self.changed.notified().await;
        }
    }

    fn unseen(&self) -> u64 {
        let gone = self.seen.load(SeqCst) + self.dropped.load(SeqCst);
        self.given.load(SeqCst).saturating_sub(gone)
    }

    /// The next piece of what was read, as it is given out.
    pub(super) fn give(self: &Arc<Self>, read: &mut Bytes) -> Bytes {
        let largest = match self.largest.load(SeqCst) {
            0 => read.len(),
            largest => largest.min(read.len()),
        };
        self.give_whole(read.split_to(largest))
    }

    /// The next piece, however large it is.
    pub(super) fn give_whole(self: &Arc<Self>, bytes: Bytes) -> Bytes {
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
        let first = backlog.give(&mut Bytes::from_static(b"first"));
        assert!(!may_read());
        backlog.note_seen(0);
        assert!(may_read());
        let second = backlog.give(&mut Bytes::from_static(b"second"));
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

    #[test]
    fn as_many_are_read_as_there_is_room_for() {
        let backlog = Arc::new(Backlog::default());
        let may_read = || backlog.cleared().now_or_never().is_some();
        let first = backlog.give(&mut Bytes::from_static(b"first"));
        backlog.note_seen(2 * PIECE + 1);
        let second = backlog.give(&mut Bytes::from_static(b"second"));
        assert!(may_read());
        let third = backlog.give(&mut Bytes::from_static(b"third"));
        assert!(!may_read());
        // The room is at its end: what is there has to be seen first.
        backlog.note_seen(0);
        assert!(!may_read());
        backlog.note_seen(0);
        assert!(may_read());
        drop((first, second, third));
    }

    #[test]
    fn pieces_are_as_large_as_they_may_be() {
        let backlog = Arc::new(Backlog::default());
        let mut read = Bytes::from_static(b"as it was read");
        backlog.cut(Some(6));
        assert_eq!(backlog.give(&mut read), "as it ");
        assert_eq!(backlog.give(&mut read), "was re");
        backlog.cut(None);
        assert_eq!(backlog.give(&mut read), "ad");
        assert!(read.is_empty());
    }
}
