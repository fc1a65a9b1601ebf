//! Requests that nothing can be made of: what is wrong with them, and where that is noted.
//!
//! Some are refused within the hooks, which write down every request that they meet. Others never
//! come so far: Pingora's parser, the bounds on heads and the checks of HTTP/2 refuse them on the
//! connection itself. Those are written down and counted here.

use super::{cache_status::Done, journal::protocol, stats::Stats};
use crate::{
    domain::BadHead,
    logs::{AccessLog, Entry, Gist},
};
use http::StatusCode;
use pingora_http::RequestHeader;
use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Pingora's parser for HTTP/1 makes nothing of it, or of whom it asks.
    Unreadable,
    /// Whom it asks is not said, or not clearly.
    Host,
    /// Over HTTP/2, a target or a length that frames another message.
    Framing,
    /// A method that makes a tunnel of the connection.
    Tunnel,
    /// Its head has not come in time.
    TooSlow,
    /// Its head is too long.
    TooLarge,
    /// Its head could be read in two ways.
    Head(BadHead),
}

/// Where requests are noted that no hook meets.
#[derive(Debug)]
pub struct Journal {
    log: Option<Arc<AccessLog>>,
    stats: Arc<Stats>,
}

/// Why an HTTP/2 connection is ended that its client would have kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// More frames, resets or continuations than any use of the protocol needs.
    Flood,
    /// Frames that mean nothing.
    Protocol,
    /// Too many of its requests were malformed.
    Malformed,
    /// The head of a request has not come in time.
    Slow,
}

impl Ended {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Flood, Self::Protocol, Self::Malformed, Self::Slow];

    /// The value of the label `reason` in the metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::Protocol => "protocol",
            Self::Malformed => "malformed",
            Self::Slow => "slow",
        }
    }
}

/// Whose connection it is, and where it is noted what is wrong with its requests.
#[derive(Clone, Debug)]
pub struct Caller {
    address: IpAddr,
    journal: Arc<Journal>,
}

impl Malformed {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Unreadable,
        Self::Host,
        Self::Framing,
        Self::Tunnel,
        Self::TooSlow,
        Self::TooLarge,
        Self::Head(BadHead::LineEnd),
        Self::Head(BadHead::Folding),
        Self::Head(BadHead::Control),
        Self::Head(BadHead::Name),
        Self::Head(BadHead::TwoLengths),
        Self::Head(BadHead::Length),
        Self::Head(BadHead::Coding),
    ];

    /// What the client is told, where it is told anything.
    pub fn status(self) -> StatusCode {
        match self {
            // Well formed, and nothing that is spoken here (RFC 9112, section 6.1).
            Self::Head(BadHead::Coding) => StatusCode::NOT_IMPLEMENTED,
            Self::Unreadable | Self::Host | Self::Framing | Self::Head(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::Tunnel => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        }
    }

    /// The value of the label `reason` in the metrics, and of `detail` in `Cache-Status`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Host => "bad-host",
            Self::Framing => "bad-framing",
            Self::Tunnel => "method",
            Self::TooSlow => "request-header-too-slow",
            Self::TooLarge => "request-header-too-large",
            Self::Head(bad) => bad.as_str(),
        }
    }
}

impl Journal {
    /// One that writes into the log, where there is one.
    pub fn new(log: Option<Arc<AccessLog>>, stats: Arc<Stats>) -> Arc<Self> {
        Arc::new(Self { log, stats })
    }

    fn note(&self, address: IpAddr, refused: Refused) {
        self.stats.malformed(refused.what);
        let Some(log) = &self.log else {
            return;
        };
        let gist = Gist {
            // Also where it was only reset: clients are not to fill a log that is a sample.
            status: refused.what.status().as_u16(),
            is_cut: false,
            first_byte: Duration::ZERO,
        };
        if log.takes(gist) {
            write_line(log, address, refused);
        }
    }
}

/// A request that is refused before any hook meets it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused<'r> {
    pub what: Malformed,
    /// The status that its client was told.
    pub status: Option<StatusCode>,
    /// Its head, as far as one is known.
    pub head: Option<&'r RequestHeader>,
    /// How long it took to come so far.
    pub took: Duration,
}

impl Caller {
    /// Who calls from there.
    pub fn new(address: IpAddr, journal: Arc<Journal>) -> Self {
        Self { address, journal }
    }

    /// A request of this client is refused.
    pub(super) fn note(&self, refused: Refused) {
        self.journal.note(self.address, refused);
    }

    /// This client's connection is ended.
    pub(super) fn note_ended(&self, why: Ended) {
        log::debug!(
            "an HTTP/2 connection of {} is ended: {}",
            self.address,
            why.label()
        );
        self.journal.stats.ended(why);
    }
}

fn write_line(log: &AccessLog, address: IpAddr, refused: Refused) {
    let cache = Done::own(Some(refused.what.label())).say();
    // A tunnel has no path.
    let target = refused.head.map(|head| &head.uri);
    let target = target.filter(|target| !target.path().is_empty());
    let path = target.map(|target| log.cleaned(target.path(), target.query()));
    log.write(&Entry {
        ended: SystemTime::now(),
        client: Some(address),
        method: refused.head.map(|head| head.method.as_str()),
        // What it says of that is not believed.
        host: None,
        path: path.as_deref(),
        protocol: refused.head.map(|head| protocol(head.version)),
        route: None,
        key: None,
        range: None,
        status: refused.status.map(|status| status.as_u16()),
        bytes: 0,
        sources: &[],
        cache: &cache,
        first_byte: None,
        took: refused.took,
        origin: None,
        server: None,
        attempts: 0,
        id: None,
        abort: None,
        reason: None,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_has_a_word_of_its_own_and_a_refusal() {
        let words: BTreeSet<_> = Malformed::ALL.map(Malformed::label).into();
        assert_eq!(words.len(), Malformed::ALL.len());
        for malformed in Malformed::ALL {
            assert!(malformed.status().as_u16() >= 400, "{malformed:?}");
        }
    }
}
