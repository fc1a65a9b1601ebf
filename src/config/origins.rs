//! The section `origins`: where what is missing comes from.

use super::{
    node::Value,
    scalar::{text, timeout},
    spot::Spot,
};
use crate::origin::Config;
use http::{Uri, uri::Authority};

/// The origins, by name. An origin with mistakes in it is `None`, so that routes may still name it.
pub(super) fn origins(at: &Spot) -> Option<Vec<(String, Option<Config>)>> {
    let entries = match at.value() {
        Value::Mapping(entries) if !entries.is_empty() => entries,
        _ => return at.expected("a mapping of at least one origin by its name"),
    };
    let origins = entries.iter().map(|entry| {
        let at = at.key(&entry.key, &entry.node);
        (entry.key.clone(), origin(&at, &entry.key))
    });
    Some(origins.collect())
}

fn origin(at: &Spot, name: &str) -> Option<Config> {
    if !is_name(name) {
        at.refuse::<()>("expected a name of at most 64 letters, digits, \"-\", \"_\" and \".\"");
    }
    at.section(|keys| {
        let servers = keys.required("servers", servers);
        // Without servers the other keys are still read, for the mistakes in them.
        let default = Config::new(name.to_owned(), servers.clone().unwrap_or_default());
        let origin = Config {
            connect_timeout: keys.or("connect_timeout", default.connect_timeout, timeout),
            read_timeout: keys.or("read_timeout", default.read_timeout, timeout),
            idle_timeout: keys.or("idle_timeout", default.idle_timeout, timeout),
            ..default
        };
        servers.map(|_| origin)
    })
}

/// Names end up in logs and as labels of metrics.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=64).contains(&name.len()) && name.chars().all(plain)
}

fn servers(at: &Spot) -> Option<Vec<Uri>> {
    let mut servers: Vec<Uri> = Vec::new();
    for item in at.items("server")? {
        let url = item.section(|keys| keys.required("url", url));
        match url {
            Some(url) if servers.contains(&url) => {
                item.refuse::<()>(format!("{url} stands earlier in this list already"));
            }
            Some(url) => servers.push(url),
            None => {}
        }
    }
    Some(servers)
}

fn url(at: &Spot) -> Option<Uri> {
    const EXPECTED: &str = "an http:// or https:// URL without path or query";
    let text = text(at, EXPECTED)?;
    base(text).or_else(|| at.expected(EXPECTED))
}

/// A URL of scheme, host and perhaps port; one slash may follow.
fn base(text: &str) -> Option<Uri> {
    // The parser drops fragments in silence.
    let url: Uri = text.parse().ok().filter(|_| !text.contains('#'))?;
    let web = matches!(url.scheme_str(), Some("http" | "https"));
    let bare = url.path() == "/" && url.query().is_none();
    let place = url.authority().is_some_and(is_place);
    (web && bare && place).then_some(url)
}

/// A host, and a port that can be connected to; no user, which would stand before the host.
fn is_place(authority: &Authority) -> bool {
    let host = authority.host();
    let port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
    match authority.as_str().strip_prefix(host) {
        Some("") => !host.is_empty(),
        Some(rest) => !host.is_empty() && rest.strip_prefix(':').is_some_and(port),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::base;

    #[test]
    fn a_base_is_scheme_host_and_port() {
        for good in [
            "http://127.0.0.1:8000",
            "http://127.0.0.1:8000/",
            "https://media.example.com",
            "http://[::1]:8080",
            "HTTP://example.com",
        ] {
            assert!(base(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "example.com",
            "example.com:80",
            "/videos",
            "ftp://x",
            "http://",
            "http://:80",
            "http://x/videos",
            "http://x?",
            "http://x/?a=b",
            "http://x#y",
            "http://user:word@x",
            "http://x:",
            "http://x:0",
            "http://x:99999",
            "http://x y",
        ] {
            assert!(base(bad).is_none(), "{bad}");
        }
    }
}
