//! The directives of `Cache-Control`, as they are written (RFC 9111, section 5.2).

use http::{HeaderMap, HeaderName};

/// Directives in the order in which they stand, over all lines of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives(Vec<Directive>);

/// One directive.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Directive {
    /// In lower case.
    name: String,
    argument: Argument,
}

/// What stands behind a directive's name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Argument {
    Absent,
    /// A token, or what stood between quotes.
    Text(String),
    /// Something that is neither.
    Malformed,
}

/// Times that can't be written as larger (RFC 9111, section 1.2.2).
pub const OVERFLOW: u64 = 1 << 31;

/// What a directive says that should have seconds behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delta {
    /// It does not stand there.
    Absent,
    /// So many seconds.
    Seconds(u64),
    /// It stands there without seconds that can be read, or twice with different ones.
    Malformed,
}

impl Delta {
    /// The seconds; 0 where they can't be read, so that what they would allow is not done.
    pub fn or_nothing(self) -> Option<u64> {
        match self {
            Self::Absent => None,
            Self::Seconds(seconds) => Some(seconds),
            Self::Malformed => Some(0),
        }
    }
}

/// How far a directive goes that may name fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// It does not stand there.
    #[default]
    Nothing,
    /// It is about these fields only.
    Fields(Vec<HeaderName>),
    /// It is about the whole message.
    Whole,
}

impl Directives {
    /// Those of a field of a message; empty where there is none.
    pub fn of(headers: &HeaderMap, field: &HeaderName) -> Self {
        let lines = headers.get_all(field).iter();
        let all = lines.flat_map(|line| {
            let line = String::from_utf8_lossy(line.as_bytes());
            members(&line)
                .into_iter()
                .filter_map(directive)
                .collect::<Vec<_>>()
        });
        Self(all.collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a directive stands there, whatever is behind it.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).next().is_some()
    }

    /// The seconds behind a directive.
    pub fn delta(&self, name: &str) -> Delta {
        let mut found = Delta::Absent;
        for directive in self.find(name) {
            let read = match &directive.argument {
                Argument::Text(text) => seconds(text).map_or(Delta::Malformed, Delta::Seconds),
                Argument::Absent | Argument::Malformed => Delta::Malformed,
            };
            found = match found {
                Delta::Absent => read,
                same if same == read => read,
                _ => Delta::Malformed,
            };
        }
        found
    }

    /// The text behind a directive, where there is one.
    pub fn text<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.find(name)
            .find_map(|directive| match &directive.argument {
                Argument::Text(text) => Some(text.as_str()),
                Argument::Absent | Argument::Malformed => None,
            })
    }

    /// How far a directive goes. Names that can't be read make it go all the way.
    pub fn extent(&self, name: &str) -> Extent {
        let mut named = Vec::new();
        let mut is_there = false;
        for directive in self.find(name) {
            is_there = true;
            let Argument::Text(text) = &directive.argument else {
                return Extent::Whole;
            };
            for name in text
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
            {
                match name.parse() {
                    Ok(name) => named.push(name),
                    Err(_) => return Extent::Whole,
                }
            }
        }
        match (is_there, named.is_empty()) {
            (false, _) => Extent::Nothing,
            (true, true) => Extent::Whole,
            (true, false) => Extent::Fields(named),
        }
    }

    fn find<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Directive> {
        self.0
            .iter()
            .filter(move |directive| directive.name == name)
    }
}

/// Digits only. What is too large means [`OVERFLOW`].
pub fn seconds(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(OVERFLOW).min(OVERFLOW))
}

/// Splits at commas outside of quotes. Where a quote is not closed quotes mean nothing, so that
/// they can't hide a directive.
fn members(line: &str) -> Vec<&str> {
    let (mut found, mut from, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                found.push(&line[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    if quoted {
        return line.split(',').collect();
    }
    found.push(&line[from..]);
    found
}

/// A member without a name is none. Space around the `=` makes its argument malformed.
fn directive(member: &str) -> Option<Directive> {
    let member = member.trim_matches([' ', '\t']);
    let (name, argument) = match member.split_once('=') {
        None => (member, Argument::Absent),
        Some((name, text)) if name.ends_with([' ', '\t']) || text.starts_with([' ', '\t']) => {
            (name.trim_end_matches([' ', '\t']), Argument::Malformed)
        }
        Some((name, text)) => (name, argument(text)),
    };
    (!name.is_empty()).then(|| Directive {
        name: name.to_ascii_lowercase(),
        argument,
    })
}

fn argument(text: &str) -> Argument {
    let Some(inner) = text.strip_prefix('"') else {
        let is_token = !text.is_empty() && text.bytes().all(is_token);
        return match is_token {
            true => Argument::Text(text.to_owned()),
            false => Argument::Malformed,
        };
    };
    let Some(inner) = inner.strip_suffix('"') else {
        return Argument::Malformed;
    };
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.extend(chars.next()),
            '"' => return Argument::Malformed,
            c => plain.push(c),
        }
    }
    Argument::Text(plain)
}

/// RFC 9110, section 5.6.2.
fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, header::CACHE_CONTROL};
    use proptest::prelude::*;

    fn directives(lines: &[&str]) -> Directives {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_CONTROL, HeaderValue::from_str(line).unwrap());
        }
        Directives::of(&headers, &CACHE_CONTROL)
    }

    #[test]
    fn seconds_behind_a_name() {
        let table: &[(&[&str], Delta)] = &[
            (&[], Delta::Absent),
            (&["max-age=60"], Delta::Seconds(60)),
            (&["MaX-AgE=60"], Delta::Seconds(60)),
            (&["a, max-age=\"60\" ,b"], Delta::Seconds(60)),
            (&["max-age=0060"], Delta::Seconds(60)),
            (&["max-age=99999999999999999999"], Delta::Seconds(OVERFLOW)),
            (&["max-age=60, max-age=60"], Delta::Seconds(60)),
            (&["max-age=60", "max-age=61"], Delta::Malformed),
            (&["max-age"], Delta::Malformed),
            (&["max-age="], Delta::Malformed),
            (&["max-age=-1"], Delta::Malformed),
            (&["max-age=1.5"], Delta::Malformed),
            (&["max-age='60'"], Delta::Malformed),
            (&["max-age =60"], Delta::Malformed),
            (&["max-age= 60"], Delta::Malformed),
            (&["max-age=60;a=b"], Delta::Malformed),
            (&["a=\"b, max-age=60\""], Delta::Absent),
            (&["a=\"\\\", max-age=60\""], Delta::Absent),
            (&["a=\"b, max-age=60"], Delta::Seconds(60)),
        ];
        for (lines, expected) in table {
            assert_eq!(directives(lines).delta("max-age"), *expected, "{lines:?}");
        }
    }

    #[test]
    fn names_of_fields() {
        let fields = |names: &[&'static str]| {
            Extent::Fields(names.iter().map(|n| HeaderName::from_static(n)).collect())
        };
        let table: &[(&[&str], Extent)] = &[
            (&["max-age=1"], Extent::Nothing),
            (&["private"], Extent::Whole),
            (&["private=\"\""], Extent::Whole),
            (&["private=\"a, B\""], fields(&["a", "b"])),
            (&["private=a"], fields(&["a"])),
            (&["private=\"a\"", "private=b"], fields(&["a", "b"])),
            (&["private=\"a\", private"], Extent::Whole),
            (&["private=\"a b\""], Extent::Whole),
        ];
        for (lines, expected) in table {
            assert_eq!(directives(lines).extent("private"), *expected, "{lines:?}");
        }
    }

    proptest! {
        /// Whatever stands around it, a directive that forbids is seen, unless it is quoted.
        #[test]
        fn nothing_hides_a_directive(before in "[a-z=, \\\\]{0,12}", after in "[a-z=\", \\\\]{0,12}") {
            let line = format!("{before},no-store,{after}");
            prop_assert!(directives(&[&line]).has("no-store"), "{}", line);
        }

        #[test]
        fn no_line_is_too_strange(line in "[ -~]{0,40}") {
            let found = directives(&[&line]);
            let _ = (found.delta("a"), found.extent("b"), found.text("c"));
        }
    }
}
