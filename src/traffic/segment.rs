//! How much is sent at a time, and how long that may take.

use std::time::{Duration, Instant};

/// How large the next segment of an answer is to be.
///
/// A segment is what a slow client pins in memory, and what a fast one pays a system call for. A
/// client that takes segments slower than they would be taken at 4 MB/s gets smaller ones, and
/// when many clients together pin much, everybody does.
#[derive(Clone, Copy, Debug)]
pub struct SegmentSize {
    size: usize,
    since: Option<Instant>,
}

/// Smallest segment, in bytes: what a thousand slow clients pin is about a thousand of these.
const SMALLEST: usize = 32 << 10;
/// Largest segment, in bytes.
pub const LARGEST: usize = 256 << 10;
/// Bytes pinned by all clients together above which segments are small.
const MUCH: usize = 24 << 20;
/// Taken within this time, the next segment is larger.
const FAST: Duration = Duration::from_millis(16);
/// Taken after this time, the next segment is smaller.
const SLOW: Duration = Duration::from_millis(64);

impl Default for SegmentSize {
    fn default() -> Self {
        Self {
            size: LARGEST,
            since: None,
        }
    }
}

impl SegmentSize {
    /// The client is ready for more; `pinned` is what all clients pin together, in bytes.
    pub fn next(&mut self, now: Instant, pinned: usize) -> usize {
        let took = self
            .since
            .replace(now)
            .map(|since| now.duration_since(since));
        match took {
            Some(took) if took < FAST => self.size = (self.size * 2).min(LARGEST),
            Some(took) if took > SLOW => self.size = (self.size / 2).max(SMALLEST),
            _ => {}
        }
        if pinned > MUCH { SMALLEST } else { self.size }
    }
}

/// The deadline for one segment towards a client: at least `floor`, more for a large segment at
/// the slowest rate that is let pass.
pub fn segment_deadline(bytes: usize, min_rate: u64, floor: Duration) -> Duration {
    let at_min_rate = bytes as f64 / min_rate.max(1) as f64;
    floor.max(Duration::from_secs_f64(at_min_rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_follow_the_client() {
        let mut now = Instant::now();
        let mut segment = SegmentSize::default();
        let mut step = |took: u64, pinned: usize| {
            now += Duration::from_millis(took);
            segment.next(now, pinned)
        };
        assert_eq!([step(0, 0), step(30, 0)], [LARGEST; 2]);
        assert_eq!(
            [step(100, 0), step(900, 0), step(900, 0)],
            [128 << 10, 64 << 10, SMALLEST]
        );
        assert_eq!(
            [step(900, 0), step(1, 0), step(1, 0)],
            [SMALLEST, 64 << 10, 128 << 10]
        );
        assert_eq!([step(1, MUCH + 1), step(1, 0)], [SMALLEST, LARGEST]);
    }

    #[test]
    fn deadlines_scale_with_the_segment() {
        let floor = Duration::from_secs(3);
        assert_eq!(segment_deadline(1 << 10, 64 << 10, floor), floor);
        assert_eq!(
            segment_deadline(256 << 10, 64 << 10, floor),
            Duration::from_secs(4)
        );
    }
}
