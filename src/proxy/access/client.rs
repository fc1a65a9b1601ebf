//! Who asks, and what origins are told of it.

use crate::{
    domain::X_FORWARDED_FOR,
    proxy::{Clients, foundation::Proxy},
    traffic::is_among,
};
use http::header;
use pingora_core::Result;
use pingora_proxy::Session;
use std::net::IpAddr;

impl Proxy {
    /// Who asks: whom trusted proxies ask for, otherwise who connects.
    pub(in crate::proxy) fn client_of(&self, session: &Session) -> Option<IpAddr> {
        let peer = session.client_addr()?.as_inet()?.ip();
        let trusted = &self.clients.trusted_proxies;
        let headers = &session.req_header().headers;
        let field = self.clients.trusted_field;
        Some(field.client(headers, peer, |address| is_among(trusted, address)))
    }
}

/// Says in a request who asks, as far as that is known. It is said before anything is looked up:
/// what the origin is sent may choose among its answers, by `Vary`.
pub fn introduce(session: &mut Session, clients: &Clients, address: IpAddr) -> Result<()> {
    let request = session.req_header_mut();
    if clients.trusted_proxies.is_empty() {
        // Whoever connects may be a proxy that nobody has told us of: nothing is thrown away.
        request.append_header(X_FORWARDED_FOR, address.to_string())?;
        return Ok(());
    }
    request.remove_header(&header::FORWARDED);
    request.remove_header("x-real-ip");
    request.insert_header(X_FORWARDED_FOR, address.to_string())
}
