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

/// What was done with one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done<'a> {
    /// How it was answered.
    pub handling: Handling,
    /// It joined another's transfer.
    pub collapsed: bool,
    /// Why what came in for it can't be kept.
    pub unkept: Option<&'static str>,
    /// What else there is to say.
    pub detail: Option<&'a str>,
}

impl<'a> Done<'a> {
    /// It was answered by this process itself.
    pub fn own(detail: Option<&'a str>) -> Self {
        Self {
            handling: Handling::Own,
            detail,
            ..Self::default()
        }
    }

    /// Our member of the field, under the name `who`.
    pub fn member(&self, who: &str) -> String {
        self.behind(who.to_owned())
    }

    /// The same without a name.
    pub fn say(&self) -> String {
        self.behind(String::new())
    }

    fn behind(&self, mut out: String) -> String {
        let mut say = |words: &[&str]| {
            if !out.is_empty() {
                out.push_str("; ");
            }
            out.extend(words.iter().copied());
        };
        let stores = self.handling.leads() || self.handling == Handling::Partial;
        let unkept = self.unkept.filter(|_| stores);
        if let Some(forwarded) = self.forwarded() {
            say(&[forwarded]);
        }
        if stores && unkept.is_none() && !self.collapsed {
            say(&["stored"]);
        }
        if self.collapsed {
            say(&["collapsed"]);
        }
        if let Some(detail) = self.detail.or(unkept) {
            say(&["detail=", detail]);
        }
        out
    }

    fn forwarded(&self) -> Option<&'static str> {
        Some(match self.handling {
            Handling::Hit => "hit",
            Handling::Stale => "hit; detail=stale",
            Handling::Partial => "fwd=partial",
            Handling::Miss | Handling::Passed => "fwd=miss",
            Handling::Refreshed => "fwd=stale",
            Handling::Requested | Handling::Unkept => "fwd=request",
            Handling::Bypass => "fwd=bypass",
            Handling::Method => "fwd=method",
            Handling::Own | Handling::Unknown => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_done() {
        let done = |handling| Done {
            handling,
            ..Done::default()
        };
        let table = [
            (done(Handling::Hit), "hit"),
            (done(Handling::Stale), "hit; detail=stale"),
            (done(Handling::Miss), "fwd=miss; stored"),
            (done(Handling::Refreshed), "fwd=stale; stored"),
            (done(Handling::Passed), "fwd=miss"),
            (Done::own(Some("no-route")), "detail=no-route"),
            (Done::own(None), ""),
        ];
        for (done, expected) in table {
            assert_eq!(done.say(), expected);
        }
        let collapsed = Done {
            collapsed: true,
            ..done(Handling::Partial)
        };
        assert_eq!(collapsed.say(), "fwd=partial; collapsed");
        assert_eq!(
            done(Handling::Hit).member("tidegate-edge-1"),
            "tidegate-edge-1; hit"
        );
    }

    #[test]
    fn nothing_is_said_to_be_stored_that_can_t_be() {
        let table = [
            (Handling::Hit, "hit"),
            (Handling::Miss, "fwd=miss; detail=disk-gone"),
            (Handling::Partial, "fwd=partial; detail=disk-gone"),
            (Handling::Requested, "fwd=request; detail=disk-gone"),
            (Handling::Bypass, "fwd=bypass"),
        ];
        for (handling, expected) in table {
            let done = Done {
                handling,
                unkept: Some("disk-gone"),
                ..Done::default()
            };
            assert_eq!(done.say(), expected);
        }
    }
}
