//! How often a request may be repeated, and when: pure decisions.
//!
//! Repetitions are worth most when an origin stumbles, and do most harm when it falls: then they
//! keep it down. So they are paid for out of a budget that grows with the requests, over the last
//! ten seconds.

use crate::traffic::recent::{Counts, Recent};
use std::time::{Duration, Instant};

/// What may be repeated or hedged at one origin.
#[derive(Clone, Debug)]
pub struct Budget {
    share: f64,
    /// Requests; the marked ones are repetitions and hedges.
    recent: Recent,
}

const WINDOW: Duration = Duration::from_secs(10);

/// So many a window are free: a quiet origin's share of few requests would be none, but its
/// viewers meet a dropped connection or a restarted server as others do, and several of their
/// requests at once. One a second on average is no burden to a server that is up at all
/// (Linkerd's and Finagle's floor is ten a second).
const FREE: f64 = 10.0;

/// Longest pause: a client waits for it, and only so long.
const LONGEST: Duration = Duration::from_secs(5);

impl Budget {
    /// At most `share` of the requests are repeated, beside a few that are free; none at all
    /// when `share` is 0.
    pub fn new(share: f64) -> Self {
        Self {
            share,
            recent: Recent::new(WINDOW),
        }
    }

    /// A request is made, for the first time.
    pub fn deposit(&mut self, now: Instant) {
        self.recent.add(Counts { all: 1, marked: 0 }, now);
    }

    /// Whether a request may be repeated or hedged now; if so, it is.
    pub fn withdraw(&mut self, now: Instant) -> bool {
        let spent = self.recent.sum(now);
        let allowed = self.share * f64::from(spent.all) + FREE;
        let may = self.share > 0.0 && f64::from(spent.marked) + 1.0 <= allowed;
        if may {
            self.recent.add(Counts { all: 0, marked: 1 }, now);
        }
        may
    }
}

/// How long to wait before the `round`-th repetition, from 1 on: any time up to `backoff`, which
/// doubles each round. `random` is from 0 to 1.
///
/// This is "full jitter" of "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): of
/// the kinds compared there, it spreads those who failed together best and asks least.
pub fn pause(backoff: Duration, round: u32, random: f64) -> Duration {
    let doubled = 2u32.saturating_pow(round.saturating_sub(1));
    let longest = backoff.saturating_mul(doubled).min(LONGEST);
    let share = if (0.0..=1.0).contains(&random) {
        random
    } else {
        1.0
    };
    longest.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_quiet_origin_may_repeat_and_a_falling_one_may_not() {
        let now = Instant::now();
        let mut budget = Budget::new(0.2);
        budget.deposit(now);
        assert!(budget.withdraw(now));
        for _ in 1..1000 {
            budget.deposit(now);
        }
        let repeated = (0..1000).filter(|_| budget.withdraw(now)).count();
        assert_eq!(repeated, 209);
        assert!(!budget.withdraw(now + WINDOW - Duration::from_millis(1)));
        assert!(budget.withdraw(now + WINDOW));
    }

    #[test]
    fn a_share_of_none_is_none() {
        let now = Instant::now();
        let mut budget = Budget::new(0.0);
        budget.deposit(now);
        assert!(!budget.withdraw(now));
    }

    #[test]
    fn pauses_double_up_to_their_bound() {
        let backoff = Duration::from_millis(100);
        let longest = [1, 2, 3, 6, 7, 400].map(|round| pause(backoff, round, 1.0).as_millis());
        assert_eq!(longest, [100, 200, 400, 3200, 5000, 5000]);
        assert_eq!(pause(backoff, 2, 0.25), Duration::from_millis(50));
        assert_eq!(pause(Duration::MAX, u32::MAX, f64::NAN), LONGEST);
        assert_eq!(pause(backoff, 0, 0.0), Duration::ZERO);
    }

    proptest! {
        /// Over any ten seconds, repetitions stay within the share of what was asked in the ten
        /// seconds before each of them.
        #[test]
        fn repetitions_are_a_share(
            share in 0.01f64..1.0,
            steps in prop::collection::vec((0u64..400, 0u8..4), 1..400),
        ) {
            let mut now = Instant::now();
            let mut budget = Budget::new(share);
            let (mut requests, mut repeated) = (Vec::new(), Vec::new());
            for (pause, action) in steps {
                now += Duration::from_millis(pause);
                if action == 0 {
                    budget.deposit(now);
                    requests.push(now);
                    continue;
                }
                let within = |log: &[Instant], age: Duration| {
                    log.iter().filter(|at| now.duration_since(**at) <= age).count() as f64
                };
                let (sure, window) = (WINDOW * 9 / 10 - Duration::from_nanos(1), WINDOW);
                let may = budget.withdraw(now);
                if may {
                    repeated.push(now);
                    prop_assert!(within(&repeated, sure) <= share * within(&requests, window) + FREE);
                } else {
                    prop_assert!(within(&repeated, window) + 1.0 > share * within(&requests, sure) + FREE);
                }
            }
        }
    }
}
