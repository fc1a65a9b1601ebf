//! The certificates of a TLS listener: chosen by the name that a client asks for, and read anew
//! without a restart.
//!
//! TLS is rustls': of Pingora's back-ends the one in a memory-safe language, the one that lets a
//! listener choose its certificate for each handshake, and the one whose records go out many at a
//! time (it writes vectored, where the OpenSSL kind makes a system call of every 16 KiB).

use super::{StartError, Tls};
use crate::origin::{CertifiedKey, certified, expires};
use parking_lot::RwLock;
use pingora_core::listeners::tls::Acceptor;
use rustls::{
    ServerConfig,
    crypto::ring::{self, Ticketer},
    server::{ClientHello, ResolvesServerCert},
    version::{TLS12, TLS13},
};
use std::{collections::HashMap, net::SocketAddr, path::PathBuf, sync::Arc, time::SystemTime};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

/// What a listener shows its clients.
#[derive(Debug)]
pub(super) struct Certificates {
    set: RwLock<Arc<Set>>,
}

/// All certificates of a listener, by name.
#[derive(Debug)]
pub(super) struct Set {
    /// For clients that ask for no name, or for one that nothing is there for.
    first: Arc<CertifiedKey>,
    /// `*.example.com` stands as it is.
    by_name: HashMap<String, Arc<CertifiedKey>>,
    /// Until when each file's certificate is good.
    expiries: Vec<(PathBuf, SystemTime)>,
}

impl Certificates {
    /// Shows these.
    pub fn new(set: Set) -> Self {
        let set = RwLock::new(Arc::new(set));
        Self { set }
    }

    /// Shows these to whoever connects from now on.
    pub fn replace(&self, set: Set) {
        *self.set.write() = Arc::new(set);
    }
}

impl Set {
    /// Reads the files of a listener.
    pub fn load(tls: &Tls, address: SocketAddr) -> Result<Self, StartError> {
        let wrong = |reason: String| StartError::Tls { address, reason };
        let mut by_name = HashMap::new();
        let (mut first, mut expiries) = (None, Vec::new());
        for pair in &tls.certificates {
            let key = certified(&pair.certificate, &pair.key).map_err(|e| wrong(e.to_string()))?;
            expiries.extend(expires(&key).map(|at| (pair.certificate.clone(), at)));
            let key = Arc::new(key);
            for name in names(&key) {
                by_name.entry(name).or_insert_with(|| key.clone());
            }
            first.get_or_insert(key);
        }
        let first = first.ok_or_else(|| wrong("no certificate".into()))?;
        Ok(Self {
            first,
            by_name,
            expiries,
        })
    }

    /// The files of the certificates, and until when these are good.
    pub fn expiries(&self) -> &[(PathBuf, SystemTime)] {
        &self.expiries
    }

    /// The certificate for a name in lower case: its own, that of its domain, or the first.
    fn choose(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let of_domain = |name: &str| {
            let (_, domain) = name.split_once('.')?;
            self.by_name.get(&format!("*.{domain}"))
        };
        let found = name.and_then(|name| self.by_name.get(name).or_else(|| of_domain(name)));
        found.unwrap_or(&self.first).clone()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let set = self.set.read().clone();
        let name = hello.server_name().map(str::to_ascii_lowercase);
        Some(set.choose(name.as_deref()))
    }
}

/// The host names that a certificate is for (RFC 6125, section 6.4).
fn names(key: &CertifiedKey) -> Vec<String> {
    let parsed = key.cert.first().map(|der| X509Certificate::from_der(der));
    let Some(Ok((_, certificate))) = parsed else {
        return Vec::new();
    };
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = alternatives.value.general_names.iter();
    let host = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    names.filter_map(host).collect()
}

/// TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1, and tickets, so that a client that comes back spares
/// itself and us a signature.
pub(super) fn acceptor(certificates: Arc<Certificates>) -> Result<Acceptor, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_protocol_versions(&[&TLS13, &TLS12])?;
    let mut config = builder
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = Ticketer::new()?;
    Ok(Acceptor::from_server_config(Arc::new(config)))
}
