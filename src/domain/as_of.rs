//! How far somebody is with the purges of a fleet: said in each request to an origin, so that a
//! Tidegate there that is behind does not answer with what was purged.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The field that says it. It is for the next hop alone: each says how far it is itself.
pub const PURGES: HeaderName = HeaderName::from_static("x-tidegate-purges");

/// How far somebody is with the purges of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsOf {
    /// Which log: the numbers of another mean nothing.
    pub log: u32,
    /// The number of the last purge.
    pub number: u64,
    /// One that may mean what is asked for has no number yet.
    pub and_more: bool,
}

impl AsOf {
    /// What a request says, if it is to be understood.
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(PURGES)?.to_str().ok()?;
        let (number, and_more) = match text.strip_suffix('+') {
            Some(number) => (number, true),
            None => (text, false),
        };
        let (log, number) = number.split_once(' ')?;
        let is_plain = |digits: &str, radix| digits.chars().all(|c| c.is_digit(radix));
        if log.len() != 8 || !is_plain(log, 16) || !is_plain(number, 10) {
            return None;
        }
        Some(Self {
            log: u32::from_str_radix(log, 16).ok()?,
            number: number.parse().ok()?,
            and_more,
        })
    }

    /// As a request says it.
    pub fn field(self) -> HeaderValue {
        let more = if self.and_more { "+" } else { "" };
        let text = format!("{:08x} {}{more}", self.log, self.number);
        HeaderValue::try_from(text).expect("digits and a plus are a field's value")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<AsOf> {
        let mut headers = HeaderMap::new();
        headers.insert(PURGES, text.parse().unwrap());
        AsOf::read(&headers)
    }

    #[test]
    fn what_is_no_number_says_nothing() {
        for text in [
            "",
            "+",
            "7",
            "0000002a",
            "0000002a ",
            "0000002a +7",
            "0000002a -7",
            "+000002a 7",
            "2a 7",
            "0000002a 7++",
            "0000002a  7",
            "0000002a 7 ",
            "0000002a 18446744073709551616",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(AsOf::read(&HeaderMap::new()), None);
    }

    proptest! {
        #[test]
        fn what_is_said_is_understood(log: u32, number: u64, and_more: bool) {
            let said = AsOf { log, number, and_more };
            prop_assert_eq!(read(said.field().to_str().unwrap()), Some(said));
        }

        #[test]
        fn anything_may_come(text in "[ -~]{0,40}") {
            if let Some(said) = read(&text) {
                prop_assert_eq!(read(said.field().to_str().unwrap()), Some(said));
            }
        }
    }
}
