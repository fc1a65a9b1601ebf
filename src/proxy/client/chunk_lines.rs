//! The lines between the chunks of a request's body, while they come in.
//!
//! Pingora's parser takes whatever stands behind the length of a chunk for an extension of it, up to
//! the end of the line; a line feed by itself is part of that. To others it ends the line: one body
//! here is another there, and what is behind it another request.

use std::io;

/// How far a body in chunks has come (RFC 9112, section 7.1).
///
/// ```text
///   Length ──▶ Extension ──▶ LineEnd ──▶ Data ──▶ Length …
///      └────────────────────────┘└──▶ Behind
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a chunk's length, of which this has come.
    Length(u64),
    /// Behind it, in the same line.
    Extension(u64),
    /// Before the line feed.
    LineEnd(u64),
    /// In a chunk of which so many bytes are to come, those of its line end included.
    Data(u64),
    /// Behind the last chunk, or what no chunk is: the parser's to judge.
    Behind,
}

/// The lines of one body.
#[derive(Debug)]
pub struct ChunkLines {
    number: usize,
    place: Place,
}

impl ChunkLines {
    /// Those of no body.
    pub fn new() -> Self {
        Self {
            number: 0,
            place: Place::Behind,
        }
    }

    /// What comes belongs to the body of the request of this number.
    pub fn begin(&mut self, number: usize) {
        if number != self.number {
            self.number = number;
            self.place = Place::Length(0);
        }
    }

    /// Some of the body has come. Whether all of its lines end where anybody would end them.
    pub fn pass(&mut self, mut bytes: &[u8]) -> bool {
        while let Some((byte, rest)) = bytes.split_first() {
            self.place = match (self.place, byte) {
                (Place::Behind, _) => return true,
                (Place::Data(left), _) => {
                    let here = left.min(bytes.len() as u64);
                    bytes = &bytes[here as usize..];
                    self.place = match left - here {
                        0 => Place::Length(0),
                        left => Place::Data(left),
                    };
                    continue;
                }
                (Place::Length(length), byte) if byte.is_ascii_hexdigit() => {
                    let digit = (*byte as char).to_digit(16).unwrap_or_default();
                    match length.checked_mul(16) {
                        Some(length) => Place::Length(length | u64::from(digit)),
                        None => Place::Behind,
                    }
                }
                (Place::Length(length) | Place::Extension(length), b'\r') => Place::LineEnd(length),
                (Place::Length(length), b';' | b' ' | b'\t') => Place::Extension(length),
                (Place::Length(_), _) => Place::Behind,
                (Place::Extension(length), b'\t') => Place::Extension(length),
                (Place::Extension(_), byte) if byte.is_ascii_control() => return false,
                (Place::Extension(length), _) => Place::Extension(length),
                (Place::LineEnd(0), b'\n') => Place::Behind,
                (Place::LineEnd(length), b'\n') => Place::Data(length.saturating_add(LINE_END)),
                (Place::LineEnd(_), _) => return false,
            };
            bytes = rest;
        }
        true
    }
}

/// Bytes of the line end behind a chunk.
const LINE_END: u64 = 2;

/// A line of a body that others would end elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line between the chunks of a body has something in it that does not belong there")]
pub struct BadChunkLine;

impl From<BadChunkLine> for io::Error {
    fn from(bad: BadChunkLine) -> Self {
        Self::new(io::ErrorKind::InvalidData, bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(pieces: &[&[u8]]) -> bool {
        let mut lines = ChunkLines::new();
        lines.begin(1);
        pieces.iter().all(|piece| lines.pass(piece))
    }

    #[test]
    fn lines_end_with_both_bytes_and_have_nothing_strange_in_them() {
        let table: &[(&[u8], bool)] = &[
            (b"3\r\nabc\r\n0\r\n\r\n", true),
            (
                b"3;a=b;c=\"d e\"\r\na\nc\r\n0;x\r\nX: y\r\n\r\nGET / HTTP/1.1\n",
                true,
            ),
            (b"3 \t;\xe9\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", true),
            (b"3;a\nabc\r\n0\r\n\r\n", false),
            (b"3;\"\n\"\r\nabc\r\n", false),
            (b"3 \n\r\nabc\r\n", false),
            (b"3;a\0\r\nabc\r\n", false),
            (b"3;a\x7f\r\nabc\r\n", false),
            (b"3;a\rb\r\nabc\r\n", false),
            (b"3\rabc\r\n", false),
            (b"3\r\nabc\r\n0;a\n\r\n\r\n", false),
            // The parser's to judge.
            (b"3\nabc\n0\n\n", true),
            (b"0x3;\n", true),
            (b"ffffffffffffffffff;\n", true),
            (b"ffffffffffffffff\r\n3;\n", true),
        ];
        for (body, good) in table {
            assert_eq!(
                lines(&[body]),
                *good,
                "{:?}",
                body.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn each_body_begins_with_a_length() {
        let mut lines = ChunkLines::new();
        assert!(lines.pass(b"3;\n"), "none has begun");
        lines.begin(1);
        assert!(lines.pass(b"5\r\nab"));
        lines.begin(1);
        assert!(lines.pass(b"\n;\n\r\n"), "it goes on");
        lines.begin(2);
        assert!(!lines.pass(b"5;\n"));
    }

    proptest! {
        #[test]
        fn it_is_the_same_in_whatever_pieces_it_comes(
            chunks in prop::collection::vec(("[a-z\r\n;]{1,40}", "(;[a-z\n]{0,4})?"), 0..6),
            cuts in prop::collection::vec(1_usize..20, 0..60),
        ) {
            let mut body = String::new();
            for (data, extension) in &chunks {
                body += &format!("{:x}{extension}\r\n{data}\r\n", data.len());
            }
            body += "0\r\n\r\n";
            let is_good = chunks.iter().all(|(_, extension)| !extension.contains('\n'));
            let (mut pieces, mut rest) = (Vec::new(), body.as_bytes());
            for cut in cuts {
                let (piece, left) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = left;
            }
            pieces.push(rest);
            prop_assert_eq!(lines(&pieces), is_good, "{:?}", body);
        }
    }
}
