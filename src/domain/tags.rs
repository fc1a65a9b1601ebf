//! The tags that an origin gives its answers, for purging: `Surrogate-Key`, whose tags stand
//! between spaces, and `Cache-Tag`, whose tags stand between commas.

use http::{HeaderMap, HeaderName};
use std::collections::BTreeSet;

/// The tags of one response. Upper and lower case are different tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// The tags, as text; bytes beyond ASCII stand for the characters of the same number.
    pub known: BTreeSet<String>,
    /// Whether there were more, or longer ones, than are told apart. Such an object goes with
    /// every purge by tag: rather one purged too many than one that can't be purged.
    pub crowded: bool,
}

/// The most tags of one object that are told apart.
pub const MOST_TAGS: usize = 256;
/// The longest tag, in bytes; a longer one is none that a purge can name.
pub const LONGEST_TAG: usize = 1024;
/// Bytes of all tags of one object together.
const MOST_BYTES: usize = 16 << 10;

const FIELDS: [(HeaderName, &[u8]); 2] = [
    (HeaderName::from_static("surrogate-key"), b" \t"),
    (HeaderName::from_static("cache-tag"), b","),
];

impl Tags {
    /// The tags in a response's header, all lines of both fields together.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut tags = Self::default();
        let mut left = MOST_BYTES;
        for (field, separators) in &FIELDS {
            for line in headers.get_all(field) {
                let parts = line.as_bytes().split(|byte| separators.contains(byte));
                for tag in parts.map(<[u8]>::trim_ascii).filter(|tag| !tag.is_empty()) {
                    tags.take(tag, &mut left);
                }
            }
        }
        tags
    }

    /// Whether a purge of this tag is meant for the object.
    pub fn take_part_in(&self, tag: &str) -> bool {
        self.crowded || self.known.contains(tag)
    }

    fn take(&mut self, tag: &[u8], left: &mut usize) {
        let fits = tag.len() <= LONGEST_TAG && tag.len() <= *left;
        if !fits || self.known.len() == MOST_TAGS {
            self.crowded = true;
            return;
        }
        *left -= tag.len();
        self.known.insert(tag_of(tag));
    }
}

/// A tag as it is known by: the same for the bytes of a field and for those of a purge's text.
pub fn tag_of(bytes: &[u8]) -> String {
    bytes
        .trim_ascii()
        .iter()
        .map(|&byte| char::from(byte))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn tags(lines: &[(&'static str, &str)]) -> Tags {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        Tags::of(&headers)
    }

    #[test]
    fn both_fields_and_all_lines_count() {
        let found = tags(&[
            ("surrogate-key", "a  b\tA "),
            ("surrogate-key", "c,d"),
            ("cache-tag", "e, two words ,,f"),
        ]);
        let all: Vec<_> = found.known.iter().map(String::as_str).collect();
        assert_eq!(all, ["A", "a", "b", "c,d", "e", "f", "two words"]);
        assert!(!found.crowded);
        assert!(found.take_part_in("two words") && !found.take_part_in("two"));
        assert_eq!(tags(&[]), Tags::default());
    }

    #[test]
    fn too_many_or_too_long_ones_go_with_every_purge() {
        let many: Vec<_> = (0..=MOST_TAGS).map(|n| n.to_string()).collect();
        assert!(!tags(&[("cache-tag", &many[1..].join(","))]).crowded);
        let crowded = tags(&[("cache-tag", &many.join(","))]);
        assert!(crowded.crowded && crowded.known.len() == MOST_TAGS);
        assert!(crowded.take_part_in("anything"));
        assert!(tags(&[("surrogate-key", &"x".repeat(LONGEST_TAG + 1))]).crowded);
        let long = ["x", "y", "z"].map(|c| c.repeat(900)).join(" ");
        let lines = [("surrogate-key", long.as_str())].repeat(3);
        assert!(!tags(&lines).crowded, "the same ones again are no more");
        let other: Vec<_> = (0..20).map(|n| format!("{n}{}", "x".repeat(900))).collect();
        assert!(tags(&[("surrogate-key", &other.join(" "))]).crowded);
    }
}
