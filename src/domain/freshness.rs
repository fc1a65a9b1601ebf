//! Whether a response may be stored, and how long it is fresh (RFC 9111, sections 3 and 4.2).
//!
//! Nothing is invented: what the origin does not declare is fresh by a route's `ttl`, else for a
//! share of its age since it was last modified, else it is not stored.

use super::{
    Extent, ResponseControl, date_of,
    lifetime::{FreshnessRules, Overrides},
    seconds,
};
use http::{HeaderMap, HeaderName, StatusCode, header};
use std::time::{Duration, SystemTime};

/// A response that has just come.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: &'a HeaderMap,
    /// The path that it answers for.
    pub path: &'a str,
    /// Whether its request bore `Authorization`.
    pub authorized: bool,
    /// How long it took to come.
    pub delay: Duration,
    /// When it came.
    pub now: SystemTime,
    /// From 0 to 1: its place among others that come at the same time.
    pub dice: f64,
}

/// How long a response may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The moment from which its age counts.
    pub epoch: SystemTime,
    /// Fresh until then.
    pub until: SystemTime,
    /// `stale-while-revalidate`, in seconds.
    pub stale_while_revalidate: u32,
    /// `stale-if-error`, in seconds.
    pub stale_if_error: u32,
    /// Fields that are for the first client only.
    pub withheld: Vec<HeaderName>,
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
    /// Its status is one that no cache may take for a whole response, or that this one would
    /// have to know better.
    Status,
    /// The origin forbids it.
    Forbidden,
    /// It answers a request with `Authorization`, and the origin does not allow that.
    Authorized,
    /// `Vary: *`.
    VariesByAnything,
    /// It sets a cookie, and nobody says that it is for all.
    SetsCookie,
    /// Nobody says how long it is fresh.
    NoLifetime,
    /// It is larger than what the route keeps, or has more chunks than any object may have.
    TooLarge,
    /// It is smaller than what the route keeps.
    TooSmall,
    /// Its length is not known, and it was one not to be kept before.
    NoSize,
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
            Self::TooLarge => "too-large",
            Self::TooSmall => "too-small",
            Self::NoSize => "no-size",
        }
    }
}

/// Decides about a response.
pub fn judge(answer: &Answer, rules: &FreshnessRules) -> Result<Freshness, Refusal> {
    let control = ResponseControl::of(answer.headers);
    let control = match rules.overrides {
        Overrides::All => allowed(control),
        Overrides::Nothing | Overrides::Lifetime => control,
    };
    may_store(answer, &control, rules)?;
    let date = date_of(answer.headers, header::DATE).unwrap_or(answer.now);
    let lifetime = lifetime(answer, &control, rules, date).ok_or(Refusal::NoLifetime)?;
    let age = initial_age(answer, date);
    let epoch = answer.now.checked_sub(age).unwrap_or(answer.now);
    let stale = |said: Option<u64>, default: Duration| match control.forbids_stale() {
        true => 0,
        false => u32::try_from(said.unwrap_or(default.as_secs())).unwrap_or(u32::MAX),
    };
    Ok(Freshness {
        epoch,
        until: until(epoch, lifetime, answer.now),
        stale_while_revalidate: stale(control.stale_while_revalidate, rules.stale_while_revalidate),
        stale_if_error: stale(control.stale_if_error, rules.stale_if_error),
        withheld: withheld(&control),
    })
}

/// The same word without what forbids to store or to use.
fn allowed(control: ResponseControl) -> ResponseControl {
    ResponseControl {
        no_store: false,
        private: Extent::Nothing,
        no_cache: Extent::Nothing,
        ..control
    }
}

/// RFC 9111, section 3.
fn may_store(
    answer: &Answer,
    control: &ResponseControl,
    rules: &FreshnessRules,
) -> Result<(), Refusal> {
    let is_known = answer.status.canonical_reason().is_some();
    if is_unfit(answer.status) || control.must_understand && !is_known {
        return Err(Refusal::Status);
    }
    // Section 5.2.2.3: a cache that knows the status need not mind `no-store` beside it.
    let no_store = control.no_store && !control.must_understand;
    if no_store || control.private == Extent::Whole {
        return Err(Refusal::Forbidden);
    }
    if answer.authorized && !control.allows_authorized() {
        return Err(Refusal::Authorized);
    }
    if vary_names(answer.headers).any(|name| name == "*") {
        return Err(Refusal::VariesByAnything);
    }
    let sets_cookie = answer.headers.contains_key(header::SET_COOKIE)
        && !withheld(control).contains(&header::SET_COOKIE);
    if sets_cookie && !rules.set_cookie && !control.is_for_shared_caches() {
        return Err(Refusal::SetsCookie);
    }
    Ok(())
}

fn withheld(control: &ResponseControl) -> Vec<HeaderName> {
    let named = |extent: &Extent| match extent {
        Extent::Fields(names) => names.clone(),
        Extent::Nothing | Extent::Whole => Vec::new(),
    };
    [named(&control.private), named(&control.no_cache)].concat()
}

/// RFC 9111, section 4.2.1, with what the route says around it. What is to be asked for each time
/// is stored all the same, where a validator makes the asking worth it.
fn lifetime(
    answer: &Answer,
    control: &ResponseControl,
    rules: &FreshnessRules,
    date: SystemTime,
) -> Option<Duration> {
    let declared = control
        .lifetime()
        .map(Duration::from_secs)
        .or_else(|| expires(answer.headers, date).filter(|_| !control.is_targeted));
    let asked_each_time = control.no_cache == Extent::Whole;
    let granted = || rules.granted(answer);
    let chosen = match rules.overrides {
        _ if asked_each_time => declared,
        Overrides::Nothing => declared.or_else(granted),
        Overrides::Lifetime | Overrides::All => granted().or(declared),
    };
    let found = chosen
        .or_else(|| heuristic(answer, control, rules, date))
        .or_else(|| (control.public && has_validator(answer.headers)).then_some(Duration::ZERO))?;
    Some(match asked_each_time {
        true => found,
        false => rules.bounded(found, answer.dice),
    })
}

/// RFC 9111, section 4.2.2. Not for 404, though the standard allows it: what is missing now may
/// soon be there, and error pages have modification dates of their own.
fn heuristic(
    answer: &Answer,
    control: &ResponseControl,
    rules: &FreshnessRules,
    date: SystemTime,
) -> Option<Duration> {
    let by_status = matches!(
        answer.status.as_u16(),
        200 | 203 | 204 | 300 | 301 | 308 | 405 | 410 | 414 | 501
    );
    if !by_status && !control.public {
        return None;
    }
    let modified = date_of(answer.headers, header::LAST_MODIFIED)?;
    rules.heuristic(answer, date.duration_since(modified).ok()?)
}

fn has_validator(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ETAG) || headers.contains_key(header::LAST_MODIFIED)
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

/// RFC 9111, section 4.2.3: `Age` is what others have held it for, to which the time on the way
/// comes on top.
fn initial_age(answer: &Answer, date: SystemTime) -> Duration {
    let apparent = answer.now.duration_since(date).unwrap_or_default();
    let field = answer.headers.get(header::AGE);
    let field = field.and_then(|v| v.to_str().ok()).unwrap_or_default();
    let first = field.split(',').next().unwrap_or_default().trim();
    let held = seconds(first).unwrap_or(0);
    apparent.max(Duration::from_secs(held) + answer.delay)
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

/// The lower-case names in all `Vary` lines. One that can't be read may mean anything.
pub fn vary_names(headers: &HeaderMap) -> impl Iterator<Item = String> + '_ {
    let lines = headers.get_all(header::VARY).iter();
    lines
        .map(|line| line.to_str().unwrap_or("*"))
        .flat_map(|line| line.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Ttl, http_date};
    use http::HeaderValue;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn judged(
        status: u16,
        list: &[(&'static str, &'static str)],
        rules: &FreshnessRules,
    ) -> Result<i64, Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let now = http_date(DATE.as_bytes()).unwrap();
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: &headers,
            path: "/a",
            authorized: list.iter().any(|(name, _)| *name == "x-authorized"),
            delay: Duration::ZERO,
            now,
            dice: 0.0,
        };
        judge(&answer, rules).map(|fresh| match fresh.until.duration_since(now) {
            Ok(left) => left.as_secs() as i64,
            Err(e) => -(e.duration().as_secs() as i64),
        })
    }

    #[test]
    fn seconds_of_freshness_left() {
        let none = FreshnessRules::default();
        let ttl = FreshnessRules {
            ttl: Ttl {
                ok: Some(Duration::from_secs(7)),
                ..Ttl::default()
            },
            ..none.clone()
        };
        let replaced = FreshnessRules {
            overrides: Overrides::Lifetime,
            ..ttl.clone()
        };
        let all = FreshnessRules {
            overrides: Overrides::All,
            ..ttl.clone()
        };
        let modified = ("last-modified", "Sun, 06 Nov 1994 08:48:37 GMT");
        let cc = |value| ("cache-control", value);
        type Case<'a> = (
            u16,
            &'a [(&'static str, &'static str)],
            &'a FreshnessRules,
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
            (
                200,
                &[cc("s-maxage=9"), ("set-cookie", "a=b")],
                &none,
                Ok(9),
            ),
            (
                200,
                &[cc("max-age=9, private=set-cookie"), ("set-cookie", "a=b")],
                &none,
                Ok(9),
            ),
            (
                200,
                &[cc("must-revalidate, max-age=9"), ("x-authorized", "")],
                &none,
                Ok(9),
            ),
            (200, &[modified], &none, Ok(6)),
            (200, &[modified], &ttl, Ok(7)),
            (302, &[modified], &none, Err(Refusal::NoLifetime)),
            (302, &[modified, cc("public")], &none, Ok(6)),
            (200, &[cc("no-cache"), modified], &none, Ok(-1)),
            (200, &[cc("public"), ("etag", "\"a\"")], &none, Ok(-1)),
            (200, &[("etag", "\"a\"")], &none, Err(Refusal::NoLifetime)),
            (200, &[cc("max-age=60")], &replaced, Ok(7)),
            (200, &[cc("no-store")], &replaced, Err(Refusal::Forbidden)),
            (200, &[cc("no-cache")], &replaced, Ok(-1)),
            (200, &[cc("no-store, private")], &all, Ok(7)),
            (200, &[cc("no-cache")], &all, Ok(7)),
            (
                200,
                &[cc("max-age=9, no-store, must-understand")],
                &none,
                Ok(9),
            ),
            (
                599,
                &[cc("max-age=9, must-understand")],
                &none,
                Err(Refusal::Status),
            ),
            (599, &[cc("max-age=9")], &none, Ok(9)),
            (
                200,
                &[
                    cc("max-age=9"),
                    ("cdn-cache-control", "max-age=5"),
                    ("expires", "0"),
                ],
                &none,
                Ok(5),
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

    #[test]
    fn nothing_stale_where_the_origin_forbids_it() {
        let rules = FreshnessRules {
            stale_if_error: Duration::from_secs(30),
            ..FreshnessRules::default()
        };
        let windows = |value| {
            let mut headers = HeaderMap::new();
            headers.append("cache-control", HeaderValue::from_static(value));
            let answer = Answer {
                status: StatusCode::OK,
                headers: &headers,
                path: "/a",
                authorized: false,
                delay: Duration::ZERO,
                now: SystemTime::UNIX_EPOCH + LONGEST,
                dice: 0.0,
            };
            let found = judge(&answer, &rules).unwrap();
            (found.stale_while_revalidate, found.stale_if_error)
        };
        assert_eq!(windows("max-age=1"), (0, 30));
        assert_eq!(windows("max-age=1, stale-if-error=5"), (0, 5));
        assert_eq!(windows("max-age=1, stale-while-revalidate=5"), (5, 30));
        for forbidding in [
            "must-revalidate",
            "proxy-revalidate",
            "s-maxage=1",
            "no-cache",
        ] {
            let value = format!("max-age=1, stale-while-revalidate=5, {forbidding}");
            assert_eq!(windows(value.leak()), (0, 0), "{forbidding}");
        }
    }

    #[test]
    fn the_way_counts_as_age() {
        let mut headers = HeaderMap::new();
        headers.append("cache-control", HeaderValue::from_static("max-age=60"));
        headers.append("age", HeaderValue::from_static("10"));
        headers.append("date", HeaderValue::from_static(DATE));
        let now = http_date(DATE.as_bytes()).unwrap() + Duration::from_secs(3);
        let answer = Answer {
            status: StatusCode::OK,
            headers: &headers,
            path: "/a",
            authorized: false,
            delay: Duration::from_secs(4),
            now,
            dice: 0.0,
        };
        let found = judge(&answer, &FreshnessRules::default()).unwrap();
        assert_eq!(now.duration_since(found.epoch).unwrap().as_secs(), 14);
    }
}
