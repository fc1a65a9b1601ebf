//! Fields that are added, removed or read on the way.

use super::access::Hop;
use crate::{
    domain::{Fields, normal_authority, normal_target, vary_names},
    traces::{TRACEPARENT, TRACERESPONSE, TRACESTATE},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use pingora_cache::{VarianceBuilder, key::HashBinary};
use pingora_core::{Error, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use std::{net::Ipv6Addr, time::SystemTime};

/// Our name in `Via` and `Cache-Status`.
pub const NAME: &str = "tidegate";

/// Fields of one hop (RFC 9110, section 7.6.1). `Transfer-Encoding` is the codec's.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
];

/// The fields that `Connection` makes ones of this hop. Those that frame the message are not its
/// to name.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(header::CONNECTION).iter();
    lines
        .filter_map(|v| v.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| !matches!(*name, header::CONTENT_LENGTH | header::TRANSFER_ENCODING))
        .collect()
}

/// Takes out the fields that are meant for this hop alone.
pub fn strip_hop_by_hop(response: &mut ResponseHeader) {
    let named = named_by_connection(&response.headers);
    for name in &named {
        response.remove_header(name);
    }
    for name in HOP_BY_HOP {
        response.remove_header(name);
    }
}

/// Makes of the head of an answer what is stored of it: without the fields that are for this client
/// only, which go to `withheld`, and with a date (RFC 9110, section 6.6.1).
pub fn make_storable(
    head: &mut ResponseHeader,
    private: &[HeaderName],
    withheld: &mut Vec<(HeaderName, HeaderValue)>,
) -> Result<()> {
    withheld.clear();
    for name in private {
        let values = head.headers.get_all(name).iter().cloned();
        withheld.extend(values.map(|value| (name.clone(), value)));
        head.remove_header(name);
    }
    // What an answer says of the request that it was for is nobody else's.
    let of_the_request = [TRACEPARENT, TRACESTATE, TRACERESPONSE];
    for name in [header::TRANSFER_ENCODING, header::AGE]
        .iter()
        .chain(&of_the_request)
    {
        head.remove_header(name);
    }
    if !head.headers.contains_key(header::DATE) {
        let now = httpdate::fmt_http_date(SystemTime::now());
        head.insert_header(header::DATE, now)?;
    }
    Ok(())
}

/// Takes out of a request the fields that its client made ones of this hop. Done before anything
/// is looked up: what the origin is not sent must not choose among its answers.
pub fn drop_named(request: &mut RequestHeader) {
    // A request without `Host` would be another one (RFC 9110, section 7.6.1).
    let own = |name: &HeaderName| *name != header::HOST && !HOP_BY_HOP.contains(&name.as_str());
    for name in named_by_connection(&request.headers) {
        if own(&name) {
            request.remove_header(&name);
        }
    }
}

/// Takes out of a request what is always meant for this hop alone.
pub fn strip_request(request: &mut RequestHeader) {
    for name in HOP_BY_HOP {
        request.remove_header(name);
    }
    request.remove_header(&header::TRANSFER_ENCODING);
}

impl Fields for ResponseHeader {
    type Error = Box<Error>;

    fn take_out(&mut self, name: &HeaderName) {
        self.remove_header(name);
    }

    fn set(&mut self, name: HeaderName, value: HeaderValue) -> Result<()> {
        self.insert_header(name, value)
    }

    fn add(&mut self, name: HeaderName, value: HeaderValue) -> Result<()> {
        self.append_header(name, value).map(|_| ())
    }
}

/// Fields of the client's request that make a request for the object itself: end-to-end ones,
/// without conditions and ranges. Content codings are not asked for: offsets are those of the
/// bytes as they are.
pub fn object_request(request: &RequestHeader, hop: &Hop) -> HeaderMap {
    let mut headers = request.headers.clone();
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    for name in NOT_OF_THE_OBJECT.iter().chain(&RANGES_AND_CONDITIONS) {
        headers.remove(name);
    }
    headers.append(header::VIA, hop.via(request.version));
    headers
}

/// Fields by which a request is for less than the object, or on a condition (RFC 9110, sections 13
/// and 14).
pub const RANGES_AND_CONDITIONS: [HeaderName; 6] = [
    header::RANGE,
    header::IF_RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
];

const NOT_OF_THE_OBJECT: [HeaderName; 7] = [
    header::HOST,
    header::ACCEPT_ENCODING,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::EXPECT,
    header::CACHE_CONTROL,
    header::PRAGMA,
];

/// Our line of `Via`, for an answer that came by `version`; requests have more in it.
pub fn via(version: http::Version) -> HeaderValue {
    HeaderValue::from_static(match version {
        http::Version::HTTP_2 => "2.0 tidegate",
        http::Version::HTTP_10 => "1.0 tidegate",
        _ => "1.1 tidegate",
    })
}

/// What selects a variant: the values of the fields that `Vary` names, normalised.
/// `Accept-Encoding` is never sent to the origin, and so selects nothing; neither does what is
/// another for each request.
pub fn variance(stored: &HeaderMap, request: &HeaderMap) -> Option<HashBinary> {
    const SELECTS_NOTHING: [&str; 3] = ["accept-encoding", "traceparent", "tracestate"];
    let mut builder = VarianceBuilder::new();
    for name in vary_names(stored).filter(|name| !SELECTS_NOTHING.contains(&&**name)) {
        let lines = request.get_all(name.as_str()).iter();
        let values: Vec<_> = lines
            .flat_map(|v| v.as_bytes().split(|b| *b == b','))
            .map(|member| normal(&name, member))
            .collect();
        builder.add_owned_name_value(name, values.join(&b','));
    }
    builder.finalize()
}

/// A member of a list in the form in which it is compared (RFC 9111, section 4.1). Browsers differ
/// in case and white space where the fields' own rules see no difference; each spelling would be
/// a variant of its own. The order stays: it may break ties. What has quotes is left alone, and
/// so are the values of a media type's parameters: their case may matter.
fn normal(field: &str, member: &[u8]) -> Vec<u8> {
    let member = member.trim_ascii();
    let whole = matches!(field, "accept-language" | "accept-charset");
    if !whole && field != "accept" || member.contains(&b'"') {
        return member.to_vec();
    }
    let parts = member.split(|b| *b == b';').enumerate();
    let parts: Vec<_> = parts
        .map(|(nth, part)| match whole || nth == 0 {
            true => part.trim_ascii().to_ascii_lowercase(),
            false => part.trim_ascii().to_vec(),
        })
        .collect();
    parts.join(&b';')
}

/// Whether a request may be answered from the cache at all.
pub fn is_cacheable_request(request: &RequestHeader) -> bool {
    let has_body = request.headers.contains_key(header::CONTENT_LENGTH)
        && request
            .headers
            .get(header::CONTENT_LENGTH)
            .is_some_and(|v| v != "0")
        || request.headers.contains_key(header::TRANSFER_ENCODING);
    matches!(request.method, Method::GET | Method::HEAD) && !has_body
}

/// The host that a request asks, in its one spelling; `None` where it asks none, several, or
/// nonsense. That of an absolute target goes before the field (RFC 9112, section 3.2.2).
pub fn host(request: &RequestHeader) -> Option<String> {
    let mut lines = request.headers.get_all(header::HOST).iter();
    let field = lines.next().map(|line| line.to_str());
    let text = match (request.uri.authority(), absolute(request.raw_path())) {
        (Some(authority), _) => authority.as_str(),
        (None, Some((authority, _))) => std::str::from_utf8(authority).ok()?,
        (None, None) => field?.ok()?,
    };
    let authority: http::uri::Authority = text.parse().ok()?;
    let plain = is_host(&authority) && lines.next().is_none();
    plain.then(|| normal_authority(text))
}

/// Whether an OPTIONS request is for this hop, and no further one (RFC 9110, section 7.6.2).
pub fn is_at_its_last_hop(request: &RequestHeader) -> bool {
    request.method == Method::OPTIONS && hops_left(request) == Some(0)
}

/// Counts this hop of an OPTIONS request that says how many it may make.
pub fn count_hop(request: &mut RequestHeader) -> Result<()> {
    match hops_left(request).filter(|_| request.method == Method::OPTIONS) {
        Some(left) => {
            request.insert_header(header::MAX_FORWARDS, left.saturating_sub(1).to_string())
        }
        None => Ok(()),
    }
}

fn hops_left(request: &RequestHeader) -> Option<u32> {
    let field = request.headers.get(header::MAX_FORWARDS)?.to_str().ok()?;
    field.trim().parse().ok()
}

/// Whether an authority is a host, and a port if there is one (RFC 9110, section 7.2).
fn is_host(authority: &http::uri::Authority) -> bool {
    let host = authority.host();
    let after = authority.as_str().strip_prefix(host);
    let port = after.map(|after| after.strip_prefix(':').unwrap_or(after));
    let is_digits = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
    let is_number = |port: &str| port.is_empty() || is_digits(port) && port.parse::<u16>().is_ok();
    let bracketed = host.strip_prefix('[').map(|host| host.strip_suffix(']'));
    let is_literal = |host: Option<&str>| host.is_some_and(|h| h.parse::<Ipv6Addr>().is_ok());
    let is_name = !host.is_empty() && !host.contains(['[', ']']);
    port.is_some_and(is_number) && bracketed.map_or(is_name, is_literal)
}

/// Path and query that a request asks for, in their one spelling and whatever form it has.
pub fn target(request: &RequestHeader) -> String {
    let raw = request.raw_path();
    let target = absolute(raw).map_or(raw, |(_, target)| target);
    match target.first() {
        None => "/".to_owned(),
        Some(b'?') => format!("/{}", normal_target(target)),
        Some(_) => normal_target(target),
    }
}

/// Host and target of a URL, both in their one spelling; `None` where it is none that clients can ask
/// for, or lacks its scheme or host.
pub fn spelled(url: &str) -> Option<(String, String)> {
    let url: http::Uri = url.parse().ok()?;
    url.scheme_str()
        .filter(|s| matches!(*s, "http" | "https"))?;
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    let host = normal_authority(url.authority()?.as_str());
    let is_plain = !host.is_empty() && !host.contains('@');
    is_plain.then(|| (host, normal_target(target.as_bytes())))
}

/// Authority and the rest of a target that is a whole URL.
fn absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    if target.starts_with(b"/") {
        return None;
    }
    let mark = target.windows(3).position(|three| three == b"://")?;
    let rest = &target[mark + 3..];
    let end = rest.iter().position(|b| b"/?".contains(b));
    Some(rest.split_at(end.unwrap_or(rest.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_and_what_a_request_asks() {
        let table = [
            ("/a?b", &["A.example:80"][..], Some("a.example"), "/a?b"),
            ("/%61", &["a.example", "b.example"], None, "/a"),
            ("/a", &[], None, "/a"),
            ("/a", &["u@a.example"], None, "/a"),
            (
                "http://B.example/%62?c",
                &["a.example"],
                Some("b.example"),
                "/b?c",
            ),
            ("HTTP://b.example?c", &[], Some("b.example"), "/?c"),
            ("http://b.example", &["b.example"], Some("b.example"), "/"),
            ("/", &["a:8080"], Some("a:8080"), "/"),
            ("/", &["a:"], Some("a"), "/"),
            ("/", &["[2001:DB8::1]:81"], Some("[2001:db8::1]:81"), "/"),
            ("/", &["a:80a"], None, "/"),
            ("/", &["a:-1"], None, "/"),
            ("/", &["a:99999"], None, "/"),
            ("/", &["[zz]"], None, "/"),
            ("/", &["[1.2.3.4]"], None, "/"),
            ("http://u@b.example/", &["b.example"], None, "/"),
            (
                "/http://b.example/",
                &["a.example"],
                Some("a.example"),
                "/http://b.example/",
            ),
        ];
        for (raw, hosts, asked, path) in table {
            let mut request = RequestHeader::build("GET", raw.as_bytes(), None).unwrap();
            for line in hosts {
                request.append_header(header::HOST, *line).unwrap();
            }
            assert_eq!(host(&request).as_deref(), asked, "{raw} {hosts:?}");
            assert_eq!(target(&request), path, "{raw}");
        }
        let raw = RequestHeader::build("GET", b"/a\xff", None).unwrap();
        assert_eq!(target(&raw), "/a%FF");
    }

    #[test]
    fn spellings_that_mean_the_same_select_the_same() {
        let table = [
            ("accept-language", " de-CH ; Q=0.8 ", "de-ch;q=0.8"),
            ("accept-charset", "UTF-8", "utf-8"),
            ("accept", "Video/MP4; profile=Ab", "video/mp4;profile=Ab"),
            (
                "accept",
                "video/mp4; codecs=\"A b\"",
                "video/mp4; codecs=\"A b\"",
            ),
            ("x-own", " A; b ", "A; b"),
        ];
        for (field, member, expected) in table {
            let found = normal(field, member.as_bytes());
            assert_eq!(String::from_utf8(found).unwrap(), expected, "{member}");
        }
    }
}
