//! The target of a request, rewritten so that it means the same to everyone who reads it.

use super::{super::redirect::ODD, SignError};
use http::Uri;
use percent_encoding::{
    AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode, utf8_percent_encode,
};
use pingora_http::RequestHeader;
use std::borrow::Cow;

/// All but what RFC 3986 calls unreserved: the one encoding that S3 signs.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// The same for a path, which keeps its slashes.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');
/// What cannot stand in a target at all.
const UNSENDABLE: &AsciiSet = &ODD.add(b'#');

/// Path and query of a request as they arrived, any bytes.
pub fn split(head: &RequestHeader) -> (&[u8], Option<&[u8]>) {
    let raw = match head.raw_path() {
        raw if raw.starts_with(b"/") => raw,
        // Absolute form: the URI has the path alone.
        _ => head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str())
            .as_bytes(),
    };
    match raw.iter().position(|&b| b == b'?') {
        Some(at) => (&raw[..at], Some(&raw[at + 1..])),
        None => (raw, None),
    }
}

/// Gives a request another path and query, both encoded already.
pub fn set(head: &mut RequestHeader, path: &str, query: &str) -> Result<(), SignError> {
    let target = match query {
        "" => path.to_owned(),
        query => format!("{path}?{query}"),
    };
    let mut parts = head.uri.clone().into_parts();
    parts.path_and_query = Some(target.parse().map_err(|_| SignError::Target)?);
    head.set_uri(Uri::from_parts(parts).map_err(|_| SignError::Target)?);
    Ok(())
}

/// A path as S3 writes it: decoded, then everything encoded but unreserved characters and slashes.
pub fn canonical_path(path: &[u8]) -> String {
    percent_encode(&decoded(path), RESERVED_IN_PATH).to_string()
}

/// A query in the same writing, without the parameters that `dropped` takes.
pub fn canonical_query(query: &[u8], dropped: impl Fn(&[u8]) -> bool) -> String {
    let mut pieces = Vec::new();
    for (name, value) in pairs(query) {
        let name = form_decoded(name);
        if dropped(&name) {
            continue;
        }
        let name = percent_encode(&name, RESERVED);
        pieces.push(match value {
            Some(value) => format!("{name}={}", percent_encode(&form_decoded(value), RESERVED)),
            None => name.to_string(),
        });
    }
    pieces.join("&")
}

/// A query with one parameter replaced or added at its end, the others as they were.
pub fn query_with(query: &[u8], name: &str, value: &str) -> String {
    let others = query
        .split(|&b| b == b'&')
        .filter(|piece| !piece.is_empty() && *form_decoded(pair(piece).0) != *name.as_bytes());
    let mut pieces: Vec<_> = others.map(sendable).collect();
    let name = utf8_percent_encode(name, RESERVED);
    pieces.push(format!("{name}={}", utf8_percent_encode(value, RESERVED)));
    pieces.join("&")
}

/// Bytes with only those encoded that cannot be sent as they are.
pub fn sendable(bytes: &[u8]) -> String {
    percent_encode(bytes, UNSENDABLE).to_string()
}

/// A reference without a query parameter; `None` where it has none of this name.
pub fn without(reference: &str, name: &str) -> Option<String> {
    let (path, rest) = reference.split_once('?')?;
    let (query, fragment) = match rest.split_once('#') {
        Some((query, fragment)) => (query, format!("#{fragment}")),
        None => (rest, String::new()),
    };
    let is_it = |piece: &&str| decoded(pair(piece.as_bytes()).0) == name.as_bytes();
    if !query.split('&').any(|piece| is_it(&piece)) {
        return None;
    }
    let kept: Vec<&str> = query.split('&').filter(|piece| !is_it(piece)).collect();
    let mark = if kept.is_empty() { "" } else { "?" };
    Some(format!("{path}{mark}{}{fragment}", kept.join("&")))
}

/// Whether a hop or a server could take a path for another one, by its `.` and `..`.
pub fn has_dot_segments(path: &[u8]) -> bool {
    let path = decoded(path);
    let mut segments = path.split(|&b| b == b'/');
    segments.any(|segment| segment == b"." || segment == b"..")
}

fn pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    let pieces = query.split(|&b| b == b'&');
    pieces.filter(|piece| !piece.is_empty()).map(pair)
}

fn pair(piece: &[u8]) -> (&[u8], Option<&[u8]>) {
    match piece.iter().position(|&b| b == b'=') {
        Some(at) => (&piece[..at], Some(&piece[at + 1..])),
        None => (piece, None),
    }
}

fn decoded(bytes: &[u8]) -> Cow<'_, [u8]> {
    percent_decode(bytes).into()
}

/// In a query, unlike in a path, a plus sign is a space.
fn form_decoded(bytes: &[u8]) -> Vec<u8> {
    let spaced: Vec<_> = bytes
        .iter()
        .map(|&b| if b == b'+' { b' ' } else { b })
        .collect();
    decoded(&spaced).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_has_one_writing() {
        let table = [
            ("/a%2Fb", "/a/b"),
            ("/a+b", "/a%2Bb"),
            ("/a%2bb", "/a%2Bb"),
            ("/it's!(1)*", "/it%27s%21%281%29%2A"),
            ("/a%20b", "/a%20b"),
            ("/\u{fc}", "/%C3%BC"),
            ("/%7Ehome/%41", "/~home/A"),
            ("/100%", "/100%25"),
            ("//a//", "//a//"),
        ];
        for (arrived, sent) in table {
            assert_eq!(canonical_path(arrived.as_bytes()), sent);
            assert_eq!(canonical_path(sent.as_bytes()), sent, "it stays so");
        }
    }

    #[test]
    fn a_query_has_one_writing() {
        let canonical = |query: &str| canonical_query(query.as_bytes(), |name| name == b"gone");
        assert_eq!(
            canonical("acl&&b=x+y%2b&gone=1&c=a/b=&d="),
            "acl&b=x%20y%2B&c=a%2Fb%3D&d="
        );
    }

    #[test]
    fn a_parameter_is_replaced_wherever_it_stands() {
        let with = |query: &str| query_with(query.as_bytes(), "to ken", "a+b/\u{fc}");
        assert_eq!(with(""), "to%20ken=a%2Bb%2F%C3%BC");
        assert_eq!(
            with("a=+1&to%20ken=x&b&to+ken&\u{fc}"),
            "a=+1&b&%C3%BC&to%20ken=a%2Bb%2F%C3%BC"
        );
    }

    #[test]
    fn dot_segments_are_seen_through_their_encoding() {
        for path in ["/a/../b", "/%2E%2e/b", "/a%2F..", "/./a", "/.."] {
            assert!(has_dot_segments(path.as_bytes()), "{path}");
        }
        for path in ["/", "/a..b/...", "/.a/b."] {
            assert!(!has_dot_segments(path.as_bytes()), "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_become_a_target(path: Vec<u8>, query: Vec<u8>) {
            let mut head = RequestHeader::build("GET", b"/", None).unwrap();
            for path in [canonical_path(&path), sendable(&path).replace('?', "")] {
                for query in [canonical_query(&query, |_| false), query_with(&query, "a", "b")] {
                    set(&mut head, &format!("/{path}"), &query).unwrap();
                }
            }
        }
    }
}
