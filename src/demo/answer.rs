//! What the demo's origin answers, decided from the request alone (RFC 9110).
//!
//! Written apart from the proxy's own reading of ranges, so that neither covers the other's
//! mistakes.

use http::{HeaderMap, HeaderName, header};
use std::{
    ops::Range,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What is served: one file that never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Representation {
    /// Its length in bytes.
    pub length: u64,
    /// Its strong entity tag, quotes included.
    pub etag: String,
    /// When it was made, in whole seconds.
    pub modified: SystemTime,
}

/// What is sent of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200 and everything.
    Whole,
    /// 206 and these bytes.
    Part(Range<u64>),
    /// 304: the asker has it.
    NotModified,
    /// 416: the range begins behind the end.
    Unsatisfiable,
}

impl Representation {
    /// A file of this length made at this time; both together make the tag.
    pub fn new(length: u64, made: SystemTime) -> Self {
        let seconds = made
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        Self {
            length,
            etag: format!("\"{seconds:x}-{length:x}\""),
            modified: UNIX_EPOCH + Duration::from_secs(seconds),
        }
    }

    /// Answers a GET, conditions first: section 13.2.2.
    pub fn answer(&self, request: &HeaderMap) -> Answer {
        if self.held_by_asker(request) {
            return Answer::NotModified;
        }
        let Some(range) = text(request, header::RANGE) else {
            return Answer::Whole;
        };
        if text(request, header::IF_RANGE).is_some_and(|named| !self.is_named(named)) {
            return Answer::Whole;
        }
        self.part(range)
    }

    /// `If-None-Match`, which compares weakly, or else `If-Modified-Since`.
    fn held_by_asker(&self, request: &HeaderMap) -> bool {
        if request.contains_key(header::IF_NONE_MATCH) {
            let listed = request.get_all(header::IF_NONE_MATCH).into_iter();
            return listed
                .filter_map(|line| line.to_str().ok())
                .flat_map(|line| line.split(','))
                .map(|tag| tag.trim())
                .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag);
        }
        date(request, header::IF_MODIFIED_SINCE).is_some_and(|since| self.modified <= since)
    }

    /// `If-Range`: the same strong tag, or the very date.
    fn is_named(&self, named: &str) -> bool {
        named == self.etag || httpdate::parse_http_date(named).is_ok_and(|at| at == self.modified)
    }

    /// One range is answered; several, other units and nonsense are ignored: section 14.2.
    fn part(&self, header: &str) -> Answer {
        let Some((unit, spec)) = header.split_once('=') else {
            return Answer::Whole;
        };
        let Some((first, last)) = spec.split_once('-') else {
            return Answer::Whole;
        };
        if !unit.eq_ignore_ascii_case("bytes") {
            return Answer::Whole;
        }
        let range = match (number(first.trim()), number(last.trim())) {
            (Some(first), Some(last)) if first <= last => first..self.length.min(last + 1),
            (Some(first), None) if last.trim().is_empty() => first..self.length,
            (None, Some(suffix)) if first.trim().is_empty() => {
                self.length.saturating_sub(suffix)..self.length
            }
            _ => return Answer::Whole,
        };
        if range.is_empty() {
            Answer::Unsatisfiable
        } else {
            Answer::Part(range)
        }
    }
}

/// Digits only; a number beyond all lengths stays beyond them.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX).min(u64::MAX - 1))
}

fn text(request: &HeaderMap, name: HeaderName) -> Option<&str> {
    request.get(name)?.to_str().ok().map(str::trim)
}

fn date(request: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(text(request, name)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn film() -> Representation {
        Representation::new(1000, UNIX_EPOCH + Duration::from_millis(1_700_000_000_400))
    }

    fn answer(headers: &[(HeaderName, &str)]) -> Answer {
        let mut request = HeaderMap::new();
        for (name, value) in headers {
            request.append(name, value.parse().unwrap());
        }
        film().answer(&request)
    }

    const MADE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
    const LATER: &str = "Tue, 14 Nov 2023 22:13:21 GMT";
    const EARLIER: &str = "Tue, 14 Nov 2023 22:13:19 GMT";
    const TAG: &str = "\"6553f100-3e8\"";

    #[test]
    fn ranges_are_cut_to_the_file_and_nonsense_is_ignored() {
        let vectors = [
            ("bytes=0-0", Answer::Part(0..1)),
            ("bytes=10-19", Answer::Part(10..20)),
            ("Bytes= 990-", Answer::Part(990..1000)),
            ("bytes=990-5000", Answer::Part(990..1000)),
            ("bytes=0-99999999999999999999999", Answer::Part(0..1000)),
            ("bytes=-5", Answer::Part(995..1000)),
            ("bytes=-5000", Answer::Part(0..1000)),
            ("bytes=1000-", Answer::Unsatisfiable),
            ("bytes=99999999999999999999999-", Answer::Unsatisfiable),
            ("bytes=-0", Answer::Unsatisfiable),
            ("bytes=20-10", Answer::Whole),
            ("bytes=0-1,5-6", Answer::Whole),
            ("bytes=+1-2", Answer::Whole),
            ("bytes=-", Answer::Whole),
            ("bytes=a-b", Answer::Whole),
            ("bytes", Answer::Whole),
            ("seconds=1-2", Answer::Whole),
        ];
        for (range, expected) in vectors {
            assert_eq!(answer(&[(header::RANGE, range)]), expected, "{range}");
        }
    }

    #[test]
    fn a_range_counts_only_if_its_condition_holds() {
        let part = Answer::Part(1..3);
        let weak = format!("W/{TAG}");
        let vectors = [
            (TAG, part.clone()),
            (MADE, part),
            (weak.as_str(), Answer::Whole),
            ("\"other\"", Answer::Whole),
            (LATER, Answer::Whole),
            (EARLIER, Answer::Whole),
        ];
        for (condition, expected) in vectors {
            let headers = [(header::RANGE, "bytes=1-2"), (header::IF_RANGE, condition)];
            assert_eq!(answer(&headers), expected, "{condition}");
        }
    }

    #[test]
    fn conditions_are_met_by_tag_before_date() {
        let none_match = |tag: &str| answer(&[(header::IF_NONE_MATCH, tag)]);
        assert_eq!(none_match(TAG), Answer::NotModified);
        assert_eq!(none_match(&format!("\"x\", W/{TAG}")), Answer::NotModified);
        assert_eq!(none_match("*"), Answer::NotModified);
        assert_eq!(none_match("\"x\""), Answer::Whole);
        let since = |date: &str| answer(&[(header::IF_MODIFIED_SINCE, date)]);
        assert_eq!(since(MADE), Answer::NotModified);
        assert_eq!(since(LATER), Answer::NotModified);
        assert_eq!(since(EARLIER), Answer::Whole);
        let both = [
            (header::IF_NONE_MATCH, "\"x\""),
            (header::IF_MODIFIED_SINCE, LATER),
        ];
        assert_eq!(answer(&both), Answer::Whole);
    }

    #[test]
    fn a_condition_that_fails_outweighs_a_range() {
        let headers = [(header::RANGE, "bytes=5000-"), (header::IF_NONE_MATCH, TAG)];
        assert_eq!(answer(&headers), Answer::NotModified);
    }
}
