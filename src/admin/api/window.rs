//! What happened in a span of time: the difference of two readings of the counters.

use crate::proxy::FIRST_BYTE_BUCKETS;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Requests that were answered, by where the answer came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answers {
    /// From the store alone.
    pub store: u64,
    /// From the store and, for what lacked, from the origin.
    pub both: u64,
    /// From the origin, and kept.
    pub origin: u64,
    /// From the origin, and not kept.
    pub passed: u64,
    /// Refusals, errors and other answers of Tidegate's own.
    pub own: u64,
}

/// Body bytes sent to clients, by where they came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bytes {
    /// The memory tier.
    pub memory: u64,
    /// The disk, or its page cache.
    pub disk: u64,
    /// A transfer that another request caused.
    pub flight: u64,
    /// A transfer that the request itself caused.
    pub origin: u64,
    /// The origin, without being kept.
    pub passed: u64,
}

/// Times in seconds within which so many of a hundred answers began.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    /// How many answers there were.
    pub count: u64,
    /// 50 of a hundred.
    pub p50: f64,
    /// 95 of a hundred.
    pub p95: f64,
    /// 99 of a hundred.
    pub p99: f64,
}

/// Times from a request to the first byte of its answer; absent where there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FirstBytes {
    /// Of answers from the store alone.
    pub cached: Option<Quantiles>,
    /// Of answers that needed the origin.
    pub not_cached: Option<Quantiles>,
}

/// Shares from 0 to 1 of what the origin was spared; absent where nothing was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ratios {
    /// Requests answered from the store alone, of all but Tidegate's own answers.
    pub requests: Option<f64>,
    /// Bytes that their request did not have to fetch, of all.
    pub bytes: Option<f64>,
}

/// What happened in a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// Its length.
    pub seconds: f64,
    /// Requests whose answers ended.
    pub requests: Answers,
    /// Body bytes sent.
    pub bytes: Bytes,
    /// What the origin was spared.
    pub hit_ratio: Ratios,
    /// Times to the first byte.
    pub first_byte: FirstBytes,
    /// Chunks removed from the store to make room.
    pub evictions: u64,
    /// Requests that failed: their answer was cut before its end, or was an error in its place.
    pub aborts: u64,
    /// Operations that the file system refused, and chunks that did not match their checksum.
    pub disk_failures: u64,
}

/// A reading of all counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub requests: Answers,
    pub bytes: Bytes,
    pub cached: Buckets,
    pub not_cached: Buckets,
    pub evictions: u64,
    pub aborts: u64,
    pub disk_failures: u64,
}

/// Answers by the time to their first byte.
pub type Buckets = [u64; FIRST_BYTE_BUCKETS.len() + 1];

impl Totals {
    /// What happened since an earlier reading.
    pub fn since(&self, earlier: &Self, seconds: f64) -> Window {
        let requests = self.requests.since(&earlier.requests);
        let bytes = self.bytes.since(&earlier.bytes);
        Window {
            seconds,
            requests,
            bytes,
            hit_ratio: Ratios {
                requests: requests.ratio(),
                bytes: bytes.ratio(),
            },
            first_byte: FirstBytes {
                cached: quantiles(&less(&self.cached, &earlier.cached)),
                not_cached: quantiles(&less(&self.not_cached, &earlier.not_cached)),
            },
            evictions: self.evictions.saturating_sub(earlier.evictions),
            aborts: self.aborts.saturating_sub(earlier.aborts),
            disk_failures: self.disk_failures.saturating_sub(earlier.disk_failures),
        }
    }
}

impl Answers {
    fn since(&self, earlier: &Self) -> Self {
        Self {
            store: self.store.saturating_sub(earlier.store),
            both: self.both.saturating_sub(earlier.both),
            origin: self.origin.saturating_sub(earlier.origin),
            passed: self.passed.saturating_sub(earlier.passed),
            own: self.own.saturating_sub(earlier.own),
        }
    }

    /// All of them.
    pub fn sum(&self) -> u64 {
        self.store + self.both + self.origin + self.passed + self.own
    }

    fn ratio(&self) -> Option<f64> {
        share(self.store, self.sum() - self.own)
    }
}

impl Bytes {
    fn since(&self, earlier: &Self) -> Self {
        Self {
            memory: self.memory.saturating_sub(earlier.memory),
            disk: self.disk.saturating_sub(earlier.disk),
            flight: self.flight.saturating_sub(earlier.flight),
            origin: self.origin.saturating_sub(earlier.origin),
            passed: self.passed.saturating_sub(earlier.passed),
        }
    }

    /// All of them.
    pub fn sum(&self) -> u64 {
        self.memory + self.disk + self.flight + self.origin + self.passed
    }

    fn ratio(&self) -> Option<f64> {
        share(self.memory + self.disk + self.flight, self.sum())
    }
}

fn share(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

fn less(now: &Buckets, earlier: &Buckets) -> Buckets {
    std::array::from_fn(|at| now[at].saturating_sub(earlier[at]))
}

fn quantiles(buckets: &Buckets) -> Option<Quantiles> {
    let count = buckets.iter().sum();
    let at = |share| quantile(buckets, share);
    (count > 0).then(|| Quantiles {
        count,
        p50: at(0.5),
        p95: at(0.95),
        p99: at(0.99),
    })
}

/// The time within which this share of the answers began, as if they were spread evenly within a
/// bucket; of what took longer than the last bound is only known that it did.
fn quantile(buckets: &Buckets, share: f64) -> f64 {
    let wanted = buckets.iter().sum::<u64>() as f64 * share;
    let (mut before, mut lower) = (0.0, 0.0);
    for (count, upper) in buckets.iter().zip(FIRST_BYTE_BUCKETS) {
        let count = *count as f64;
        if count > 0.0 && before + count >= wanted {
            return lower + (upper - lower) * ((wanted - before) / count);
        }
        (before, lower) = (before + count, upper);
    }
    lower
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quantiles_rise_and_stay_within_the_bounds(counts in prop::array::uniform16(0u64..1000)) {
            match quantiles(&counts) {
                None => prop_assert_eq!(counts.iter().sum::<u64>(), 0),
                Some(found) => {
                    prop_assert!(0.0 <= found.p50 && found.p50 <= found.p95);
                    prop_assert!(found.p95 <= found.p99 && found.p99 <= 30.0);
                }
            }
        }
    }

    #[test]
    fn a_quantile_lies_in_its_bucket() {
        let mut buckets = Buckets::default();
        (buckets[1], buckets[4]) = (90, 10);
        let found = quantiles(&buckets).unwrap();
        assert_eq!(found.count, 100);
        assert!((0.0005..=0.001).contains(&found.p50), "{found:?}");
        assert!((0.005..=0.01).contains(&found.p95), "{found:?}");
        buckets = Buckets::default();
        buckets[15] = 1;
        assert_eq!(quantiles(&buckets).unwrap().p50, 30.0);
    }

    #[test]
    fn a_window_is_the_difference_of_two_readings() {
        let requests = |store, both, own| Answers {
            store,
            both,
            own,
            ..Answers::default()
        };
        let earlier = Totals {
            requests: requests(10, 1, 5),
            ..Totals::default()
        };
        let now = Totals {
            requests: requests(13, 2, 9),
            ..earlier
        };
        let window = now.since(&earlier, 2.0);
        assert_eq!(window.requests, requests(3, 1, 4));
        assert_eq!(window.hit_ratio.requests, Some(0.75));
        assert_eq!(window.hit_ratio.bytes, None);
    }
}
