//! The paths for which an origin may take a path.
//!
//! To Tidegate `//a`, `/./a` and `/%61` are different paths (RFC 3986 lets an origin tell them
//! apart), while many an origin reads them all as `/a`. Who guards `/a` needs to know.

/// The other paths for which an origin may take this one: with encodings read or not, empty segments
/// dropped or not, and steps by `.` and `..` made or not. None for a path that can only be read in
/// one way.
pub fn other_readings(path: &str) -> Vec<String> {
    let is_plain = !path.contains('%') && !path.contains("//") && !path.contains("/.");
    if is_plain {
        return Vec::new();
    }
    let mut readings: Vec<String> = Vec::new();
    for way in 0..8_u8 {
        let [decodes, merges, steps] = [1, 2, 4].map(|bit| way & bit != 0);
        let mut read = path.to_owned();
        if decodes {
            let decoded = percent_encoding::percent_decode_str(&read);
            read = decoded.decode_utf8_lossy().into_owned();
        }
        if merges {
            read = merged(&read);
        }
        if steps {
            read = stepped(&read);
        }
        if read != path && !readings.contains(&read) {
            readings.push(read);
        }
    }
    readings
}

/// Without empty segments but the last.
fn merged(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !out.ends_with('/') {
            out.push(c);
        }
    }
    out
}

/// With the steps made that `.` and `..` are (RFC 3986, section 5.2.4).
fn stepped(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    let segments = path.strip_prefix('/').unwrap_or(path).split('/');
    let mut is_open = false;
    for segment in segments {
        is_open = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(out.pop()),
            other => out.push(other),
        }
    }
    let end = if is_open && !out.is_empty() { "/" } else { "" };
    format!("/{}{end}", out.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ways_to_the_same_place_are_seen() {
        for way in [
            "//private/a",
            "/./private/a",
            "/%70rivate/a",
            "/x/../private/a",
            "/x/%2e%2e/private/a",
            "/x%2f..%2fprivate%2fa",
            "///x//..//..//private//./a",
            "/.//private/a",
        ] {
            let readings = other_readings(way);
            assert!(
                readings.iter().any(|r| r == "/private/a"),
                "{way} {readings:?}"
            );
        }
        assert_eq!(other_readings("/%2570"), ["/%70"], "nobody reads it twice");
        assert_eq!(stepped("/a/b/.."), "/a/");
        assert_eq!(stepped("/../.."), "/");
    }

    proptest! {
        #[test]
        fn what_can_be_read_in_one_way_only_has_no_other(path in "(/[a-z0-9_~-][a-z0-9._~-]{0,5}){1,5}/?") {
            prop_assert!(other_readings(&path).is_empty());
        }

        #[test]
        fn a_reading_begins_like_a_path(path in "/[a-c./%2efF]{0,20}") {
            for reading in other_readings(&path) {
                prop_assert!(reading.starts_with('/'), "{}", reading);
                prop_assert_ne!(&reading, &path);
            }
        }
    }
}
