//! Requests that go round in circles, found by `Via` (RFC 9110, section 7.6.3).
//!
//! All Tidegates have one name, since they may well stand one before another. Each process adds a
//! comment that no other has, so that it knows what has been here already. Comments may be taken
//! out on the way: then the number of our name's hops ends the circle.

use crate::proxy::headers::{NAME, via};
use http::{HeaderMap, HeaderValue, Version, header};

/// This process among those that `Via` names.
#[derive(Clone, Debug)]
pub struct Hop {
    comment: String,
    /// Our line for each version of HTTP, ready to be written.
    lines: [(Version, HeaderValue); 3],
}

/// The most Tidegates that a request may have passed before it comes here.
pub const MOST_HOPS: usize = 8;

impl Hop {
    /// One that is told apart from all others.
    pub fn new() -> Self {
        let comment = format!("({:016x})", fastrand::u64(..));
        let line = |version| {
            let plain = via(version);
            let text = plain.to_str().unwrap_or_default();
            let line = HeaderValue::try_from(format!("{text} {comment}"));
            (version, line.unwrap_or(plain))
        };
        let lines = [Version::HTTP_11, Version::HTTP_2, Version::HTTP_10].map(line);
        Self { comment, lines }
    }

    /// Our line of `Via` for a request that came by `version`.
    pub fn via(&self, version: Version) -> HeaderValue {
        let line = self.lines.iter().find(|(of, _)| *of == version);
        line.map_or_else(|| via(version), |(_, line)| line.clone())
    }

    /// Whether a request has been here already, or passed more Tidegates than anybody sets up.
    pub fn is_loop(&self, headers: &HeaderMap) -> bool {
        let lines = headers.get_all(header::VIA).iter();
        // Commas may stand in others' comments; what they cut apart there is none of ours.
        let hops = lines.flat_map(|line| line.as_bytes().split(|b| *b == b','));
        let mut passed = 0;
        for hop in hops {
            let hop = String::from_utf8_lossy(hop);
            let mut words = hop.split_ascii_whitespace().skip(1);
            if words.next().is_some_and(|by| by.eq_ignore_ascii_case(NAME)) {
                passed += 1;
                if passed > MOST_HOPS || words.next() == Some(&self.comment) {
                    return true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::VIA, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    #[test]
    fn what_has_been_here_is_known_again() {
        let (own, other) = (Hop::new(), Hop::new());
        let line = |hop: &Hop, version| hop.via(version).to_str().unwrap().to_owned();
        assert!(line(&own, Version::HTTP_2).starts_with("2.0 tidegate ("));
        let (own_line, other_line) = (line(&own, Version::HTTP_11), line(&other, Version::HTTP_11));
        let table: &[(&[&str], bool)] = &[
            (&[], false),
            (&["1.1 tidegate"], false),
            (&[&other_line, "1.1 nginx (tidegate, too)"], false),
            (&["1.0 fred, 1.1 p.example (a, b)", &own_line], true),
            (&[&format!("{own_line}, {other_line}, 1.1 x")], true),
            (&[&own_line.replace("tidegate", "Tidegate")], true),
        ];
        for (lines, is_loop) in table {
            assert_eq!(own.is_loop(&headers(lines)), *is_loop, "{lines:?}");
        }
    }

    #[test]
    fn without_comments_the_number_of_hops_ends_it() {
        let own = Hop::new();
        let most = vec!["1.1 tidegate"; MOST_HOPS];
        assert!(!own.is_loop(&headers(&most)));
        assert!(own.is_loop(&headers(&[&most.join(", "), "1.1 tidegate"])));
        assert!(!own.is_loop(&headers(&["1.1 nginx"; 20])));
    }
}
