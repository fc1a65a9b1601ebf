//! Heads of HTTP/1.1 requests that two servers might read differently.
//!
//! A request that we read in one way and an origin, or a proxy before us, in another is how
//! requests are smuggled past checks and answers into caches (RFC 9112, section 11.2). What is
//! refused here has no use but that one.

/// What is wrong with the head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHead {
    /// A line that does not end with CR LF, or a CR or LF within one (RFC 9112, section 2.2).
    LineEnd,
    /// A field that goes on in the next line (RFC 9112, section 5.2).
    Folding,
    /// A control character (RFC 9110, section 5.5).
    Control,
    /// White space where none may be, or a line without a name (RFC 9112, section 5.1).
    Name,
    /// A length beside a transfer coding (RFC 9112, section 6.1).
    TwoLengths,
    /// A length that is not one number (RFC 9112, section 6.3).
    Length,
    /// A transfer coding other than chunked, or a list of them.
    Coding,
}

impl BadHead {
    /// What is said of it in `Cache-Status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LineEnd => "bad-line-end",
            Self::Folding => "folded-field",
            Self::Control => "control-character",
            Self::Name => "bad-field-name",
            Self::TwoLengths => "two-lengths",
            Self::Length => "bad-length",
            Self::Coding => "transfer-coding",
        }
    }
}

/// Checks a head as it came: from the method to the empty line after the fields.
pub fn check_head(head: &[u8]) -> Result<(), BadHead> {
    let mut lines = lines(head);
    // Empty lines before a request are ignored (RFC 9112, section 2.2).
    let is_text =
        |line: &Result<&[u8], BadHead>| line.is_err() || line.is_ok_and(|l| !l.is_empty());
    let request = lines.by_ref().find(is_text).unwrap_or(Ok(&[]))?;
    check_text(request)?;
    let mut framing = Framing::default();
    for line in lines {
        let line = line?;
        if line.is_empty() {
            continue;
        }
        let (name, value) = field(line)?;
        framing.note(name, value);
    }
    framing.check()
}

/// The lines of a head without their ends.
fn lines(head: &[u8]) -> impl Iterator<Item = Result<&[u8], BadHead>> {
    let lines = head.split_inclusive(|byte| *byte == b'\n');
    lines.map(|line| match line.strip_suffix(b"\r\n") {
        Some(line) if !line.contains(&b'\r') => Ok(line),
        _ => Err(BadHead::LineEnd),
    })
}

fn field(line: &[u8]) -> Result<(&[u8], &[u8]), BadHead> {
    if matches!(line[0], b' ' | b'\t') {
        return Err(BadHead::Folding);
    }
    let colon = line.iter().position(|byte| *byte == b':');
    let (name, value) = line.split_at(colon.ok_or(BadHead::Name)?);
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(BadHead::Name);
    }
    check_text(value)?;
    Ok((name, value[1..].trim_ascii()))
}

fn check_text(text: &[u8]) -> Result<(), BadHead> {
    let control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    match text.iter().any(control) {
        true => Err(BadHead::Control),
        false => Ok(()),
    }
}

/// Whether a byte may stand in a name (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// How a request says where its body ends.
#[derive(Debug, Default)]
struct Framing {
    lengths: usize,
    codings: usize,
    bad_length: bool,
    bad_coding: bool,
}

impl Framing {
    fn note(&mut self, name: &[u8], value: &[u8]) {
        if name.eq_ignore_ascii_case(b"content-length") {
            self.lengths += 1;
            self.bad_length |= value.is_empty() || !value.iter().all(u8::is_ascii_digit);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.codings += 1;
            self.bad_coding |= !value.eq_ignore_ascii_case(b"chunked");
        }
    }

    fn check(&self) -> Result<(), BadHead> {
        if self.lengths > 0 && self.codings > 0 {
            Err(BadHead::TwoLengths)
        } else if self.lengths > 1 || self.bad_length {
            Err(BadHead::Length)
        } else if self.codings > 1 || self.bad_coding {
            Err(BadHead::Coding)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(fields: &str) -> Result<(), BadHead> {
        check_head(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes())
    }

    #[test]
    fn what_everybody_reads_alike_is_let_pass() {
        for fields in [
            "",
            "Content-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding:\tChunked \r\n",
            "X-Empty:\r\nX-Tab: a\tb\r\nX-Latin: \u{fc}\r\nX!#$%&'*+-.^_`|~9: a\r\n",
        ] {
            assert_eq!(check(fields), Ok(()), "{fields:?}");
        }
        assert_eq!(check_head(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"), Ok(()));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        use BadHead::*;
        for (fields, bad) in [
            ("X: a\n", LineEnd),
            ("X: a\rY: b\r\n", LineEnd),
            ("X: a\r\r\n", LineEnd),
            ("X: a\r\n b\r\n", Folding),
            ("X: a\r\n\tb\r\n", Folding),
            ("X: a\0b\r\n", Control),
            ("X: a\x7f\r\n", Control),
            ("X : a\r\n", Name),
            ("X Y: a\r\n", Name),
            (": a\r\n", Name),
            ("X\r\n", Name),
            ("Content-Length\0: 5\r\n", Name),
            (
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                TwoLengths,
            ),
            ("transfer-encoding: x\r\ncontent-length: 5\r\n", TwoLengths),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Length),
            ("Content-Length: 5, 5\r\n", Length),
            ("Content-Length: +5\r\n", Length),
            ("Content-Length: 0x5\r\n", Length),
            ("Content-Length:\r\n", Length),
            ("Transfer-Encoding: gzip, chunked\r\n", Coding),
            ("Transfer-Encoding: identity\r\n", Coding),
            ("Transfer-Encoding: xchunked\r\n", Coding),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                Coding,
            ),
        ] {
            assert_eq!(check(fields), Err(bad), "{fields:?}");
        }
        assert_eq!(check_head(b"GET / HTTP/1.1\n\r\n"), Err(LineEnd));
        assert_eq!(check_head(b"GET /\0 HTTP/1.1\r\n\r\n"), Err(Control));
        assert_eq!(check_head(b"GET / HTTP/1.1\r\nX: a"), Err(LineEnd));
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(head in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = check_head(&head);
        }

        #[test]
        fn what_passes_has_one_length_at_most(
            fields in proptest::collection::vec(0_usize..6, 0..5),
        ) {
            let lines = ["Content-Length: 1\r\n", "content-length: 2\r\n", "X: a\r\n",
                "Transfer-Encoding: chunked\r\n", "TRANSFER-ENCODING: gzip\r\n", "Y:b\r\n"];
            let text: String = fields.iter().map(|n| lines[*n]).collect();
            let framing = fields.iter().filter(|n| [0, 1, 3].contains(n)).count();
            let good = framing <= 1 && !fields.contains(&4);
            prop_assert_eq!(check(&text).is_ok(), good);
        }
    }
}
