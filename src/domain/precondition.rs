//! Conditional requests, evaluated against a stored response (RFC 9110, section 13).

use super::{EntityTag, Validators, date_of, http_date, validator::latin1};
use http::{HeaderMap, HeaderName, header};
use std::time::SystemTime;

/// What the conditions of a GET or HEAD ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answer as if there were no conditions.
    Proceed,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// The conditions of a request, except `If-Range`.
#[derive(Clone, Debug, Default)]
pub struct Preconditions {
    if_match: Option<Tags>,
    if_unmodified_since: Option<SystemTime>,
    if_none_match: Option<Tags>,
    if_modified_since: Option<SystemTime>,
}

#[derive(Clone, Debug)]
enum Tags {
    Any,
    List(Vec<EntityTag>),
}

impl Preconditions {
    /// Those of a request; dates that are not well-formed are no conditions.
    pub fn of(headers: &HeaderMap) -> Self {
        Self {
            if_match: tags(headers, header::IF_MATCH),
            if_unmodified_since: date_of(headers, header::IF_UNMODIFIED_SINCE),
            if_none_match: tags(headers, header::IF_NONE_MATCH),
            if_modified_since: date_of(headers, header::IF_MODIFIED_SINCE),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.if_match.is_none()
            && self.if_unmodified_since.is_none()
            && self.if_none_match.is_none()
            && self.if_modified_since.is_none()
    }

    /// In the order of RFC 9110, section 13.2.2.
    pub fn evaluate(&self, stored: &Validators) -> Outcome {
        let modified = stored
            .last_modified
            .as_deref()
            .and_then(|text| http_date(text.as_bytes()));
        // RFC 9111, section 4.3.2: the date of the answer stands in for the date of its change.
        let known = modified.or(stored.date);
        let unmodified_since = |date: &SystemTime| modified.is_none_or(|m| m <= *date);
        let holds = match (&self.if_match, &self.if_unmodified_since) {
            (Some(tags), _) => tags.find(stored, EntityTag::strong_eq),
            (None, Some(date)) => unmodified_since(date),
            (None, None) => true,
        };
        if !holds {
            return Outcome::Failed;
        }
        let not_modified = match (&self.if_none_match, &self.if_modified_since) {
            (Some(tags), _) => tags.find(stored, EntityTag::weak_eq),
            (None, Some(date)) => known.is_some_and(|m| m <= *date),
            (None, None) => false,
        };
        match not_modified {
            true => Outcome::NotModified,
            false => Outcome::Proceed,
        }
    }
}

impl Tags {
    fn find(&self, stored: &Validators, equal: fn(&EntityTag, &EntityTag) -> bool) -> bool {
        match (self, &stored.etag) {
            (Self::Any, _) => true,
            (Self::List(list), Some(own)) => list.iter().any(|tag| equal(tag, own)),
            (Self::List(_), None) => false,
        }
    }
}

/// Whether `If-Range` lets the `Range` of a request count (RFC 9110, section 13.1.5): only an
/// exact match with a strong validator does.
pub fn if_range_holds(field: &[u8], stored: &Validators) -> bool {
    let text = latin1(field);
    match EntityTag::parse(text.trim()) {
        Some(tag) => stored.etag.as_ref().is_some_and(|own| own.strong_eq(&tag)),
        None => stored.strong_last_modified() == Some(text.trim()),
    }
}

/// The members of an entity-tag list over all lines of a field. A list that is not well-formed
/// holds what could be read of it.
fn tags(headers: &HeaderMap, name: HeaderName) -> Option<Tags> {
    let lines: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(|v| latin1(v.as_bytes()))
        .collect();
    if lines.is_empty() {
        return None;
    }
    if lines.iter().any(|line| line.trim() == "*") {
        return Some(Tags::Any);
    }
    Some(Tags::List(
        lines.iter().flat_map(|line| tag_list(line)).collect(),
    ))
}

/// Splits at the quotes, since a comma may stand inside a tag.
fn tag_list(mut rest: &str) -> Vec<EntityTag> {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let open = if rest.starts_with("W/") { 2 } else { 0 };
        let Some(close) = rest.get(open + 1..).and_then(|inner| inner.find('"')) else {
            return found;
        };
        let (tag, after) = rest.split_at(open + close + 2);
        match EntityTag::parse(tag) {
            Some(tag) => found.push(tag),
            None => return found,
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EARLY: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATE: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        list.iter().map(field).collect()
    }

    fn stored() -> Validators {
        Validators::of(&headers(&[
            ("etag", "\"a\""),
            ("last-modified", EARLY),
            ("date", LATE),
        ]))
    }

    #[test]
    fn conditions_are_weighed_in_order() {
        use Outcome::*;
        let table: &[(&[(&str, &str)], Outcome)] = &[
            (&[], Proceed),
            (&[("if-none-match", "\"a\"")], NotModified),
            (&[("if-none-match", "\"x,y\", W/\"a\"")], NotModified),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", "\"b\"")], Proceed),
            (
                &[("if-none-match", "\"b\""), ("if-modified-since", LATE)],
                Proceed,
            ),
            (&[("if-modified-since", EARLY)], NotModified),
            (&[("if-modified-since", "yesterday")], Proceed),
            (&[("if-match", "\"a\"")], Proceed),
            (&[("if-match", "W/\"a\"")], Failed),
            (&[("if-match", "\"b\"")], Failed),
            (
                &[("if-match", "\"a\""), ("if-none-match", "\"a\"")],
                NotModified,
            ),
            (&[("if-unmodified-since", EARLY)], Proceed),
            (
                &[("if-unmodified-since", "Sat, 05 Nov 1994 08:49:37 GMT")],
                Failed,
            ),
        ];
        for (request, outcome) in table {
            let request: Vec<_> = request.iter().map(|&(n, v)| (n, v)).collect();
            let found = Preconditions::of(&headers(&leak(request))).evaluate(&stored());
            assert_eq!(found, *outcome, "{request:?}", request = outcome);
        }
    }

    fn leak<'a>(list: Vec<(&'a str, &'a str)>) -> Vec<(&'static str, &'a str)> {
        let name = |n: &str| &*Box::leak(n.to_owned().into_boxed_str());
        list.into_iter().map(|(n, v)| (name(n), v)).collect()
    }

    #[test]
    fn if_range_wants_a_strong_match() {
        assert!(if_range_holds(b"\"a\"", &stored()));
        assert!(if_range_holds(EARLY.as_bytes(), &stored()));
        for field in ["W/\"a\"", "\"b\"", LATE, "", "nonsense"] {
            assert!(!if_range_holds(field.as_bytes(), &stored()), "{field}");
        }
        let weak = Validators {
            etag: EntityTag::parse("W/\"a\""),
            ..stored()
        };
        assert!(!if_range_holds(b"W/\"a\"", &weak));
    }

    proptest! {
        #[test]
        fn tag_lists_never_panic(text in r#"[ -~é"W/,]{0,40}"#) {
            tag_list(&text);
        }
    }
}
