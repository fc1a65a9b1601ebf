//! One thing that took time, as a plain value.

use super::context::{Context, SpanId};
use std::{
    borrow::Cow,
    time::{Duration, Instant, SystemTime},
};

/// A span that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its place: its trace and its own name in it.
    pub place: Context,
    /// What it belongs to, and whether that is another process's.
    pub parent: Option<(SpanId, Side)>,
    /// Which side of a conversation it is.
    pub kind: Kind,
    /// What it is called.
    pub name: &'static str,
    /// When it began, in nanoseconds since 1970.
    pub began: u64,
    /// When it ended, in nanoseconds since 1970.
    pub ended: u64,
    /// What is said of it.
    pub attributes: Attributes,
    /// Whether it failed.
    pub has_failed: bool,
    /// What it waited for, in another trace.
    pub link: Option<Context>,
}

/// Names and values.
pub type Attributes = Vec<(&'static str, Value)>;

/// Whose a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This process's.
    Own,
    /// That of whoever sent the request.
    Remote,
}

/// Which side of a conversation a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// None.
    Internal,
    /// Who is asked.
    Server,
    /// Who asks.
    Client,
}

/// What an attribute says.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text, not too long.
    Text(Cow<'static, str>),
    /// A whole number.
    Whole(i64),
    /// A number.
    Real(f64),
    /// Yes or no.
    Truth(bool),
}

/// The longest text, in bytes: a queue of spans is to have a bound in memory, too, and clients
/// choose what they ask for.
const LONGEST_TEXT: usize = 1024;

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(mut text: String) -> Self {
        if text.len() > LONGEST_TEXT {
            text.truncate(text.floor_char_boundary(LONGEST_TEXT));
            text.shrink_to_fit();
        }
        Self::Text(Cow::Owned(text))
    }
}

impl From<Cow<'static, str>> for Value {
    fn from(text: Cow<'static, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Whole(number.try_into().unwrap_or(i64::MAX))
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Whole(number.into())
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Truth(truth)
    }
}

/// Milliseconds, with three digits behind the point.
impl From<Duration> for Value {
    fn from(time: Duration) -> Self {
        Self::Real(time.as_micros() as f64 / 1000.0)
    }
}

/// One moment by both clocks: what took how long is measured by the one that never jumps.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// By the clock that never jumps.
    pub instant: Instant,
    /// By the clock of dates.
    pub date: SystemTime,
}

impl Clock {
    /// A moment in nanoseconds since 1970.
    pub fn nanoseconds(&self, moment: Instant) -> u64 {
        let after = moment.checked_duration_since(self.instant);
        let date = match after {
            Some(after) => self.date.checked_add(after),
            None => self.date.checked_sub(self.instant - moment),
        };
        let since = date.and_then(|date| date.duration_since(SystemTime::UNIX_EPOCH).ok());
        since.map_or(0, |since| since.as_nanos().try_into().unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_a_bound_and_stay_texts() {
        let long = "é".repeat(LONGEST_TEXT);
        let Value::Text(kept) = Value::from(format!("x{long}")) else {
            panic!("a text");
        };
        assert_eq!(kept.len(), LONGEST_TEXT - 1);
        assert!(kept.starts_with("xé") && kept.ends_with('é'));
        assert_eq!(Value::from(u64::MAX), Value::Whole(i64::MAX));
    }

    #[test]
    fn moments_are_told_by_how_far_they_are_from_one_that_is_known() {
        let instant = Instant::now() + Duration::from_secs(10);
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(7);
        let clock = Clock { instant, date };
        let at = |moment| clock.nanoseconds(moment);
        assert_eq!(at(instant), 7_000_000_000);
        assert_eq!(at(instant + Duration::from_nanos(5)), 7_000_000_005);
        assert_eq!(at(instant - Duration::from_secs(2)), 5_000_000_000);
        assert_eq!(at(instant - Duration::from_secs(8)), 0, "before 1970");
    }
}
