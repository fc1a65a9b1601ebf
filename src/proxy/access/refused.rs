//! Why a request may not go on.

use http::StatusCode;

/// Why a request is answered before anything is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It has been here already.
    Loop,
    /// Its client's address may not ask.
    Address,
    /// The page that it comes from may not have this in it.
    Referer,
}

impl Refused {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Loop, Self::Address, Self::Referer];

    /// What the client gets.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::Address | Self::Referer => StatusCode::FORBIDDEN,
        }
    }

    /// The value of the label `reason` in the metrics, and of `detail` in `Cache-Status`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Loop => "loop",
            Self::Address => "address",
            Self::Referer => "referer",
        }
    }
}
