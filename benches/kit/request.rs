//! What the origin understands of HTTP: GET and HEAD, one range, `If-Range`, `If-None-Match`.

use super::body::Content;
use std::{
    io::{self, BufRead},
    ops::Range,
};

const MODIFIED: &str = "Sat, 01 Mar 2025 10:00:00 GMT";
const MAX_LINE: usize = 8 << 10;
const MAX_LINES: usize = 100;

/// One request as the origin takes it.
#[derive(Debug, Default)]
pub struct Asked {
    head_only: bool,
    /// Length of the object, from the path; none for a path that names no object.
    size: Option<u64>,
    content: Content,
    range: Option<String>,
    if_range: Option<String>,
    if_none_match: Option<String>,
}

impl Asked {
    /// The next request of a connection; none when the peer has closed it.
    pub fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let first = line(reader)?;
        if first.is_empty() {
            return Ok(None);
        }
        let mut words = first.split(' ');
        let head_only = words.next() == Some("HEAD");
        let path = words.next().unwrap_or_default();
        let mut asked = Self {
            head_only,
            size: size_in(path),
            content: Content::of(path),
            ..Self::default()
        };
        for _ in 0..MAX_LINES {
            let line = line(reader)?;
            if line.is_empty() {
                return Ok(Some(asked));
            }
            if let Some((name, value)) = line.split_once(':') {
                asked.note(name, value.trim());
            }
        }
        Err(io::Error::other("too many header lines"))
    }

    fn note(&mut self, name: &str, value: &str) {
        let field = match name.to_ascii_lowercase().as_str() {
            "range" => &mut self.range,
            "if-range" => &mut self.if_range,
            "if-none-match" => &mut self.if_none_match,
            _ => return,
        };
        *field = Some(value.into());
    }

    /// The bytes of the object.
    pub fn content(&self) -> Content {
        self.content
    }

    /// The response's head, and the first byte and the end of the body that follows it.
    pub fn answer(&self) -> (String, u64, u64) {
        let Some(size) = self.size else {
            return (
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".into(),
                0,
                0,
            );
        };
        let tag = format!("\"{size:x}\"");
        let common = format!(
            "ETag: {tag}\r\nLast-Modified: {MODIFIED}\r\nAccept-Ranges: bytes\r\n\
             Cache-Control: max-age=3600\r\nContent-Type: video/mp4\r\n"
        );
        if self.if_none_match.as_ref() == Some(&tag) {
            return (format!("HTTP/1.1 304 Not Modified\r\n{common}\r\n"), 0, 0);
        }
        let same = self
            .if_range
            .as_ref()
            .is_none_or(|it| *it == tag || it == MODIFIED);
        let range = self.range.as_deref().filter(|_| same);
        let (line, part) = match range.and_then(|it| part_of(it, size)) {
            None => ("200 OK".into(), 0..size),
            Some(part) if part.is_empty() => (
                format!("416 Range Not Satisfiable\r\nContent-Range: bytes */{size}"),
                part,
            ),
            Some(part) => (
                format!(
                    "206 Partial Content\r\nContent-Range: bytes {}-{}/{size}",
                    part.start,
                    part.end - 1
                ),
                part,
            ),
        };
        let length = part.end - part.start;
        let head = format!("HTTP/1.1 {line}\r\nContent-Length: {length}\r\n{common}\r\n");
        let end = if self.head_only { part.start } else { part.end };
        (head, part.start, end)
    }
}

/// The size that a path `/SIZE/NAME` names.
fn size_in(path: &str) -> Option<u64> {
    path.split('/').nth(1)?.parse().ok()
}

/// The part of an object that a `Range` header asks for: none when it asks for no single part,
/// an empty one when there is no such part.
fn part_of(header: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        let suffix: u64 = last.parse().ok()?;
        return Some(size.saturating_sub(suffix)..size);
    }
    let first: u64 = first.parse().ok()?;
    let end = match last {
        "" => size,
        last => last.parse::<u64>().ok()?.saturating_add(1).min(size),
    };
    Some(if first < end { first..end } else { 0..0 })
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    io::Read::take(&mut *reader, MAX_LINE as u64).read_until(b'\n', &mut bytes)?;
    let line = String::from_utf8_lossy(&bytes);
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
