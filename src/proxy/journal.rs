//! What is written down of a request when it has ended: a line in the access log where there is
//! one, and a message where something has failed that nobody has spoken of yet.

use super::{
    context::Context,
    error::{self, Cause},
    foundation::Proxy,
    key::object_id,
    request_id::RequestId,
};
use crate::{
    cache::{FillError, id_of},
    logs::{AccessLog, Entry, Gist, cleaned_path},
    origin,
};
use http::{Version, header};
use pingora_core::{Error, ErrorType};
use pingora_proxy::Session;
use std::time::{Duration, SystemTime};

/// What has failed of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'e> {
    /// By whose doing.
    pub cause: Cause,
    /// The error that ended it, where one did.
    pub error: Option<&'e Error>,
}

impl Proxy {
    /// Says what has failed within a request. What a client does is counted and not spoken of;
    /// what a server does, the room of the origins speaks of.
    pub(super) fn speak_of(&self, session: &Session, failure: Failure, ctx: &Context) {
        let lacking = failure.error.and_then(lacking);
        let is_news = match failure.cause {
            Cause::Internal => true,
            Cause::Origin => lacking.is_some_and(is_news),
            Cause::Client | Cause::Slow => false,
        };
        if let Some(error) = failure.error.filter(|_| is_news) {
            let what = match lacking {
                Some(why) => why.to_string(),
                None => origin::brief(error),
            };
            let level = match failure.cause {
                Cause::Internal => log::Level::Error,
                _ => log::Level::Warn,
            };
            log::log!(level, "{}: {what}", summary(session, ctx));
        }
    }

    /// Writes the line of a request that a client has sent.
    pub(super) fn write_down(&self, session: &Session, failure: Option<Failure>, ctx: &Context) {
        let Some(log) = &self.access_log else {
            return;
        };
        // A revalidation behind is nobody's request.
        if session.subrequest_ctx.is_some() {
            return;
        }
        let failure = failure.or(lacked(ctx));
        let gist = Gist {
            status: status(session).unwrap_or(0),
            is_cut: failure.is_some(),
            first_byte: first_byte(ctx).unwrap_or_else(|| ctx.began.elapsed()),
        };
        if log.takes(gist) {
            self.write_line(log, session, failure, ctx);
        }
    }

    fn write_line(
        &self,
        log: &AccessLog,
        session: &Session,
        failure: Option<Failure>,
        ctx: &Context,
    ) {
        let request = session.req_header();
        let range = request.headers.get(header::RANGE);
        let range = range.map(|range| String::from_utf8_lossy(range.as_bytes()));
        let key = name_of(session, ctx);
        let bytes = session.body_bytes_sent() as u64;
        let asked = ctx.trail.as_ref().map(|trail| trail.so_far());
        let asked = asked.unwrap_or_default();
        let cache = ctx.done().say();
        log.write(&Entry {
            ended: SystemTime::now(),
            client: ctx.address,
            method: Some(request.method.as_str()),
            host: known(&ctx.host),
            path: Some(&log.cleaned(request.uri.path(), request.uri.query())),
            protocol: Some(protocol(request.version)),
            route: ctx.route.as_ref().map(|bound| bound.name.as_str()),
            key: key.as_deref().map(|key| &key[..SHOWN.min(key.len())]),
            range: range.as_deref(),
            status: status(session),
            bytes,
            sources: &ctx.meter.by_source(),
            cache: &cache,
            first_byte: first_byte(ctx),
            took: ctx.began.elapsed(),
            origin: known(&asked.origin),
            server: known(&asked.server),
            attempts: asked.attempts,
            id: ctx.id.as_ref().map(RequestId::as_str),
            abort: failure.map(|failure| failure.cause.label()),
            reason: failure.and_then(|failure| reason(failure, ctx)),
        });
    }
}

/// A request in a message: without its query and whatever else of it may be a secret.
pub fn summary(session: &Session, ctx: &Context) -> String {
    let request = session.req_header();
    let path = cleaned_path(request.uri.path());
    format!("{} {}{path}", request.method, ctx.host)
}

/// The digits of an object's name that are shown: enough to find it.
const SHOWN: usize = 16;

/// What has failed of a request that was answered for want of a part of its object.
pub fn lacked<'e>(ctx: &Context) -> Option<Failure<'e>> {
    ctx.lacked.map(|_| Failure {
        cause: Cause::Origin,
        error: None,
    })
}

/// The status that its client was told.
pub fn status(session: &Session) -> Option<u16> {
    session.response_written().map(|head| head.status.as_u16())
}

/// How long it took to the first byte of its answer's body.
pub fn first_byte(ctx: &Context) -> Option<Duration> {
    ctx.first_byte.map(|first| first.duration_since(ctx.began))
}

/// A text that says something.
fn known(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// The name in the store of what was asked for.
fn name_of(session: &Session, ctx: &Context) -> Option<String> {
    match session.cache.maybe_cache_key() {
        Some(key) => Some(id_of(key).to_string()),
        None if ctx.key.is_empty() => None,
        None => Some(object_id(&ctx.key)),
    }
}

/// Why an answer failed, in a word of a closed set.
pub fn reason(failure: Failure, ctx: &Context) -> Option<&'static str> {
    if failure.cause != Cause::Origin {
        return None;
    }
    let lacking = failure.error.and_then(lacking).map(FillError::label);
    let of_server = || Some(ctx.report.failure()?.cause.label());
    // The answer had begun.
    let of_body = || Some(amid_a_body(failure.error?));
    lacking.or(ctx.lacked).or_else(of_server).or_else(of_body)
}

fn amid_a_body(error: &Error) -> &'static str {
    match error.etype() {
        ErrorType::ReadTimedout => origin::Cause::Timeout.label(),
        _ => origin::Cause::Broken.label(),
    }
}

/// What lacked of an object where an answer ended early.
fn lacking(error: &Error) -> Option<&FillError> {
    error.root_cause().downcast_ref()
}

/// Whether nobody has spoken of it where it happened.
pub fn is_news(why: &FillError) -> bool {
    !matches!(why, FillError::Broken(_) | FillError::NotAsked(_))
}

/// Whose doing it was that a request has failed.
pub fn failure<'e>(error: Option<&'e Error>, ctx: &Context) -> Option<Failure<'e>> {
    let was_slow = ctx.was_slow.load(std::sync::atomic::Ordering::Relaxed);
    let cause = match (was_slow, error) {
        // What it brought in for others may have gone on after that.
        (true, _) => Cause::Slow,
        (false, Some(error)) => error::cause(error),
        (false, None) => return None,
    };
    Some(Failure { cause, error })
}

/// The version of HTTP, as it is written.
pub fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_09 => "HTTP/0.9",
        _ => "HTTP/1.1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lacked_of_an_object_is_found_under_what_pingora_says_of_it() {
        let broken = Error::because(ErrorType::ReadError, "a body", FillError::TimedOut).into_up();
        assert_eq!(lacking(&broken).map(FillError::label), Some("timeout"));
        let wrapped = Error::because(ErrorType::InternalError, "a hit", broken);
        assert_eq!(lacking(&wrapped).map(FillError::label), Some("timeout"));
        assert!(lacking(&Error::new(ErrorType::ReadError)).is_none());
    }

    #[test]
    fn the_room_of_the_origins_has_spoken_of_broken_transfers() {
        assert!(!is_news(&FillError::Broken(String::new())));
        assert!(is_news(&FillError::Busy) && is_news(&FillError::TimedOut));
    }
}
