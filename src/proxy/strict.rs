//! What of a request's head is refused before anything is made of it.

use super::{Clients, malformed::Malformed};
use crate::domain::check_head;
use http::{Version, header};
use pingora_proxy::Session;

/// Whether a head may be read on; otherwise what is wrong with it.
pub fn check(session: &Session, clients: &Clients) -> Result<(), Malformed> {
    if session.req_header().headers.len() > clients.max_header_fields {
        return Err(Malformed::TooLarge);
    }
    // HTTP/2 has bounded the size already, and knows no line ends.
    let Some(http1) = session.as_downstream().as_http1() else {
        return Ok(());
    };
    let head = http1.get_headers_raw_bytes();
    if head.len() as u64 > clients.max_header_size {
        return Err(Malformed::TooLarge);
    }
    let request = session.req_header();
    // Also where the target names one (RFC 9112, section 3.2).
    if request.version == Version::HTTP_11 && !request.headers.contains_key(header::HOST) {
        return Err(Malformed::Host);
    }
    check_head(&head).map_err(Malformed::Head)
}
