//! What one connection's client has been given and has not taken.
//!
//! Over HTTP/2 a client may ask for a hundred things at a time on each of its connections, and take
//! none of them: segments that are small for one answer are much memory for all. So the more of a
//! connection's answers lies about, the less is read for each, and nobody waits for it.

use bytes::Bytes;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Bytes that the answers of one connection hold, or are about to read.
#[derive(Debug, Default)]
pub struct Untaken(AtomicUsize);

/// The next segment of an answer, counted from before it is read until the client has taken it.
#[derive(Debug)]
pub struct Share {
    bytes: usize,
    of: Option<Arc<Untaken>>,
}

/// Bytes of a connection above which segments are the smallest. One answer that is taken fast holds
/// less, however large it is.
const MUCH: usize = 256 << 10;
/// How small they get by that, in bytes: a hundred answers then hold about twice as much, and a
/// frame of HTTP/2 is still nearly all body.
const LEAST: usize = 4 << 10;

impl Share {
    /// A segment of at most so many bytes, of what the connection may hold where that is counted.
    pub fn new(of: Option<Arc<Untaken>>, most: usize) -> Self {
        let mut share = Self { bytes: most, of };
        if let Some(Untaken(count)) = share.of.as_deref() {
            let room = |held: usize| MUCH.saturating_sub(held).max(LEAST).min(most);
            let taken = count.fetch_update(Relaxed, Relaxed, |held| Some(held + room(held)));
            share.bytes = room(taken.unwrap_or_default());
        }
        share
    }

    /// How large the segment may be.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The segment as it was read, counted until it is dropped.
    pub fn hold(mut self, bytes: Bytes) -> Bytes {
        let Some(Untaken(count)) = self.of.as_deref() else {
            return bytes;
        };
        count.fetch_add(bytes.len(), Relaxed);
        count.fetch_sub(self.bytes, Relaxed);
        self.bytes = bytes.len();
        Bytes::from_owner(Held {
            bytes,
            _share: self,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(Untaken(count)) = self.of.as_deref() {
            count.fetch_sub(self.bytes, Relaxed);
        }
    }
}

struct Held {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_answer_is_given_what_it_wants_and_more_when_that_is_taken() {
        let untaken = Arc::<Untaken>::default();
        let next = |most| Share::new(Some(untaken.clone()), most);
        for _ in 0..3 {
            let share = next(MUCH / 2);
            assert_eq!(share.bytes(), MUCH / 2);
            let held = share.hold(Bytes::from_static(b"less came"));
            assert_eq!(untaken.0.load(Relaxed), held.len());
            let rest = held.slice(5..);
            drop(held);
            assert_eq!(untaken.0.load(Relaxed), 9, "the rest keeps all of it");
            drop(rest);
            assert_eq!(untaken.0.load(Relaxed), 0);
        }
        let first = next(2 * MUCH);
        assert_eq!([first.bytes(), next(MUCH).bytes()], [MUCH, LEAST]);
        drop(first);
        assert_eq!(Share::new(None, 2 * MUCH).bytes(), 2 * MUCH);
    }

    proptest! {
        #[test]
        fn answers_that_are_not_taken_hold_little_however_many_they_are(
            wanted in proptest::collection::vec(1_usize..4 << 20, 1..300),
        ) {
            let untaken = Arc::<Untaken>::default();
            let shares: Vec<_> = wanted
                .iter()
                .map(|most| Share::new(Some(untaken.clone()), *most))
                .collect();
            let held: usize = shares.iter().map(Share::bytes).sum();
            prop_assert!(held <= MUCH + wanted.len() * LEAST);
            prop_assert_eq!(untaken.0.load(Relaxed), held);
            for (share, most) in shares.iter().zip(wanted) {
                prop_assert!((1..=most).contains(&share.bytes()));
            }
            drop(shares);
            prop_assert_eq!(untaken.0.load(Relaxed), 0);
        }
    }
}
