//! Whom a proxy says that it asks for: `X-Forwarded-For`, and `Forwarded` of RFC 7239.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::net::{IpAddr, SocketAddr};

/// The field in which proxies say whom they ask for, each at its end whom it was asked by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedField {
    /// A list of addresses.
    #[default]
    XForwardedFor,
    /// A list of elements, whose parameter `for` is the address (RFC 7239, section 5.2).
    Forwarded,
}

/// Fields by which somebody in front of us says that it passes on for somebody else.
const RELAYED: [&str; 4] = ["via", "forwarded", "x-forwarded-for", "x-real-ip"];

/// Whether a request is passed on for somebody else.
pub fn is_relayed(headers: &HeaderMap) -> bool {
    RELAYED.iter().any(|name| headers.contains_key(*name))
}

/// `X-Forwarded-For`.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl ForwardedField {
    /// Its name.
    pub fn name(self) -> HeaderName {
        match self {
            Self::XForwardedFor => X_FORWARDED_FOR,
            Self::Forwarded => header::FORWARDED,
        }
    }

    /// The client behind `peer`, which connects: the last address in the field that is not of a
    /// proxy that is `trusted`. What is no address (malformed, obfuscated, `unknown`) ends the
    /// search at the proxy that passed it on.
    pub fn client(
        self,
        headers: &HeaderMap,
        peer: IpAddr,
        trusted: impl Fn(IpAddr) -> bool,
    ) -> IpAddr {
        let mut client = peer.to_canonical();
        let lines = headers.get_all(self.name());
        let mut entries = lines.iter().rev().flat_map(|line| self.entries(line));
        while trusted(client)
            && let Some(Some(before)) = entries.next()
        {
            client = before;
        }
        client
    }

    /// The entries of one line, the last one first; `None` for what is no address. What a client
    /// has begun the line with, text or not, takes nothing with it of what proxies add at its end.
    fn entries(self, line: &HeaderValue) -> Vec<Option<IpAddr>> {
        let line = String::from_utf8_lossy(line.as_bytes());
        match self {
            Self::XForwardedFor => line.rsplit(',').map(address).collect(),
            Self::Forwarded => match unquoted(&line, ',') {
                Some(elements) => elements.iter().rev().map(|e| forwarded_for(e)).collect(),
                None => from_the_end(&line),
            },
        }
    }
}

/// The entries of a line in which a quote has no end, the last one first: those behind the comma
/// from which on all is well-formed, and then one that is no address.
fn from_the_end(line: &str) -> Vec<Option<IpAddr>> {
    let (mut entries, mut end) = (Vec::new(), line.len());
    for (comma, _) in line.rmatch_indices(',') {
        let element = &line[comma + 1..end];
        if is_well_formed(element) {
            entries.push(forwarded_for(element));
            end = comma;
        }
    }
    entries.push(None);
    entries
}

/// Whether the quotes of an element of `Forwarded` are those of whole values.
fn is_well_formed(element: &str) -> bool {
    let is_value = |value: &str| match value.trim().strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"').is_some_and(is_inside_quotes),
        None => !value.contains(['"', '\\']),
    };
    let is_pair = |pair: &&str| {
        pair.split_once('=')
            .is_some_and(|(_, value)| is_value(value))
    };
    unquoted(element, ';').is_some_and(|pairs| pairs.iter().all(is_pair))
}

/// Whether a text may stand between two quotes without ending them.
fn is_inside_quotes(text: &str) -> bool {
    let mut escaped = false;
    let is_free = text.chars().all(|c| {
        let is_quote = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        !is_quote
    });
    is_free && !escaped
}

/// The address that an element of `Forwarded` has for the client.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = unquoted(element, ';')?;
    let pairs = pairs.iter().filter_map(|pair| pair.split_once('='));
    let mut said = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    let (_, node) = said.next()?;
    let node = node.trim();
    let quoted = node.strip_prefix('"').and_then(|n| n.strip_suffix('"'));
    let only = said.next().is_none();
    node_address(quoted.unwrap_or(node)).filter(|_| only)
}

/// The address of a node, whose port may be hidden (RFC 7239, section 6.2); one of IPv6 stands in
/// brackets then.
fn node_address(node: &str) -> Option<IpAddr> {
    let Some((host, _)) = node.split_once(":_") else {
        return address(node);
    };
    let is_whole = host.ends_with(']') || !host.contains(':');
    address(host).filter(|_| is_whole)
}

/// A text taken apart where a separator stands outside of quotes; `None` where a quote has no end.
fn unquoted(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut quoted, mut escaped, mut from) = (false, false, 0);
    let mut parts = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == separator && !quoted => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    (!quoted).then_some(parts)
}

/// An address, perhaps with a port; one of IPv6 with a port stands in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    let bare = text.parse::<IpAddr>().ok();
    let found = bare
        .or_else(|| bracketed().map(IpAddr::V6))
        .or_else(with_port);
    found.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything in 10.0.0.0/8 and fd00::/8 is a proxy.
    fn is_proxy(address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => address.octets()[0] == 10,
            IpAddr::V6(address) => address.octets()[0] == 0xfd,
        }
    }

    fn client(field: ForwardedField, peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(
                field.name(),
                HeaderValue::from_bytes(line.as_bytes()).unwrap(),
            );
        }
        field
            .client(&headers, peer.parse().unwrap(), is_proxy)
            .to_string()
    }

    #[test]
    fn the_last_one_that_is_no_proxy_is_the_client() {
        let table: &[(&str, &[&str], &str)] = &[
            ("192.0.2.1", &["198.51.100.1"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            (
                "10.0.0.1",
                &["192.0.2.1, 198.51.100.1 , 10.0.0.2"],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                &["192.0.2.1, 198.51.100.1", "10.0.0.3,10.0.0.2"],
                "198.51.100.1",
            ),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["192.0.2.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1, _hidden, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["192.0.2.1,, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["192.0.2.1", "\u{e9}"], "10.0.0.1"),
            // What no text is written of stands before what the proxy has added to it.
            ("10.0.0.1", &["\u{e9}, 192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["\u{e9}, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            ("10.0.0.1", &["192.0.2.1:47"], "192.0.2.1"),
            ("10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
            ("fd00::1", &["[2001:db8::1]"], "2001:db8::1"),
            ("fd00::1", &["[2001:db8::1]:47"], "2001:db8::1"),
            ("10.0.0.1", &["192.0.2.1 198.51.100.1"], "10.0.0.1"),
        ];
        for (peer, lines, expected) in table {
            let found = client(ForwardedField::XForwardedFor, peer, lines);
            assert_eq!(found, *expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_as_its_rfc_has_it() {
        let table: &[(&[&str], &str)] = &[
            (&["for=192.0.2.1"], "192.0.2.1"),
            (
                &["for=192.0.2.1;proto=https, For=\"10.0.0.2:47\""],
                "192.0.2.1",
            ),
            (&["by=10.0.0.9;FOR=\"[2001:db8::1]:47\""], "2001:db8::1"),
            (&["for=192.0.2.1", "for=\"[fd00::2]\""], "192.0.2.1"),
            (&["for=192.0.2.1, for=unknown"], "10.0.0.1"),
            (&["for=192.0.2.1, for=_x, for=10.0.0.2"], "10.0.0.2"),
            (&["for=192.0.2.1, proto=http"], "10.0.0.1"),
            (&["for=192.0.2.1;for=192.0.2.2"], "10.0.0.1"),
            (
                &["for=192.0.2.1, host=\"a, for=192.0.2.2\";for=10.0.0.2"],
                "192.0.2.1",
            ),
            (&["for=192.0.2.1, host=\"a"], "10.0.0.1"),
            (
                &["for=192.0.2.1, host=\"a\\\", b\";for=10.0.0.2"],
                "192.0.2.1",
            ),
            // A quote that has no end takes nothing with it of what proxies have added.
            (&["for=\", for=192.0.2.1"], "192.0.2.1"),
            (&["for=\"\\\", for=\"[2001:db8::1]:47\""], "2001:db8::1"),
            (&["\u{e9}=\", for=192.0.2.1, for=10.0.0.2"], "192.0.2.1"),
            (&["for=192.0.2.9, by=\", for=_x, for=10.0.0.2"], "10.0.0.2"),
            (
                &["by=\", for=192.0.2.1;host=\"a, for=192.0.2.9\""],
                "192.0.2.1",
            ),
            // Ports may be hidden.
            (&["for=\"192.0.2.1:_p\""], "192.0.2.1"),
            (&["for=\"[2001:db8::1]:_p\""], "2001:db8::1"),
            (&["for=\"2001:db8::1:_p\""], "10.0.0.1"),
            (&["for=\"[2001:db8::1]_p\""], "10.0.0.1"),
        ];
        for (lines, expected) in table {
            let found = client(ForwardedField::Forwarded, "10.0.0.1", lines);
            assert_eq!(found, *expected, "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_stranger_writes_counts(
            line in "[0-9a-f.:,; =\"\\\\é_\\[\\]for]{0,60}", own in any::<[u8; 4]>(),
        ) {
            let own = IpAddr::from(own);
            prop_assume!(!is_proxy(own));
            for field in [ForwardedField::XForwardedFor, ForwardedField::Forwarded] {
                let mut headers = HeaderMap::new();
                headers.append(field.name(), HeaderValue::from_bytes(line.as_bytes()).unwrap());
                prop_assert_eq!(field.client(&headers, own, is_proxy), own);
                // Nor does it where a proxy has added who it is, as a line or at the end of one.
                let added = match field {
                    ForwardedField::XForwardedFor => own.to_string(),
                    ForwardedField::Forwarded => format!("for={own}"),
                };
                headers.append(field.name(), HeaderValue::from_str(&added).unwrap());
                let peer = IpAddr::from([10, 0, 0, 1]);
                prop_assert_eq!(field.client(&headers, peer, is_proxy), own);
                let joined = format!("{line}, {added}");
                headers.clear();
                headers.append(field.name(), HeaderValue::from_bytes(joined.as_bytes()).unwrap());
                prop_assert_eq!(field.client(&headers, peer, is_proxy), own);
            }
        }
    }
}
