//! How long a server has been taking lately, as a plain value.

use std::time::Duration;

/// The latest samples of one server.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    samples: Vec<Duration>,
    /// Where the next sample goes once there are enough: over the oldest.
    next: usize,
}

/// So many samples are remembered: enough for a 99th percentile, few enough to follow a server
/// that changes.
const REMEMBERED: usize = 128;
/// With fewer samples a quantile would say nothing: the 95th percentile is one in twenty.
const ENOUGH: usize = 20;

impl Latency {
    /// A request took so long.
    pub fn record(&mut self, sample: Duration) {
        match self.samples.get_mut(self.next) {
            Some(oldest) => *oldest = sample,
            None => self.samples.push(sample),
        }
        self.next = (self.next + 1) % REMEMBERED;
    }

    /// The smallest sample that a share of `q` of them does not exceed; none while there are too
    /// few.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        if self.samples.len() < ENOUGH {
            return None;
        }
        let rank = (q * self.samples.len() as f64).ceil() as usize;
        let index = rank.clamp(1, self.samples.len()) - 1;
        let mut samples = self.samples.clone();
        Some(*samples.select_nth_unstable(index).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_samples_say_nothing() {
        let mut latency = Latency::default();
        for n in 1..=20 {
            assert_eq!(latency.quantile(0.5), None);
            latency.record(Duration::from_millis(n));
        }
        let quantiles = [0.0, 0.5, 0.95, 1.0].map(|q| latency.quantile(q));
        let expected = [1, 10, 19, 20].map(|n| Some(Duration::from_millis(n)));
        assert_eq!(quantiles, expected);
    }

    proptest! {
        /// A quantile is that of the last samples, sorted.
        #[test]
        fn quantiles_are_of_the_last(
            samples in prop::collection::vec(0u64..1000, 20..400),
            q in 0.0f64..=1.0,
        ) {
            let mut latency = Latency::default();
            samples.iter().for_each(|n| latency.record(Duration::from_millis(*n)));
            let mut last: Vec<_> = samples.iter().rev().take(128).copied().collect();
            last.sort_unstable();
            let found = latency.quantile(q).unwrap();
            let share = |n: usize| n as f64 / last.len() as f64;
            let below = last.iter().filter(|n| Duration::from_millis(**n) < found).count();
            let up_to = last.iter().filter(|n| Duration::from_millis(**n) <= found).count();
            prop_assert!(up_to > below && below < last.len());
            prop_assert!(share(up_to) >= q && (share(below) < q || below == 0));
        }
    }
}
