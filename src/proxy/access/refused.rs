//! Why a request may not go on.

use crate::domain::Flaw;
use http::StatusCode;
use std::time::Duration;

/// Why a request is answered before anything is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It has been here already.
    Loop,
    /// An origin may take it for one that another route lets in only from some.
    Spelling,
    /// Its client's address may not ask.
    Address,
    /// As many requests are under way as may be.
    Full,
    /// As many of its client's are.
    AddressFull,
    /// Its client asks too often, whatever the route; it should wait so long.
    ClientRate(Duration),
    /// Its client asks too often for what the route has.
    AddressRate(Duration),
    /// All clients together ask too often for it.
    RouteRate(Duration),
    /// The page that it comes from may not have this in it.
    Referer,
    /// It bears no token that is good for it.
    Token(Flaw),
}

/// When it is worth another try where others have to end first.
const SOON: Duration = Duration::from_secs(1);

impl Refused {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Loop,
        Self::Spelling,
        Self::Address,
        Self::Full,
        Self::AddressFull,
        Self::ClientRate(Duration::ZERO),
        Self::AddressRate(Duration::ZERO),
        Self::RouteRate(Duration::ZERO),
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
            Self::Spelling => StatusCode::BAD_REQUEST,
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::AddressFull | Self::ClientRate(_) | Self::AddressRate(_) | Self::RouteRate(_) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Address | Self::Referer | Self::Token(_) => StatusCode::FORBIDDEN,
        }
    }

    /// How long its client should wait before it asks again, where that helps.
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Full | Self::AddressFull => Some(SOON),
            Self::ClientRate(wait) | Self::AddressRate(wait) | Self::RouteRate(wait) => Some(wait),
            _ => None,
        }
    }

    /// The value of the label `reason` in the metrics, and of `detail` in `Cache-Status`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Loop => "loop",
            Self::Spelling => "spelling",
            Self::Address => "address",
            Self::Full => "full",
            Self::AddressFull => "full_address",
            Self::ClientRate(_) => "rate",
            Self::AddressRate(_) => "rate_address",
            Self::RouteRate(_) => "rate_route",
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
