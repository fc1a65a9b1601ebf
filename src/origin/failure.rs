//! Why a request to an origin came to nothing.

use crate::source::SourceError;
use http::StatusCode;
use pingora_core::{Error, ErrorType};
use pingora_http::ResponseHeader;
use std::{borrow::Cow, time::Duration};

/// One reason, with what is known of it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{cause}: {what}")]
pub struct Failure {
    /// The kind, which decides what is done about it.
    pub cause: Cause,
    /// Which server, and what exactly.
    pub what: String,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The server's name has no address.
    Resolve,
    /// No TCP connection, or one that was refused.
    Connect,
    /// No TLS connection: the handshake or the certificate.
    Tls,
    /// No connection, head or byte in time.
    Timeout,
    /// A body slower than the least rate.
    Slow,
    /// The connection or the answer broke.
    Broken,
    /// A status that says that another server should be asked.
    Status(StatusCode),
    /// The same from a server that is a cache, and alive: what is behind it has failed.
    Relayed(StatusCode),
    /// A redirect that is not to be followed any more.
    Redirect,
    /// The request could not be signed.
    Credentials,
    /// The origin has enough to do, and its queue is full or too slow.
    Full(Duration),
    /// Every server is left alone after failures.
    Open(Duration),
    /// The client sent the request's body too slowly.
    SlowBody,
    /// Whom it was for has left before the origin was asked.
    Left,
}

impl Cause {
    /// What an answer means that makes another server worth asking. Who names itself as a cache (RFC
    /// 9211) has an origin of its own to fail: it may be all right, and have other objects.
    pub(super) fn of(answer: &ResponseHeader) -> Self {
        match answer.headers.contains_key("cache-status") {
            true => Self::Relayed(answer.status),
            false => Self::Status(answer.status),
        }
    }

    /// The value of the label `reason` in the metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Slow => "slow",
            Self::Broken => "broken",
            Self::Status(_) => "status",
            Self::Relayed(_) => "relayed",
            Self::Redirect => "redirect",
            Self::Credentials => "credentials",
            Self::Full(_) => "full",
            Self::Open(_) => "open",
            Self::SlowBody => "slow_body",
            Self::Left => "left",
        }
    }

    /// The same for traces, which have the status itself.
    pub(super) fn error_type(self) -> Cow<'static, str> {
        match self {
            Self::Status(status) => status.as_str().to_owned().into(),
            other => other.label().into(),
        }
    }

    /// Whether there was no word to be had from the origin, rather than a wrong one.
    pub fn is_silence(self) -> bool {
        match self {
            Self::Resolve
            | Self::Connect
            | Self::Tls
            | Self::Timeout
            | Self::Slow
            | Self::Open(_) => true,
            Self::Broken
            | Self::Status(_)
            | Self::Relayed(_)
            | Self::Redirect
            | Self::Credentials
            | Self::Full(_)
            | Self::SlowBody
            | Self::Left => false,
        }
    }

    /// Whether the server itself has failed, so that its breaker counts it.
    pub(super) fn is_the_servers(self) -> bool {
        match self {
            Self::Status(status) => status.is_server_error(),
            Self::Resolve
            | Self::Connect
            | Self::Tls
            | Self::Timeout
            | Self::Slow
            | Self::Broken => true,
            Self::Relayed(_)
            | Self::Redirect
            | Self::Credentials
            | Self::Full(_)
            | Self::Open(_)
            | Self::SlowBody
            | Self::Left => false,
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Resolve => "no address",
            Self::Connect => "no connection",
            Self::Tls => "no TLS connection",
            Self::Timeout => "timed out",
            Self::Slow => "too slow",
            Self::Broken => "broken",
            Self::Status(_) => "unfit status",
            Self::Relayed(_) => "unfit status of what is behind",
            Self::Redirect => "redirects without end",
            Self::Credentials => "no credentials",
            Self::Full(_) => "queue full",
            Self::Open(_) => "circuit breaker open",
            Self::SlowBody => "a body of the client's that comes too slowly",
            Self::Left => "nobody waits any more",
        })
    }
}

/// The type of the error that Pingora is told when an origin was not asked at all.
pub const NOT_ASKED: ErrorType = ErrorType::new("OriginNotAsked");

/// The type of the error where the client left before an origin was asked.
pub const CLIENT_LEFT: ErrorType = ErrorType::new("ClientLeft");

/// The type of the error where the client sent the request's body too slowly.
pub const SLOW_BODY: ErrorType = ErrorType::new("SlowBody");

impl Failure {
    /// A failure of this kind.
    pub(super) fn new(cause: Cause, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { cause, what }
    }

    /// What an error of Pingora's means for a request to `server`.
    pub(super) fn of(e: &Error, server: &str) -> Self {
        let cause = match e.etype() {
            ErrorType::ConnectTimedout
            | ErrorType::TLSHandshakeTimedout
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout => Cause::Timeout,
            ErrorType::TLSHandshakeFailure | ErrorType::InvalidCert | ErrorType::HandshakeError => {
                Cause::Tls
            }
            ErrorType::ConnectError
            | ErrorType::ConnectRefused
            | ErrorType::ConnectNoRoute
            | ErrorType::ConnectProxyFailure
            | ErrorType::BindError
            | ErrorType::SocketError => Cause::Connect,
            _ => Cause::Broken,
        };
        Self::new(cause, format!("{server}: {}", brief(e)))
    }

    /// When it is worth another try, where the origin was not even asked.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.cause {
            Cause::Full(after) | Cause::Open(after) => Some(after),
            _ => None,
        }
    }

    /// The same as an error of Pingora's upstream side.
    pub(super) fn into_pingora(self) -> Box<Error> {
        let etype = match self.cause {
            Cause::Full(_) | Cause::Open(_) => NOT_ASKED,
            Cause::Left => CLIENT_LEFT,
            Cause::SlowBody => SLOW_BODY,
            Cause::Timeout | Cause::Slow => ErrorType::ReadTimedout,
            Cause::Resolve | Cause::Connect => ErrorType::ConnectError,
            Cause::Tls => ErrorType::TLSHandshakeFailure,
            Cause::Broken
            | Cause::Status(_)
            | Cause::Relayed(_)
            | Cause::Redirect
            | Cause::Credentials => ErrorType::ReadError,
        };
        Error::explain(etype, self.to_string()).into_up()
    }
}

/// An error of Pingora's in a few words: its kind, and the cause or else the context.
pub fn brief(e: &Error) -> String {
    let kind = e.etype().as_str();
    match (&e.cause, &e.context) {
        (Some(cause), _) => format!("{kind}, {cause}"),
        (None, Some(context)) => format!("{kind}, {}", context.as_str()),
        (None, None) => kind.to_owned(),
    }
}

impl From<Failure> for SourceError {
    fn from(failure: Failure) -> Self {
        let reason = failure.to_string();
        match failure.cause {
            Cause::Timeout | Cause::Slow => Self::TimedOut(reason),
            Cause::Resolve | Cause::Connect | Cause::Tls => Self::Unreachable(reason),
            Cause::Full(retry_after) | Cause::Open(retry_after) => Self::Busy {
                reason,
                retry_after,
            },
            Cause::Broken
            | Cause::Status(_)
            | Cause::Relayed(_)
            | Cause::Redirect
            | Cause::Credentials
            | Cause::SlowBody
            | Cause::Left => Self::Broken(reason),
        }
    }
}
