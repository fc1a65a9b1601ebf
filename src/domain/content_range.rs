//! The `Content-Range` response field (RFC 9110, section 14.4).

use super::ByteRange;

/// A well-formed `Content-Range` in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentRange {
    /// `bytes first-last/total`; the total is unknown when the origin wrote `*`.
    Bytes(ByteRange, Option<u64>),
    /// `bytes */total`, as in a 416.
    Unsatisfied(u64),
}

impl ContentRange {
    /// Reads the field; `None` for another unit and for anything that is not well-formed.
    pub fn parse(field: &[u8]) -> Option<Self> {
        let (unit, rest) = std::str::from_utf8(field).ok()?.trim().split_once(' ')?;
        let (range, total) = rest.trim_start().split_once('/')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        if range == "*" {
            return number(total).map(Self::Unsatisfied);
        }
        let (first, last) = range.split_once('-')?;
        let range = ByteRange::new(number(first)?, number(last)?.checked_add(1)?)?;
        match total {
            "*" => Some(Self::Bytes(range, None)),
            _ => number(total)
                .filter(|total| range.end() <= *total)
                .map(|total| Self::Bytes(range, Some(total))),
        }
    }
}

/// Digits only: no sign, no blanks, nothing beyond 64 bits.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_well_formed() {
        let range = ByteRange::new(2, 5).unwrap();
        let parse = |text: &str| ContentRange::parse(text.as_bytes());
        assert_eq!(
            parse("bytes 2-4/9"),
            Some(ContentRange::Bytes(range, Some(9)))
        );
        assert_eq!(parse("Bytes 2-4/*"), Some(ContentRange::Bytes(range, None)));
        assert_eq!(parse("bytes */9"), Some(ContentRange::Unsatisfied(9)));
    }

    #[test]
    fn refuses_the_rest() {
        let wrong = [
            "",
            "bytes",
            "bytes 2-4",
            "bytes 4-2/9",
            "bytes 2-9/9",
            "bytes */*",
            "bytes -4/9",
            "bytes 2-/9",
            "bytes=2-4/9",
            "lines 2-4/9",
            "bytes 2-4/+9",
            "bytes 2- 4/9",
            "bytes 0-18446744073709551615/*",
        ];
        for field in wrong {
            assert_eq!(ContentRange::parse(field.as_bytes()), None, "{field}");
        }
    }
}
