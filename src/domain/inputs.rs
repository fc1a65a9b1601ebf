//! Fields of a request's header that change what an origin answers: those that tell objects apart,
//! and those that must not reach it, since nothing tells their answers apart.

use http::{HeaderMap, HeaderName, header};

/// Longest value of a field or a cookie in a key.
const LONGEST: usize = 1024;

/// The one form of a field: its lines, trimmed and joined. `None` where that is too long, or
/// holds what is no text.
pub fn field(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut joined = String::new();
    for line in headers.get_all(name) {
        let line = line.to_str().ok()?.trim();
        if !joined.is_empty() && !line.is_empty() {
            joined.push_str(", ");
        }
        joined.push_str(line);
    }
    (joined.len() <= LONGEST).then_some(joined)
}

/// The value of a cookie, the first where there are several; empty where there is none. `None`
/// where it is too long, or where the cookies are no text.
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut found = None;
    for line in headers.get_all(header::COOKIE) {
        let pairs = line.to_str().ok()?.split(';');
        let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
        let value = pairs.find(|(known, _)| known.trim() == name);
        found = found.or(value.map(|(_, value)| value.trim()));
    }
    let found = found.unwrap_or_default();
    (found.len() <= LONGEST).then(|| found.to_owned())
}

/// The fields of a request that have many an application write another host, scheme or path into
/// its answer, or do another thing than what was asked: whoever sends one would choose what others
/// get. They are not for requests whose answers may be stored, unless the key has them.
pub fn unkeyed(headers: &HeaderMap, keyed: &[HeaderName]) -> Vec<HeaderName> {
    let names = headers.keys().filter(|name| misleads(name.as_str()));
    names
        .filter(|name| !keyed.contains(name))
        .cloned()
        .collect()
}

fn misleads(name: &str) -> bool {
    // Who the client is, the origin may know; it is of no use in an answer for all.
    let forwarded = name.starts_with("x-forwarded-") && name != "x-forwarded-for";
    forwarded || MISLEADING.contains(&name)
}

const MISLEADING: [&str; 17] = [
    "forwarded",
    "front-end-https",
    "x-host",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-override-url",
    "x-proxy-host",
    "x-rewrite-uri",
    "x-rewrite-url",
    "x-scheme",
    "x-url-scheme",
];

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn a_field_has_one_form() {
        let name = HeaderName::from_static("x-lang");
        let form = |lines: &[&'static str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("x-lang", *line)).collect();
            field(&headers(&lines), &name)
        };
        assert_eq!(form(&[]).as_deref(), Some(""));
        assert_eq!(form(&["  de "]).as_deref(), Some("de"));
        assert_eq!(form(&["de", "", "en "]).as_deref(), Some("de, en"));
        assert_eq!(form(&["d\u{e9}"]), None);
        assert_eq!(form(&["a".repeat(1025).leak()]), None);
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let list = headers(&[
            ("cookie", "a=1; tier=gold;b"),
            ("cookie", "tier=x; c = \"2\" "),
        ]);
        let table = [
            ("tier", "gold"),
            ("a", "1"),
            ("c", "\"2\""),
            ("b", ""),
            ("ier", ""),
        ];
        for (name, value) in table {
            assert_eq!(cookie(&list, name).as_deref(), Some(value), "{name}");
        }
        assert_eq!(cookie(&headers(&[("cookie", "a=\u{e9}")]), "b"), None);
        let long = format!("a={}", "x".repeat(1025)).leak();
        assert_eq!(cookie(&headers(&[("cookie", long)]), "a"), None);
    }

    #[test]
    fn what_misleads_is_found_unless_the_key_has_it() {
        let list = headers(&[
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-anything", "1"),
            ("forwarded", "host=evil.example"),
            ("x-original-url", "/admin"),
            ("x-http-method-override", "DELETE"),
            ("accept", "*/*"),
        ]);
        let keyed = [HeaderName::from_static("x-forwarded-host")];
        let mut found: Vec<_> = unkeyed(&list, &keyed)
            .iter()
            .map(|n| n.to_string())
            .collect();
        found.sort();
        let expected = [
            "forwarded",
            "x-forwarded-anything",
            "x-http-method-override",
            "x-original-url",
        ];
        assert_eq!(found, expected);
    }
}
