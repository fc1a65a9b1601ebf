//! An origin and its servers.

use super::{Config, resolve::Resolver};
use pingora_core::upstreams::peer::HttpPeer;
use std::{io, sync::Arc};

/// A named origin.
#[derive(Debug)]
pub struct Origin {
    config: Config,
    servers: Vec<Arc<Server>>,
}

/// One server of an origin.
#[derive(Debug)]
pub struct Server {
    host: String,
    port: u16,
    tls: bool,
    authority: String,
    resolver: Resolver,
}

impl Origin {
    /// An origin as configured.
    pub fn new(config: Config) -> Self {
        let servers = config
            .servers
            .iter()
            .map(|url| Arc::new(Server::at(url)))
            .collect();
        Self { config, servers }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its servers, in order of preference.
    pub fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    /// The peer to connect to, with all deadlines set.
    pub async fn peer(&self, server: &Server) -> io::Result<HttpPeer> {
        let address = server.resolver.resolve(&server.host, server.port).await?;
        let mut peer = HttpPeer::new(address, server.tls, server.host.clone());
        let options = &mut peer.options;
        options.connection_timeout = Some(self.config.connect_timeout);
        options.total_connection_timeout = Some(self.config.connect_timeout * 2);
        options.read_timeout = Some(self.config.read_timeout);
        options.write_timeout = Some(self.config.read_timeout);
        options.idle_timeout = Some(self.config.idle_timeout);
        Ok(peer)
    }
}

impl Server {
    fn at(url: &http::Uri) -> Self {
        let tls = url.scheme_str() == Some("https");
        let host = url
            .host()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .to_owned();
        let port = url.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let authority = url
            .authority()
            .map_or_else(String::new, |a| a.as_str().to_owned());
        Self {
            host,
            port,
            tls,
            authority,
            resolver: Resolver::default(),
        }
    }

    /// What to send as `Host`.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}
