//! What is done about spans after a collector's answer, or the lack of one.

use http::StatusCode;
use std::time::{Duration, Instant};

/// What came of sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It has them, but for so many that it did not want, for this reason.
    Taken(u64, String),
    /// It answered otherwise; when it said to come back.
    Refused(StatusCode, Option<Duration>),
    /// There was no answer, and why.
    Silence(String),
}

/// Times that spans are sent in all.
const TRIES: u32 = 5;
/// The wait before the second time. It doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait, whatever the collector says: newer spans wait behind.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Reply {
    /// Whether another time it would be the same.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Taken(..) => true,
            // But for those that OTLP names.
            Self::Refused(status, _) => !matches!(status.as_u16(), 429 | 502..=504),
            Self::Silence(_) => false,
        }
    }

    /// How long to wait before they are sent again, after so many tries; `None` where they are
    /// not. `dice` is at random from 0 to 1: not all that a collector has lost come back at once.
    pub fn again(&self, tries: u32, dice: f64) -> Option<Duration> {
        let said = match self {
            Self::Refused(_, after) => *after,
            Self::Taken(..) | Self::Silence(_) => None,
        };
        let doubled = FIRST_WAIT * 2u32.pow(tries.saturating_sub(1).min(8));
        let own = doubled.mul_f64(0.5 + dice / 2.0);
        let may_help = !self.is_final() && tries < TRIES;
        may_help.then(|| said.unwrap_or(own).min(LONGEST_WAIT))
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Taken(0, _) => f.write_str("taken"),
            Self::Taken(rejected, why) => write!(f, "it rejected {rejected} spans: {why}"),
            Self::Refused(status, _) => write!(f, "it answered {status}"),
            Self::Silence(why) => f.write_str(why),
        }
    }
}

/// How long a collector has not taken anything, and what of that has been said: once at its
/// beginning, once a while, and once at its end.
#[derive(Debug, Default)]
pub struct Outage {
    said: Option<Instant>,
    lost: u64,
}

/// How often it is said that there still is an outage.
const SAY_EVERY: Duration = Duration::from_secs(60);

impl Outage {
    /// Spans are lost. How many have been since it was said last, where it is to be said now.
    pub fn lose(&mut self, spans: u64, now: Instant) -> Option<u64> {
        self.lost += spans;
        let is_due = |said| now.saturating_duration_since(said) >= SAY_EVERY;
        if !self.said.is_none_or(is_due) {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.lost))
    }

    /// Spans are taken. Whether that is news.
    pub fn end(&mut self) -> bool {
        std::mem::take(self).said.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(status: u16, after: Option<u64>) -> Reply {
        let status = StatusCode::from_u16(status).unwrap();
        Reply::Refused(status, after.map(Duration::from_secs))
    }

    #[test]
    fn what_may_pass_is_tried_again_a_few_times() {
        let ms = Duration::from_millis;
        let silence = Reply::Silence("down".into());
        let waits: Vec<_> = (1..9).map(|tries| silence.again(tries, 1.0)).collect();
        let expected = [500, 1000, 2000, 4000].map(|wait| Some(ms(wait)));
        assert_eq!(waits[..4], expected);
        assert_eq!(waits[4..], [None; 4]);
        assert_eq!(silence.again(1, 0.0), Some(ms(250)));
        for status in [429, 502, 503, 504] {
            let after = |seconds| refused(status, Some(seconds)).again(1, 0.5);
            assert_eq!(after(7), Some(ms(7000)), "{status}");
            assert_eq!(after(7000), Some(LONGEST_WAIT), "{status}");
        }
        for status in [301, 400, 401, 404, 413, 500, 501] {
            assert_eq!(refused(status, Some(1)).again(1, 0.5), None, "{status}");
        }
        assert_eq!(Reply::Taken(3, String::new()).again(1, 0.5), None);
    }

    proptest! {
        #[test]
        fn no_wait_is_long_and_none_goes_on_for_ever(
            tries: u32, dice in 0.0..1.0f64, after in prop::option::of(any::<u64>()),
        ) {
            for reply in [refused(503, after), Reply::Silence(String::new())] {
                let wait = reply.again(tries, dice);
                prop_assert!(wait.is_none_or(|wait| wait <= LONGEST_WAIT && tries < TRIES));
            }
        }
    }

    #[test]
    fn an_outage_is_said_at_its_beginning_once_a_while_and_at_its_end() {
        let start = Instant::now();
        let mut outage = Outage::default();
        assert!(!outage.end());
        let lose =
            |outage: &mut Outage, seconds| outage.lose(10, start + Duration::from_secs(seconds));
        assert_eq!(lose(&mut outage, 0), Some(10));
        assert_eq!(lose(&mut outage, 30), None);
        assert_eq!(lose(&mut outage, 59), None);
        assert_eq!(lose(&mut outage, 60), Some(30));
        assert!(outage.end() && !outage.end());
        assert_eq!(lose(&mut outage, 61), Some(10));
    }
}
