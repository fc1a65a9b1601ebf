//! Names of hosts, and patterns that take them.

/// A host by its name, or all below a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This very name, in lower case, without port.
    Exact(String),
    /// `*.name`: every name below this one, at any depth, but not this one itself.
    Below(String),
}

impl HostPattern {
    /// Reads `name` or `*.name`; an IPv6 address stands in brackets. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        match lower.strip_prefix("*.") {
            Some(rest) => is_name(rest).then(|| Self::Below(rest.to_owned())),
            None => (is_name(&lower) || is_address(&lower)).then_some(Self::Exact(lower)),
        }
    }

    /// Whether this takes a host, given in any case and with or without port.
    pub fn takes(&self, authority: &str) -> bool {
        let host = without_port(authority);
        match self {
            Self::Exact(name) => host.eq_ignore_ascii_case(name),
            Self::Below(name) => host.len().checked_sub(name.len() + 1).is_some_and(|dot| {
                dot > 0
                    && host.as_bytes()[dot] == b'.'
                    && host.as_bytes()[dot + 1..].eq_ignore_ascii_case(name.as_bytes())
            }),
        }
    }

    /// Whether this takes every host that `other` takes.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(name)) => self.takes(name),
            (Self::Below(own), Self::Below(name)) => own == name || self.takes(name),
            (Self::Exact(_), Self::Below(_)) => false,
        }
    }
}

impl std::fmt::Display for HostPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
        }
    }
}

/// The one spelling of an authority: in lower case, without the dot of the root and without a
/// port that is a scheme's default. No origin sees it, so that a port of the other scheme's makes no
/// difference either.
pub fn normal_authority(authority: &str) -> String {
    let host = without_port(authority);
    let port = authority[host.len()..].trim_start_matches(':');
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    match port.trim_start_matches('0') {
        "" | "80" | "443" => host,
        port => format!("{host}:{port}"),
    }
}

/// The host of an authority, its port taken off.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !host.ends_with(':') => {
            let bracketed = host.starts_with('[') == host.ends_with(']');
            if bracketed { host } else { authority }
        }
        _ => authority,
    }
}

/// Labels of letters, digits, hyphens and underscores, joined by dots.
fn is_name(text: &str) -> bool {
    let plain = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    text.len() <= 253 && text.split('.').all(plain)
}

fn is_address(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    inner.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> HostPattern {
        HostPattern::parse(text).unwrap()
    }

    #[test]
    fn a_pattern_takes_its_hosts_and_no_others() {
        let table = [
            ("a.example", "A.Example:8080", true),
            ("a.example", "b.a.example", false),
            ("*.example", "a.example", true),
            ("*.example", "b.a.EXAMPLE:443", true),
            ("*.example", "example", false),
            ("*.example", ".example", false),
            ("*.example", "anexample", false),
            ("[::1]", "[::1]:80", true),
            ("[::1]", "[::1]", true),
            ("127.0.0.1", "127.0.0.1:1", true),
        ];
        for (text, host, takes) in table {
            assert_eq!(pattern(text).takes(host), takes, "{text} {host}");
        }
    }

    #[test]
    fn nonsense_is_no_pattern() {
        for text in [
            "", "*", "*.", "a..b", "a/b", "a:80", "http://a", "*.*.a", "[1]",
        ] {
            assert_eq!(HostPattern::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_authority_has_one_spelling() {
        let table = [
            ("A.Example", "a.example"),
            ("a.example.", "a.example"),
            ("a.example.:80", "a.example"),
            ("a.example:", "a.example"),
            ("a.example:443", "a.example"),
            ("a.example:08080", "a.example:8080"),
            ("[::1]:80", "[::1]"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("[::80]", "[::80]"),
        ];
        for (written, spelled) in table {
            assert_eq!(normal_authority(written), spelled, "{written}");
            assert_eq!(normal_authority(spelled), spelled);
        }
    }

    #[test]
    fn a_wider_pattern_covers_a_narrower_one() {
        assert!(pattern("*.example").covers(&pattern("a.example")));
        assert!(pattern("*.example").covers(&pattern("*.a.example")));
        assert!(!pattern("*.a.example").covers(&pattern("*.example")));
        assert!(!pattern("a.example").covers(&pattern("*.a.example")));
    }
}
