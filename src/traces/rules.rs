//! Which requests are recorded.

use super::context::Context;
use crate::domain::Trust;
use http::HeaderMap;

/// Which requests are recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// The share of the requests of which nobody says whether they are, from 0 to 1.
    pub sample: f64,
    /// Whose word on that counts.
    pub trust: Trust,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            sample: 0.01,
            trust: Trust::default(),
        }
    }
}

impl Rules {
    /// Where a request that has just come stands, if that is known and believed, and whether it is
    /// recorded; `dice` is at random from 0 to 1, without 1.
    pub fn judge(&self, headers: &HeaderMap, by_proxy: bool, dice: f64) -> (Option<Context>, bool) {
        let counts = self.trust.counts(by_proxy);
        let from = counts.then(|| Context::of(headers)).flatten();
        let sampled = match &from {
            Some(from) => from.sampled,
            None => dice < self.sample,
        };
        (from, sampled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::context::TRACEPARENT;
    use http::HeaderValue;

    #[test]
    fn a_word_that_counts_goes_before_chance() {
        let said = |flags: &str| {
            let line = format!("00-{}-{}-{flags}", "a".repeat(32), "b".repeat(16));
            let line = HeaderValue::try_from(line).unwrap();
            HeaderMap::from_iter([(TRACEPARENT, line)])
        };
        let (yes, no, nothing) = (said("01"), said("00"), HeaderMap::new());
        let rules = Rules {
            sample: 0.5,
            ..Rules::default()
        };
        let judged = |headers, by_proxy, dice| {
            let (from, sampled) = rules.judge(headers, by_proxy, dice);
            (from.is_some(), sampled)
        };
        assert_eq!(judged(&yes, true, 0.9), (true, true));
        assert_eq!(judged(&no, true, 0.1), (true, false));
        for headers in [&yes, &no] {
            assert_eq!(judged(headers, false, 0.1), (false, true), "a stranger's");
            assert_eq!(judged(headers, false, 0.5), (false, false), "a stranger's");
        }
        assert_eq!(judged(&nothing, true, 0.1), (false, true));
        let none = Rules {
            sample: 0.0,
            ..rules
        };
        assert!(!none.judge(&nothing, true, 0.0).1);
    }
}
