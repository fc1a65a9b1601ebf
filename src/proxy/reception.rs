//! How clients are met, as configured now.

use super::{
    Clients, Guard, Tracer,
    access::{PerAddress, Refused},
    headers::NAME,
    places::{Place, Places},
};
use crate::origin::LoadError;
use parking_lot::RwLock;
use std::{net::IpAddr, sync::Arc};

/// The terms in force. A reload replaces them all at once; requests under way keep theirs.
#[derive(Debug)]
pub struct Reception {
    terms: RwLock<Arc<Terms>>,
    /// For requests.
    places: Arc<Places>,
}

/// How clients are met, with the secrets and counts that it takes.
#[derive(Debug)]
pub struct Terms {
    /// As configured.
    pub clients: Clients,
    /// Who we are in `Cache-Status`.
    pub(super) identifier: String,
    pub(super) guard: Option<Guard>,
    pub(super) rate: Option<Arc<PerAddress>>,
    pub(super) tracer: Option<Tracer>,
}

impl Terms {
    /// New terms; secrets are read anew. Where the rate is that of the terms before, clients are
    /// counted on.
    pub fn load(
        clients: Clients,
        tracer: Option<Tracer>,
        before: Option<&Self>,
    ) -> Result<Self, LoadError> {
        let guard = clients.bypass.as_ref().map(Guard::load).transpose()?;
        let same = before.filter(|before| before.clients.rate == clients.rate);
        let rate = match same {
            Some(same) => same.rate.clone(),
            None => clients.rate.map(PerAddress::new).map(Arc::new),
        };
        let identifier = match &clients.name {
            Some(name) => format!("{NAME}-{name}"),
            None => NAME.to_owned(),
        };
        Ok(Self {
            identifier,
            clients,
            guard,
            rate,
            tracer,
        })
    }
}

impl Reception {
    /// On these terms.
    pub fn new(terms: Terms) -> Arc<Self> {
        Arc::new(Self {
            places: Places::new(terms.clients.request_limits()),
            terms: RwLock::new(Arc::new(terms)),
        })
    }

    /// The terms in force.
    pub fn terms(&self) -> Arc<Terms> {
        self.terms.read().clone()
    }

    /// Puts others in their place.
    pub fn replace(&self, terms: Terms) {
        self.places.set_limits(terms.clients.request_limits());
        *self.terms.write() = Arc::new(terms);
    }

    /// A place for one more request from an address, where it has one.
    pub(super) fn admit(&self, address: Option<IpAddr>) -> Result<Place, Refused> {
        let mut place = self.places.take().ok_or(Refused::Full)?;
        match address.is_none_or(|address| place.identify(address)) {
            true => Ok(place),
            false => Err(Refused::AddressFull),
        }
    }
}
