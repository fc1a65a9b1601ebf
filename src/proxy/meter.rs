//! Counts the bytes of one answer as they go out, so that what is live shows as it is.

use super::stats::{SOURCES, Stats};
use crate::cache::Tally;

/// What has been counted of an answer so far, by source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    counted: [u64; SOURCES.len() - 1],
    passed: u64,
    /// The source that was read last.
    last: usize,
    /// Bytes that were read and, as the answer was cut, not sent.
    unsent: u64,
}

impl Meter {
    /// Bytes are about to go out. What the cache has read since the last look is counted where it
    /// came from; an answer of which it reads nothing is passed on.
    pub fn advance(&mut self, stats: &Stats, tally: Option<&Tally>, bytes: u64) {
        self.read(stats, tally);
        if !self.is_read() {
            self.passed += bytes;
            stats.sent(PASSED, bytes);
        }
    }

    /// The answer has ended, after so many bytes.
    pub fn finish(&mut self, stats: &Stats, tally: Option<&Tally>, total: u64) {
        self.read(stats, tally);
        if !self.is_read() {
            stats.sent(PASSED, total.saturating_sub(self.passed));
            self.passed = total;
        }
        let read: u64 = self.counted.iter().sum();
        self.unsent = read.saturating_sub(total);
    }

    /// What has been counted, with the names of the sources. What a cut answer did not send is taken
    /// from the source that was read last, and from the others where that is not enough.
    pub fn by_source(&self) -> [(&'static str, u64); SOURCES.len()] {
        let mut sent = self.counted;
        let mut unsent = self.unsent;
        for at in std::iter::once(self.last).chain(0..sent.len()) {
            let less = unsent.min(sent[at]);
            sent[at] -= less;
            unsent -= less;
        }
        let counted = |at: usize| sent.get(at).copied().unwrap_or(self.passed);
        std::array::from_fn(|at| (SOURCES[at], counted(at)))
    }

    fn read(&mut self, stats: &Stats, tally: Option<&Tally>) {
        let Some(tally) = tally else { return };
        for (at, (_, read)) in tally.by_source().into_iter().enumerate() {
            if read > self.counted[at] {
                stats.sent(at, read - self.counted[at]);
                self.counted[at] = read;
                self.last = at;
            }
        }
    }

    fn is_read(&self) -> bool {
        self.counted.iter().any(|bytes| *bytes > 0)
    }
}

/// The place of `passed` among the sources, behind those of the cache.
const PASSED: usize = SOURCES.len() - 1;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn each_byte_counts_once_where_it_came_from() {
        let (stats, tally, mut meter) = (Stats::default(), Tally::default(), Meter::default());
        tally.disk.store(100, Relaxed);
        meter.advance(&stats, Some(&tally), 100);
        tally.disk.store(150, Relaxed);
        tally.origin.store(7, Relaxed);
        meter.advance(&stats, Some(&tally), 57);
        meter.finish(&stats, Some(&tally), 157);
        let mut passed = Meter::default();
        passed.advance(&stats, None, 30);
        passed.finish(&stats, None, 42);
        let counted = SOURCES.map(|source| stats.sent.with_label_values(&[source]).get());
        assert_eq!(counted, [0, 150, 0, 7, 42]);
    }

    #[test]
    fn what_a_cut_answer_did_not_send_counts_nowhere() {
        let (stats, tally) = (Stats::default(), Tally::default());
        let sent = |total| {
            let mut meter = Meter::default();
            tally.disk.store(100, Relaxed);
            tally.origin.store(0, Relaxed);
            meter.advance(&stats, Some(&tally), 100);
            tally.origin.store(40, Relaxed);
            meter.finish(&stats, Some(&tally), total);
            meter.by_source().map(|(_, bytes)| bytes)
        };
        assert_eq!(sent(140), [0, 100, 0, 40, 0]);
        assert_eq!(sent(110), [0, 100, 0, 10, 0]);
        assert_eq!(sent(30), [0, 30, 0, 0, 0]);
        assert_eq!(sent(0), [0; 5]);
    }
}
