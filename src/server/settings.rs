//! Everything that a process needs to know to run: the rooms' settings side by side.

use crate::{
    admin::{Configured, Shown},
    fill, logs, origin, proxy, store,
};
use ipnet::IpNet;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// The checked configuration of one process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads and limits of the process.
    pub server: Server,
    /// What is written of what happens.
    pub log: logs::Config,
    /// Where clients connect.
    pub listen: Vec<Listen>,
    /// Where the operator connects; nowhere when absent.
    pub admin: Option<Admin>,
    /// Part of every cache key: raising it empties the cache at once.
    pub cache_version: u32,
    /// The chunk store.
    pub store: store::Config,
    /// The fills.
    pub fill: fill::Config,
    /// How clients are met.
    pub clients: proxy::Clients,
    /// How the names of origins' servers are resolved.
    pub resolving: origin::Resolving,
    /// All origins; names are unique.
    pub origins: Vec<origin::Config>,
    /// The first that matches takes the request.
    pub routes: Vec<proxy::Route>,
    /// The file that all this was read from, without secrets, to be shown to the operator.
    pub shown: Shown,
}

impl Settings {
    /// The parts that decide what a URL gets.
    pub fn configured(&self) -> Configured {
        Configured {
            version: self.cache_version,
            chunk_size: self.store.chunk_size,
            routes: self.routes.clone(),
            origins: self.origins.clone(),
            shown: self.shown.clone(),
        }
    }

    /// The file as it is in force after a reload of another: of that only the parts that can change
    /// while the process runs.
    pub fn shown_after(&self, other: &Self) -> Shown {
        let mut shown = self.shown.clone();
        for section in ["resolver", "origins", "routes"] {
            match other.shown.get(section) {
                Some(new) => shown.insert(section.to_owned(), new.clone()),
                None => shown.remove(section),
            };
        }
        shown
    }

    /// The query parameters by which clients are let in: nobody else is to see them.
    pub fn secret_parameters(&self) -> Vec<String> {
        let signed = self.routes.iter().filter_map(|route| {
            let signed = route.access.signed.as_ref()?;
            Some(signed.parameter.clone())
        });
        let bypass = self.clients.bypass.as_ref();
        let bypass = bypass.and_then(|bypass| bypass.parameter.clone());
        signed.chain(bypass).collect()
    }

    /// The sections that differ from another's and can't be changed while the process runs.
    pub fn needs_restart(&self, other: &Self) -> Vec<&'static str> {
        let sections = [
            ("server", self.server != other.server),
            ("log", !self.log.has_the_ways_of(&other.log)),
            ("listen", self.listen != other.listen),
            ("admin", self.admin != other.admin),
            (
                "cache",
                self.store != other.store || self.cache_version != other.cache_version,
            ),
            ("fill", self.fill != other.fill),
            ("clients", self.clients != other.clients),
        ];
        let changed = sections.into_iter().filter(|(_, changed)| *changed);
        changed.map(|(name, _)| name).collect()
    }
}

/// Threads and limits of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Threads that serve clients.
    pub threads: usize,
    /// Longest wait for running answers when the process is told to stop.
    pub drain: Duration,
    /// Idle connections to origins that are kept, over all of them.
    pub origin_idle_connections: usize,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            threads: 2,
            drain: Duration::from_secs(30),
            origin_idle_connections: 128,
        }
    }
}

/// One address where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Cleartext HTTP/2 by prior knowledge, beside HTTP/1.1.
    pub h2c: bool,
    /// TLS, with HTTP/2 and HTTP/1.1 by ALPN.
    pub tls: Option<Tls>,
    /// The networks of load balancers that begin each connection with a PROXY header; none is
    /// expected where absent.
    pub proxy_protocol: Option<Vec<IpNet>>,
}

/// What a TLS listener shows its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// At least one; the first is for clients that ask for no name, or for none of theirs.
    pub certificates: Vec<Certificate>,
}

/// Files in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Where the operator connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// File that holds the bearer token for what changes state.
    pub token_file: Option<PathBuf>,
}
