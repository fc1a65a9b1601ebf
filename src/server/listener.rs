//! Listening sockets, bound before anything else is built.
//!
//! Pingora binds when a service starts, retries a taken port for half a minute and then panics.
//! Here a socket is bound at once, a failure says which address and why, port 0 becomes the real
//! port, and the bound socket goes to the service through Pingora's own table of sockets.

use pingora_core::server::Fds;
use std::{
    io,
    net::{SocketAddr, TcpListener},
    os::fd::IntoRawFd,
};

/// A socket that listens and that no service has taken yet; dropping it closes it.
#[derive(Debug)]
pub struct BoundListener {
    socket: TcpListener,
    address: SocketAddr,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", reason(source))]
pub struct BindError {
    /// The address as it was asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

/// Listens on an address, with `SO_REUSEADDR`; port 0 lets the system choose.
pub fn bind(address: SocketAddr) -> Result<BoundListener, BindError> {
    listen(address).map_err(|source| BindError { address, source })
}

fn listen(address: SocketAddr) -> io::Result<BoundListener> {
    // The backlog is raised when Pingora takes the socket: it calls listen once more.
    adopt(TcpListener::bind(address)?)
}

/// Takes a socket that listens already.
pub(super) fn adopt(socket: TcpListener) -> io::Result<BoundListener> {
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    Ok(BoundListener { socket, address })
}

impl BoundListener {
    /// The bound address, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same socket once more: it listens as long as one of them is open.
    pub fn share(&self) -> io::Result<TcpListener> {
        self.socket.try_clone()
    }

    /// Puts the socket into Pingora's table. A service that is given the returned text as its
    /// address (`add_tcp` and its kin) takes the socket when it starts with that table, and
    /// closes it when it ends; without such a service the socket stays open.
    pub fn hand_over(self, table: &mut Fds) -> String {
        let name = self.address.to_string();
        table.add(name.clone(), self.socket.into_raw_fd());
        name
    }
}

impl BindError {
    /// Whether somebody else listens there.
    pub fn is_taken(&self) -> bool {
        self.source.kind() == io::ErrorKind::AddrInUse
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is taken by another process".into(),
        io::ErrorKind::PermissionDenied => {
            "no permission (ports below 1024 need CAP_NET_BIND_SERVICE)".into()
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have this address".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpStream};

    const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn port_0_becomes_a_real_port_that_accepts() {
        let bound = bind(ANY).unwrap();
        assert_ne!(bound.address().port(), 0);
        TcpStream::connect(bound.address()).unwrap();
    }

    #[test]
    fn a_taken_port_is_named() {
        let bound = bind(ANY).unwrap();
        let error = bind(bound.address()).unwrap_err();
        assert!(error.is_taken());
        let text = format!("cannot listen on {}: the port is taken", bound.address());
        assert!(error.to_string().starts_with(&text), "{error}");
        let address = bound.address();
        drop(bound);
        assert!(bind(address).is_ok(), "a dropped listener leaves its port");
    }

    #[test]
    fn a_foreign_address_is_named() {
        let error = bind(SocketAddr::from(([192, 0, 2, 1], 0))).unwrap_err();
        assert!(!error.is_taken());
        let text = "cannot listen on 192.0.2.1:0: this machine does not have this address";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn the_table_knows_the_socket_by_its_real_address() {
        let bound = bind(ANY).unwrap();
        let address = bound.address();
        let mut table = Fds::new();
        let name = bound.hand_over(&mut table);
        assert_eq!(name, address.to_string());
        assert!(table.get(&name).is_some());
        TcpStream::connect(address).unwrap();
        table.close_unclaimed(&Default::default());
    }
}
