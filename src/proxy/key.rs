//! The one key function: used for storing, coalescing and purging alike.

use super::{KeyRules, Route};
use crate::domain::ObjectKey;
use std::borrow::Cow;

impl Route {
    /// The key of the object that a request for this host and target gets.
    pub fn key_of(&self, version: u32, host: &str, target: &str) -> ObjectKey {
        let target = self.key.target(target);
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (&*target, None),
        };
        ObjectKey {
            version,
            host: host.to_ascii_lowercase(),
            path: path.to_owned(),
            query,
            extras: Vec::new(),
        }
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
}
