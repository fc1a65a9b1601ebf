//! What of a request's head is refused before it is one, and what is made of the rest.
//!
//! h2 has checked the frames and the pseudo-header fields. What is left are heads that an HTTP/1.1
//! origin, to which they are passed on, might read differently.

use crate::proxy::Malformed;
use http::{HeaderMap, HeaderValue, Method, header};
use pingora_core::protocols::http::authority::{
    RawTargetAuthority, raw_target_authority, validate_request_authority,
};
use pingora_http::RequestHeader;

/// Checks a head: its target and length must not frame another message (RFC 9113, section 8.1.1),
/// and its authority be there, once (section 8.3.1).
pub(super) fn check(request: &RequestHeader) -> Result<(), Malformed> {
    let target = request.raw_path();
    let breaks_lines = |byte: &u8| matches!(byte, 0 | b'\n' | b'\r' | b' ');
    if target.iter().any(breaks_lines) || !has_one_length(request) {
        return Err(Malformed::Framing);
    }
    let is_named = request.uri.authority().is_some() || request.headers.contains_key(header::HOST);
    if request.method == Method::CONNECT {
        return Err(Malformed::Tunnel);
    }
    let is_path = matches!(raw_target_authority(target), RawTargetAuthority::None);
    if !is_named || !is_path || validate_request_authority(request).is_err() {
        return Err(Malformed::Host);
    }
    Ok(())
}

/// Puts cookies together that came in fields of their own, as over HTTP/2 they may (RFC 9113, section
/// 8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let header::Entry::Occupied(mut cookies) = headers.entry(header::COOKIE) else {
        return;
    };
    let crumbs: Vec<_> = cookies.iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1 {
        let whole = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]));
        cookies.insert(whole.expect("values put together are one"));
    }
}

/// Whether the length is said not at all, or once, or the same each time (RFC 9110, section 8.6).
fn has_one_length(request: &RequestHeader) -> bool {
    let lines = request.headers.get_all(header::CONTENT_LENGTH).iter();
    let mut lengths = lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(|length| parse(length.trim_ascii()));
    match lengths.next() {
        Some(None) => false,
        Some(first) => lengths.all(|length| length == first),
        None => true,
    }
}

fn parse(length: &[u8]) -> Option<u64> {
    let is_number = length.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(length)
        .ok()
        .filter(|_| is_number)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, fields: &[(&'static str, &'static str)]) -> RequestHeader {
        let mut builder = http::Request::builder().uri(uri);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0.into()
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        use Malformed::*;
        let table: &[(&str, &[(&'static str, &'static str)], _)] = &[
            ("http://a.test/", &[], Ok(())),
            ("/", &[("host", "a.test")], Ok(())),
            (
                "http://a.test/x?y=http://b.test/",
                &[("host", "a.test")],
                Ok(()),
            ),
            ("http://a.test/", &[("content-length", "5")], Ok(())),
            (
                "http://a.test/",
                &[("content-length", "5, 5"), ("content-length", "5")],
                Ok(()),
            ),
            (
                "http://a.test/",
                &[("content-length", "5, 6")],
                Err(Framing),
            ),
            (
                "http://a.test/",
                &[("content-length", "5"), ("content-length", "6")],
                Err(Framing),
            ),
            ("http://a.test/", &[("content-length", "+5")], Err(Framing)),
            ("http://a.test/", &[("content-length", "")], Err(Framing)),
            ("/", &[], Err(Host)),
            ("http://u@a.test/", &[], Err(Host)),
            ("http://a.test/", &[("host", "b.test")], Err(Host)),
            ("/", &[("host", "a.test"), ("host", "a.test")], Err(Host)),
        ];
        for (uri, fields, expected) in table {
            assert_eq!(check(&request(uri, fields)), *expected, "{uri} {fields:?}");
        }
    }
}
