//! Addresses: those to listen on, of which each can be taken once, those to connect to, and
//! networks of those who connect.

use super::{scalar, spot::Spot};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// The addresses that listeners have taken so far, each with the path of who took it.
#[derive(Debug, Default)]
pub(super) struct Taken(Vec<(SocketAddr, String)>);

impl Taken {
    /// Reads an address that nobody else listens on. Port 0 is a new port each time.
    pub(super) fn take(&mut self, at: &Spot) -> Option<SocketAddr> {
        let address = address(at)?;
        let other = self.0.iter().find(|(taken, _)| *taken == address);
        if let (Some((_, by)), true) = (other, address.port() != 0) {
            return at.refuse(format!("{address} is taken by {by} already"));
        }
        self.0.push((address, at.path().to_owned()));
        Some(address)
    }
}

/// An address that can be connected to.
pub(super) fn reachable(at: &Spot) -> Option<SocketAddr> {
    let address = address(at)?;
    match address.port() {
        0 => at.expected("a port from 1 to 65535"),
        _ => Some(address),
    }
}

/// Networks, as CIDR blocks; a bare address is a network of one.
pub(super) fn networks(at: &Spot) -> Option<Vec<IpNet>> {
    at.distinct("network", |at| {
        const EXPECTED: &str = "an IP address or network such as 10.0.0.0/8 or \"2001:db8::/32\"";
        let text = scalar::text(at, EXPECTED)?;
        let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
        match text.parse::<IpNet>().ok().or_else(address) {
            Some(network) => Some(network.trunc()),
            None => at.expected(EXPECTED),
        }
    })
}

fn address(at: &Spot) -> Option<SocketAddr> {
    const EXPECTED: &str = "IP:port such as 127.0.0.1:8080 or \"[::1]:8080\"";
    let text = scalar::text(at, EXPECTED)?;
    match text.parse() {
        Ok(address) => Some(address),
        Err(_) if is_host_name(text) => {
            at.refuse(format!("expected {EXPECTED}, found the host name {text:?}"))
        }
        Err(_) => at.expected(EXPECTED),
    }
}

/// Whether this is a name with a port where an address should be.
fn is_host_name(text: &str) -> bool {
    let name = text.rsplit_once(':').map_or(text, |(name, _)| name);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    name.len() < 256 && name.chars().all(plain) && name.contains(|c: char| c.is_ascii_alphabetic())
}
