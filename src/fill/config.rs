//! What the fills may be told.

use std::time::Duration;

/// Settings of the transfers that bring missing chunks in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Largest window asked of the origin in one request, in bytes.
    pub max_window: u64,
    /// Bytes of chunks that have come in and are not yet on disk, over all objects.
    pub in_flight: u64,
    /// Of these, the bytes that one client's requests may have caused, where that is limited.
    pub in_flight_per_client: Option<u64>,
    /// Longest wait of a reader for the next byte that it needs.
    pub wait: Duration,
    /// Attempts to bring one chunk in before its readers get an error.
    pub attempts: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_window: 16 << 20,
            in_flight: 16 << 20,
            in_flight_per_client: None,
            wait: Duration::from_secs(30),
            attempts: 3,
        }
    }
}

/// What becomes of a fill whose last reader has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FinishWhen {
    /// The chunk in hand is finished, then the fill stops.
    #[default]
    Never,
    /// The object is brought in to its end.
    Always,
    /// The object is brought in to its end once this share of it (in percent) is there.
    Percent(u8),
}

impl std::fmt::Display for FinishWhen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::Always => f.write_str("always"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}
