//! HTTP dates, as caches are to read them.

use http::{HeaderMap, HeaderName};
use std::time::SystemTime;

/// A date in one of the three forms of RFC 9110, section 5.6.7, in any case: caches should not
/// mind it (RFC 9111, section 4.2). `None` for anything else, other time zones included.
pub fn http_date(text: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(text).ok()?.trim();
    // Nearly all are written as they should be.
    if let Ok(date) = httpdate::parse_http_date(text) {
        return Some(date);
    }
    let mut canonical = String::with_capacity(text.len());
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphabetic()) {
        match word.eq_ignore_ascii_case("GMT") {
            true => canonical.push_str("GMT"),
            false => {
                let mut letters = word.chars();
                canonical.extend(letters.next().map(|c| c.to_ascii_uppercase()));
                canonical.extend(letters.map(|c| c.to_ascii_lowercase()));
            }
        }
    }
    httpdate::parse_http_date(&canonical).ok()
}

/// The date in a field of one line; several lines are no date.
pub fn date_of(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    let mut lines = headers.get_all(name).iter();
    let only = lines.next().filter(|_| lines.next().is_none())?;
    http_date(only.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_three_forms_in_any_case() {
        let table = [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "SUN, 06 nov 1994 08:49:37 gmt",
            "sunday, 06-NOV-94 08:49:37 Gmt",
        ];
        let expected = http_date(table[0].as_bytes());
        assert!(expected.is_some());
        for text in table {
            assert_eq!(http_date(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_date() {
        for text in [
            "",
            "0",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun 06 Nov 1994 08:49:37 GMT",
            "Sun, 06  Nov 1994 08:49:37 GMT",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08.49.37 GMT",
            "\u{df}un, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(http_date(text.as_bytes()), None, "{text}");
        }
    }
}
