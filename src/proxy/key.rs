//! The one key function: used for storing, coalescing and purging alike.

use super::KeyRules;
use std::borrow::Cow;

/// What sets one object apart from all others.
#[derive(Clone, Copy, Debug)]
pub struct KeyParts<'a> {
    /// `cache.version`: raising it empties the cache at once.
    pub version: u32,
    /// The host that was asked, as the client wrote it.
    pub host: &'a str,
    /// Path and query, without what the route leaves out.
    pub target: &'a str,
}

impl KeyParts<'_> {
    /// The key. Every part is preceded by its length, so that no two sets of parts meet.
    pub fn encode(&self) -> Vec<u8> {
        let host = self.host.to_ascii_lowercase();
        let mut key = Vec::with_capacity(host.len() + self.target.len() + 16);
        key.extend(self.version.to_be_bytes());
        for part in [host.as_bytes(), self.target.as_bytes()] {
            key.extend((part.len() as u32).to_be_bytes());
            key.extend(part);
        }
        key
    }
}

impl KeyRules {
    /// The part of a target that tells objects apart.
    pub fn target<'a>(&self, target: &'a str) -> Cow<'a, str> {
        let Some((path, query)) = target.split_once('?') else {
            return Cow::Borrowed(target);
        };
        if !self.ignore_signatures && self.ignore_query.is_empty() {
            return Cow::Borrowed(target);
        }
        let names: Vec<&str> = query.split('&').map(name_of).collect();
        let is_signed = |scheme: &&Scheme| {
            let has = |name: &&str| names.iter().any(|n| n.eq_ignore_ascii_case(name));
            scheme.marks.iter().all(has)
        };
        let schemes: Vec<&Scheme> = match self.ignore_signatures {
            true => SCHEMES.iter().filter(is_signed).collect(),
            false => Vec::new(),
        };
        let is_left_out = |name: &str| {
            let of_a_scheme = schemes
                .iter()
                .flat_map(|scheme| scheme.parameters)
                .any(|parameter| parameter.eq_ignore_ascii_case(name));
            of_a_scheme || self.ignore_query.iter().any(|ignored| ignored == name)
        };
        let kept: Vec<&str> = query
            .split('&')
            .filter(|parameter| !is_left_out(name_of(parameter)))
            .collect();
        match kept.is_empty() {
            true => Cow::Borrowed(path),
            false => Cow::Owned(format!("{path}?{}", kept.join("&"))),
        }
    }
}

/// The name in the store of the object under a key, as `debug_headers` show it.
pub fn object_id(key: &[u8]) -> String {
    crate::cache::id_of(&pingora_cache::CacheKey::new(key, "")).to_string()
}

fn name_of(parameter: &str) -> &str {
    parameter.split('=').next().unwrap_or_default()
}

/// How a provider signs URLs: its parameters, and those that show that a URL is signed so. Short
/// names such as `se` mean something else where no signature stands beside them.
struct Scheme {
    marks: &'static [&'static str],
    parameters: &'static [&'static str],
}

const SCHEMES: [Scheme; 6] = [
    Scheme {
        marks: &["X-Amz-Signature"],
        parameters: &[
            "X-Amz-Algorithm",
            "X-Amz-Credential",
            "X-Amz-Date",
            "X-Amz-Expires",
            "X-Amz-Security-Token",
            "X-Amz-Signature",
            "X-Amz-SignedHeaders",
        ],
    },
    Scheme {
        marks: &["AWSAccessKeyId", "Signature"],
        parameters: &["AWSAccessKeyId", "Expires", "Signature"],
    },
    Scheme {
        marks: &["X-Goog-Signature"],
        parameters: &[
            "X-Goog-Algorithm",
            "X-Goog-Credential",
            "X-Goog-Date",
            "X-Goog-Expires",
            "X-Goog-Signature",
            "X-Goog-SignedHeaders",
        ],
    },
    Scheme {
        marks: &["GoogleAccessId", "Signature"],
        parameters: &["GoogleAccessId", "Expires", "Signature"],
    },
    Scheme {
        marks: &["Key-Pair-Id", "Signature"],
        parameters: &["Expires", "Key-Pair-Id", "Policy", "Signature"],
    },
    Scheme {
        marks: &["sig", "se"],
        parameters: &[
            "se", "sig", "sip", "skoid", "sks", "skt", "sktid", "skv", "ske", "sp", "spr", "sr",
            "srt", "ss", "st", "sv",
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn signatures_and_listed_parameters_are_left_out() {
        let rules = KeyRules {
            ignore_signatures: true,
            ignore_query: vec!["utm_source".into()],
        };
        let table = [
            ("/a", "/a"),
            ("/a?b=1&utm_source=x", "/a?b=1"),
            ("/a?utm_source", "/a"),
            ("/a?X-Amz-Date=1&b=2&x-amz-signature=3", "/a?b=2"),
            ("/a?Expires=1&Signature=2&Key-Pair-Id=3", "/a"),
            ("/a?Expires=1&Signature=2", "/a?Expires=1&Signature=2"),
            ("/a?sv=1&se=2&sig=3&c=4", "/a?c=4"),
            ("/a?sv=1&se=2", "/a?sv=1&se=2"),
            ("/a?b=1&b=2", "/a?b=1&b=2"),
        ];
        for (target, kept) in table {
            assert_eq!(rules.target(target), kept, "{target}");
        }
        assert_eq!(
            KeyRules::default().target("/a?X-Amz-Signature=1"),
            "/a?X-Amz-Signature=1"
        );
    }

    proptest! {
        #[test]
        fn different_parts_have_different_keys(
            a in (0u32..3, "[a-c:]{0,4}", "/[a-c]{0,4}"), b in (0u32..3, "[a-c:]{0,4}", "/[a-c]{0,4}"),
        ) {
            let key = |(version, host, target): &(u32, String, String)| {
                KeyParts { version: *version, host, target }.encode()
            };
            prop_assert_eq!(a == b, key(&a) == key(&b));
        }
    }
}
