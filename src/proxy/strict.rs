//! What of a request's head is refused before anything is made of it.

use super::Clients;
use crate::domain::{BadHead, check_head};
use http::StatusCode;
use pingora_proxy::Session;

/// Whether a head may be read on; otherwise the status to answer with, and why.
pub fn check(session: &Session, clients: &Clients) -> Result<(), (StatusCode, &'static str)> {
    let too_large = (
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "request-header-too-large",
    );
    if session.req_header().headers.len() > clients.max_header_fields {
        return Err(too_large);
    }
    // HTTP/2 has bounded the size already, and knows no line ends.
    let Some(http1) = session.as_downstream().as_http1() else {
        return Ok(());
    };
    let head = http1.get_headers_raw_bytes();
    if head.len() as u64 > clients.max_header_size {
        return Err(too_large);
    }
    check_head(&head).map_err(|bad| (status(bad), bad.as_str()))
}

fn status(bad: BadHead) -> StatusCode {
    match bad {
        // Well formed, and nothing that is spoken here (RFC 9112, section 6.1).
        BadHead::Coding => StatusCode::NOT_IMPLEMENTED,
        _ => StatusCode::BAD_REQUEST,
    }
}
