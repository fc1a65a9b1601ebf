//! Sockets that listen already: from systemd (`LISTEN_FDS`, socket activation), or from the process
//! that this one takes over from.
//!
//! They are told apart by their addresses, not by names, so that the configuration stays the one
//! place that says where Tidegate listens. An address that no socket came for is bound as usual.

use super::{
    StartError,
    listener::{self, BindError, BoundListener},
};
use std::{
    io,
    net::{SocketAddr, TcpListener},
};

/// Sockets that nothing has claimed yet.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    sockets: Vec<TcpListener>,
    /// Whether a socket that nothing claims is a mistake.
    is_strict: bool,
}

/// Why inherited sockets can't be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// What was passed is no TCP socket.
    #[error(
        "systemd passed a socket that is no listening TCP socket: {0}; only ListenStream= with an address and a port is of use"
    )]
    Kind(#[source] io::Error),
    /// A socket is there that the configuration does not name.
    #[error(
        "systemd passed a socket for {0}, but no entry under listen, nor admin.address, is that address; name it there, or take it out of the .socket unit"
    )]
    Unclaimed(SocketAddr),
    /// A socket is there that takes the port of an address, and is not that address.
    #[error(
        "cannot listen on {wanted}: systemd passed a socket for {passed}, which takes the port; write both alike, here and in the .socket unit"
    )]
    Other {
        /// The address in the configuration.
        wanted: SocketAddr,
        /// That of the socket.
        passed: SocketAddr,
    },
}

impl Inherited {
    /// What systemd passed, if anything.
    pub fn from_systemd() -> Result<Self, InheritError> {
        let mut passed = listenfd::ListenFd::from_env();
        let mut sockets = Vec::new();
        for at in 0..passed.len() {
            sockets.extend(passed.take_tcp_listener(at).map_err(InheritError::Kind)?);
        }
        Ok(Self {
            sockets,
            is_strict: true,
        })
    }

    /// What the process before listens on. What the configuration does not name any more goes.
    pub fn from_predecessor(sockets: Vec<TcpListener>) -> Self {
        Self {
            sockets,
            is_strict: false,
        }
    }

    /// The socket that listens on an address, or a new one. With port 0 any port of the process
    /// before will do.
    pub fn listen(&mut self, address: SocketAddr) -> Result<BoundListener, StartError> {
        let any_port = address.port() == 0 && !self.is_strict;
        let fits = |socket: &TcpListener| {
            let own = socket.local_addr();
            own.is_ok_and(|own| own == address || any_port && own.ip() == address.ip())
        };
        let bound = match self.sockets.iter().position(fits) {
            Some(at) => listener::adopt(self.sockets.remove(at))
                .map_err(|source| BindError { address, source }),
            None => listener::bind(address),
        };
        bound.map_err(|failure| match self.in_the_way_of(address) {
            Some(passed) if failure.is_taken() => InheritError::Other {
                wanted: address,
                passed,
            }
            .into(),
            _ => failure.into(),
        })
    }

    /// The address of a socket from systemd that has the same port.
    fn in_the_way_of(&self, address: SocketAddr) -> Option<SocketAddr> {
        let mut others = self.sockets.iter().filter(|_| self.is_strict);
        let own = |socket: &TcpListener| socket.local_addr().ok();
        others.find_map(|other| own(other).filter(|own| own.port() == address.port()))
    }

    /// To be asked when all have been claimed.
    pub fn check_rest(&self) -> Result<(), InheritError> {
        let mut rest = self.sockets.iter().filter(|_| self.is_strict);
        match rest.find_map(|socket| socket.local_addr().ok()) {
            Some(address) => Err(InheritError::Unclaimed(address)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").unwrap()
    }

    #[test]
    fn sockets_are_found_by_address_and_the_rest_is_bound() {
        let (first, second) = (any(), any());
        let (at_first, at_second) = (first.local_addr().unwrap(), second.local_addr().unwrap());
        let mut inherited = Inherited::from_predecessor(vec![first, second]);
        assert_eq!(inherited.listen(at_second).unwrap().address(), at_second);
        let wildcard = SocketAddr::from(([127, 0, 0, 1], 0));
        let claimed = inherited.listen(wildcard).unwrap();
        assert_eq!(claimed.address(), at_first);
        let bound = inherited.listen(wildcard).unwrap();
        assert_ne!(bound.address().port(), 0);
        // It is somebody's, and not ours to claim again.
        let taken = inherited.listen(at_first).unwrap_err();
        assert!(matches!(taken, StartError::Bind(e) if e.is_taken()));
    }

    #[test]
    fn what_systemd_passed_must_be_wanted() {
        let socket = any();
        let address = socket.local_addr().unwrap();
        let mut strict = Inherited {
            sockets: vec![socket],
            is_strict: true,
        };
        let wrong = strict.check_rest().unwrap_err().to_string();
        assert!(wrong.contains(&address.to_string()), "{wrong}");
        let _claimed = strict.listen(address).unwrap();
        strict.check_rest().unwrap();
    }

    /// `ListenStream=8080` is `[::]:8080`, and takes the port of `0.0.0.0:8080`.
    #[test]
    fn a_port_that_what_systemd_passed_has_taken_is_not_another_process_s() {
        let socket = any();
        let passed = socket.local_addr().unwrap();
        let mut strict = Inherited {
            sockets: vec![any(), socket],
            is_strict: true,
        };
        let everywhere = SocketAddr::from(([0, 0, 0, 0], passed.port()));
        let wrong = strict.listen(everywhere).unwrap_err().to_string();
        let words = format!("cannot listen on {everywhere}: systemd passed a socket for {passed}");
        assert!(wrong.starts_with(&words), "{wrong}");
    }
}
