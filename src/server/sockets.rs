//! All sockets that a process listens on.

use super::{Settings, StartError, inherited::Inherited, listener::BoundListener};
use std::{
    io,
    net::{SocketAddr, TcpListener},
};

/// The sockets, bound, and those of other processes taken over.
pub(super) struct Sockets {
    /// For clients, in the order of the settings.
    pub clients: Vec<BoundListener>,
    /// For the operator.
    pub admin: Option<BoundListener>,
}

impl Sockets {
    /// Those of the settings. What was passed and is not named there is a mistake, or goes.
    pub fn claim(settings: &Settings, mut inherited: Inherited) -> Result<Self, StartError> {
        let clients = settings.listen.iter();
        let clients = clients.map(|listen| inherited.listen(listen.address));
        let clients = clients.collect::<Result<_, _>>()?;
        let admin = settings.admin.as_ref();
        let admin = admin.map(|admin| inherited.listen(admin.address));
        let admin = admin.transpose()?;
        inherited.check_rest()?;
        Ok(Self { clients, admin })
    }

    /// Where clients connect.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.clients.iter().map(BoundListener::address).collect()
    }

    /// All of them once more, to be handed over.
    pub fn share(&self) -> io::Result<Vec<TcpListener>> {
        let all = self.clients.iter().chain(&self.admin);
        all.map(BoundListener::share).collect()
    }
}
