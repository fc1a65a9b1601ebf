//! What of a stored response a request gets: a pure decision, the same in every state of the
//! object.

use crate::domain::{
    ByteRange, Outcome, Preconditions, RangeSet, Selection, Validators, if_range_holds,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use pingora_http::ResponseHeader;

/// The conditions and ranges of a request.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Conditions other than `If-Range`.
    preconditions: Preconditions,
    range: Option<RangeSet>,
    if_range: Option<HeaderValue>,
}

/// What a request gets of a stored response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The response as it is.
    Whole,
    /// 206 with these parts.
    Parts(Vec<ByteRange>),
    /// 416.
    Unsatisfiable,
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
}

impl Asked {
    /// Reads the fields of a request. Ranges count for GET only (RFC 9110, section 14.2); a
    /// second `Range` line makes the field malformed, and so ignored.
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        let mut ranges = headers.get_all(header::RANGE).iter();
        let field = ranges
            .next()
            .filter(|_| ranges.next().is_none() && method == Method::GET);
        Self {
            preconditions: Preconditions::of(headers),
            range: field.and_then(|field| RangeSet::parse(field.as_bytes())),
            if_range: headers.get(header::IF_RANGE).cloned(),
        }
    }

    /// The well-formed ranges, whatever the conditions say.
    pub fn range(&self) -> Option<&RangeSet> {
        self.range.as_ref()
    }

    /// Whether the answer depends on validators, so that it may be a head only.
    pub fn has_conditions(&self) -> bool {
        !self.preconditions.is_empty()
    }

    /// Whether the ranges count only under a condition.
    pub fn has_if_range(&self) -> bool {
        self.if_range.is_some()
    }

    /// Whether it matters to this which version of the object there is.
    fn depends_on_version(&self) -> bool {
        self.has_conditions() || self.has_if_range()
    }

    /// What this gets of a 200 with these validators. `total` is absent while the length is not
    /// known: ranges can't be told then, and are ignored.
    pub fn delivery(&self, stored: &Validators, total: Option<u64>, max_ranges: usize) -> Delivery {
        match self.preconditions.evaluate(stored) {
            Outcome::Failed => return Delivery::PreconditionFailed,
            Outcome::NotModified => return Delivery::NotModified,
            Outcome::Proceed => {}
        }
        let counts = |field: &HeaderValue| if_range_holds(field.as_bytes(), stored);
        match (&self.range, total) {
            (Some(set), Some(total)) if self.if_range.as_ref().is_none_or(counts) => {
                match set.select(total, max_ranges) {
                    Selection::Whole => Delivery::Whole,
                    Selection::Ranges(parts) => Delivery::Parts(parts),
                    Selection::Unsatisfiable => Delivery::Unsatisfiable,
                }
            }
            _ => Delivery::Whole,
        }
    }
}

/// What a request gets of a response. Ranges and conditions are for 200 only.
pub fn deliver(
    asked: &Asked,
    response: &ResponseHeader,
    total: Option<u64>,
    max_ranges: usize,
) -> Delivery {
    match response.status {
        StatusCode::OK => {
            // Dates take their time to be read.
            let stored = match asked.depends_on_version() {
                true => Validators::of(&response.headers),
                false => Validators::default(),
            };
            asked.delivery(&stored, total, max_ranges)
        }
        _ => Delivery::Whole,
    }
}

/// The length that a head announces.
pub fn announced(response: &ResponseHeader) -> Option<u64> {
    let length = response.headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, list: &[(&'static str, &'static str)]) -> Asked {
        let field = |&(name, value)| {
            (
                http::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        Asked::of(&method, &list.iter().map(field).collect())
    }

    fn stored() -> Validators {
        let mut headers = HeaderMap::new();
        headers.insert(header::ETAG, HeaderValue::from_static("\"a\""));
        Validators::of(&headers)
    }

    #[test]
    fn conditions_come_before_ranges() {
        let part = |a, b| Delivery::Parts(vec![ByteRange::new(a, b).unwrap()]);
        let range = ("range", "bytes=2-3");
        let table: &[(&[(&'static str, &'static str)], Delivery)] = &[
            (&[], Delivery::Whole),
            (&[range], part(2, 4)),
            (&[range, ("if-range", "\"a\"")], part(2, 4)),
            (&[range, ("if-range", "\"b\"")], Delivery::Whole),
            (&[range, ("if-range", "W/\"a\"")], Delivery::Whole),
            (&[range, ("if-none-match", "\"a\"")], Delivery::NotModified),
            (
                &[range, ("if-match", "\"b\"")],
                Delivery::PreconditionFailed,
            ),
            (&[("range", "bytes=10-")], Delivery::Unsatisfiable),
            (&[range, range], Delivery::Whole),
        ];
        for (fields, delivery) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in *fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            let found = Asked::of(&Method::GET, &headers).delivery(&stored(), Some(10), 32);
            assert_eq!(found, *delivery, "{fields:?}");
        }
    }

    #[test]
    fn ranges_count_for_get_and_a_known_length_only() {
        let head = asked(Method::HEAD, &[("range", "bytes=2-3")]);
        assert_eq!(head.delivery(&stored(), Some(10), 32), Delivery::Whole);
        let get = asked(Method::GET, &[("range", "bytes=2-3")]);
        assert_eq!(get.delivery(&stored(), None, 32), Delivery::Whole);
    }
}
