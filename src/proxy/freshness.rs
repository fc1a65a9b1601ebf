//! Whether a response may be stored, and how long it is fresh (RFC 9111, sections 3 and 4.2).
//!
//! Nothing is invented: what the origin does not declare, and no `ttl` of the route covers, is
//! not stored.

use super::Ttl;
use http::{HeaderMap, HeaderName, StatusCode, header};
use pingora_cache::cache_control::{CacheControl, Cacheable, InterpretCacheControl};
use pingora_http::ResponseHeader;
use std::time::{Duration, SystemTime};

/// How long a response may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The moment from which its age counts.
    pub epoch: SystemTime,
    /// Fresh until then.
    pub until: SystemTime,
    /// `stale-while-revalidate`, in seconds.
    pub stale_while_revalidate: u32,
    /// `stale-if-error`, in seconds.
    pub stale_if_error: u32,
}

impl Freshness {
    /// The same, but fresh for `most` from now on at most.
    pub fn within(self, most: Duration, now: SystemTime) -> Self {
        Self {
            until: self.until.min(now + most),
            ..self
        }
    }
}

/// Why a response is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its status is one that no cache may take for a whole response.
    Status,
    /// The origin forbids it.
    Forbidden,
    /// It answers a request with `Authorization`, and the origin does not allow that.
    Authorized,
    /// `Vary: *`.
    VariesByAnything,
    /// It sets a cookie.
    SetsCookie,
    /// Nobody says how long it is fresh.
    NoLifetime,
}

impl Refusal {
    /// A word for logs and for `Cache-Status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Forbidden => "cache-control",
            Self::Authorized => "authorization",
            Self::VariesByAnything => "vary-any",
            Self::SetsCookie => "set-cookie",
            Self::NoLifetime => "no-lifetime",
        }
    }
}

/// Decides about a response that arrives at `now`.
pub fn judge(
    response: &ResponseHeader,
    authorized: bool,
    ttl: &Ttl,
    now: SystemTime,
) -> Result<Freshness, Refusal> {
    let headers = &response.headers;
    if is_unfit(response.status) {
        return Err(Refusal::Status);
    }
    let control = CacheControl::from_resp_headers(response);
    if control
        .as_ref()
        .is_some_and(|cc| cc.is_cacheable() == Cacheable::No)
    {
        return Err(Refusal::Forbidden);
    }
    if authorized
        && !control
            .as_ref()
            .is_some_and(CacheControl::allow_caching_authorized_req)
    {
        return Err(Refusal::Authorized);
    }
    if vary_names(headers).any(|name| name == "*") {
        return Err(Refusal::VariesByAnything);
    }
    if headers.contains_key(header::SET_COOKIE) {
        return Err(Refusal::SetsCookie);
    }
    let date = date_of(headers, header::DATE).unwrap_or(now);
    let declared = control.as_ref().and_then(CacheControl::fresh_duration);
    let lifetime = declared
        .or_else(|| expires(headers, date))
        .or_else(|| ttl.of(response.status))
        .ok_or(Refusal::NoLifetime)?;
    let epoch = now
        .checked_sub(initial_age(headers, date, now))
        .unwrap_or(now);
    let (swr, sie) = match &control {
        Some(cc) => (
            cc.serve_stale_while_revalidate_duration(),
            cc.serve_stale_if_error_duration(),
        ),
        None => (None, None),
    };
    let seconds = |window: Option<Duration>| {
        u32::try_from(window.unwrap_or_default().as_secs()).unwrap_or(u32::MAX)
    };
    Ok(Freshness {
        epoch,
        until: until(epoch, lifetime, now),
        stale_while_revalidate: seconds(swr),
        stale_if_error: seconds(sie),
    })
}

/// pingora-cache takes a response as fresh at the very second until which it is: a lifetime of 0
/// must end before.
fn until(epoch: SystemTime, lifetime: Duration, now: SystemTime) -> SystemTime {
    match lifetime.is_zero() {
        true => now
            .min(epoch)
            .checked_sub(Duration::from_secs(1))
            .unwrap_or(now),
        false => epoch.checked_add(lifetime.min(LONGEST)).unwrap_or(now),
    }
}

/// A year: longer lifetimes mean no more.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
/// What an `Age` too large to write means (RFC 9111, section 1.2.2).
const OVERFLOW: u64 = 1 << 31;

/// Partial and conditional answers, and those that a request's own form provoked.
fn is_unfit(status: StatusCode) -> bool {
    status.is_informational()
        || matches!(
            status,
            StatusCode::PARTIAL_CONTENT
                | StatusCode::NOT_MODIFIED
                | StatusCode::PRECONDITION_FAILED
                | StatusCode::RANGE_NOT_SATISFIABLE
        )
}

impl Ttl {
    fn of(&self, status: StatusCode) -> Option<Duration> {
        match status.as_u16() {
            200..=299 => self.ok,
            301 | 302 | 303 | 307 | 308 => self.redirect,
            400..=499 => self.client_error,
            500..=599 => self.server_error,
            _ => None,
        }
    }
}

/// RFC 9111, section 4.2.3, with a response delay of 0: `Age` is what others have held it for.
fn initial_age(headers: &HeaderMap, date: SystemTime, now: SystemTime) -> Duration {
    let apparent = now.duration_since(date).unwrap_or_default();
    let field = headers.get(header::AGE).and_then(|v| v.to_str().ok());
    let first = field.map(|text| text.split(',').next().unwrap_or_default().trim());
    let digits = first.filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit()));
    let seconds = digits.map_or(0, |t| t.parse().unwrap_or(OVERFLOW).min(OVERFLOW));
    apparent.max(Duration::from_secs(seconds))
}

/// `Expires` minus `Date`; what can't be read has expired (RFC 9111, section 5.3).
fn expires(headers: &HeaderMap, date: SystemTime) -> Option<Duration> {
    headers.get(header::EXPIRES)?;
    let expires = date_of(headers, header::EXPIRES);
    Some(
        expires
            .and_then(|at| at.duration_since(date).ok())
            .unwrap_or_default(),
    )
}

fn date_of(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    let mut lines = headers.get_all(name).iter();
    let only = lines.next().filter(|_| lines.next().is_none())?;
    httpdate::parse_http_date(only.to_str().ok()?).ok()
}

/// The lower-case names in all `Vary` lines.
pub fn vary_names(headers: &HeaderMap) -> impl Iterator<Item = String> + '_ {
    let lines = headers
        .get_all(header::VARY)
        .iter()
        .filter_map(|v| v.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn judged(
        status: u16,
        list: &[(&'static str, &'static str)],
        ttl: &Ttl,
    ) -> Result<i64, Refusal> {
        let mut response = ResponseHeader::build(status, None).unwrap();
        for (name, value) in list {
            response.append_header(*name, *value).unwrap();
        }
        let now = httpdate::parse_http_date(DATE).unwrap();
        let authorized = list.iter().any(|(name, _)| *name == "x-authorized");
        judge(&response, authorized, ttl, now).map(|fresh| match fresh.until.duration_since(now) {
            Ok(left) => left.as_secs() as i64,
            Err(e) => -(e.duration().as_secs() as i64),
        })
    }

    #[test]
    fn seconds_of_freshness_left() {
        let none = Ttl::default();
        let ttl = Ttl {
            ok: Some(Duration::from_secs(7)),
            ..none
        };
        let cc = |value| ("cache-control", value);
        type Case<'a> = (
            u16,
            &'a [(&'static str, &'static str)],
            &'a Ttl,
            Result<i64, Refusal>,
        );
        let table: &[Case<'_>] = &[
            (200, &[], &none, Err(Refusal::NoLifetime)),
            (200, &[], &ttl, Ok(7)),
            (404, &[], &ttl, Err(Refusal::NoLifetime)),
            (200, &[cc("max-age=60")], &ttl, Ok(60)),
            (200, &[cc("max-age=60, s-maxage=9")], &none, Ok(9)),
            (200, &[cc("max-age=60"), ("age", "20")], &none, Ok(40)),
            (200, &[cc("max-age=60"), ("age", "20, 1")], &none, Ok(40)),
            (200, &[cc("max-age=60"), ("age", "-20")], &none, Ok(60)),
            (
                200,
                &[cc("max-age=60"), ("date", "Sun, 06 Nov 1994 08:49:07 GMT")],
                &none,
                Ok(30),
            ),
            (200, &[cc("max-age=0")], &none, Ok(-1)),
            (200, &[cc("no-cache")], &ttl, Ok(-1)),
            (
                200,
                &[("expires", "Sun, 06 Nov 1994 08:50:37 GMT")],
                &none,
                Ok(60),
            ),
            (200, &[("expires", "0")], &ttl, Ok(-1)),
            (200, &[cc("no-store")], &ttl, Err(Refusal::Forbidden)),
            (200, &[cc("private")], &ttl, Err(Refusal::Forbidden)),
            (
                200,
                &[cc("max-age=9"), ("vary", "accept, *")],
                &none,
                Err(Refusal::VariesByAnything),
            ),
            (
                200,
                &[cc("max-age=9"), ("set-cookie", "a=b")],
                &none,
                Err(Refusal::SetsCookie),
            ),
            (
                200,
                &[cc("max-age=9"), ("x-authorized", "")],
                &none,
                Err(Refusal::Authorized),
            ),
            (
                200,
                &[cc("public, max-age=9"), ("x-authorized", "")],
                &none,
                Ok(9),
            ),
            (206, &[cc("max-age=9")], &none, Err(Refusal::Status)),
            (304, &[cc("max-age=9")], &none, Err(Refusal::Status)),
        ];
        for (status, headers, ttl, expected) in table {
            assert_eq!(
                judged(*status, headers, ttl),
                *expected,
                "{status} {headers:?}"
            );
        }
    }
}
