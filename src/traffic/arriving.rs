//! How long the body of a request is waited for.

use std::time::Duration;

/// How fast a body must come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arriving {
    /// How long any body may take.
    pub grace: Duration,
    /// How fast it comes in the time beyond, in bytes per second; 0 where any rate will do.
    pub min_rate: u64,
}

impl Arriving {
    /// How long a body may have been waited for when so many bytes of it have come; for ever where
    /// there is no bound.
    pub fn longest(self, bytes: u64) -> Option<Duration> {
        let earned = || Duration::try_from_secs_f64(bytes as f64 / self.min_rate as f64);
        let earned = (self.min_rate > 0).then(earned)?.ok()?;
        self.grace.checked_add(earned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_a_first_time_and_then_what_it_earns() {
        let rule = Arriving {
            grace: Duration::from_secs(30),
            min_rate: 1000,
        };
        assert_eq!(rule.longest(0), Some(Duration::from_secs(30)));
        assert_eq!(rule.longest(1_000_000), Some(Duration::from_secs(1030)));
        let any = Arriving {
            min_rate: 0,
            ..rule
        };
        assert_eq!(any.longest(1), None);
    }
}
