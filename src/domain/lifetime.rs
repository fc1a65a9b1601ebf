//! What a route says about how long its answers are fresh.

use super::freshness::Answer;
use http::{StatusCode, header};
use std::time::Duration;

/// How long answers of a route are fresh, beside what the origin says.
#[derive(Clone, Debug)]
pub struct FreshnessRules {
    /// Freshness where the origin gives none.
    pub ttl: Ttl,
    /// Whether the route's word goes before the origin's.
    pub overrides: Overrides,
    /// No answer that is stored is fresh for less.
    pub minimum: Duration,
    /// None is fresh for longer.
    pub maximum: Duration,
    /// The share, in percent, of the time since it was last modified for which an answer is fresh
    /// that nobody says anything of. 0 is never.
    pub heuristic: u8,
    /// The longest that is made of that.
    pub heuristic_maximum: Duration,
    /// The share, in percent, by which lifetimes are shortened at most, so that what came together
    /// does not expire together.
    pub jitter: u8,
    /// `stale-while-revalidate` where the origin says nothing of it.
    pub stale_while_revalidate: Duration,
    /// `stale-if-error` where the origin says nothing of it.
    pub stale_if_error: Duration,
    /// How long beyond its freshness an object may be used to be revalidated; until it is evicted
    /// where absent.
    pub keep: Option<Duration>,
    /// Whether answers that set cookies are stored like others.
    pub set_cookie: bool,
    /// Whether what clients say in `Cache-Control` is minded.
    pub client_control: bool,
}

/// Whose word counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overrides {
    /// The origin's, where it has one.
    #[default]
    Nothing,
    /// The route's, about how long; the origin still says what is not to be stored or used.
    Lifetime,
    /// The route's, also where the origin says `no-store`, `private` or `no-cache`.
    All,
}

/// Freshness where the origin gives none. What is absent is not fresh.
#[derive(Clone, Debug)]
pub struct Ttl {
    /// By single status, before its class.
    pub statuses: Vec<(StatusCode, Duration)>,
    /// By kind of content, for 2xx: the first that takes an answer, before `ok`.
    pub kinds: Vec<ContentTtl>,
    /// For 2xx.
    pub ok: Option<Duration>,
    /// For 301, 302, 303, 307, 308.
    pub redirect: Option<Duration>,
    /// For 4xx.
    pub client_error: Option<Duration>,
    /// For 5xx.
    pub server_error: Option<Duration>,
    /// The longest for playlists of HLS and DASH: they change while their segments do not.
    pub playlist: Duration,
    /// The shortest for their segments.
    pub segment: Duration,
}

/// A kind of content, and how long it is fresh.
#[derive(Clone, Debug)]
pub struct ContentTtl {
    /// The media type; `type/*` for all of a type. Any where absent.
    pub content_type: Option<String>,
    /// The path. Any where absent.
    pub path: Option<regex::Regex>,
    /// How long it is fresh.
    pub ttl: Duration,
}

impl Default for FreshnessRules {
    fn default() -> Self {
        Self {
            ttl: Ttl::default(),
            overrides: Overrides::Nothing,
            minimum: Duration::ZERO,
            maximum: Duration::from_secs(365 * 24 * 3600),
            heuristic: 10,
            heuristic_maximum: Duration::from_secs(24 * 3600),
            jitter: 0,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            keep: None,
            set_cookie: false,
            client_control: true,
        }
    }
}

impl Default for Ttl {
    fn default() -> Self {
        Self {
            statuses: Vec::new(),
            kinds: Vec::new(),
            ok: None,
            redirect: None,
            client_error: None,
            server_error: None,
            playlist: Duration::from_secs(2),
            segment: Duration::from_secs(3600),
        }
    }
}

impl FreshnessRules {
    /// What the route grants an answer that it is asked about.
    pub(super) fn granted(&self, answer: &Answer) -> Option<Duration> {
        let ttl = &self.ttl;
        let single = ttl
            .statuses
            .iter()
            .find(|(status, _)| *status == answer.status);
        if let Some((_, granted)) = single {
            return Some(*granted);
        }
        match answer.status.as_u16() {
            200..=299 => {
                let kind = ttl.kinds.iter().find(|kind| kind.takes(answer));
                kind.map(|kind| kind.ttl)
                    .or_else(|| Some(ttl.of_media(answer, ttl.ok?)))
            }
            301 | 302 | 303 | 307 | 308 => ttl.redirect,
            400..=499 => ttl.client_error,
            500..=599 => ttl.server_error,
            _ => None,
        }
    }

    /// What is made of the time since an answer was last modified, where anything is.
    pub(super) fn heuristic(&self, answer: &Answer, unchanged: Duration) -> Option<Duration> {
        let share = unchanged * u32::from(self.heuristic) / 100;
        let found = share.min(self.heuristic_maximum);
        let found = match media(answer) {
            Media::Playlist => found.min(self.ttl.playlist),
            // One that has just been made has no past to tell its future by, and no need of it;
            // what is answered in its place has.
            Media::Segment if answer.status.is_success() => found.max(self.ttl.segment),
            Media::Segment | Media::Other => found,
        };
        (self.heuristic > 0).then_some(found)
    }

    /// A lifetime within the route's bounds, shortened by its share of the jitter.
    pub(super) fn bounded(&self, lifetime: Duration, dice: f64) -> Duration {
        let bounded = lifetime.max(self.minimum).min(self.maximum);
        bounded.mul_f64(1.0 - dice.clamp(0.0, 1.0) * f64::from(self.jitter.min(100)) / 100.0)
    }
}

impl Ttl {
    fn of_media(&self, answer: &Answer, ok: Duration) -> Duration {
        match media(answer) {
            Media::Playlist => ok.min(self.playlist),
            Media::Segment => ok.max(self.segment),
            Media::Other => ok,
        }
    }
}

impl ContentTtl {
    fn takes(&self, answer: &Answer) -> bool {
        let of_type = |wanted: &String| {
            let given = content_type(answer).unwrap_or_default();
            match wanted.strip_suffix("/*") {
                Some(class) => given.split('/').next() == Some(class),
                None => given == *wanted,
            }
        };
        self.content_type.as_ref().is_none_or(of_type)
            && self
                .path
                .as_ref()
                .is_none_or(|path| path.is_match(answer.path))
    }
}

/// What part of a stream an answer is.
enum Media {
    Playlist,
    Segment,
    Other,
}

/// HLS (RFC 8216, section 4) and DASH by their media types or the ends of their paths.
fn media(answer: &Answer) -> Media {
    let kind = content_type(answer).unwrap_or_default();
    let playlists = [
        "application/vnd.apple.mpegurl",
        "application/x-mpegurl",
        "audio/mpegurl",
        "audio/x-mpegurl",
        "application/dash+xml",
    ];
    let ends = |ends: &[&str]| ends.iter().any(|end| answer.path.ends_with(end));
    let says_little = matches!(kind.as_str(), "" | "application/octet-stream");
    if playlists.contains(&kind.as_str()) || ends(&[".m3u8", ".mpd"]) {
        Media::Playlist
    } else if ends(&[".m4s", ".cmfv", ".cmfa"])
        || ends(&[".ts"]) && (kind == "video/mp2t" || says_little)
    {
        Media::Segment
    } else {
        Media::Other
    }
}

/// The media type without its parameters, in lower case.
fn content_type(answer: &Answer) -> Option<String> {
    let field = answer.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(field.split(';').next()?.trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};
    use std::time::SystemTime;

    fn rules() -> FreshnessRules {
        FreshnessRules {
            ttl: Ttl {
                statuses: vec![(StatusCode::GONE, Duration::from_secs(99))],
                kinds: vec![ContentTtl {
                    content_type: Some("image/*".into()),
                    path: Some("^/posters/".parse().unwrap()),
                    ttl: Duration::from_secs(50),
                }],
                ok: Some(Duration::from_secs(10)),
                client_error: Some(Duration::from_secs(3)),
                ..Ttl::default()
            },
            ..FreshnessRules::default()
        }
    }

    fn granted(status: u16, path: &str, kind: &'static str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: &headers,
            path,
            authorized: false,
            delay: Duration::ZERO,
            now: SystemTime::UNIX_EPOCH,
            dice: 0.0,
        };
        rules().granted(&answer).map(|ttl| ttl.as_secs())
    }

    #[test]
    fn single_statuses_and_kinds_come_before_classes() {
        assert_eq!(granted(200, "/a", "text/plain"), Some(10));
        assert_eq!(granted(404, "/a", "text/plain"), Some(3));
        assert_eq!(granted(410, "/a", "text/plain"), Some(99));
        assert_eq!(granted(302, "/a", "text/plain"), None);
        assert_eq!(granted(200, "/posters/a", "image/webp; q=1"), Some(50));
        assert_eq!(granted(200, "/a", "image/webp"), Some(10));
    }

    #[test]
    fn playlists_are_short_and_segments_long() {
        assert_eq!(granted(200, "/a", "Application/Vnd.Apple.Mpegurl"), Some(2));
        assert_eq!(granted(200, "/a.mpd", "text/xml"), Some(2));
        assert_eq!(granted(200, "/a.m4s", "video/mp4"), Some(3600));
        assert_eq!(granted(200, "/a.ts", "video/mp2t"), Some(3600));
        assert_eq!(granted(200, "/a.ts", "text/typescript"), Some(10));
    }

    #[test]
    fn lifetimes_keep_within_bounds() {
        let rules = FreshnessRules {
            minimum: Duration::from_secs(10),
            maximum: Duration::from_secs(100),
            jitter: 50,
            ..FreshnessRules::default()
        };
        let bounded = |secs, dice| rules.bounded(Duration::from_secs(secs), dice).as_secs();
        assert_eq!(bounded(1, 0.0), 10);
        assert_eq!(bounded(1000, 0.0), 100);
        assert_eq!(bounded(1000, 1.0), 50);
        assert_eq!(bounded(80, 0.5), 60);
    }
}
