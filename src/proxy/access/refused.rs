//! Why a request may not go on.

use crate::domain::Flaw;
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
    /// It bears no token that is good for it.
    Token(Flaw),
}

impl Refused {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Loop,
        Self::Address,
        Self::Referer,
        Self::Token(Flaw::Missing),
        Self::Token(Flaw::Malformed),
        Self::Token(Flaw::Key),
        Self::Token(Flaw::Wrong),
        Self::Token(Flaw::Expired),
        Self::Token(Flaw::Path),
        Self::Token(Flaw::Address),
    ];

    /// What the client gets.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::Address | Self::Referer | Self::Token(_) => StatusCode::FORBIDDEN,
        }
    }

    /// The value of the label `reason` in the metrics, and of `detail` in `Cache-Status`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Loop => "loop",
            Self::Address => "address",
            Self::Referer => "referer",
            Self::Token(Flaw::Missing) => "token_missing",
            Self::Token(Flaw::Malformed) => "token_malformed",
            Self::Token(Flaw::Key) => "token_key",
            Self::Token(Flaw::Wrong) => "token_wrong",
            Self::Token(Flaw::Expired) => "token_expired",
            Self::Token(Flaw::Path) => "token_path",
            Self::Token(Flaw::Address) => "token_address",
        }
    }
}
