//! Who asks, and what origins are told of it.

use crate::{
    domain::X_FORWARDED_FOR,
    proxy::{Clients, request_id::RequestId},
    traffic::is_among,
};
use http::{HeaderMap, header};
use pingora_core::Result;
use pingora_proxy::Session;
use std::net::IpAddr;

impl Clients {
    /// Who asks: whom trusted proxies ask for, otherwise who connects.
    pub(in crate::proxy) fn client_of(&self, session: &Session) -> Option<IpAddr> {
        let peer = session.client_addr()?.as_inet()?.ip();
        let trusted = |address| is_among(&self.trusted_proxies, address);
        let headers = &session.req_header().headers;
        Some(self.trusted_field.client(headers, peer, trusted))
    }

    /// The name of a request, which a trusted proxy may have given it.
    pub(in crate::proxy) fn id_of(&self, session: &Session) -> RequestId {
        let headers = &session.req_header().headers;
        self.request_id.name(headers, self.is_by_proxy(session))
    }

    /// Whether it is a trusted proxy that a request comes from.
    pub(in crate::proxy) fn is_by_proxy(&self, session: &Session) -> bool {
        let peer = session.client_addr().and_then(|peer| peer.as_inet());
        peer.is_some_and(|peer| is_among(&self.trusted_proxies, peer.ip()))
    }
}

/// Says in a request who asks, as far as that is known. It is said before anything is looked up:
/// what the origin is sent may choose among its answers, by `Vary`.
pub fn introduce(session: &mut Session, clients: &Clients, address: IpAddr) -> Result<()> {
    let is_copy = session.subrequest_ctx.is_some();
    let request = session.req_header_mut();
    if clients.trusted_proxies.is_empty() {
        // Whoever connects may be a proxy that nobody has told us of: nothing is thrown away.
        let address = address.to_string();
        // Pingora makes a copy of a request of HTTP/1 as it came, and of HTTP/2 as it is by now.
        let is_said = is_copy && says_last(&request.headers, &address);
        if !is_said {
            request.append_header(X_FORWARDED_FOR, address)?;
        }
        return Ok(());
    }
    request.remove_header(&header::FORWARDED);
    request.remove_header("x-real-ip");
    request.insert_header(X_FORWARDED_FOR, address.to_string())
}

/// Whether the last that is said of whom a request is for is this.
fn says_last(headers: &HeaderMap, address: &str) -> bool {
    let last = headers.get_all(X_FORWARDED_FOR).iter().next_back();
    last.is_some_and(|line| line.as_bytes() == address.as_bytes())
}
