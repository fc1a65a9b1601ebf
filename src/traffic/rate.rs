//! How often somebody may ask: the generic cell rate algorithm (GCRA), as a value.
//!
//! One instant is kept for each: when all that was asked so far would have been asked at the rate.
//! A request is let through where that is no further ahead than the burst.

use super::customer;
use lru::LruCache;
use std::{
    net::IpAddr,
    num::NonZeroU32,
    time::{Duration, Instant},
};

/// So many requests in a time, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests in each `per`.
    pub requests: NonZeroU32,
    /// The time that they are counted in.
    pub per: Duration,
    /// Requests that may come at once after a pause.
    pub burst: NonZeroU32,
}

/// What one has asked for so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter(Option<Instant>);

/// The meters of all addresses of late; a network of 64 bits is one in IPv6.
#[derive(Debug)]
pub struct Meters {
    most: usize,
    by_address: LruCache<IpAddr, Meter>,
}

impl Rate {
    /// The time that one request takes at the rate.
    fn step(&self) -> Duration {
        self.per / self.requests.get()
    }

    /// How far ahead of its time a request may be.
    fn slack(&self) -> Duration {
        self.step() * self.burst.get()
    }
}

impl Meter {
    /// Whether one more request may come now; otherwise how long it should wait. One that is
    /// refused costs nothing.
    pub fn take(&mut self, rate: &Rate, now: Instant) -> Result<(), Duration> {
        let from = self.0.map_or(now, |until| until.max(now));
        let until = from + rate.step();
        match until.duration_since(now).checked_sub(rate.slack()) {
            None | Some(Duration::ZERO) => {
                self.0 = Some(until);
                Ok(())
            }
            Some(early) => Err(early),
        }
    }
}

impl Meters {
    /// Those of so many addresses at most. Beyond it the one that was quiet for longest is
    /// forgotten, and may begin anew with a whole burst.
    pub fn of(most: usize) -> Self {
        Self {
            most,
            by_address: LruCache::unbounded(),
        }
    }

    /// Whether an address may ask once more now; otherwise how long it should wait.
    pub fn take(&mut self, address: IpAddr, rate: &Rate, now: Instant) -> Result<(), Duration> {
        let address = customer(address);
        let verdict = self
            .by_address
            .get_or_insert_mut(address, Meter::default)
            .take(rate, now);
        if self.by_address.len() > self.most {
            self.by_address.pop_lru();
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate(requests: u32, per: u64, burst: u32) -> Rate {
        Rate {
            requests: NonZeroU32::new(requests).unwrap(),
            per: Duration::from_millis(per),
            burst: NonZeroU32::new(burst).unwrap(),
        }
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let (rate, now) = (rate(10, 1000, 3), Instant::now());
        let mut meter = Meter::default();
        for _ in 0..3 {
            assert_eq!(meter.take(&rate, now), Ok(()));
        }
        let wait = Duration::from_millis(100);
        assert_eq!(meter.take(&rate, now), Err(wait));
        assert_eq!(meter.take(&rate, now + wait / 2), Err(wait / 2));
        assert_eq!(meter.take(&rate, now + wait), Ok(()));
        assert_eq!(meter.take(&rate, now + wait), Err(wait));
        // Who pauses saves up no more than a burst.
        let later = now + Duration::from_secs(900);
        assert_eq!(
            (0..9).filter(|_| meter.take(&rate, later).is_ok()).count(),
            3
        );
    }

    #[test]
    fn each_has_its_own_and_the_quietest_is_forgotten() {
        let (rate, now) = (rate(1, 1000, 1), Instant::now());
        let mut meters = Meters::of(2);
        let mut take = |address: &str| meters.take(address.parse().unwrap(), &rate, now).is_ok();
        assert!(take("192.0.2.1") && !take("::ffff:192.0.2.1"));
        assert!(take("2001:db8::1") && !take("2001:db8::ffff:2"));
        assert!(!take("192.0.2.1"));
        assert!(take("2001:db8:0:1::1"), "another network");
        assert!(!take("192.0.2.1"), "not the quietest");
        assert!(take("2001:db8::1"), "forgotten");
    }

    proptest! {
        #[test]
        fn no_span_has_more_than_the_rate_and_the_burst(
            requests in 1..50u32, per in 1..5_000u64, burst in 1..20u32,
            gaps in prop::collection::vec(0..2_000u64, 1..200),
        ) {
            let rate = rate(requests, per, burst);
            let mut meter = Meter::default();
            let mut now = Instant::now();
            let mut taken = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                match meter.take(&rate, now) {
                    Ok(()) => taken.push(now),
                    Err(wait) => {
                        prop_assert!(wait > Duration::ZERO && wait <= rate.step());
                        prop_assert_eq!({ meter }.take(&rate, now + wait), Ok(()));
                    }
                }
            }
            for (first, from) in taken.iter().enumerate() {
                for (last, to) in taken.iter().enumerate().skip(first) {
                    let span = to.duration_since(*from).as_secs_f64();
                    let most = f64::from(burst) + span / rate.step().as_secs_f64();
                    prop_assert!((last - first + 1) as f64 <= most + 1e-6);
                }
            }
        }
    }
}
