//! From a request and a script to an answer: a pure decision.

use super::{Framing, Lie, Ranges, Script, Seen};
use std::ops::Range;

/// An answer before it is sent.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    /// Which bytes of the object make the body.
    pub body: Range<u64>,
    pub framing: Framing,
    /// Whether a body follows the header.
    pub has_body: bool,
}

/// Decides what to answer.
pub fn decide(seen: &Seen, script: &Script) -> Answer {
    let mut headers = script.headers.clone();
    // A script may have a date of its own, or none: an empty one.
    if !headers.iter().any(|(name, _)| *name == "Date") {
        let now = httpdate::fmt_http_date(std::time::SystemTime::now());
        headers.push(("Date", now));
    }
    headers.retain(|(name, value)| *name != "Date" || !value.is_empty());
    headers.extend(script.etag().map(|tag| ("ETag", tag)));
    headers.extend(script.last_modified().map(|date| ("Last-Modified", date)));
    headers.extend(
        script
            .cache_control
            .map(|value| ("Cache-Control", value.to_owned())),
    );
    headers.extend(script.vary_by.map(|name| ("Vary", name.to_owned())));
    let mut answer = Answer {
        status: script.status,
        headers,
        body: 0..script.size,
        framing: script.framing,
        has_body: seen.method != "HEAD",
    };
    if script.status != 200 || !matches!(seen.method.as_str(), "GET" | "HEAD") {
        return answer;
    }
    if is_unchanged(seen, script) {
        answer.status = 304;
        answer.body = 0..0;
        answer.has_body = false;
        return answer;
    }
    if script.ranges != Ranges::Ignored {
        answer.headers.push(("Accept-Ranges", "bytes".into()));
        if seen.method == "GET" && if_range_holds(seen, script) {
            choose_range(seen, script, &mut answer);
        }
    }
    answer
}

fn choose_range(seen: &Seen, script: &Script, answer: &mut Answer) {
    let size = script.size;
    let Some(asked) = seen.range().and_then(|range| single(range, size)) else {
        return;
    };
    let Some(asked) = asked else {
        answer.status = 416;
        answer.body = 0..0;
        answer
            .headers
            .push(("Content-Range", format!("bytes */{size}")));
        return;
    };
    answer.status = 206;
    answer.body = asked.clone();
    let named = |range: &Range<u64>, total: String| {
        format!("bytes {}-{}/{total}", range.start, range.end - 1)
    };
    let content_range = match script.ranges {
        Ranges::Honoured | Ranges::Ignored => Some(named(&asked, size.to_string())),
        Ranges::Lie(Lie::Unnamed) => None,
        Ranges::Lie(Lie::UnknownTotal) => Some(named(&asked, "*".into())),
        Ranges::Lie(Lie::Shifted) => {
            answer.body = (asked.start + 1).min(size - 1)..(asked.end + 1).min(size);
            Some(named(&answer.body, size.to_string()))
        }
        Ranges::Lie(Lie::OtherTotal) => Some(named(&asked, (size + 1).to_string())),
        Ranges::Lie(Lie::Short) => {
            answer.body.end = asked.start + (asked.end - asked.start) / 2;
            Some(named(&asked, size.to_string()))
        }
        Ranges::Lie(Lie::Garbage) => Some("bytes some-where/over the rainbow".into()),
    };
    answer
        .headers
        .extend(content_range.map(|value| ("Content-Range", value)));
}

/// A single range of an object; `Some(None)` when it can't be satisfied, `None` when the header
/// is of another form and therefore ignored.
fn single(header: &str, size: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first, last) {
        ("", suffix) => size.saturating_sub(suffix.parse().ok()?)..size,
        (first, "") => first.parse().ok()?..size,
        (first, last) => first.parse().ok()?..last.parse::<u64>().ok()?.saturating_add(1).min(size),
    };
    Some((range.start < range.end).then_some(range))
}

fn is_unchanged(seen: &Seen, script: &Script) -> bool {
    if let Some(tags) = seen.header("if-none-match") {
        let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        let present = script.etag().map(|tag| weak(&tag));
        return present.is_some_and(|present| tags.split(',').any(|tag| weak(tag) == present));
    }
    let since = seen.header("if-modified-since");
    since.is_some() && since == script.last_modified().as_deref()
}

fn if_range_holds(seen: &Seen, script: &Script) -> bool {
    let Some(validator) = seen.header("if-range") else {
        return true;
    };
    let strong = script.etag().filter(|tag| !tag.starts_with("W/"));
    strong.as_deref() == Some(validator) || script.last_modified().as_deref() == Some(validator)
}
