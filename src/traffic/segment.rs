//! How much is sent at a time, and how long that may take.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Bytes that the kernel holds unsent before a client's socket counts as full. Without it a socket
/// takes megabytes, and then nothing until a third of them has gone: to a client of 500 KB/s nothing
/// could be written for seconds, though it takes all that it is sent, and a slow one would hold all
/// that in the kernel. What is on its way does not count: it does not bound a fast client.
pub const UNSENT: usize = 128 << 10;

/// The longest pause of a client that has been fast before.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How the answers of a route are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sending {
    /// Parts of an object.
    pub range: Pieces,
    /// Whole objects.
    pub whole: Pieces,
}

/// How one kind of answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pieces {
    /// Largest segment, in bytes.
    pub segment: usize,
    /// Least time that a client has for a segment, however small that is.
    pub least_time: Duration,
    /// Slowest rate, in bytes per second, at which a client may take a larger one.
    pub min_rate: u64,
}

impl Default for Sending {
    fn default() -> Self {
        Self {
            range: Pieces {
                segment: 256 << 10,
                least_time: Duration::from_secs(2),
                min_rate: 128 << 10,
            },
            whole: Pieces {
                segment: 1 << 20,
                least_time: Duration::from_secs(3),
                min_rate: 64 << 10,
            },
        }
    }
}

impl Sending {
    /// How a part is sent, or the whole.
    pub fn of(&self, is_part: bool) -> Pieces {
        if is_part { self.range } else { self.whole }
    }
}

impl Pieces {
    /// How long a client may take for a segment of `bytes` when it has been given so much before, in
    /// so long. Who has taken more than the slowest rate asks for may pause: players read in bursts,
    /// and what the kernels on the way hold goes out late.
    pub fn patience(&self, bytes: usize, given: u64, took: Duration) -> Duration {
        let all = given.saturating_add(bytes as u64);
        let ahead = self.at_min_rate(all).saturating_sub(took);
        self.deadline(bytes).max(ahead.min(LONGEST_PAUSE))
    }

    /// The same for one that has just begun.
    pub fn deadline(&self, bytes: usize) -> Duration {
        self.least_time.max(self.at_min_rate(bytes as u64))
    }

    fn at_min_rate(&self, bytes: u64) -> Duration {
        Duration::from_secs_f64(bytes as f64 / self.min_rate.max(1) as f64)
    }
}

/// How large the next segment of an answer is to be.
///
/// A segment is what a slow client pins in memory, and what a fast one pays a system call for. A
/// client that takes its time for one gets smaller ones, one that takes them at once larger ones.
/// And the more all clients together pin, the less is given out at a time.
#[derive(Clone, Debug)]
pub struct SegmentSize {
    size: usize,
    largest: usize,
    habit: Arc<Habit>,
    since: Option<Instant>,
    /// Of this size, how many were taken at once, one after the other.
    at_once: u32,
}

/// How large the segments were that a connection's client took last: its next answer begins with
/// such ones, as what it did before says more of it than nothing.
#[derive(Debug)]
pub struct Habit(AtomicUsize);

impl Default for Habit {
    fn default() -> Self {
        Self(AtomicUsize::new(FIRST))
    }
}

/// Smallest segment of a slow client, in bytes: what a thousand of them pin is about a thousand of
/// these.
const SMALLEST: usize = 16 << 10;
/// The first segment on a connection, in bytes: what a new socket takes at once, since nothing is
/// known of the client yet.
const FIRST: usize = 64 << 10;
/// The largest segment that an answer begins with, in bytes: a client that was fast may stand still.
const LARGEST_FIRST: usize = 256 << 10;
/// Bytes pinned by all clients together above which segments are small.
const MUCH: usize = 16 << 20;
/// How small they get by that, in bytes: below it a system call costs more than what it sends.
const LEAST_SHARE: usize = 32 << 10;
/// A segment is at most this share of what may still be pinned.
const SHARE: usize = 8;
/// Taken within this time, a segment was taken at once.
const FAST: Duration = Duration::from_millis(16);
/// After so many of these the next is larger. The first ones a socket takes at once, whoever is
/// behind it: as much as is in the other side's first window, and may be unsent.
const ENOUGH: u32 = 4;
/// Taken after this time, the next segment is smaller.
const SLOW: Duration = Duration::from_millis(64);

impl SegmentSize {
    /// Segments of an answer, none larger than `largest` bytes.
    pub fn new(largest: usize, habit: Arc<Habit>) -> Self {
        let largest = largest.max(1);
        let first = habit.0.load(Relaxed).min(LARGEST_FIRST);
        Self {
            size: first.min(largest),
            largest,
            habit,
            since: None,
            at_once: 0,
        }
    }

    /// The client is ready for more; `pinned` is what all clients pin together, in bytes.
    pub fn next(&mut self, now: Instant, pinned: usize) -> usize {
        let took = self
            .since
            .replace(now)
            .map(|since| now.saturating_duration_since(since));
        match took {
            Some(took) if took < FAST => self.at_once += 1,
            Some(_) => self.at_once = 0,
            None => {}
        }
        if self.at_once == ENOUGH {
            self.at_once = 0;
            self.size = (self.size * 2).min(self.largest);
        }
        if took.is_some_and(|took| took > SLOW) {
            self.size = (self.size / 2).max(SMALLEST).min(self.largest);
        }
        self.habit.0.store(self.size, Relaxed);
        let share = MUCH.saturating_sub(pinned) / SHARE / LEAST_SHARE * LEAST_SHARE;
        self.size.min(share.max(LEAST_SHARE))
    }

    /// So long others had their turn: the client may have been ready all the while.
    pub fn passed_over(&mut self, time: Duration) {
        self.since = self.since.map(|since| since + time);
    }

    /// It was not the client that took its time.
    pub fn held_up(&mut self) {
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LARGEST: usize = 1 << 20;

    #[test]
    fn segments_follow_the_client() {
        let mut now = Instant::now();
        let mut segment = SegmentSize::new(LARGEST, Arc::default());
        let mut step = |took: u64, pinned: usize| {
            now += Duration::from_millis(took);
            segment.next(now, pinned)
        };
        assert_eq!([step(0, 0), step(30, 0)], [FIRST; 2]);
        let mut sizes = Vec::from([(); 20].map(|()| step(1, 0) >> 10));
        assert_eq!(sizes[..5], [64, 64, 64, 128, 128]);
        sizes.dedup();
        assert_eq!(sizes, [64, 128, 256, 512, 1024]);
        let halved = [(); 7].map(|()| step(900, 0) >> 10);
        assert_eq!(halved, [512, 256, 128, 64, 32, 16, 16]);
        let again = [(); 8].map(|()| step(1, 0) >> 10);
        assert_eq!(again, [16, 16, 16, 32, 32, 32, 32, 64]);
        assert_eq!([step(1, MUCH + 1), step(1, 0)], [LEAST_SHARE, 64 << 10]);
    }

    #[test]
    fn an_answer_begins_as_the_one_before_it_ended() {
        let (mut now, habit) = (Instant::now(), Arc::<Habit>::default());
        let mut answer = |segments: usize, took: u64| {
            let mut segment = SegmentSize::new(LARGEST, habit.clone());
            let sizes = (0..segments).map(|_| {
                now += Duration::from_millis(took);
                segment.next(now, 0) >> 10
            });
            let sizes: Vec<_> = sizes.collect();
            (sizes[0], sizes[segments - 1])
        };
        assert_eq!(answer(6, 1), (64, 128));
        assert_eq!(answer(20, 1), (128, 1024));
        assert_eq!(answer(3, 900), (256, 64));
        assert_eq!(answer(1, 1), (64, 64));
    }

    #[test]
    fn who_was_held_up_is_not_slow() {
        let now = Instant::now();
        let mut segment = SegmentSize::new(LARGEST, Arc::default());
        segment.next(now, 0);
        segment.held_up();
        assert_eq!(segment.next(now + Duration::from_secs(9), 0), FIRST);
    }

    /// In a crowd a turn takes longer than a fast client: small segments would make it longer still.
    #[test]
    fn the_turns_of_others_are_not_the_clients_time() {
        let (mut now, turn) = (Instant::now(), 3 * SLOW);
        let mut segment = SegmentSize::new(LARGEST, Arc::default());
        let mut step = |took: Duration| {
            segment.passed_over(turn);
            now += turn + took;
            segment.next(now, 0)
        };
        let sizes = [(); 20].map(|()| step(FAST / 2));
        assert_eq!((sizes[0], sizes[19]), (FIRST, LARGEST));
        assert_eq!(step(2 * SLOW), LARGEST / 2);
    }

    #[test]
    fn who_was_fast_may_pause() {
        let Sending { range, .. } = Sending::default();
        let second = Duration::from_secs(1);
        let table = [
            // Given, in so many seconds, and what that is good for.
            (0, 0, 2),
            (1 << 20, 0, 8),
            (1 << 20, 3, 5),
            (1 << 20, 7, 2),
            (1 << 20, 100, 2),
            (1 << 40, 1, 60),
        ];
        for (given, took, expected) in table {
            let patience = range.patience(0, given, second * took);
            assert_eq!(patience, second * expected, "{given} bytes in {took} s");
        }
    }

    #[test]
    fn deadlines_scale_with_the_segment() {
        let Sending { range, whole } = Sending::default();
        assert_eq!(range.deadline(1), Duration::from_secs(2));
        assert_eq!(range.deadline(512 << 10), Duration::from_secs(4));
        assert_eq!(whole.deadline(128 << 10), Duration::from_secs(3));
        assert_eq!(whole.deadline(1 << 20), Duration::from_secs(16));
    }

    proptest! {
        /// Readers that stand still after their first segment pin little, however many come.
        #[test]
        fn a_crowd_that_stands_still_pins_little(readers in 1usize..2000, largest in 1usize..4 << 20) {
            let now = Instant::now();
            let mut pinned = 0;
            for _ in 0..readers {
                pinned += SegmentSize::new(largest, Arc::default()).next(now, pinned);
            }
            prop_assert!(pinned <= MUCH + readers * LEAST_SHARE);
        }

        #[test]
        fn no_segment_is_larger_than_allowed(largest in 1usize..4 << 20, took in prop::collection::vec(0u64..100, 0..40)) {
            let mut now = Instant::now();
            let mut segment = SegmentSize::new(largest, Arc::default());
            for took in took {
                now += Duration::from_millis(took);
                let size = segment.next(now, 0);
                prop_assert!(size >= 1 && size <= largest);
            }
        }
    }
}
