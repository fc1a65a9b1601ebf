//! Validators: entity tags and modification dates (RFC 9110, section 8.8).

use super::{date_of, http_date};
use http::{HeaderMap, HeaderValue, header};
use std::time::{Duration, SystemTime};

/// A well-formed entity tag, kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityTag(String);

impl EntityTag {
    /// Reads `"…"` or `W/"…"`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let opaque = text.strip_prefix("W/").unwrap_or(text);
        let inner = opaque.strip_prefix('"')?.strip_suffix('"')?;
        let allowed = |b: u8| b == 0x21 || (0x23..=0x7e).contains(&b) || b >= 0x80;
        inner.bytes().all(allowed).then(|| Self(text.to_owned()))
    }

    /// Reads the value of a field. Bytes beyond ASCII are taken one by one, as Latin-1, so that
    /// different ones stay different.
    pub fn of(value: &HeaderValue) -> Option<Self> {
        Self::parse(&latin1(value.as_bytes()))
    }

    /// The tag as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether equal tags mean equal bytes.
    pub fn is_strong(&self) -> bool {
        !self.0.starts_with("W/")
    }

    /// Equal, and both strong: the same bytes.
    pub fn strong_eq(&self, other: &Self) -> bool {
        self.is_strong() && self.0 == other.0
    }

    /// Equal but for weakness: as good as the same.
    pub fn weak_eq(&self, other: &Self) -> bool {
        fn opaque(tag: &EntityTag) -> &str {
            tag.0.strip_prefix("W/").unwrap_or(&tag.0)
        }
        opaque(self) == opaque(other)
    }
}

/// Bytes as characters of the same numbers.
pub(super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}

/// What tells one version of a representation from another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// The entity tag, where there is a well-formed one.
    pub etag: Option<EntityTag>,
    /// The modification date, as written.
    pub last_modified: Option<String>,
    /// When the answer that bore them was made.
    pub date: Option<SystemTime>,
}

impl Validators {
    /// Those of a response. A field that is not well-formed is no validator.
    pub fn of(headers: &HeaderMap) -> Self {
        let text = |name| {
            headers
                .get(name)
                .and_then(|v: &HeaderValue| v.to_str().ok())
        };
        let dated = |text: &&str| http_date(text.as_bytes()).is_some();
        Self {
            etag: headers.get(header::ETAG).and_then(EntityTag::of),
            last_modified: text(header::LAST_MODIFIED).filter(dated).map(str::to_owned),
            date: date_of(headers, header::DATE),
        }
    }

    /// Those of a version that a request for validation names, one tag at most (RFC 9111, section
    /// 4.3.1).
    pub fn asked_for(headers: &HeaderMap) -> Self {
        let text = |v: &HeaderValue| v.to_str().ok().map(str::to_owned);
        Self {
            etag: headers.get(header::IF_NONE_MATCH).and_then(EntityTag::of),
            last_modified: headers.get(header::IF_MODIFIED_SINCE).and_then(text),
            date: None,
        }
    }

    /// The strong entity tag, where there is one.
    pub fn strong_etag(&self) -> Option<&EntityTag> {
        self.etag.as_ref().filter(|tag| tag.is_strong())
    }

    /// The modification date where it is strong: at least a second before the answer was made
    /// (RFC 9110, section 8.8.2.2), so that no second change can hide in it.
    pub fn strong_last_modified(&self) -> Option<&str> {
        let text = self.last_modified.as_deref()?;
        let modified = http_date(text.as_bytes())?;
        let settled = modified.checked_add(Duration::from_secs(1))? <= self.date?;
        settled.then_some(text)
    }

    /// What to send as `If-Range` so that parts of two versions never meet.
    pub fn for_if_range(&self) -> Option<&str> {
        match &self.etag {
            // Others could not be written as they were read.
            Some(_) => self
                .strong_etag()
                .map(EntityTag::as_str)
                .filter(|tag| tag.is_ascii()),
            None => self.strong_last_modified(),
        }
    }

    /// Whether two versions of the representation would show as two: by a strong tag or, where
    /// there is no tag, by the modification date.
    pub fn tell_versions_apart(&self) -> bool {
        self.same_version(self)
    }

    /// Whether a 304 with these speaks of another representation than the one with `stored`
    /// (RFC 9111, section 4.3.4).
    pub fn contradict(&self, stored: &Self) -> bool {
        match (&self.etag, &stored.etag) {
            (Some(said), Some(stored)) => !said.weak_eq(stored),
            (Some(_), None) => stored.last_modified != self.last_modified,
            (None, _) => self.last_modified.is_some() && self.last_modified != stored.last_modified,
        }
    }

    /// Whether a later answer's bytes are those of the same version: the same strong tag, or
    /// where neither has a tag the same modification date.
    pub fn same_version(&self, later: &Self) -> bool {
        match (&self.etag, &later.etag) {
            (Some(a), Some(b)) => a.strong_eq(b),
            (None, None) => {
                self.last_modified.is_some() && self.last_modified == later.last_modified
            }
            _ => false,
        }
    }
}

/// Whether the answer to a HEAD speaks of another version than the one that is stored: whatever
/// it says of validators and length differs (RFC 9111, section 4.3.5).
pub fn head_differs(head: &HeaderMap, stored: &HeaderMap) -> bool {
    [header::ETAG, header::LAST_MODIFIED, header::CONTENT_LENGTH]
        .iter()
        .any(|name| {
            head.get(name)
                .is_some_and(|said| stored.get(name) != Some(said))
        })
}

/// Whether the answer to a HEAD is surely of the version that is stored: it has the same strong tag
/// and the same length (RFC 9111, section 4.3.5).
pub fn head_agrees(head: &HeaderMap, stored: &HeaderMap) -> bool {
    let (said, known) = (Validators::of(head), Validators::of(stored));
    let length = head.get(header::CONTENT_LENGTH);
    said.etag.is_some()
        && said.same_version(&known)
        && length.is_some()
        && !head_differs(head, stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_differs_by_what_it_says() {
        let of = |list: &[(&'static str, &'static str)]| -> HeaderMap {
            let fields = list.iter();
            fields
                .map(|(name, value)| {
                    let name = http::HeaderName::from_static(name);
                    (name, HeaderValue::from_static(value))
                })
                .collect()
        };
        let stored = of(&[("etag", "\"a\""), ("content-length", "5")]);
        let table = [
            (of(&[]), false, false),
            (of(&[("etag", "\"a\"")]), false, false),
            (of(&[("content-length", "5")]), false, false),
            (stored.clone(), false, true),
            (
                of(&[("etag", "\"b\""), ("content-length", "5")]),
                true,
                false,
            ),
            (of(&[("content-length", "6")]), true, false),
            (of(&[("last-modified", "then")]), true, false),
        ];
        for (head, differs, agrees) in table {
            assert_eq!(head_differs(&head, &stored), differs, "{head:?}");
            assert_eq!(head_agrees(&head, &stored), agrees, "{head:?}");
        }
        let weak = of(&[("etag", "W/\"a\""), ("content-length", "5")]);
        assert!(!head_agrees(&weak, &weak));
    }

    fn tag(text: &str) -> EntityTag {
        EntityTag::parse(text).unwrap()
    }

    #[test]
    fn compares_as_the_standard_s_table_does() {
        // RFC 9110, section 8.8.3.2
        let table = [
            (r#"W/"1""#, r#"W/"1""#, false, true),
            (r#"W/"1""#, r#"W/"2""#, false, false),
            (r#"W/"1""#, r#""1""#, false, true),
            (r#""1""#, r#""1""#, true, true),
        ];
        for (a, b, strong, weak) in table {
            assert_eq!(tag(a).strong_eq(&tag(b)), strong, "{a} {b}");
            assert_eq!(tag(a).weak_eq(&tag(b)), weak, "{a} {b}");
        }
    }

    #[test]
    fn refuses_what_is_no_tag() {
        for text in [
            "", "abc", "\"", "w/\"a\"", "W/abc", "\"a\"b\"", "\"a b\"", "*",
        ] {
            assert_eq!(EntityTag::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_fresh_modification_date_is_weak() {
        let mut headers = HeaderMap::new();
        let date = HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT");
        headers.insert(header::LAST_MODIFIED, date.clone());
        headers.insert(header::DATE, date);
        assert_eq!(Validators::of(&headers).for_if_range(), None);
        let later = HeaderValue::from_static("Sun, 06 Nov 1994 08:49:38 GMT");
        headers.insert(header::DATE, later);
        assert!(Validators::of(&headers).for_if_range().is_some());
        headers.insert(header::ETAG, HeaderValue::from_static("W/\"1\""));
        assert_eq!(Validators::of(&headers).for_if_range(), None);
    }
}
