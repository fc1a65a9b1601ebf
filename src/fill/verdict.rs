//! What an answer to a request for missing chunks is worth.

use crate::domain::{ByteRange, Fault, Partial, Validators, is_coded};
use http::{HeaderMap, StatusCode, header};

/// The judgement of an answer's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The bytes that were asked for, of the version that is stored.
    Part,
    /// All bytes of the version that is stored, from the first: the origin ignores ranges.
    Whole,
    /// Another version, or none any more.
    Changed,
    /// A status that is of no use here. A 404 is one of these: it may be meant for this client
    /// alone, and must not take the object from the others.
    Refused(StatusCode),
    /// A 206 that can't be trusted.
    Lying(Fault),
}

/// Judges the answer to a request for `asked` of an object of `total` bytes.
pub fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    asked: ByteRange,
    total: u64,
    stored: &Validators,
) -> Verdict {
    match status {
        StatusCode::PARTIAL_CONTENT => match Partial::judge(asked, headers) {
            Ok(part) if part.total == total && stored.same_version(&part.validators) => {
                Verdict::Part
            }
            Ok(_) => Verdict::Changed,
            Err(fault) => Verdict::Lying(fault),
        },
        StatusCode::OK => {
            let length = headers
                .get(header::CONTENT_LENGTH)
                .and_then(|v| v.to_str().ok()?.parse().ok());
            let same = stored.same_version(&Validators::of(headers)) && !is_coded(headers);
            match same && length.is_none_or(|length: u64| length == total) {
                true => Verdict::Whole,
                false => Verdict::Changed,
            }
        }
        StatusCode::RANGE_NOT_SATISFIABLE => Verdict::Changed,
        status => Verdict::Refused(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Fields = &'static [(&'static str, &'static str)];

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |&(name, value): &(&'static str, &'static str)| {
            let value = http::HeaderValue::from_static(value);
            (http::HeaderName::from_static(name), value)
        };
        list.iter().map(field).collect()
    }

    #[test]
    fn only_the_stored_version_is_let_in() {
        const A: (&str, &str) = ("etag", "\"a\"");
        const B: (&str, &str) = ("etag", "\"b\"");
        const RANGE: (&str, &str) = ("content-range", "bytes 10-19/50");
        let table: &[(u16, Fields, Verdict)] = &[
            (206, &[A, RANGE], Verdict::Part),
            (206, &[B, RANGE], Verdict::Changed),
            (
                206,
                &[A, ("content-range", "bytes 10-19/60")],
                Verdict::Changed,
            ),
            (206, &[A], Verdict::Lying(Fault::NoContentRange)),
            (200, &[A, ("content-length", "50")], Verdict::Whole),
            (200, &[A], Verdict::Whole),
            (200, &[A, ("content-length", "51")], Verdict::Changed),
            (200, &[A, ("content-encoding", "gzip")], Verdict::Changed),
            (200, &[B, ("content-length", "50")], Verdict::Changed),
            (200, &[("content-length", "50")], Verdict::Changed),
            (404, &[], Verdict::Refused(StatusCode::NOT_FOUND)),
            (416, &[("content-range", "bytes */5")], Verdict::Changed),
            (503, &[], Verdict::Refused(StatusCode::SERVICE_UNAVAILABLE)),
            (302, &[], Verdict::Refused(StatusCode::FOUND)),
        ];
        let stored = Validators::of(&headers(&[A]));
        for (status, list, verdict) in table {
            let status = StatusCode::from_u16(*status).unwrap();
            let asked = ByteRange::new(10, 20).unwrap();
            let found = judge(status, &headers(list), asked, 50, &stored);
            assert_eq!(found, *verdict, "{status} {list:?}");
        }
    }
}
