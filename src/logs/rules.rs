//! Which requests are written down, and what of them is not.

use crate::domain::Signatures;
use std::{borrow::Cow, time::Duration};

/// Which requests are written down, and what of them is not.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// The share of requests, from 0 to 1.
    pub sample: f64,
    /// Failures and refusals of the server, and answers that were cut, are written in any case.
    pub failures: bool,
    /// And so are answers whose first byte took longer than this.
    pub slow: Duration,
    /// Query parameters that are not written, beside those that are known to be secrets.
    pub redacted: Vec<String>,
}

/// What decides whether a request is written down.
#[derive(Clone, Copy, Debug)]
pub struct Gist {
    /// The status of its answer; 0 where there was none.
    pub status: u16,
    /// Whether its answer was cut.
    pub is_cut: bool,
    /// The time to the answer's first byte.
    pub first_byte: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            sample: 1.0,
            failures: true,
            slow: Duration::from_secs(1),
            redacted: Vec::new(),
        }
    }
}

impl Rules {
    /// Whether a request is written down; `dice` is at random from 0 to 1, without 1.
    pub fn take(&self, gist: Gist, dice: f64) -> bool {
        let has_failed = gist.is_cut || gist.status == 0 || gist.status >= 500;
        dice < self.sample || self.failures && has_failed || gist.first_byte > self.slow
    }

    /// A query without the parameters that are secrets, and whatever else was to be left out.
    pub fn cleaned<'q>(&self, query: &'q str, secrets: &[String]) -> Cow<'q, str> {
        let names: Vec<_> = query.split('&').map(name).collect();
        let signatures = Signatures::among(&names);
        let is_named = |name: &[u8]| signatures.have(name) || self.names_secret(name, secrets);
        let parameters = || query.split('&').zip(&names);
        let is_secret = |(parameter, name): &(&str, &Cow<[u8]>)| {
            is_named(name) || bears_within(parameter, &is_named)
        };
        if !parameters().any(|parameter| is_secret(&parameter)) {
            return Cow::Borrowed(query);
        }
        let kept = parameters().filter(|parameter| !is_secret(parameter));
        let kept: Vec<_> = kept.map(|(parameter, _)| parameter).collect();
        Cow::Owned(kept.join("&"))
    }

    /// A path without the parameters of its segments (`;name=value`, RFC 3986, section 3.3) that are
    /// secrets. Of a segment that is one itself, as in `/hdnts=…/film`, nothing but `(removed)` is left.
    pub fn cleaned_path<'p>(&self, path: &'p str, secrets: &[String]) -> Cow<'p, str> {
        let is_named = |name: &[u8]| self.names_secret(name, secrets);
        let is_secret = |part: &str| bears_within(part, &is_named);
        if !path.split(['/', ';']).any(is_secret) {
            return Cow::Borrowed(path);
        }
        let cleaned = |segment: &str| {
            let (own, parameters) = segment.split_once(';').unwrap_or((segment, ""));
            let mut out = String::from(if is_secret(own) { REMOVED } else { own });
            let kept = parameters.split(';').filter(|part| !is_secret(part));
            for part in kept.filter(|part| !part.is_empty()) {
                out.push(';');
                out.push_str(part);
            }
            out
        };
        let segments: Vec<_> = path.split('/').map(cleaned).collect();
        Cow::Owned(segments.join("/"))
    }

    fn names_secret(&self, name: &[u8], secrets: &[String]) -> bool {
        let among = |list: &[String]| list.iter().any(|known| known.as_bytes() == name);
        let mut known = KNOWN.iter();
        known.any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
            || among(secrets)
            || among(&self.redacted)
    }
}

/// [`Rules::cleaned_path`] for messages, by the names that are known everywhere.
pub fn cleaned_path(path: &str) -> Cow<'_, str> {
    Rules::default().cleaned_path(path, &[])
}

/// What stands in the place of a segment of a path that is a secret.
const REMOVED: &str = "(removed)";

/// Whether a value has a secret in it, as a URL or a query that is encoded once more. What is encoded
/// more often than `depth` says counts as one.
fn bears(value: &[u8], is_named: &impl Fn(&[u8]) -> bool, depth: u8) -> bool {
    if !value.iter().any(|byte| b"%=".contains(byte)) {
        return false;
    }
    let decoded: Cow<[u8]> = percent_encoding::percent_decode(value).into();
    let mut parts = decoded.split(|byte| b"?&#;".contains(byte));
    let has_name = parts.any(|part| {
        let end = part.iter().position(|byte| *byte == b'=');
        end.is_some_and(|end| is_named(&part[..end]))
    });
    let is_encoded = decoded[..] != *value && decoded.contains(&b'%');
    has_name || is_encoded && (depth == 0 || bears(&decoded, is_named, depth - 1))
}

/// The same of what may be a parameter, and of its value.
fn bears_within(parameter: &str, is_named: &impl Fn(&[u8]) -> bool) -> bool {
    let bears = |text: &str| bears(text.as_bytes(), is_named, DEEPEST);
    let value = parameter.split_once('=').map(|(_, value)| value);
    bears(parameter) || value.is_some_and(bears)
}

/// Redirects go through a few hands, each of which encodes what it was given.
const DEEPEST: u8 = 4;

/// The name of a parameter, decoded.
fn name(parameter: &str) -> Cow<'_, [u8]> {
    let end = parameter.find('=').unwrap_or(parameter.len());
    percent_encoding::percent_decode_str(&parameter[..end]).into()
}

/// Names that parameters have which let their bearers in, in whatever case. The rest of a signed
/// URL's parameters are told by these beside them.
const KNOWN: [&str; 44] = [
    "__token__",
    "access_token",
    "accesstoken",
    "api_key",
    "apikey",
    "auth",
    "authorization",
    "bearer",
    "client_secret",
    "clientsecret",
    "credential",
    "credentials",
    "hash",
    "hdnea",
    "hdnts",
    "hmac",
    "id_token",
    "idtoken",
    "jsessionid",
    "jwt",
    "md5",
    "otp",
    "pass",
    "passwd",
    "password",
    "phpsessid",
    "pin",
    "policy",
    "private_key",
    "privatekey",
    "refresh_token",
    "refreshtoken",
    "secret",
    "session",
    "session_id",
    "sessionid",
    "sig",
    "signature",
    "st",
    "token",
    "verify",
    "wmsauthsign",
    "x-amz-security-token",
    "x-amz-signature",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cleaned(query: &str) -> String {
        let rules = Rules {
            redacted: vec!["own".into()],
            ..Rules::default()
        };
        rules.cleaned(query, &["mine".into()]).into_owned()
    }

    #[test]
    fn secrets_are_left_out_by_name() {
        let table = [
            ("w=1&h=2", "w=1&h=2"),
            ("token=x&w=1", "w=1"),
            ("w=1&t%6Fken=x", "w=1"),
            ("TOKEN=x", ""),
            ("tokens=x", "tokens=x"),
            ("own=1&mine=2&Mine=3&w", "Mine=3&w"),
            ("se=1&sig=2&sv=3&w=4", "w=4"),
            ("se=1&w=4", "se=1&w=4"),
            ("Expires=1&Signature=2&Key-Pair-Id=3&w", "w"),
            ("X-Amz-Date=1&x-amz-signature=2&a&&b", "a&&b"),
            ("token", ""),
            ("", ""),
            ("key=1&hash=2&St=3&PIN=4", "key=1"),
            ("md5=1&__token__=2&w", "w"),
            ("to=https%3A%2F%2Fx%2F%3Ftoken%3Dabc&w=1", "w=1"),
            ("to=https://x/?token=abc&w=1", "w=1"),
            ("to=https%3A%2F%2Fx%2F%3Fto%3Dy%253FTOKEN%253Dabc&w", "w"),
            (
                "to=https%3A%2F%2Fx%2F%3Fkey%3Da%26b%3Dtoken",
                "to=https%3A%2F%2Fx%2F%3Fkey%3Da%26b%3Dtoken",
            ),
            ("a=100%25&b=token", "a=100%25&b=token"),
            ("a;token=x&w", "w"),
            ("a%3Btoken=x&w", "w"),
        ];
        for (query, expected) in table {
            assert_eq!(cleaned(query), expected, "{query}");
        }
    }

    #[test]
    fn secrets_are_left_out_of_paths() {
        let table = [
            ("/films/a;v=1/b", "/films/a;v=1/b"),
            ("/films/token/a=b", "/films/token/a=b"),
            ("/a;jsessionid=x/b;v=1;Token=y;w", "/a/b;v=1;w"),
            ("/hdnts=exp=1~hmac=2/film", "/(removed)/film"),
            ("/a%3Btoken=x/film", "/(removed)/film"),
            ("/a;b=c%3Bown=x/film", "/a/film"),
            ("/a;b=token=x/b", "/a/b"),
            ("/;mine=x/", "//"),
            ("/", "/"),
            ("*", "*"),
        ];
        let rules = Rules {
            redacted: vec!["own".into()],
            ..Rules::default()
        };
        for (path, expected) in table {
            assert_eq!(rules.cleaned_path(path, &["mine".into()]), expected);
        }
    }

    proptest! {
        #[test]
        fn a_secret_never_shows_wherever_it_stands_in_a_path(
            before in "/[a-d;=/%]{0,4}[;/]", name in "token|%74oken|mine|Sig",
            after in "([;/][a-d;=/]{0,4})?",
        ) {
            let path = format!("{before}{name}=SECRET{after}");
            let cleaned = Rules::default().cleaned_path(&path, &["mine".into()]).into_owned();
            prop_assert!(!cleaned.contains("SECRET"), "{} {}", path, cleaned);
        }
    }

    proptest! {
        #[test]
        fn a_secret_never_shows_wherever_it_stands(
            before in "([a-d%=&]{0,4}&)?", name in "token|%74oken|mine|own|Sig|X-Amz-Signature|accessToken|PHPSESSID|wmsAuthSign",
            after in "(&[a-d%=&]{0,4})?",
        ) {
            let query = format!("{before}{name}=SECRET{after}");
            prop_assert!(!cleaned(&query).contains("SECRET"), "{}", query);
        }
    }

    proptest! {
        #[test]
        fn a_secret_in_another_value_never_shows(
            name in "token|own|Sig|otp", before in "([a-d]{0,3}[?&;#])?", times in 0..8usize,
        ) {
            let mut value = format!("{before}{name}=SECRET");
            for _ in 0..times {
                value = percent_encoding::utf8_percent_encode(
                    &value, percent_encoding::NON_ALPHANUMERIC).to_string();
            }
            let query = format!("to={value}");
            prop_assert!(!cleaned(&query).contains("SECRET"), "{}", query);
        }
    }

    #[test]
    fn failures_and_what_was_slow_are_written_in_any_case() {
        let well = Gist {
            status: 200,
            is_cut: false,
            first_byte: Duration::ZERO,
        };
        let rules = Rules {
            sample: 0.5,
            ..Rules::default()
        };
        assert!(rules.take(well, 0.49) && !rules.take(well, 0.5));
        let late = Duration::from_secs(2);
        let bad = [
            Gist {
                status: 502,
                ..well
            },
            Gist { status: 0, ..well },
            Gist {
                is_cut: true,
                ..well
            },
            Gist {
                first_byte: late,
                ..well
            },
        ];
        let (less, none) = (
            Gist {
                status: 404,
                ..well
            },
            Rules {
                sample: 0.0,
                ..rules
            },
        );
        assert!(bad.iter().all(|gist| none.take(*gist, 0.0)));
        assert!(!none.take(less, 0.0) && !none.take(well, 0.0));
        let silent = Rules {
            failures: false,
            ..none
        };
        assert!(!silent.take(bad[0], 0.0) && silent.take(bad[3], 0.0));
    }
}
