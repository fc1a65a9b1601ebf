//! What RFC 9110 says about a range request, written down apart from the product.
//!
//! Where the RFC leaves a choice, ours is: an invalid header is ignored, more than [`MAX_RANGES`]
//! ranges get the whole object, overlapping and adjacent ones are joined, parts come in ascending
//! order, and one that remains is answered as if it had come alone.

use crate::{
    client::{self, Answer},
    content::Content,
    origin::Script,
};
use std::ops::Range;

/// Ranges of one request that are answered one by one.
pub const MAX_RANGES: usize = 32;

/// The answer that a GET deserves, as far as ranges matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    Whole,
    Parts(Vec<Range<u64>>),
    Unsatisfiable,
    /// A suffix of nothing: satisfiable by the letter, yet no `Content-Range` can name it.
    SuffixOfNothing,
}

/// The object as a client should see it.
#[derive(Clone, Debug)]
pub struct Object {
    pub content: Content,
    pub size: u64,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

impl From<&Script> for Object {
    fn from(script: &Script) -> Self {
        Self {
            content: script.content,
            size: script.size,
            etag: script.etag(),
            last_modified: script.last_modified(),
        }
    }
}

impl Object {
    /// The answer to a GET with these header fields.
    pub fn expected(&self, range: Option<&str>, if_range: Option<&str>) -> Expected {
        match range {
            Some(range) if self.is_current(if_range) => ranges(range, self.size),
            _ => Expected::Whole,
        }
    }

    /// RFC 9110 §13.1.5: strong comparison of tags, exact comparison of dates.
    fn is_current(&self, if_range: Option<&str>) -> bool {
        let Some(validator) = if_range else {
            return true;
        };
        if validator.starts_with('"') {
            return self.etag.as_deref() == Some(validator);
        }
        !validator.starts_with("W/") && self.last_modified.as_deref() == Some(validator)
    }

    /// What is wrong with an answer, its bytes included.
    pub fn verify(&self, expected: &Expected, answer: &Answer) -> Result<(), String> {
        if let Some(cut) = &answer.cut {
            return Err(format!("the answer was cut: {cut:?}"));
        }
        self.verify_status(expected, answer)?;
        if answer.status() < 400 {
            let seen = answer.head.header("etag");
            if seen != self.etag.as_deref() {
                return Err(format!("ETag {seen:?}, expected {:?}", self.etag));
            }
        }
        Ok(())
    }

    fn verify_status(&self, expected: &Expected, answer: &Answer) -> Result<(), String> {
        let total = self.size;
        let content_range = answer.head.header("content-range");
        match (expected, answer.status()) {
            (Expected::Whole, 200) => self.verify_body(&(0..total), content_range, None, answer),
            (Expected::SuffixOfNothing, 200) => {
                self.verify_body(&(0..0), content_range, None, answer)
            }
            (Expected::Unsatisfiable | Expected::SuffixOfNothing, 416) => {
                let named = format!("bytes */{total}");
                if content_range != Some(&named) {
                    return Err(format!(
                        "Content-Range {content_range:?}, expected {named:?}"
                    ));
                }
                Ok(())
            }
            (Expected::Parts(parts), 206) => match &parts[..] {
                [part] => {
                    let named = format!("bytes {}-{}/{total}", part.start, part.end - 1);
                    self.verify_body(part, content_range, Some(&named), answer)
                }
                _ => self.verify_parts(parts, answer),
            },
            (_, status) => Err(format!("status {status}, expected {expected:?}")),
        }
    }

    fn verify_body(
        &self,
        range: &Range<u64>,
        content_range: Option<&str>,
        named: Option<&str>,
        answer: &Answer,
    ) -> Result<(), String> {
        let length = range.end - range.start;
        if content_range != named {
            return Err(format!(
                "Content-Range {content_range:?}, expected {named:?}"
            ));
        }
        if answer.head.length().is_some_and(|known| known != length) {
            let known = answer.head.length();
            return Err(format!("Content-Length {known:?}, expected {length}"));
        }
        if answer.body.len() as u64 != length {
            return Err(format!("{} bytes, expected {length}", answer.body.len()));
        }
        self.content.verify(range.start, &answer.body)
    }

    fn verify_parts(&self, expected: &[Range<u64>], answer: &Answer) -> Result<(), String> {
        let parts = client::parts(answer)?;
        let found: Vec<_> = parts.iter().map(|part| part.range.clone()).collect();
        if found != expected {
            return Err(format!("parts {found:?}, expected {expected:?}"));
        }
        if answer
            .head
            .length()
            .is_some_and(|length| length != answer.body.len() as u64)
        {
            return Err("Content-Length is not the body's".into());
        }
        for part in parts {
            if part.total != self.size {
                return Err(format!("a part says that there are {} bytes", part.total));
            }
            self.content.verify(part.range.start, &part.body)?;
        }
        Ok(())
    }
}

/// RFC 9110 §14.1.2 and §14.2.
pub fn ranges(header: &str, size: u64) -> Expected {
    let Some((unit, set)) = header.split_once('=') else {
        return Expected::Whole;
    };
    if !unit.eq_ignore_ascii_case("bytes") {
        return Expected::Whole;
    }
    let members = set
        .split(',')
        .map(|member| member.trim_matches([' ', '\t']));
    let members: Vec<_> = members.filter(|member| !member.is_empty()).collect();
    let parsed: Option<Vec<_>> = members.iter().map(|member| Member::parse(member)).collect();
    let Some(parsed) = parsed else {
        return Expected::Whole;
    };
    if parsed.is_empty() || parsed.len() > MAX_RANGES {
        return Expected::Whole;
    }
    let mut satisfiable: Vec<_> = parsed
        .iter()
        .filter_map(|member| member.within(size))
        .collect();
    if satisfiable.is_empty() {
        let nothing = parsed
            .iter()
            .any(|member| matches!(member, Member::Last(1..)));
        return match nothing {
            true => Expected::SuffixOfNothing,
            false => Expected::Unsatisfiable,
        };
    }
    satisfiable.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in satisfiable {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    Expected::Parts(joined)
}

/// One member of a range set, with numbers of any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    FromTo(u128, u128),
    From(u128),
    Last(u128),
}

impl Member {
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        match (first, last) {
            ("", last) => Some(Self::Last(number(last)?)),
            (first, "") => Some(Self::From(number(first)?)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::FromTo(first, last))
            }
        }
    }

    fn within(self, size: u64) -> Option<Range<u64>> {
        let size = u128::from(size);
        let range = match self {
            Self::FromTo(first, last) => first..(last + 1).min(size),
            Self::From(first) => first..size,
            Self::Last(length) => size.saturating_sub(length)..size,
        };
        (range.start < range.end).then_some(range.start as u64..range.end as u64)
    }
}

/// Digits only; tests stay below 38 of them.
fn number(digits: &str) -> Option<u128> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().expect("fewer than 38 digits"))
}

#[test]
fn the_examples_of_the_rfc_come_out() {
    let parts = |parts: &[(u64, u64)]| {
        let ranges = parts.iter().map(|&(start, end)| start..end);
        Expected::Parts(ranges.collect())
    };
    let cases = [
        ("bytes=0-499", parts(&[(0, 500)])),
        ("bytes=500-999", parts(&[(500, 1000)])),
        ("bytes=-500", parts(&[(9500, 10000)])),
        ("bytes=9500-", parts(&[(9500, 10000)])),
        ("bytes=0-0,-1", parts(&[(0, 1), (9999, 10000)])),
        ("bytes=500-600,601-999", parts(&[(500, 1000)])),
        ("bytes=500-700,601-999", parts(&[(500, 1000)])),
        ("bytes=10000-", Expected::Unsatisfiable),
        ("bytes=-0", Expected::Unsatisfiable),
        ("bytes=5-4", Expected::Whole),
        ("bytes=99999999999999999999-5", Expected::Whole),
        ("seconds=0-1", Expected::Whole),
    ];
    for (header, expected) in cases {
        assert_eq!(ranges(header, 10000), expected, "{header}");
    }
}
