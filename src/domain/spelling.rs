//! One spelling for the many that a target has (RFC 3986, section 6.2.2), as far as no origin can
//! mean different things by them.
//!
//! Hexadecimal digits become upper case, encoded unreserved characters stand as they are, and bytes
//! that no target may have are encoded. Everything else stays, since there are origins to which it
//! makes a difference: reserved characters encoded or not (`%2F` is no `/`), empty segments (`//`),
//! `.` and `..` in any spelling, `+`, and what is no proper encoding at all.

/// The one spelling of a target, path and query.
pub fn normal_target(target: &[u8]) -> String {
    match target.iter().position(|&b| b == b'?') {
        Some(at) => {
            let query = normal(&target[at + 1..], is_proper(&target[at + 1..]));
            format!("{}?{query}", normal_path(&target[..at]))
        }
        None => normal_path(target),
    }
}

/// The one spelling of a path.
pub fn normal_path(path: &[u8]) -> String {
    let proper = is_proper(path);
    let segments = path.split(|&b| b == b'/').map(|segment| {
        let spelled = normal(segment, proper);
        // A segment that an encoding keeps from being a step up or none must not become one.
        match spelled.as_str() {
            "." | ".." if spelled.len() != segment.len() => dots(segment),
            _ => spelled,
        }
    });
    let segments: Vec<_> = segments.collect();
    segments.join("/")
}

/// Path and query of a target.
pub fn split_target(target: &str) -> (&str, Option<&str>) {
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}

/// Whether every `%` begins an encoding. Where one does not, nobody knows what the rest means.
fn is_proper(text: &[u8]) -> bool {
    let marks = text.iter().enumerate().filter(|(_, b)| **b == b'%');
    marks
        .into_iter()
        .all(|(at, _)| encoded(&text[at..]).is_some())
}

/// The byte that an encoding at the beginning of a text stands for.
fn encoded(text: &[u8]) -> Option<u8> {
    let &[b'%', high, low, ..] = text else {
        return None;
    };
    let digit = |b: u8| char::from(b).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

fn normal(text: &[u8], proper: bool) -> String {
    let mut spelled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        match encoded(rest).filter(|_| proper) {
            Some(byte) => {
                match is_unreserved(byte) {
                    true => spelled.push(byte.into()),
                    false => encode(&mut spelled, byte),
                }
                rest = &rest[3..];
            }
            None => {
                match first.is_ascii() {
                    true => spelled.push(first.into()),
                    false => encode(&mut spelled, first),
                }
                rest = after;
            }
        }
    }
    spelled
}

/// A segment of dots, each as it was.
fn dots(segment: &[u8]) -> String {
    String::from_utf8_lossy(segment).to_ascii_uppercase()
}

fn encode(spelled: &mut String, byte: u8) {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or_default();
    spelled.push('%');
    spelled.push(digit(byte >> 4).to_ascii_uppercase());
    spelled.push(digit(byte & 15).to_ascii_uppercase());
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::percent_decode;
    use proptest::prelude::*;

    #[test]
    fn a_target_has_one_spelling() {
        let table: &[(&str, &str)] = &[
            ("/film.mp4", "/film.mp4"),
            ("/%66il%6D.mp4?a=%7e", "/film.mp4?a=~"),
            ("/a%2fb%3a?q=%2f", "/a%2Fb%3A?q=%2F"),
            ("//a//b/", "//a//b/"),
            ("/a/../b/./c", "/a/../b/./c"),
            ("/a/%2e%2e/b/.%2e/%2E", "/a/%2E%2E/b/.%2E/%2E"),
            ("/a%2e%2eb/%2e.%2e", "/a..b/..."),
            ("/100%/%41", "/100%/%41"),
            ("/%%341", "/%%341"),
            ("/%2541", "/%2541"),
            ("/\u{fc}?\u{fc}=%fc", "/%C3%BC?%C3%BC=%FC"),
            ("/a?b=+%20%2B", "/a?b=+%20%2B"),
            ("/%41?b=%4", "/A?b=%4"),
            ("/%?b=%41", "/%?b=A"),
            ("/a?", "/a?"),
            ("/a??%41", "/a??A"),
            ("*", "*"),
        ];
        for (written, spelled) in table {
            assert_eq!(normal_target(written.as_bytes()), *spelled, "{written}");
        }
        assert_eq!(normal_target(b"/\xff%fF"), "/%FF%FF");
    }

    /// Any bytes, with those likely that matter.
    fn any_target() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            "[a-c./?%&=+]{1,3}".prop_map(String::into_bytes),
            "%[0-9a-fA-F]{2}".prop_map(String::into_bytes),
            Just(b"%2e".to_vec()),
            prop::collection::vec(any::<u8>(), 1..3),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn the_one_spelling_is_its_own(target in any_target()) {
            let spelled = normal_target(&target);
            prop_assert!(spelled.is_ascii());
            prop_assert_eq!(&normal_target(spelled.as_bytes()), &spelled);
        }

        #[test]
        fn it_means_the_same(target in any_target()) {
            let spelled = normal_target(&target);
            prop_assert!(percent_decode(spelled.as_bytes()).eq(percent_decode(&target)));
            let reserved = |b: &u8| b"/?&=+".contains(b);
            let kept: Vec<u8> = target.iter().copied().filter(|b| reserved(b)).collect();
            let still: Vec<u8> = spelled.bytes().filter(|b| reserved(b)).collect();
            prop_assert_eq!(kept, still);
        }

        #[test]
        fn no_step_up_comes_out_of_an_encoding(target in any_target()) {
            let steps = |path: &[u8]| {
                let path = path.split(|&b| b == b'?').next().unwrap_or_default();
                path.split(|&b| b == b'/').filter(|s| [&b"."[..], b".."].contains(s)).count()
            };
            prop_assert_eq!(steps(normal_target(&target).as_bytes()), steps(&target));
        }

        #[test]
        fn spellings_of_unreserved_characters_are_one(
            path in "/[a-z0-9._~-]{1,12}", which in prop::collection::vec(any::<(bool, bool)>(), 13),
        ) {
            let plain = |c| c == '/' || c == '.';
            let spelled: String = path.chars().zip(which).map(|(c, (encode, upper))| {
                match (encode && !plain(c), upper) {
                    (false, _) => c.to_string(),
                    (true, true) => format!("%{:02X}", u32::from(c)),
                    (true, false) => format!("%{:02x}", u32::from(c)),
                }
            }).collect();
            prop_assert_eq!(normal_target(spelled.as_bytes()), path);
        }
    }
}
