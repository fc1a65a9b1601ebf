//! The value of `Date` in the head of an answer, put in the place of another as the head goes by.
//!
//! A proxy leaves the `Date` of what it passes on or has stored as it is (RFC 9110, section
//! 6.6.1); Pingora puts the present time in its place. Dates are all of one length, so each byte
//! that goes in is one byte that comes out: a head may come and go in pieces of any size.

use crate::domain::date_of;
use http::{HeaderMap, HeaderValue, header};

/// A date in its preferred form, of which the length is fixed (RFC 9110, section 5.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date([u8; LENGTH]);

const LENGTH: usize = 29;

/// How far the head of an answer has gone by. Interim heads before it are left alone.
///
/// ```text
///        status line          \r\nDate: …               \r\n\r\n
/// Start ───────────▶ Fields ─────────▶ Value ─▶ Fields ─────────▶ Over
///   │ 1xx
///   └───▶ Interim ──\r\n\r\n──▶ Start
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DateLine {
    date: Date,
    part: Part,
    /// Bytes of `NAME` that the last bytes were.
    named: usize,
    /// Bytes of `END` that the last bytes were.
    ended: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The status line, up to this byte of it.
    Start(usize),
    Interim,
    Fields,
    /// The value of `Date`, up to this byte of it.
    Value(usize),
    Over,
}

/// Where the status code begins in `HTTP/1.1 200 OK`.
const STATUS: usize = 9;
const NAME: &[u8] = b"\r\ndate: ";
const END: &[u8] = b"\r\n\r\n";

impl Date {
    /// The date that an answer bears, if it can be read.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let date = date_of(headers, header::DATE)?;
        let text = httpdate::fmt_http_date(date);
        text.as_bytes().try_into().ok().map(Self)
    }

    /// The value of the field.
    pub fn field(self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("a date is plain text")
    }
}

impl DateLine {
    /// A head that is to begin with the next byte.
    pub fn new(date: Date) -> Self {
        Self {
            date,
            part: Part::Start(0),
            named: 0,
            ended: 0,
        }
    }

    /// Whether the final head has gone by.
    pub fn is_over(&self) -> bool {
        self.part == Part::Over
    }

    /// Takes the next bytes, up to the end of the final head; returns them as they are to go on.
    pub fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut passed = Vec::with_capacity(bytes.len());
        while let Some((&byte, _)) = bytes[passed.len()..].split_first()
            && !self.is_over()
        {
            passed.push(self.step(byte));
            let plain = self.plain(&bytes[passed.len()..]);
            passed.extend_from_slice(plain);
        }
        passed
    }

    /// The next bytes, as far as they change nothing: a line break begins whatever does.
    fn plain<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let in_line = matches!(self.part, Part::Interim | Part::Fields);
        if !in_line || self.named > 0 || self.ended > 0 {
            return &[];
        }
        let length = bytes.iter().position(|byte| *byte == b'\r');
        &bytes[..length.unwrap_or(bytes.len())]
    }

    fn step(&mut self, byte: u8) -> u8 {
        self.named = follow(NAME, self.named, byte.to_ascii_lowercase());
        self.ended = follow(END, self.ended, byte);
        let is_end = self.ended == END.len();
        let mut out = byte;
        self.part = match self.part {
            Part::Start(STATUS) if byte == b'1' => Part::Interim,
            Part::Start(STATUS) => Part::Fields,
            Part::Start(at) => Part::Start(at + 1),
            Part::Interim if is_end => Part::Start(0),
            Part::Interim => Part::Interim,
            Part::Fields | Part::Value(_) if is_end => Part::Over,
            Part::Fields if self.named == NAME.len() => Part::Value(0),
            // Shorter or longer than a date, it is none: the lines stay where they are.
            Part::Value(at) if at < LENGTH && byte != b'\r' => {
                out = self.date.0[at];
                Part::Value(at + 1)
            }
            Part::Fields | Part::Value(_) => Part::Fields,
            Part::Over => Part::Over,
        };
        if matches!(self.part, Part::Start(0)) {
            (self.named, self.ended) = (0, 0);
        }
        out
    }
}

/// How much of a pattern the bytes so far end with. It begins with `\r`, which it holds again only
/// where it repeats its beginning.
fn follow(pattern: &[u8], matched: usize, byte: u8) -> usize {
    match pattern.get(matched) {
        Some(&next) if next == byte => matched + 1,
        _ if byte == b'\r' => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEW: &str = "Wed, 25 Nov 2026 02:00:00 GMT";

    fn date(text: &str) -> Date {
        Date(text.as_bytes().try_into().unwrap())
    }

    fn pass_all(line: &mut DateLine, text: &str) -> String {
        let mut passed = line.pass(text.as_bytes());
        passed.extend(&text.as_bytes()[passed.len()..]);
        String::from_utf8(passed).unwrap()
    }

    #[test]
    fn a_date_is_read_in_every_form_and_written_in_one() {
        let table = [
            (OLD, true),
            ("Sunday, 06-Nov-94 08:49:37 GMT", true),
            ("SUN, 06 NOV 1994 08:49:37 GMT", true),
            ("yesterday", false),
        ];
        for (text, is_date) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::DATE, text.parse().unwrap());
            assert_eq!(Date::of(&headers), is_date.then(|| date(OLD)), "{text}");
        }
        assert_eq!(Date::of(&HeaderMap::new()), None);
    }

    #[test]
    fn interim_heads_and_like_lines_are_left_alone() {
        let interim = format!("HTTP/1.1 103 Early Hints\r\nDate: {NEW}\r\nLink: </a>\r\n\r\n");
        let head = |date| {
            format!("HTTP/1.1 200 OK\r\nX-Date: {NEW}\r\nDate-X: {NEW}\r\nDate: {date}\r\n\r\n")
        };
        let body = format!("\r\nDate: {NEW}\r\n\r\n");
        let mut line = DateLine::new(date(OLD));
        let text = format!("{interim}{interim}{}{body}", head(NEW));
        let expected = format!("{interim}{interim}{}{body}", head(OLD));
        assert_eq!(pass_all(&mut line, &text), expected);
        assert!(line.is_over());
    }

    #[test]
    fn a_head_without_a_date_or_with_a_strange_one_keeps_its_lines() {
        for field in [
            "",
            "Date: \r\n",
            "Date: short\r\n",
            "date: soon\r\nA: b\r\n",
        ] {
            let text = format!("HTTP/1.1 200 OK\r\n{field}Via: x\r\n\r\nbody");
            let mut line = DateLine::new(date(OLD));
            let passed = pass_all(&mut line, &text);
            assert_eq!(passed.matches("\r\n").count(), text.matches("\r\n").count());
            assert!(passed.ends_with("\r\nVia: x\r\n\r\nbody"), "{passed}");
            assert!(line.is_over());
        }
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_make_the_same_head(
            names in proptest::collection::vec("[A-Za-z\r-]{1,9}", 0..6),
            at in 0_usize..6,
            body in proptest::collection::vec(any::<u8>(), 0..200),
            cuts in proptest::collection::vec(1_usize..40, 1..80),
        ) {
            let head = |date| {
                let mut lines: Vec<_> = names.iter().map(|n| format!("X{n}: {n}\r\n")).collect();
                lines.insert(at.min(lines.len()), format!("Date: {date}\r\n"));
                format!("HTTP/1.1 206 Partial\r\n{}\r\n", lines.concat())
            };
            let rest: Vec<u8> = [b"\r\nDate: ", NEW.as_bytes(), &body].concat();
            let text = [head(NEW).as_bytes(), &rest].concat();
            let expected = [head(OLD).as_bytes(), &rest].concat();
            let mut line = DateLine::new(date(OLD));
            let (mut passed, mut left) = (Vec::new(), &text[..]);
            for cut in cuts.iter().cycle() {
                if left.is_empty() {
                    break;
                }
                let piece = &left[..(*cut).min(left.len())];
                let mut done = line.pass(piece);
                done.extend(&piece[done.len()..]);
                passed.extend(done);
                left = &left[piece.len()..];
            }
            prop_assert_eq!(passed, expected);
        }
    }
}
