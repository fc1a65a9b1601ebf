//! Whose word on a request counts, beside that of who sends it.

/// Whose word counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// That of the proxies in front whose word on whom they ask for counts.
    #[default]
    Proxies,
    /// Everybody's.
    Everybody,
    /// Nobody's.
    Nobody,
}

impl Trust {
    /// Whether the word of whoever connects counts, be it such a proxy or not.
    pub fn counts(self, by_proxy: bool) -> bool {
        match self {
            Self::Everybody => true,
            Self::Nobody => false,
            Self::Proxies => by_proxy,
        }
    }
}
