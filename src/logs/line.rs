//! One line, as text or as an object of JSON. Whatever its values hold, it stays one line, and no
//! value can pass for another's name.

use super::Format;
use std::{
    io::Write,
    time::{Duration, SystemTime},
};

/// A line that is being written.
#[derive(Debug)]
pub struct Line {
    bytes: Vec<u8>,
    format: Format,
}

/// What a line has room for at first, in bytes: most need no more.
const USUAL: usize = 512;
/// The most of one value that is written, in bytes.
const LONGEST: usize = 2048;
/// Stands for what is not known, in text.
const UNKNOWN: &[u8] = b"-";

impl Line {
    /// A line that begins with the time: RFC 3339, UTC, to the millisecond.
    pub fn at(now: SystemTime, format: Format) -> Self {
        let mut line = Self {
            bytes: Vec::with_capacity(USUAL),
            format,
        };
        let time = humantime::format_rfc3339_millis(now);
        match format {
            Format::Text => line.put(format_args!("{time}")),
            Format::Json => line.put(format_args!("{{\"time\":\"{time}\"")),
        }
        line
    }

    /// A whole line that is a message.
    pub fn message(
        now: SystemTime,
        format: Format,
        level: log::Level,
        target: &str,
        text: &str,
    ) -> Vec<u8> {
        let mut line = Self::at(now, format);
        match format {
            Format::Json => {
                line.text("level", Some(level.as_str()));
                line.text("target", Some(target));
                line.text("message", Some(text));
            }
            Format::Text => {
                line.put(format_args!(" {level:5} {target}: "));
                line.escape(text, is_unfit);
            }
        }
        line.end()
    }

    /// A value that is a text.
    pub fn text(&mut self, name: &str, value: Option<&str>) {
        let Some(value) = value else {
            return self.unknown(name);
        };
        self.name(name);
        let is_bare = self.format == Format::Text && is_plain(value) && value != "-";
        match is_bare {
            true => self.bytes.extend_from_slice(value.as_bytes()),
            false => {
                self.bytes.push(b'"');
                self.escape(value, |c| is_unfit(c) || matches!(c, '"' | '\\'));
                self.bytes.push(b'"');
            }
        }
    }

    /// A value that is a number.
    pub fn number(&mut self, name: &str, value: Option<u64>) {
        match value {
            None => self.unknown(name),
            Some(value) => {
                self.name(name);
                self.put(format_args!("{value}"));
            }
        }
    }

    /// A duration, in milliseconds and thousandths of them.
    pub fn millis(&mut self, name: &str, value: Option<Duration>) {
        match value {
            None => self.unknown(name),
            Some(value) => {
                self.name(name);
                let micros = value.as_micros();
                self.put(format_args!("{}.{:03}", micros / 1000, micros % 1000));
            }
        }
    }

    /// Parts of a whole by their plain names, without those of which there is nothing.
    pub fn parts<'n>(&mut self, name: &str, parts: impl Iterator<Item = (&'n str, u64)>) {
        let mut parts = parts.filter(|(_, bytes)| *bytes > 0).peekable();
        if parts.peek().is_none() {
            return self.unknown(name);
        }
        self.name(name);
        let is_json = self.format == Format::Json;
        let mut before = if is_json { "{" } else { "" };
        for (name, bytes) in parts {
            match is_json {
                true => self.put(format_args!("{before}\"{name}\":{bytes}")),
                false => self.put(format_args!("{before}{name}:{bytes}")),
            }
            before = ",";
        }
        if is_json {
            self.bytes.push(b'}');
        }
    }

    /// The bytes of the whole line.
    pub fn end(mut self) -> Vec<u8> {
        if self.format == Format::Json {
            self.bytes.push(b'}');
        }
        self.bytes.push(b'\n');
        self.bytes
    }

    fn unknown(&mut self, name: &str) {
        if self.format == Format::Text {
            self.name(name);
            self.bytes.extend_from_slice(UNKNOWN);
        }
    }

    fn name(&mut self, name: &str) {
        let (before, after): (&[u8], &[u8]) = match self.format {
            Format::Text => (b" ", b"="),
            Format::Json => (b",\"", b"\":"),
        };
        self.bytes.extend_from_slice(before);
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(after);
    }

    fn put(&mut self, what: std::fmt::Arguments) {
        // Memory takes everything.
        let _ = self.bytes.write_fmt(what);
    }

    /// Writes a text with some of its characters escaped, and cut where it is too long.
    fn escape(&mut self, text: &str, escaped: impl Fn(char) -> bool) {
        if is_plain(text) {
            return self.bytes.extend_from_slice(text.as_bytes());
        }
        let cut = text.floor_char_boundary(LONGEST);
        let (mut rest, end) = (&text[..cut], if cut < text.len() { "…" } else { "" });
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| escaped(*c)) {
            self.bytes.extend_from_slice(&rest.as_bytes()[..at]);
            match c {
                '"' | '\\' => self.bytes.extend_from_slice(&[b'\\', c as u8]),
                // All of them lie in the first plane.
                c => self.put(format_args!("\\u{:04x}", u32::from(c))),
            }
            rest = &rest[at + c.len_utf8()..];
        }
        self.bytes.extend_from_slice(rest.as_bytes());
        self.bytes.extend_from_slice(end.as_bytes());
    }
}

/// Characters that end lines, or that terminals take for orders or for another order of writing.
fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a text is a word of plain characters, as nearly all are, and may stand as it is.
fn is_plain(text: &str) -> bool {
    let is_plain = |b: u8| matches!(b, b'!' | b'#'..=b'[' | b']'..=b'~');
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::UNIX_EPOCH;

    fn of(format: Format) -> Line {
        Line::at(UNIX_EPOCH + Duration::from_millis(1), format)
    }

    fn written(format: Format, write: impl FnOnce(&mut Line)) -> String {
        let mut line = of(format);
        write(&mut line);
        String::from_utf8(line.end()).unwrap()
    }

    fn sample(line: &mut Line) {
        line.text("a", Some("b c"));
        line.text("none", None);
        line.text("path", Some("/x?y=z"));
        line.text("empty", Some(""));
        line.text("dash", Some("-"));
        line.number("n", Some(7));
        line.millis("ms", Some(Duration::from_micros(12_034)));
        line.parts(
            "from",
            [("disk", 5), ("memory", 0), ("origin", 6)].into_iter(),
        );
        line.parts("nothing", [("disk", 0)].into_iter());
    }

    #[test]
    fn text_is_for_people_and_json_for_programs() {
        assert_eq!(
            written(Format::Text, sample),
            "1970-01-01T00:00:00.001Z a=\"b c\" none=- path=/x?y=z empty=\"\" dash=\"-\" n=7 \
             ms=12.034 from=disk:5,origin:6 nothing=-\n"
        );
        let json: serde_json::Value = written(Format::Json, sample).parse().unwrap();
        let expected = serde_json::json!({
            "time": "1970-01-01T00:00:00.001Z", "a": "b c", "path": "/x?y=z", "empty": "",
            "dash": "-", "n": 7, "ms": 12.034, "from": {"disk": 5, "origin": 6},
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn messages_keep_their_quotes_and_lose_their_line_ends() {
        let said = |format| {
            let line = Line::message(
                UNIX_EPOCH,
                format,
                log::Level::Warn,
                "t",
                "a \"b\"\nc\u{7f}",
            );
            String::from_utf8(line).unwrap()
        };
        let text = "1970-01-01T00:00:00.000Z WARN  t: a \"b\"\\u000ac\\u007f\n";
        assert_eq!(said(Format::Text), text);
        let json: serde_json::Value = said(Format::Json).parse().unwrap();
        assert_eq!(json["message"], "a \"b\"\nc\u{7f}");
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let line = written(Format::Text, |line| line.text("a", Some(&"é".repeat(5000))));
        assert!(
            line.len() < LONGEST + 64 && line.ends_with("é…\"\n"),
            "{line}"
        );
    }

    /// The names and values of a line of text, as a careful reader takes it apart.
    fn read(line: &str) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        let mut rest = line;
        while let Some((name, value)) = rest.split_once('=') {
            let end = match value.strip_prefix('"') {
                None => value.find(' ').unwrap_or(value.len()),
                Some(quoted) => {
                    let mut escaped = false;
                    let close = |c: char| {
                        let is_end = c == '"' && !escaped;
                        escaped = c == '\\' && !escaped;
                        is_end
                    };
                    quoted.find(close).unwrap() + 2
                }
            };
            pairs.push((name.trim_start().to_owned(), value[..end].to_owned()));
            rest = &value[end..];
        }
        assert!(rest.trim().is_empty(), "{rest:?} in {line:?}");
        pairs
    }

    proptest! {
        #[test]
        fn no_value_forges_a_line_or_another_value(
            value in prop_oneof![
                any::<String>(),
                "[a\"\\\\ =\n\r\t\u{0}\u{1b}\u{85}\u{2028}\u{202e}-]{0,20}",
            ],
        ) {
            let write = |line: &mut Line| {
                line.text("a", Some(&value));
                line.number("status", Some(200));
            };
            let text = written(Format::Text, write);
            prop_assert_eq!(text.chars().filter(|c| is_unfit(*c)).count(), 1, "{:?}", text);
            prop_assert!(text.ends_with('\n'));
            let pairs = read(text[24..].trim_end_matches('\n'));
            prop_assert_eq!(pairs.len(), 2, "{:?}", pairs);
            prop_assert_eq!(&pairs[1], &("status".to_owned(), "200".to_owned()));

            let json = written(Format::Json, write);
            prop_assert_eq!(json.chars().filter(|c| is_unfit(*c)).count(), 1);
            let json: serde_json::Value = json.parse().unwrap();
            prop_assert_eq!(json["a"].as_str(), Some(value.as_str()));
            prop_assert_eq!(json.as_object().unwrap().len(), 3);
        }
    }
}
