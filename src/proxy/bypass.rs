//! The operator's way past the cache.
//!
//! Who knows the secret may have a request answered by the origin: `SECRET` passes the cache by,
//! `refresh:SECRET` puts the origin's answer in the place of what is stored. Whatever the value,
//! the field and the parameter end here: they are no part of the key, and the origin never sees
//! them.

use crate::origin::{LoadError, Rotating, SecretSource};
use http::{HeaderName, Uri, uri::PathAndQuery};
use percent_encoding::percent_decode_str;
use pingora_http::RequestHeader;
use std::{borrow::Cow, time::SystemTime};
use subtle::ConstantTimeEq;

/// By what an operator's request is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bypass {
    /// What it must say.
    pub secret: SecretSource,
    /// In this field.
    pub header: Option<HeaderName>,
    /// Or in this query parameter.
    pub parameter: Option<String>,
}

/// What a request may do beside the ordinary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// It is answered by the origin, and nothing of the answer is stored.
    Pass,
    /// It is answered by the origin, and the answer takes the place of what is stored.
    Refresh,
}

/// Lets those past who know the secret.
#[derive(Debug)]
pub struct Guard {
    secret: Rotating,
    header: Option<HeaderName>,
    parameter: Option<String>,
}

/// What stands before the secret where an answer is to be stored anew.
const REFRESH: &[u8] = b"refresh:";

impl Guard {
    /// A guard; its secret is read for the first time.
    pub fn load(bypass: &Bypass) -> Result<Self, LoadError> {
        Ok(Self {
            secret: Rotating::load(&bypass.secret)?,
            header: bypass.header.clone(),
            parameter: bypass.parameter.clone(),
        })
    }

    /// Takes out of a request what is meant for the guard alone, and says what it may do.
    pub fn admit(&self, request: &mut RequestHeader, now: SystemTime) -> Option<Grant> {
        let mut values = Vec::new();
        if let Some(name) = &self.header {
            let lines = request.headers.get_all(name).iter();
            values.extend(lines.map(|value| value.as_bytes().to_vec()));
            request.remove_header(name);
        }
        if let Some(name) = &self.parameter
            && let Some(uri) = without(&request.uri, name, &mut values)
        {
            request.set_uri(uri);
        }
        if values.is_empty() {
            return None;
        }
        let secret = self.secret.current(now);
        let secret = secret.reveal().as_bytes();
        let grants = values.iter().filter_map(|value| grant(value, secret));
        grants.reduce(|first, _| first)
    }
}

fn grant(value: &[u8], secret: &[u8]) -> Option<Grant> {
    let refreshes = value
        .strip_prefix(REFRESH)
        .is_some_and(|value| is_same(value, secret));
    let passes = is_same(value, secret);
    match (passes, refreshes) {
        (true, _) => Some(Grant::Pass),
        (false, true) => Some(Grant::Refresh),
        (false, false) => None,
    }
}

/// A target without a parameter, whose values are noted; `None` where it has none.
pub(super) fn without(uri: &Uri, name: &str, values: &mut Vec<Vec<u8>>) -> Option<Uri> {
    let query = uri.query()?;
    let before = values.len();
    let is_other = |parameter: &&str| {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let own = decoded(key) == name.as_bytes();
        if own {
            values.push(decoded(value).into_owned());
        }
        !own
    };
    let kept: Vec<&str> = query.split('&').filter(is_other).collect();
    if values.len() == before {
        return None;
    }
    let target = match kept.is_empty() {
        true => uri.path().to_owned(),
        false => format!("{}?{}", uri.path(), kept.join("&")),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(target).ok();
    Uri::from_parts(parts).ok()
}

fn decoded(text: &str) -> Cow<'_, [u8]> {
    percent_decode_str(text).into()
}

/// Whether a value is the secret, found out in a time that does not tell how much of it is right.
fn is_same(value: &[u8], secret: &[u8]) -> bool {
    value.ct_eq(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn guard() -> Guard {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "tidegate\n").unwrap();
        Guard::load(&Bypass {
            secret: SecretSource::File(file.path().to_owned()),
            header: Some(HeaderName::from_static("x-past")),
            parameter: Some("past".into()),
        })
        .unwrap()
    }

    fn admitted(target: &str, fields: &[&'static str]) -> (Option<Grant>, String) {
        let mut request = RequestHeader::build("GET", target.as_bytes(), None).unwrap();
        for value in fields {
            request.append_header("X-Past", *value).unwrap();
        }
        let grant = guard().admit(&mut request, SystemTime::now());
        assert!(!request.headers.contains_key("x-past"));
        (grant, request.uri.to_string())
    }

    #[test]
    fn the_secret_decides_and_both_ways_end_here() {
        let pass = Some(Grant::Pass);
        let refresh = Some(Grant::Refresh);
        type Case = (
            &'static str,
            &'static [&'static str],
            Option<Grant>,
            &'static str,
        );
        let table: &[Case] = &[
            ("/a?b=1", &[], None, "/a?b=1"),
            ("/a", &["tidegate"], pass, "/a"),
            ("/a", &["refresh:tidegate"], refresh, "/a"),
            ("/a", &["tidegat"], None, "/a"),
            ("/a", &["tidegatee"], None, "/a"),
            ("/a", &["Tidegate"], None, "/a"),
            ("/a", &[""], None, "/a"),
            ("/a", &["no", "tidegate"], pass, "/a"),
            ("/a?past=tidegate", &[], pass, "/a"),
            ("/a?b=1&past=refresh%3Atidegate&c", &[], refresh, "/a?b=1&c"),
            ("/a?b=1&p%61st=tide%67ate", &[], pass, "/a?b=1"),
            ("/a?past=x&past&b=%20", &[], None, "/a?b=%20"),
            ("/a?passt=tidegate", &[], None, "/a?passt=tidegate"),
        ];
        for (target, fields, grant, left) in table {
            let found = admitted(target, fields);
            assert_eq!(found, (*grant, (*left).to_owned()), "{target} {fields:?}");
        }
    }

    #[test]
    fn scheme_and_authority_stay() {
        let uri: Uri = "http://h:1/a?past=x&b".parse().unwrap();
        let mut values = Vec::new();
        let left = without(&uri, "past", &mut values).unwrap();
        assert_eq!(left.to_string(), "http://h:1/a?b");
        assert_eq!(values, [b"x"]);
    }

    proptest! {
        #[test]
        fn only_the_same_is_the_same(a in prop::collection::vec(any::<u8>(), 0..20), b in prop::collection::vec(any::<u8>(), 0..20)) {
            prop_assert_eq!(is_same(&a, &b), a == b);
            prop_assert!(is_same(&a, &a.clone()));
        }
    }
}
