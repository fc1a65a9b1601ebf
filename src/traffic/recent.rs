//! What happened lately: two counts over a sliding window, as a plain value.
//!
//! The window is ten slices that are reused in turn, so it forgets a tenth at a time, and costs
//! the same however many events there are.

use std::time::{Duration, Instant};

/// Events of the last while, and how many of them were marked: the failures among the requests,
/// say, or the repetitions beside them.
#[derive(Clone, Debug)]
pub struct Recent {
    slice: Duration,
    /// When the newest slice began; none before the first event.
    begun: Option<Instant>,
    /// The oldest first.
    slices: [Counts; SLICES],
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All events.
    pub all: u32,
    /// Those that were marked.
    pub marked: u32,
}

const SLICES: usize = 10;

impl Recent {
    /// Nothing yet. A window is told to a tenth of its length, and no finer than a millisecond.
    pub fn new(window: Duration) -> Self {
        Self {
            slice: (window / SLICES as u32).max(Duration::from_millis(1)),
            begun: None,
            slices: [Counts::default(); SLICES],
        }
    }

    /// Counts what happens now.
    pub fn add(&mut self, counts: Counts, now: Instant) {
        let passed = self.passed(now);
        match &mut self.begun {
            Some(begun) if passed < SLICES => {
                self.slices.rotate_left(passed);
                self.slices[SLICES - passed..].fill(Counts::default());
                *begun += self.slice * passed as u32;
            }
            begun => {
                self.slices.fill(Counts::default());
                *begun = Some(now);
            }
        }
        self.slices[SLICES - 1].add(counts);
    }

    /// What has been counted within the window.
    pub fn sum(&self, now: Instant) -> Counts {
        let mut sum = Counts::default();
        for slice in self.slices.iter().skip(self.passed(now)) {
            sum.add(*slice);
        }
        sum
    }

    /// How many slices have ended since the last event.
    fn passed(&self, now: Instant) -> usize {
        let Some(begun) = self.begun else { return 0 };
        // A clock that was read before another thread counted is taken for that one's.
        let since = now.saturating_duration_since(begun);
        (since.as_nanos() / self.slice.as_nanos()).min(SLICES as u128) as usize
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.all = self.all.saturating_add(other.all);
        self.marked = self.marked.saturating_add(other.marked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whenever events come, none is forgotten within nine tenths of the window, and all are
        /// after the whole of it.
        #[test]
        fn the_window_slides(steps in prop::collection::vec((0u64..3000, 0u32..3, 0u32..3), 1..100)) {
            let window = Duration::from_secs(10);
            let mut now = Instant::now();
            let mut recent = Recent::new(window);
            let mut log = Vec::new();
            for (pause, all, marked) in steps {
                now += Duration::from_millis(pause);
                let since = |age: Duration| {
                    let mut sum = Counts::default();
                    let young = log.iter().filter(|(at, _)| now.duration_since(*at) <= age);
                    young.for_each(|(_, counts)| sum.add(*counts));
                    sum
                };
                let (least, most) = (since(window * 9 / 10 - Duration::from_nanos(1)), since(window));
                let sum = recent.sum(now);
                prop_assert!(least.all <= sum.all && sum.all <= most.all);
                prop_assert!(least.marked <= sum.marked && sum.marked <= most.marked);
                recent.add(Counts { all, marked }, now);
                log.push((now, Counts { all, marked }));
            }
            prop_assert_eq!(recent.sum(now + window), Counts::default());
        }
    }
}
