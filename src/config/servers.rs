//! The servers of an origin: where they are, which of them is asked, how they are verified.

use super::{
    files,
    hosts::is_place,
    node::Value,
    scalar::{count, switch, text},
    spot::Spot,
};
use crate::origin::{Balance, ServerConfig, Tls};
use http::Uri;

pub(super) fn servers(at: &Spot) -> Option<Vec<ServerConfig>> {
    let mut servers: Vec<ServerConfig> = Vec::new();
    for item in at.items("server")? {
        match item.section(|keys| {
            let url = keys.required("url", url);
            let weight = keys.or("weight", 1, count(1..=1000));
            url.map(|url| ServerConfig { url, weight })
        }) {
            Some(server) if servers.iter().any(|other| other.url == server.url) => {
                item.refuse::<()>(format!(
                    "{} stands earlier in this list already",
                    server.url
                ));
            }
            Some(server) => servers.push(server),
            None => {}
        }
    }
    Some(servers)
}

fn url(at: &Spot) -> Option<Uri> {
    const EXPECTED: &str = "an http:// or https:// URL without user name, path or query";
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

pub(super) fn balance(at: &Spot) -> Option<Balance> {
    let word = match at.value() {
        Value::Text(text) => text.as_str(),
        _ => "",
    };
    match word {
        "round_robin" => Some(Balance::RoundRobin),
        "least_loaded" => Some(Balance::LeastLoaded),
        "hash" => Some(Balance::Hash),
        _ => at.expected("round_robin, least_loaded or hash"),
    }
}

pub(super) fn tls(at: &Spot) -> Option<Tls> {
    let default = Tls::default();
    at.section(|keys| {
        let verify = keys.or("verify", default.verify, switch);
        let ca = keys.optional("ca", files::readable);
        let certificate = keys.optional("certificate", files::readable);
        let key = keys.optional("key", files::readable);
        if !verify && keys.has("ca") {
            keys.refuse("ca", "contradicts verify: false, which trusts every server");
        }
        match (keys.has("certificate"), keys.has("key")) {
            (true, false) => keys.refuse("key", "required beside certificate, but missing"),
            (false, true) => keys.refuse("certificate", "required beside key, but missing"),
            _ => {}
        }
        Some(Tls {
            verify,
            ca,
            identity: certificate.zip(key),
        })
    })
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
