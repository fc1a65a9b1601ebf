//! What a request to an origin is for, and where that puts it in a queue.

/// What a request to an origin is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// A client waits for a part of an object.
    Range,
    /// A client waits for the whole of an answer.
    Whole {
        /// Bytes that the answer is expected to bring, where that is known.
        expected: Option<u64>,
    },
    /// A client will want it soon.
    ReadAhead,
    /// Nobody waits.
    Completion,
}

/// A class of the queue before an origin, the first first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Somebody waits for a part, or for less than 1 MB.
    Small,
    /// Somebody waits for less than 10 MB.
    Medium,
    /// Somebody waits for more, or for nobody knows how much.
    Large,
    /// Somebody will want it soon.
    ReadAhead,
    /// Nobody waits.
    Completion,
}

impl Class {
    /// All classes, the first first.
    pub const ALL: [Self; 5] = [
        Self::Small,
        Self::Medium,
        Self::Large,
        Self::ReadAhead,
        Self::Completion,
    ];

    /// The value of the label `class` in the metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
            Self::ReadAhead => "read_ahead",
            Self::Completion => "completion",
        }
    }
}

impl From<Urgency> for Class {
    fn from(urgency: Urgency) -> Self {
        match urgency {
            Urgency::Range => Self::Small,
            Urgency::Whole { expected } => match expected {
                Some(bytes) if bytes < SMALL => Self::Small,
                Some(bytes) if bytes < MEDIUM => Self::Medium,
                _ => Self::Large,
            },
            Urgency::ReadAhead => Self::ReadAhead,
            Urgency::Completion => Self::Completion,
        }
    }
}

/// Below it a request is small.
const SMALL: u64 = 1 << 20;
/// Below it a request is of medium size.
const MEDIUM: u64 = 10 << 20;
