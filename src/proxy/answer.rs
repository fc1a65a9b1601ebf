//! A stored response's head turned into what a request gets.

use super::{
    delivery::{Delivery, announced},
    trim::Trim,
};
use crate::domain::ByteRange;
use http::{HeaderValue, StatusCode, header};
use pingora_core::{Result, protocols::http::conditional_filter::to_304};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{RangeType, Session, range_header_filter};

/// Makes `response`, a stored 200, the head of the answer. `RangeType::Invalid` is Pingora's word
/// for an answer without a body.
pub fn apply(
    delivery: Delivery,
    response: &mut ResponseHeader,
    request: &RequestHeader,
) -> Result<RangeType> {
    match delivery {
        Delivery::Whole | Delivery::NotModified => Ok(RangeType::None),
        Delivery::Parts(parts) => several_or_one(&parts, response, request),
        Delivery::Unsatisfiable => {
            let total = response.headers.get(header::CONTENT_LENGTH).cloned();
            let total = total
                .and_then(|v| v.to_str().map(str::to_owned).ok())
                .unwrap_or_default();
            without_body(response, StatusCode::RANGE_NOT_SATISFIABLE)?;
            response.insert_header(header::CONTENT_RANGE, format!("bytes */{total}"))?;
            Ok(RangeType::Invalid)
        }
        Delivery::PreconditionFailed => {
            without_body(response, StatusCode::PRECONDITION_FAILED)?;
            Ok(RangeType::Invalid)
        }
    }
}

/// The same for a 200 that passes through unstored: the part of its body that the client gets, and
/// whether it gets any.
pub fn apply_to_passed(
    delivery: Delivery,
    response: &mut ResponseHeader,
) -> Result<(Option<Trim>, bool)> {
    match delivery {
        Delivery::Parts(parts) => {
            let total = announced(response);
            let (&[part], Some(total)) = (parts.as_slice(), total) else {
                return Ok((None, true));
            };
            to_206(response, part, total)?;
            Ok((Some(Trim::to(part)), true))
        }
        Delivery::NotModified => {
            to_304(response);
            Ok((None, false))
        }
        Delivery::Whole => Ok((None, true)),
        // The client's own business with the origin, which has not seen the condition.
        Delivery::Unsatisfiable | Delivery::PreconditionFailed => {
            let plain = RequestHeader::build("GET", b"/", None)?;
            apply(delivery, response, &plain)?;
            Ok((None, false))
        }
    }
}

/// Makes a 200 the head of one part of it (RFC 9110, section 15.3.7.1).
fn to_206(response: &mut ResponseHeader, part: ByteRange, total: u64) -> Result<()> {
    response.set_status(StatusCode::PARTIAL_CONTENT)?;
    response.insert_header(header::CONTENT_LENGTH, part.len())?;
    let field = format!("bytes {}-{}/{total}", part.start(), part.last());
    response.insert_header(header::CONTENT_RANGE, field)
}

/// Pingora writes the parts. Where there are several it is handed the ranges as we read them, in
/// the one form that it reads as we do: ascending, apart, within the length.
fn several_or_one(
    parts: &[ByteRange],
    response: &mut ResponseHeader,
    request: &RequestHeader,
) -> Result<RangeType> {
    if let (&[part], Some(total)) = (parts, announced(response)) {
        to_206(response, part, total)?;
        return Ok(RangeType::Single(
            part.start() as usize..part.end() as usize,
        ));
    }
    let written: Vec<_> = parts
        .iter()
        .map(|r| format!("{}-{}", r.start(), r.last()))
        .collect();
    let mut canonical = RequestHeader::build(request.method.clone(), b"/", Some(1))?;
    canonical.insert_header(header::RANGE, format!("bytes={}", written.join(",")))?;
    Ok(range_header_filter(&canonical, response, None))
}

/// A head of our own, the same in every state of the object.
fn without_body(response: &mut ResponseHeader, status: StatusCode) -> Result<()> {
    *response = ResponseHeader::build(status, Some(6))?;
    response.insert_header(header::CONTENT_LENGTH, HeaderValue::from(0))
}

/// What `debug_headers` adds: the object's name in the store, so that it can be looked up there.
pub fn explain(response: &mut ResponseHeader, session: &Session) -> Result<()> {
    if let Some(key) = session.cache.maybe_cache_key() {
        response.insert_header("X-Tidegate-Object", crate::cache::id_of(key).to_string())?;
    }
    Ok(())
}
