//! `Cache-Status` (RFC 9211): what was done, in one field.

/// How a request was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handling {
    /// Nothing is known of it yet.
    #[default]
    Unknown,
    /// From the store, without asking anybody.
    Hit,
    /// From the store, past its freshness, while or because the origin is asked or fails.
    Stale,
    /// From the store and, for what lacked, from the origin.
    Partial,
    /// From the origin, and stored.
    Miss,
    /// From the origin, since what is stored was not fresh any more.
    Refreshed,
    /// From the origin, and stored, since the client asked for the origin's word.
    Requested,
    /// From the origin, since the client asked for that, and not stored.
    Unkept,
    /// From the origin, and not stored.
    Passed,
    /// From the origin, since it was known not to be stored.
    Bypass,
    /// From the origin, since the method is not cached.
    Method,
    /// An answer of our own.
    Own,
}

/// Where answers come from, as an operator tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answerer {
    /// The store alone.
    Store,
    /// The store, and the origin for what lacked.
    Both,
    /// The origin; the answer is kept.
    Origin,
    /// The origin; the answer is not kept.
    Passed,
    /// This process itself, such as for refusals and errors.
    Own,
}

impl Answerer {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Store,
        Self::Both,
        Self::Origin,
        Self::Passed,
        Self::Own,
    ];
}

impl Handling {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Unknown,
        Self::Hit,
        Self::Stale,
        Self::Partial,
        Self::Miss,
        Self::Refreshed,
        Self::Requested,
        Self::Unkept,
        Self::Passed,
        Self::Bypass,
        Self::Method,
        Self::Own,
    ];

    /// Where the answer comes from.
    pub fn answerer(self) -> Answerer {
        match self {
            Self::Hit | Self::Stale => Answerer::Store,
            Self::Partial => Answerer::Both,
            Self::Miss | Self::Refreshed | Self::Requested => Answerer::Origin,
            Self::Unkept | Self::Passed | Self::Bypass | Self::Method => Answerer::Passed,
            Self::Own | Self::Unknown => Answerer::Own,
        }
    }

    /// Whether the request itself brings an object in.
    pub fn leads(self) -> bool {
        matches!(self, Self::Miss | Self::Refreshed | Self::Requested)
    }

    /// The same for a request that was to go to the origin.
    pub fn on_request(self) -> Self {
        match self {
            Self::Miss | Self::Refreshed => Self::Requested,
            Self::Passed | Self::Bypass => Self::Unkept,
            other => other,
        }
    }

    /// The value of the label `outcome` in the metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Partial => "partial",
            Self::Miss => "miss",
            Self::Refreshed => "refreshed",
            Self::Requested => "requested",
            Self::Unkept => "unkept",
            Self::Passed => "passed",
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::Own => "own",
        }
    }
}

/// Our member of the field, under the name `who`. `collapsed`: the request joined another's.
pub fn member(who: &str, handling: Handling, collapsed: bool, detail: Option<&str>) -> String {
    let done = match handling {
        Handling::Hit => "hit",
        Handling::Stale => "hit; detail=stale",
        Handling::Partial if collapsed => "fwd=partial",
        Handling::Partial => "fwd=partial; stored",
        Handling::Miss if collapsed => "fwd=miss",
        Handling::Miss => "fwd=miss; stored",
        Handling::Refreshed => "fwd=stale; stored",
        Handling::Requested => "fwd=request; stored",
        Handling::Unkept => "fwd=request",
        Handling::Passed => "fwd=miss",
        Handling::Bypass => "fwd=bypass",
        Handling::Method => "fwd=method",
        Handling::Own | Handling::Unknown => "",
    };
    let mut out = who.to_owned();
    for part in [done, if collapsed { "collapsed" } else { "" }] {
        if !part.is_empty() {
            out.push_str("; ");
            out.push_str(part);
        }
    }
    if let Some(detail) = detail {
        out.push_str("; detail=");
        out.push_str(detail);
    }
    out
}

/// The same without a name.
pub fn done(handling: Handling, collapsed: bool, detail: Option<&str>) -> String {
    let member = member("", handling, collapsed, detail);
    member.trim_start_matches("; ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_done() {
        let table = [
            (Handling::Hit, false, None, "hit"),
            (Handling::Miss, false, None, "fwd=miss; stored"),
            (Handling::Miss, true, None, "fwd=miss; collapsed"),
            (Handling::Own, false, Some("no-route"), "detail=no-route"),
            (Handling::Own, false, None, ""),
        ];
        for (handling, collapsed, detail, expected) in table {
            assert_eq!(done(handling, collapsed, detail), expected);
        }
        let member = member("tidegate-edge-1", Handling::Hit, false, None);
        assert_eq!(member, "tidegate-edge-1; hit");
    }
}
