//! Reads `multipart/byteranges` bodies strictly: every byte of the frame is accounted for.

use super::Answer;
use std::ops::Range;

/// One part of a multipart answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub range: Range<u64>,
    pub total: u64,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
}

/// The parts of an answer, in their order.
pub fn parts(answer: &Answer) -> Result<Vec<Part>, String> {
    let kind = answer.head.header("content-type").unwrap_or_default();
    let boundary = kind
        .strip_prefix("multipart/byteranges")
        .and_then(|rest| rest.split_once("boundary="))
        .map(|(_, boundary)| boundary.trim_matches('"'))
        .ok_or_else(|| format!("not a multipart answer: {kind:?}"))?;
    let mut parts = Vec::new();
    let mut rest = answer.body.as_slice();
    // The first delimiter may come with or without a line break before it.
    let first = format!("--{boundary}\r\n");
    rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
    rest = rest
        .strip_prefix(first.as_bytes())
        .ok_or("no first delimiter")?;
    loop {
        let (part, after) = part(rest)?;
        parts.push(part);
        rest = after
            .strip_prefix(b"\r\n--")
            .ok_or("no line break after a part")?;
        rest = rest
            .strip_prefix(boundary.as_bytes())
            .ok_or("no delimiter after a part")?;
        match rest {
            b"--" | b"--\r\n" => return Ok(parts),
            _ => {
                rest = rest
                    .strip_prefix(b"\r\n")
                    .ok_or("a delimiter that does not end")?
            }
        }
    }
}

fn part(bytes: &[u8]) -> Result<(Part, &[u8]), String> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or("a part without an end of its header")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let field = |name: &str| {
        let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
        let line = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
        line.map(|(_, value)| value.trim().to_owned())
    };
    let content_range = field("content-range").ok_or("a part without a Content-Range")?;
    let (range, total) = content_range_of(&content_range)
        .ok_or_else(|| format!("a part with Content-Range {content_range:?}"))?;
    let rest = &bytes[end + 4..];
    let length = (range.end - range.start) as usize;
    let body = rest
        .get(..length)
        .ok_or_else(|| format!("{content_range} is cut short"))?;
    let part = Part {
        range,
        total,
        content_type: field("content-type"),
        body: body.to_vec(),
    };
    Ok((part, &rest[length..]))
}

/// Reads `bytes a-b/n`.
pub fn content_range_of(value: &str) -> Option<(Range<u64>, u64)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first..last + 1, total.parse().ok()?))
}
