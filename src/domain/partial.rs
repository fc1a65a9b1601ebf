//! The strict judgement of a 206 that is to become part of an object.
//!
//! An origin that asks to be believed about a piece must say exactly which piece of exactly how
//! long a whole, of which version. Whatever is unclear is not kept.

use super::{ByteRange, ContentRange, Validators};
use http::{HeaderMap, header};

/// An origin's 206 that can be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// The bytes that the body holds.
    pub range: ByteRange,
    /// Length of the whole representation.
    pub total: u64,
    /// Which version of it.
    pub validators: Validators,
}

/// Why a 206 is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Several parts, or no `Content-Range`, or one that is not well-formed.
    #[error("no well-formed Content-Range")]
    NoContentRange,
    /// `bytes 0-9/*`.
    #[error("Content-Range without the total length")]
    NoTotal,
    /// Not the interval that was asked for.
    #[error("another interval than asked for")]
    OtherInterval,
    /// `Content-Length` is not the interval's.
    #[error("Content-Length is not the interval's length")]
    OtherLength,
    /// A coding makes offsets meaningless.
    #[error("a content coding")]
    Coded,
    /// Nothing would tell this version from the next.
    #[error("no strong validator and no modification date")]
    NoValidator,
}

impl Partial {
    /// Judges the head of a 206 that answers a request for `asked`. The interval must begin
    /// where asked and end where asked, or at the end of the representation.
    pub fn judge(asked: ByteRange, headers: &HeaderMap) -> Result<Self, Fault> {
        let mut fields = headers.get_all(header::CONTENT_RANGE).iter();
        let field = fields.next().filter(|_| fields.next().is_none());
        let parsed = field.and_then(|v| ContentRange::parse(v.as_bytes()));
        let (range, total) = match parsed {
            Some(ContentRange::Bytes(range, Some(total))) => (range, total),
            Some(ContentRange::Bytes(_, None)) => return Err(Fault::NoTotal),
            _ => return Err(Fault::NoContentRange),
        };
        if range.start() != asked.start() || range.end() != asked.end().min(total) {
            return Err(Fault::OtherInterval);
        }
        let length = headers.get(header::CONTENT_LENGTH);
        let declared = length.map(|v| v.to_str().ok().and_then(|v| v.parse::<u64>().ok()));
        if declared.is_some_and(|length| length != Some(range.len())) {
            return Err(Fault::OtherLength);
        }
        if is_coded(headers) {
            return Err(Fault::Coded);
        }
        let validators = Validators::of(headers);
        // What is all of it needs no other part.
        if range.len() < total && !validators.tell_versions_apart() {
            return Err(Fault::NoValidator);
        }
        Ok(Self {
            range,
            total,
            validators,
        })
    }
}

/// Whether the body is coded other than as it is.
pub fn is_coded(headers: &HeaderMap) -> bool {
    let identity = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    !headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .all(identity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn judge(list: &[(&'static str, &str)]) -> Result<Partial, Fault> {
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        let headers = list.iter().map(field).collect();
        Partial::judge(ByteRange::new(10, 20).unwrap(), &headers)
    }

    const TAG: (&str, &str) = ("etag", "\"a\"");

    #[test]
    fn trusts_what_is_exact() {
        let found = judge(&[
            TAG,
            ("content-range", "bytes 10-19/50"),
            ("content-length", "10"),
        ]);
        assert_eq!(found.unwrap().total, 50);
        let cut_by_the_end = judge(&[TAG, ("content-range", "bytes 10-14/15")]).unwrap();
        assert_eq!(cut_by_the_end.range, ByteRange::new(10, 15).unwrap());
        let mut headers = HeaderMap::new();
        headers.insert("content-range", "bytes 0-14/15".parse().unwrap());
        let all = Partial::judge(ByteRange::new(0, 20).unwrap(), &headers);
        assert_eq!(all.unwrap().total, 15);
    }

    #[test]
    fn every_fault_has_its_name() {
        let range = ("content-range", "bytes 10-19/50");
        let table: &[(&[(&'static str, &str)], Fault)] = &[
            (&[TAG], Fault::NoContentRange),
            (&[TAG, range, range], Fault::NoContentRange),
            (
                &[TAG, ("content-range", "bytes */50")],
                Fault::NoContentRange,
            ),
            (&[TAG, ("content-range", "bytes 10-19/*")], Fault::NoTotal),
            (
                &[TAG, ("content-range", "bytes 0-9/50")],
                Fault::OtherInterval,
            ),
            (
                &[TAG, ("content-range", "bytes 10-15/50")],
                Fault::OtherInterval,
            ),
            (
                &[TAG, ("content-range", "bytes 10-25/50")],
                Fault::OtherInterval,
            ),
            (&[TAG, range, ("content-length", "9")], Fault::OtherLength),
            (&[TAG, range, ("content-encoding", "gzip")], Fault::Coded),
            (&[range], Fault::NoValidator),
            (&[range, ("etag", "W/\"a\"")], Fault::NoValidator),
        ];
        for (headers, fault) in table {
            assert_eq!(judge(headers), Err(*fault), "{fault}");
        }
    }
}
