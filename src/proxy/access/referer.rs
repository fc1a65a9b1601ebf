//! On whose pages what a route has may be shown.

use crate::domain::{HostPattern, normal_authority, without_port};
use http::{HeaderMap, HeaderValue, header, uri::Authority};

/// The sites whose pages may have in them what a route has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referers {
    /// The hosts of these sites.
    pub hosts: Vec<HostPattern>,
    /// Whether a request may come from no page: typed in, from an application, or with the field
    /// kept back.
    pub allow_none: bool,
}

impl Referers {
    /// Whether a request may ask: by `Origin`, where it has one that names a site (RFC 6454,
    /// section 7), otherwise by `Referer` (RFC 9110, section 10.1.3).
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        let origin = said(headers, header::ORIGIN).filter(|origin| origin.as_bytes() != b"null");
        let Some(page) = origin.or_else(|| said(headers, header::REFERER)) else {
            return self.allow_none;
        };
        let host = page.to_str().ok().and_then(host);
        host.is_some_and(|host| self.hosts.iter().any(|pattern| pattern.takes(&host)))
    }
}

/// A field that has something in it.
fn said(headers: &HeaderMap, name: header::HeaderName) -> Option<&HeaderValue> {
    headers.get(name).filter(|value| !value.is_empty())
}

/// The host of a page's URL. What follows it may be spelled in any way.
fn host(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let authority: Authority = rest[..end].parse().ok()?;
    let host = normal_authority(authority.host());
    Some(without_port(&host).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn referers(allow_none: bool) -> Referers {
        let hosts = ["example.com", "*.example.com"];
        Referers {
            hosts: hosts
                .iter()
                .map(|h| HostPattern::parse(h).unwrap())
                .collect(),
            allow_none,
        }
    }

    fn admitted(referers: &Referers, fields: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        referers.admit(&headers)
    }

    #[test]
    fn the_site_of_the_page_decides() {
        let table = [
            ("https://example.com/a?b", true),
            ("https://EXAMPLE.com.:8443", true),
            ("http://www.example.com/\u{fc}|", true),
            ("https://evil.test/?https://example.com/", false),
            ("https://example.com.evil.test/", false),
            ("https://example.com@evil.test/", false),
            ("https://evil.test\\@example.com/", false),
            ("https://evil.test#@example.com/", false),
            ("https://anexample.com/", false),
            ("example.com", false),
            ("about:blank", false),
            ("https://", false),
        ];
        for (page, may) in table {
            for allow_none in [true, false] {
                let referers = referers(allow_none);
                // Only fields in ASCII are read.
                let expected = may && page.is_ascii();
                assert_eq!(
                    admitted(&referers, &[("referer", page)]),
                    expected,
                    "{page}"
                );
                assert_eq!(admitted(&referers, &[("origin", page)]), expected, "{page}");
            }
        }
    }

    #[test]
    fn origin_goes_before_referer_and_nothing_is_as_the_route_says() {
        let (good, bad) = ("https://example.com", "https://evil.test");
        for allow_none in [true, false] {
            let referers = referers(allow_none);
            let table: &[(&[(&'static str, &str)], bool)] = &[
                (&[("origin", good), ("referer", bad)], true),
                (&[("origin", bad), ("referer", good)], false),
                (&[("origin", "null"), ("referer", bad)], false),
                (&[("origin", "null"), ("referer", good)], true),
                (&[("origin", "null")], allow_none),
                (&[("referer", "")], allow_none),
                (&[], allow_none),
            ];
            for (fields, may) in table {
                assert_eq!(admitted(&referers, fields), *may, "{fields:?}");
            }
        }
    }
}
