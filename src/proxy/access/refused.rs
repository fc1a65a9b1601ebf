//! Why a request may not go on.

use http::StatusCode;

/// Why a request is answered before anything is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It has been here already.
    Loop,
}

impl Refused {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Loop];

    /// What the client gets.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Loop => StatusCode::LOOP_DETECTED,
        }
    }

    /// The value of the label `reason` in the metrics, and of `detail` in `Cache-Status`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Loop => "loop",
        }
    }
}
