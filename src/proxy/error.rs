//! Errors turned into answers, and told apart by whose they are.

use super::{
    access::Refused,
    cache_status::{Done, Handling},
    client::announce,
    context::Context,
    headers,
};
use crate::{
    cache::{ABSENT, FillError},
    origin::{CLIENT_LEFT, NOT_ASKED, SLOW_BODY},
};
use http::{HeaderValue, StatusCode, header};
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::{FailToProxy, Session};
use std::{io, time::Duration};

/// A request that was given up because nobody wants more of what it brings in.
pub const UNWANTED: ErrorType = ErrorType::new("Unwanted");

/// Whose doing a failed request was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The client left, or took too long to ask.
    Client,
    /// The client took its answer, or sent its request's body, too slowly.
    Slow,
    /// The origin failed.
    Origin,
    /// We did.
    Internal,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Client, Self::Slow, Self::Origin, Self::Internal];

    /// The value of the label `cause` in the metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Slow => "slow_client",
            Self::Origin => "origin",
            Self::Internal => "internal",
        }
    }
}

/// Whether nobody is there any more.
fn is_left(etype: &ErrorType) -> bool {
    [UNWANTED, CLIENT_LEFT, ABSENT].contains(etype)
}

/// Whose doing an error was.
pub fn cause(e: &Error) -> Cause {
    match (e.esource(), e.etype()) {
        (_, etype) if is_left(etype) => Cause::Client,
        (ErrorSource::Downstream, ErrorType::WriteTimedout) => Cause::Slow,
        (_, etype) if *etype == SLOW_BODY => Cause::Slow,
        (ErrorSource::Downstream, _) => Cause::Client,
        (ErrorSource::Upstream, _) => Cause::Origin,
        // What an answer waited for can't be had.
        (ErrorSource::Internal, ErrorType::HTTPStatus(502..=504)) => Cause::Origin,
        _ => Cause::Internal,
    }
}

/// Whether what was read is no body, though all of it came.
fn is_malformed(e: &Error) -> bool {
    let cause = e.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::InvalidData)
}

/// The status for an error, as long as a status can still be sent; `None` where nobody would
/// read it.
fn status(e: &Error) -> Option<StatusCode> {
    match (cause(e), e.etype()) {
        (_, ErrorType::HTTPStatus(code)) => StatusCode::from_u16(*code).ok(),
        (Cause::Client, ErrorType::ReadError) if is_malformed(e) => Some(StatusCode::BAD_REQUEST),
        (
            Cause::Client,
            ErrorType::WriteError | ErrorType::ReadError | ErrorType::ConnectionClosed,
        ) => None,
        (_, etype) if *etype == SLOW_BODY => Some(StatusCode::REQUEST_TIMEOUT),
        (Cause::Slow, _) | (Cause::Client, ErrorType::ReadTimedout) => None,
        (Cause::Client, etype) if is_left(etype) => None,
        (Cause::Client, _) => Some(StatusCode::BAD_REQUEST),
        (
            Cause::Origin,
            ErrorType::ConnectTimedout | ErrorType::ReadTimedout | ErrorType::WriteTimedout,
        ) => Some(StatusCode::GATEWAY_TIMEOUT),
        (Cause::Origin, etype) if *etype == NOT_ASKED => Some(StatusCode::SERVICE_UNAVAILABLE),
        (Cause::Origin, _) => Some(StatusCode::BAD_GATEWAY),
        (Cause::Internal, _) => Some(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// The origins have enough to do, or are left alone after failures: it is not this request that has
/// failed.
const NOBODY_ASKED: &str = "origin-not-asked";
const ORIGIN_FAILED: &str = "origin-failed";

/// What is said of a method that goes no further.
pub const METHOD: &str = "method";
/// What is said of one who asks this hop what may be done.
pub const LAST_HOP: &str = "max-forwards";

/// Methods that go on to origins, as far as they have names that are known to all; of these it is the
/// origin's to say which it takes.
const PASSED_ON: &str = "GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE";

/// Whether what is stored may only be used with the origin's word, and that is not to be had
/// (RFC 9111, section 5.2.2.2).
fn is_cut_off(ctx: &Context) -> bool {
    let failure = ctx.report.failure();
    ctx.bound_to_ask && failure.is_some_and(|why| why.cause.is_silence())
}

/// The status for an object of which something lacks that can't be had.
pub(super) fn status_of_fill(why: &FillError) -> StatusCode {
    match why {
        FillError::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        FillError::Busy | FillError::NotAsked(_) => StatusCode::SERVICE_UNAVAILABLE,
        FillError::Changed
        | FillError::Lost
        | FillError::Refused(_)
        | FillError::Lying(_)
        | FillError::Broken(_) => StatusCode::BAD_GATEWAY,
    }
}

/// Answers a request that failed, if that is still possible.
pub async fn fail(session: &mut Session, e: &Error, ctx: &mut Context) -> FailToProxy {
    let begun = session
        .response_written()
        .is_some_and(|r| !r.status.is_informational());
    let code = status(e).filter(|_| !begun);
    let code = code.map(|code| match is_cut_off(ctx) {
        true => StatusCode::GATEWAY_TIMEOUT,
        false => code,
    });
    if let Some(code) = code {
        let detail = match cause(e) {
            Cause::Origin if *e.etype() == NOT_ASKED => NOBODY_ASKED,
            Cause::Origin => ORIGIN_FAILED,
            _ => "failed",
        };
        let of_fill = ctx.failed.as_ref().and_then(retry_after_fill);
        let failure = ctx.report.failure();
        let retry_after = of_fill.or_else(|| failure.and_then(|why| why.retry_after()));
        // The connection ends with this answer: the client is to know, or it would send its next
        // request there.
        session.as_downstream_mut().set_keepalive(None);
        if let Err(e) = send(session, ctx, code, detail, retry_after).await {
            log::debug!("an error could not be sent: {e}");
        }
    }
    FailToProxy {
        error_code: code.map_or(0, |code| code.as_u16()),
        can_reuse_downstream: false,
    }
}

/// Answers a request by ourselves; `Ok(true)` is what `request_filter` is to return then.
pub async fn answer(
    session: &mut Session,
    ctx: &mut Context,
    status: StatusCode,
    detail: &'static str,
) -> Result<bool> {
    // What may follow the head of a request that is not read on is not a request.
    session.as_downstream_mut().set_keepalive(None);
    send(session, ctx, status, detail, None).await?;
    Ok(true)
}

/// Answers a request that may not go on; `Ok(true)` is what `request_filter` is to return then.
pub async fn refuse(session: &mut Session, ctx: &mut Context, why: Refused) -> Result<bool> {
    session.as_downstream_mut().set_keepalive(None);
    send(session, ctx, why.status(), why.label(), why.retry_after()).await?;
    Ok(true)
}

/// Answers one who asks what a script may do; `Ok(true)` is what `request_filter` is to return then.
pub async fn answer_preflight(session: &mut Session, ctx: &mut Context) -> Result<bool> {
    // Players ask so before each kind of request: those that send no body keep their connection.
    if !session.as_downstream_mut().is_body_empty() {
        session.as_downstream_mut().set_keepalive(None);
    }
    send(session, ctx, StatusCode::NO_CONTENT, "preflight", None).await?;
    Ok(true)
}

/// Answers a request whose object lacks something that can't be had.
pub async fn answer_for_fill(
    session: &mut Session,
    ctx: &mut Context,
    why: &FillError,
) -> Result<()> {
    session.as_downstream_mut().set_keepalive(None);
    let retry_after = retry_after_fill(why);
    let status = status_of_fill(why);
    let detail = match why {
        FillError::NotAsked(_) => NOBODY_ASKED,
        FillError::Busy => "no-room",
        _ => ORIGIN_FAILED,
    };
    send(session, ctx, status, detail, retry_after).await
}

/// When it is worth another try.
fn retry_after_fill(why: &FillError) -> Option<Duration> {
    match why {
        FillError::NotAsked(after) => Some(*after),
        _ => None,
    }
}

async fn send(
    session: &mut Session,
    ctx: &mut Context,
    status: StatusCode,
    detail: &'static str,
    retry_after: Option<Duration>,
) -> Result<()> {
    ctx.handling = Handling::Own;
    ctx.detail = Some(detail);
    let mut response = ResponseHeader::build(status, Some(4))?;
    // That has no length (RFC 9110, section 8.6).
    if status != StatusCode::NO_CONTENT {
        response.insert_header(header::CONTENT_LENGTH, HeaderValue::from(0))?;
    }
    response.insert_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))?;
    if [METHOD, LAST_HOP].contains(&detail) {
        response.insert_header(header::ALLOW, HeaderValue::from_static(PASSED_ON))?;
    }
    if status == StatusCode::SERVICE_UNAVAILABLE || retry_after.is_some() {
        let seconds = retry_after
            .unwrap_or_default()
            .as_secs_f64()
            .ceil()
            .max(1.0);
        response.insert_header(header::RETRY_AFTER, HeaderValue::from(seconds as u64))?;
    }
    let who = &ctx.terms.identifier;
    let field = Done::own(Some(detail)).member(who);
    response.insert_header("Cache-Status", field)?;
    response.insert_header(header::VIA, headers::via(http::Version::HTTP_11))?;
    ctx.share(&mut response)?;
    ctx.tell_name(&mut response)?;
    // It is made now, whatever was to be answered before.
    announce(session, None);
    session
        .write_response_header(Box::new(response), true)
        .await?;
    // Whatever becomes of the connection: over HTTP/2 a stream without an end is reset when it is
    // dropped, and some clients take that for no answer at all.
    session.write_response_body(None, true).await
}
