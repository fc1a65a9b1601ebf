//! Whether a redirect is followed, and where it leads.
//!
//! Only to hosts that the operator named, only by http and https, and never from https to http.
//! Whatever is not to be followed goes to the client as it came; only a chain that gets too long
//! is an error. Nothing is asked here.

use super::Redirects;
use http::{HeaderValue, StatusCode, Uri, uri::Authority};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

/// What becomes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The client gets it.
    PassOn,
    /// The next request goes there.
    Follow {
        /// An absolute URI without user information and fragment.
        to: Uri,
        /// Whether scheme, host and port are the origin's own; if not, it must not see our
        /// credentials.
        same_host: bool,
    },
    /// The client gets an error.
    Refused(Reason),
}

/// Why a redirect is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// More in a row than the rules allow; likely a loop.
    #[error("too many redirects in a row")]
    TooMany,
}

/// Characters that no URI has, but that do turn up in `Location` and in targets.
pub(super) const ODD: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Judges the answer to a request for `from`, after so many redirects were followed. `own` is the
/// server that the first request of the chain went to.
pub fn judge(
    rules: &Redirects,
    own: &Uri,
    from: &Uri,
    status: StatusCode,
    location: Option<&HeaderValue>,
    followed: u32,
) -> Verdict {
    if rules.limit == 0 || !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Verdict::PassOn;
    }
    let target = location.and_then(|location| resolve(from, location.as_bytes()));
    let Some(to) = target.filter(|to| is_allowed(rules, own, from, to)) else {
        return Verdict::PassOn;
    };
    if followed >= rules.limit {
        return Verdict::Refused(Reason::TooMany);
    }
    let same_host = place(own).is_some() && place(own) == place(&to);
    Verdict::Follow { to, same_host }
}

fn is_allowed(rules: &Redirects, own: &Uri, from: &Uri, to: &Uri) -> bool {
    let Some((scheme, host, _)) = place(to) else {
        return false;
    };
    let secure = |uri: &Uri| uri.scheme_str() == Some("https");
    let downgrade = (secure(from) || secure(own)) && scheme == "http";
    let named = rules.hosts.iter().any(|pattern| pattern.takes(&host));
    let is_own = place(own).is_some_and(|(_, own, _)| own == host);
    !downgrade && (named || is_own)
}

/// Scheme, host in lower case and port, where they are such that we would connect there.
fn place(uri: &Uri) -> Option<(&str, String, u16)> {
    let default = match uri.scheme_str()? {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = uri.authority()?;
    let host = authority.host();
    let plain = !host.is_empty() && authority.as_str().len() == host.len() + port_length(authority);
    let port = authority.port_u16().unwrap_or(default);
    plain.then(|| {
        (
            uri.scheme_str().unwrap_or_default(),
            host.to_ascii_lowercase(),
            port,
        )
    })
}

/// Length of `:port`. Anything more in an authority is user information or nonsense.
fn port_length(authority: &Authority) -> usize {
    authority.port().map_or(0, |port| 1 + port.as_str().len())
}

/// A reference made absolute, by RFC 3986 section 5.2; its fragment is dropped.
fn resolve(base: &Uri, reference: &[u8]) -> Option<Uri> {
    let reference = percent_encode(reference, ODD).to_string();
    let reference = reference.split('#').next().unwrap_or_default();
    let scheme = base.scheme_str()?;
    if let Some((scheme, rest)) = split_scheme(reference) {
        return build(scheme, rest.strip_prefix("//")?);
    }
    if let Some(rest) = reference.strip_prefix("//") {
        return build(scheme, rest);
    }
    let (path, query) = split_query(reference);
    let (path, query) = match path {
        "" => (base.path().to_owned(), query.or(base.query())),
        path if path.starts_with('/') => (path.to_owned(), query),
        path => (merge(base.path(), path), query),
    };
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    build(scheme, &format!("{}{path}{query}", base.authority()?))
}

/// Puts a URI together; `rest` is authority, path and query.
fn build(scheme: &str, rest: &str) -> Option<Uri> {
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let (path, query) = split_query(target);
    let mut target = without_dot_segments(path);
    if let Some(query) = query {
        target = format!("{target}?{query}");
    }
    Uri::builder()
        .scheme(scheme.to_ascii_lowercase().as_str())
        .authority(authority)
        .path_and_query(target)
        .build()
        .ok()
}

fn split_scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let is_scheme =
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(plain);
    is_scheme.then_some((scheme, rest))
}

fn split_query(target: &str) -> (&str, Option<&str>) {
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}

/// A relative path in the place of the last segment.
fn merge(base: &str, path: &str) -> String {
    let directory = base.rfind('/').map_or("/", |slash| &base[..=slash]);
    format!("{directory}{path}")
}

fn without_dot_segments(path: &str) -> String {
    let mut kept = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => (),
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    if path.ends_with("/.") || path.ends_with("/..") {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::HostPattern;
    use proptest::prelude::*;

    const OWN: &str = "https://own.example:8443";

    fn rules() -> Redirects {
        let hosts = ["*.cdn.example", "[::1]"].map(|host| HostPattern::parse(host).unwrap());
        Redirects {
            limit: 3,
            hosts: hosts.into(),
        }
    }

    fn judged(from: &str, location: &str) -> Verdict {
        let location = HeaderValue::from_bytes(location.as_bytes()).unwrap();
        let (own, from) = (OWN.parse().unwrap(), from.parse().unwrap());
        judge(&rules(), &own, &from, StatusCode::FOUND, Some(&location), 0)
    }

    fn follow(to: &str, same_host: bool) -> Verdict {
        let to = to.parse().unwrap();
        Verdict::Follow { to, same_host }
    }

    #[test]
    fn a_named_host_is_followed_and_no_other() {
        let from = "https://own.example:8443/a/b?c";
        let table = [
            (
                "https://own.example:8443/x#y",
                "https://own.example:8443/x",
                true,
            ),
            (
                "HTTPS://OWN.example:8443/x",
                "https://OWN.example:8443/x",
                true,
            ),
            ("https://own.example/x", "https://own.example/x", false),
            ("https://1.cdn.example", "https://1.cdn.example/", false),
            ("https://[::1]:1/?q", "https://[::1]:1/?q", false),
            ("//1.cdn.example/x", "https://1.cdn.example/x", false),
        ];
        for (location, to, same_host) in table {
            assert_eq!(judged(from, location), follow(to, same_host), "{location}");
        }
        for location in [
            "http://own.example:8443/x",
            "https://other.example/",
            "https://cdn.example/",
            "https://1.cdn.example@other.example/",
            "https://other.example\\@1.cdn.example/",
            "https://user@own.example:8443/",
            "https://own.example:99999/",
            "https://own.example:x/",
            "https://own.example:/",
            "https:///x",
            "https:x",
            "ftp://own.example/",
            "file:///etc/passwd",
            "data:,x",
            "//",
        ] {
            assert_eq!(judged(from, location), Verdict::PassOn, "{location}");
        }
    }

    /// The examples of RFC 3986 sections 5.4.1 and 5.4.2 that have our scheme's meaning.
    #[test]
    fn references_are_resolved_by_the_rfc() {
        let from = "https://own.example:8443/b/c/d;p?q";
        let table = [
            ("g", "/b/c/g"),
            ("./g", "/b/c/g"),
            ("g/", "/b/c/g/"),
            ("/g", "/g"),
            ("?y", "/b/c/d;p?y"),
            ("g?y", "/b/c/g?y"),
            ("#s", "/b/c/d;p?q"),
            ("g?y#s", "/b/c/g?y"),
            (";x", "/b/c/;x"),
            ("", "/b/c/d;p?q"),
            (".", "/b/c/"),
            ("./", "/b/c/"),
            ("..", "/b/"),
            ("../g", "/b/g"),
            ("../..", "/"),
            ("../../g", "/g"),
            ("../../../../g", "/g"),
            ("/./g", "/g"),
            ("/../g", "/g"),
            ("g.", "/b/c/g."),
            ("..g", "/b/c/..g"),
            ("./../g", "/b/g"),
            ("./g/.", "/b/c/g/"),
            ("g/../h", "/b/c/h"),
            ("g;x=1/../y", "/b/c/y"),
            ("g?y/../x", "/b/c/g?y/../x"),
            ("g h|\u{fc}%2F", "/b/c/g%20h%7C%C3%BC%2F"),
            ("./a:b", "/b/c/a:b"),
        ];
        for (location, path) in table {
            let to = format!("{OWN}{path}");
            assert_eq!(judged(from, location), follow(&to, true), "{location}");
        }
    }

    #[test]
    fn a_chain_has_an_end_and_keeps_its_own_host() {
        let (own, from) = (
            OWN.parse().unwrap(),
            "https://1.cdn.example/".parse().unwrap(),
        );
        let location = |text: &'static str| Some(HeaderValue::from_static(text));
        let judged = |status: u16, location: Option<HeaderValue>, followed| {
            let status = StatusCode::from_u16(status).unwrap();
            judge(&rules(), &own, &from, status, location.as_ref(), followed)
        };
        for status in [301, 302, 303, 307, 308] {
            let next = follow("https://1.cdn.example/x", false);
            assert_eq!(judged(status, location("/x"), 2), next, "{status}");
            let end = Verdict::Refused(Reason::TooMany);
            assert_eq!(judged(status, location("/x"), 3), end, "{status}");
        }
        let home = follow("https://own.example:8443/", true);
        assert_eq!(judged(302, location("https://own.example:8443/"), 1), home);
        for status in [200, 300, 304, 305, 306, 404] {
            assert_eq!(
                judged(status, location("/x"), 0),
                Verdict::PassOn,
                "{status}"
            );
        }
        assert_eq!(judged(302, None, 0), Verdict::PassOn);
        assert_eq!(
            judged(302, location("https://other.example"), 3),
            Verdict::PassOn
        );
    }

    #[test]
    fn without_rules_nothing_is_followed() {
        let own: Uri = OWN.parse().unwrap();
        let location = HeaderValue::from_static("/x");
        let rules = Redirects::default();
        let verdict = judge(&rules, &own, &own, StatusCode::FOUND, Some(&location), 0);
        assert_eq!(verdict, Verdict::PassOn);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic_or_leave(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                "(https?:)?(//)?([a-z.@:\\[\\]0-9]{0,20})?[/?#.%]{0,9}".prop_map(String::into_bytes),
            ],
        ) {
            let Ok(location) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
            let from: Uri = "https://own.example:8443/a/b?c".parse().unwrap();
            let verdict = judge(&rules(), &from, &from, StatusCode::FOUND, Some(&location), 0);
            if let Verdict::Follow { to, .. } = verdict {
                prop_assert_eq!(to.scheme_str(), Some("https"));
                let host = to.host().unwrap();
                prop_assert!(host == "own.example" || rules().hosts.iter().any(|h| h.takes(host)));
            }
        }
    }
}
