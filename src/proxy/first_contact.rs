//! What an origin's answer to a client's own request means for the cache.

use super::{
    context::{Contact, Context},
    delivery::announced,
    headers,
};
use crate::{
    cache::{Incoming, OF_THE_REQUEST},
    domain::{ContentRange, Fault, Partial, Refusal, is_coded},
};
use http::{HeaderValue, StatusCode, header};
use pingora_cache::NoCacheReason;
use pingora_core::Result;
use pingora_http::ResponseHeader;

/// What to do with the head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It can be passed on, and perhaps stored, as it now is.
    Go,
    /// Ask again, in this way.
    Again(Contact),
    /// It is a 206 that can't be kept or trusted; ask again, in this way.
    Untrusted(Contact),
    /// Nothing of the object satisfies the request: a 416 of our own, without a body.
    Unsatisfiable,
}

/// Prepares the head of an answer while the cache is enabled. A window of an object becomes the
/// head of the whole; what the body holds is noted in the context.
pub fn prepare(response: &mut ResponseHeader, ctx: &mut Context) -> Result<Step> {
    ctx.close_delimited = is_close_delimited(response);
    match (ctx.window, response.status) {
        (Some(window), StatusCode::PARTIAL_CONTENT) => {
            match Partial::judge(window, &response.headers) {
                Ok(part) => {
                    response.set_status(StatusCode::OK)?;
                    response.remove_header(&header::CONTENT_RANGE);
                    response.remove_header(&header::TRANSFER_ENCODING);
                    response
                        .insert_header(header::CONTENT_LENGTH, HeaderValue::from(part.total))?;
                    ctx.close_delimited = false;
                    ctx.incoming = Some(Incoming {
                        total: Some(part.total),
                        part: Some(part.range),
                        ignores_ranges: false,
                    });
                    Ok(Step::Go)
                }
                Err(fault) => {
                    log::debug!("a 206 is not used: {fault}");
                    Ok(Step::Untrusted(after(fault)))
                }
            }
        }
        (Some(window), StatusCode::RANGE_NOT_SATISFIABLE) => {
            Ok(unsatisfiable(response, ctx, window.start()))
        }
        (None, StatusCode::PARTIAL_CONTENT) => Ok(Step::Again(Contact::Own)),
        (window, StatusCode::OK) => {
            let total = content_length(response);
            let ignores_ranges = window.is_some() || accepts_no_ranges(response);
            ctx.incoming = Some(Incoming {
                total,
                part: None,
                ignores_ranges,
            });
            Ok(Step::Go)
        }
        _ => {
            let total = content_length(response);
            ctx.incoming = Some(Incoming {
                total,
                part: None,
                ignores_ranges: true,
            });
            Ok(Step::Go)
        }
    }
}

/// How to ask again after a 206 that is not used. One that says clearly what it is can be passed
/// on in answer to the client's own range; one that does not can't be given to anybody.
fn after(fault: Fault) -> Contact {
    match fault {
        Fault::NoTotal | Fault::Coded | Fault::NoValidator => Contact::Own,
        Fault::NoContentRange | Fault::OtherInterval | Fault::OtherLength => Contact::Whole,
    }
}

/// Why an answer is not stored, in pingora-cache's words. Only what the origin says of its good
/// answers is remembered for the key's next requests: an error or a 416 says nothing of them.
pub fn reason(status: StatusCode, refusal: Refusal) -> NoCacheReason {
    match refusal {
        Refusal::Authorized | Refusal::Status => NoCacheReason::Custom(OF_THE_REQUEST),
        _ if status.is_client_error() || status.is_server_error() => {
            NoCacheReason::Custom(refusal.as_str())
        }
        _ => NoCacheReason::OriginNotCache,
    }
}

/// A window beyond the end. Where it holds the first byte the object is empty, and where the
/// client's ranges may not count or go on elsewhere the object must be known to answer.
fn unsatisfiable(response: &ResponseHeader, ctx: &Context, start: u64) -> Step {
    let field = response.headers.get(header::CONTENT_RANGE);
    let total = match field.and_then(|v| ContentRange::parse(v.as_bytes())) {
        Some(ContentRange::Unsatisfied(total)) => total,
        _ => return Step::Again(Contact::Own),
    };
    let simple = ctx.asked.range().is_some_and(|set| !set.is_list()) && !ctx.asked.has_if_range();
    match simple && start > 0 && total <= start {
        true => Step::Unsatisfiable,
        false => Step::Again(Contact::Whole),
    }
}

/// Turns an origin's 416 into ours.
pub fn answer_unsatisfiable(response: &mut ResponseHeader) -> Result<()> {
    let range = response.headers.get(header::CONTENT_RANGE).cloned();
    let mut own = ResponseHeader::build(StatusCode::RANGE_NOT_SATISFIABLE, Some(6))?;
    if let Some(range) = range {
        own.insert_header(header::CONTENT_RANGE, range)?;
    }
    own.insert_header(header::CONTENT_LENGTH, HeaderValue::from(0))?;
    *response = own;
    Ok(())
}

/// The announced length of a body that is not coded for transfer.
fn content_length(response: &ResponseHeader) -> Option<u64> {
    let is_coded = response.headers.contains_key(header::TRANSFER_ENCODING);
    announced(response).filter(|_| !is_coded)
}

/// Neither a length nor chunks: the body ends where the connection does, and a cut looks the same.
fn is_close_delimited(response: &ResponseHeader) -> bool {
    let framed = response.headers.contains_key(header::CONTENT_LENGTH)
        || response.headers.contains_key(header::TRANSFER_ENCODING)
        || response.version == http::Version::HTTP_2;
    let bodiless = matches!(
        response.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    !framed && !bodiless
}

fn accepts_no_ranges(response: &ResponseHeader) -> bool {
    let none = response.headers.get(header::ACCEPT_RANGES);
    none.is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"none")) || is_coded(&response.headers)
}

/// Lays the fields of a 304 over the stored ones (RFC 9111, section 3.2): all but those that
/// describe the body or a hop.
pub fn lay_over(stored: &mut ResponseHeader, fresh: &http::HeaderMap) -> Result<()> {
    for name in fresh.keys().filter(|name| !KEPT.contains(name)) {
        stored.remove_header(name);
        for value in fresh.get_all(name) {
            stored.append_header(name.clone(), value.clone())?;
        }
    }
    headers::strip_hop_by_hop(stored);
    // How old the answer is counts from the origin's last word on it.
    if !fresh.contains_key(header::DATE) {
        stored.remove_header(&header::DATE);
    }
    if !fresh.contains_key(header::AGE) {
        stored.remove_header(&header::AGE);
    }
    Ok(())
}

/// What a 304 does not change: fields of the body, and cookies, which are for one client and would
/// make what is stored unfit for others.
const KEPT: [header::HeaderName; 9] = [
    header::ETAG,
    header::LAST_MODIFIED,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::SET_COOKIE,
    header::TRANSFER_ENCODING,
    header::VARY,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::ByteRange,
        proxy::{Terms, delivery::Asked},
    };
    use prometheus::IntGauge;

    fn context(range: &'static str, window: Option<(u64, u64)>) -> Context {
        let gauge = IntGauge::new("a", "a").unwrap();
        let terms = Terms::load(Default::default(), None, None).unwrap();
        let mut ctx = Context::new(terms.into(), &gauge, &Default::default());
        let mut headers = http::HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static(range));
        ctx.asked = Asked::of(&http::Method::GET, &headers);
        ctx.window = window.map(|(a, b)| ByteRange::new(a, b).unwrap());
        ctx
    }

    fn response(status: u16, list: &[(&'static str, &'static str)]) -> ResponseHeader {
        let mut response = ResponseHeader::build(status, None).unwrap();
        for (name, value) in list {
            response.append_header(*name, *value).unwrap();
        }
        response
    }

    #[test]
    fn a_window_becomes_the_head_of_the_whole() {
        let mut ctx = context("bytes=5-", Some((0, 100)));
        let fields = [
            ("content-range", "bytes 0-99/250"),
            ("content-length", "100"),
            ("etag", "\"a\""),
        ];
        let mut head = response(206, &fields);
        assert_eq!(prepare(&mut head, &mut ctx).unwrap(), Step::Go);
        assert_eq!(head.status, StatusCode::OK);
        assert_eq!(head.headers[header::CONTENT_LENGTH], "250");
        assert!(!head.headers.contains_key(header::CONTENT_RANGE));
        assert_eq!(ctx.incoming.unwrap().part, ByteRange::new(0, 100));
    }

    #[test]
    fn what_is_unclear_is_asked_again() {
        let step = |range, window, status, fields: &[_]| {
            prepare(&mut response(status, fields), &mut context(range, window)).unwrap()
        };
        let total = ("content-range", "bytes */150");
        let past = Some((200, 300));
        assert_eq!(step("bytes=200-", past, 416, &[total]), Step::Unsatisfiable);
        assert_eq!(
            step("bytes=200-", past, 416, &[]),
            Step::Again(Contact::Own)
        );
        assert_eq!(
            step("bytes=200-,0-1", past, 416, &[total]),
            Step::Again(Contact::Whole)
        );
        let empty = ("content-range", "bytes */0");
        assert_eq!(
            step("bytes=0-", Some((0, 100)), 416, &[empty]),
            Step::Again(Contact::Whole)
        );
        assert_eq!(
            step("bytes=0-", Some((0, 100)), 206, &[]),
            Step::Untrusted(Contact::Whole)
        );
        assert_eq!(step("bytes=0-", None, 206, &[]), Step::Again(Contact::Own));
    }
}
