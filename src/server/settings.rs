//! Everything that a process needs to know to run: the rooms' settings side by side.

use crate::{
    admin::{Configured, Shown},
    fill, logs, origin, proxy, store, tier, traces,
};
use ipnet::IpNet;
use serde_json::Value;
use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf, time::Duration};

/// The checked configuration of one process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads and limits of the process.
    pub server: Server,
    /// What is written of what happens.
    pub log: logs::Config,
    /// Which requests are recorded step by step, and who is told; none where absent.
    pub traces: Option<traces::Config>,
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
    /// The second tier, if there is one.
    pub tier: Option<tier::Config>,
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
    /// The sizes of chunks, in bytes, in which routes bring objects into the second tier.
    pub fn chunk_sizes_in_tier(&self) -> BTreeSet<u32> {
        let routes = self.routes.iter().filter(|route| route.tier);
        let sizes = routes.map(|route| route.chunk_size.unwrap_or(self.store.chunk_size));
        sizes.collect()
    }

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

    /// The file with the operator's token, if there is one.
    pub fn token_file(&self) -> Option<PathBuf> {
        self.admin.as_ref()?.token_file.clone()
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

    /// What is left out of the queries of requests, in logs and traces.
    pub fn hidden(&self) -> logs::Rules {
        let access = self.log.access.as_ref();
        access.map_or_else(logs::Rules::default, |access| access.rules.clone())
    }

    /// What is in force after a reload with `new`, and the keys in it that can't change while the
    /// process runs.
    ///
    /// Every field stands here: whoever adds one has to say which of the two it is.
    pub fn reloaded(&self, new: Self) -> (Self, Vec<&'static str>) {
        let mut fixed = Fixed::default();
        let Server {
            threads,
            drain,
            upgrade_drain,
            origin_idle_connections,
        } = new.server;
        let server = Server {
            threads: fixed.keep("server.threads", self.server.threads, threads),
            drain,
            upgrade_drain,
            origin_idle_connections: fixed.keep(
                "server.origin_idle_connections",
                self.server.origin_idle_connections,
                origin_idle_connections,
            ),
        };
        let mut settings = Self {
            server,
            log: self.log_reloaded(&new.log, &mut fixed),
            traces: new.traces,
            listen: fixed.keep("listen", self.listen.clone(), new.listen),
            admin: self.admin_reloaded(new.admin, &mut fixed),
            cache_version: new.cache_version,
            store: self.store_reloaded(new.store, &mut fixed),
            fill: self.fill_reloaded(new.fill, &mut fixed),
            tier: fixed.keep("tier", self.tier.clone(), new.tier),
            clients: new.clients,
            resolving: new.resolving,
            origins: new.origins,
            routes: new.routes,
            shown: new.shown,
        };
        for key in &fixed.changed {
            let path: Vec<_> = key.split('.').collect();
            put_back(&mut settings.shown, Some(&self.shown), &path);
        }
        (settings, fixed.changed)
    }

    /// What is written may change, not how and where.
    fn log_reloaded(&self, new: &logs::Config, fixed: &mut Fixed) -> logs::Config {
        let now = &self.log;
        fixed.note("log.format", now.format == new.format);
        fixed.note("log.file", now.to == new.to);
        match (&now.access, &new.access) {
            (Some(now), Some(new)) => {
                fixed.note("log.access.format", now.format == new.format);
                fixed.note("log.access.file", now.to == new.to);
            }
            (now, new) => fixed.note("log.access", now.is_some() == new.is_some()),
        }
        now.with_rules_of(new)
    }

    fn admin_reloaded(&self, new: Option<Admin>, fixed: &mut Fixed) -> Option<Admin> {
        let address = |admin: &Option<Admin>| admin.as_ref().map(|admin| admin.address);
        let kept = fixed.keep("admin.address", address(&self.admin), address(&new))?;
        // A token file belongs to the address beside it.
        let same = new.filter(|new| new.address == kept);
        same.or_else(|| self.admin.clone())
    }

    fn store_reloaded(&self, new: store::Config, fixed: &mut Fixed) -> store::Config {
        let now = self.store.clone();
        let store::Config {
            directory,
            max_size,
            memory,
            chunk_size,
            writes,
            write_queue,
            reads,
            open_objects,
        } = new;
        store::Config {
            directory: fixed.keep("cache.directory", now.directory, directory),
            max_size,
            memory: fixed.keep("cache.memory", now.memory, memory),
            chunk_size: fixed.keep("cache.chunk_size", now.chunk_size, chunk_size),
            writes: fixed.keep("cache.writes", now.writes, writes),
            write_queue: fixed.keep("cache.write_queue", now.write_queue, write_queue),
            reads: fixed.keep("cache.reads", now.reads, reads),
            open_objects: fixed.keep("cache.open_objects", now.open_objects, open_objects),
        }
    }

    fn fill_reloaded(&self, new: fill::Config, fixed: &mut Fixed) -> fill::Config {
        fill::Config {
            in_flight: fixed.keep("fill.in_flight", self.fill.in_flight, new.in_flight),
            ..new
        }
    }
}

/// Shows at one place again what was shown there before.
fn put_back(shown: &mut Shown, before: Option<&Shown>, path: &[&str]) {
    let [key, below @ ..] = path else {
        return;
    };
    let was = before.and_then(|before| before.get(*key));
    if !below.is_empty() {
        let section = shown.entry(*key).or_insert_with(|| Shown::new().into());
        if let Value::Object(section) = section {
            put_back(section, was.and_then(Value::as_object), below);
        }
        return;
    }
    match was {
        Some(was) => shown.insert((*key).to_owned(), was.clone()),
        None => shown.remove(*key),
    };
}

/// The keys that stay as they are while the process runs.
#[derive(Debug, Default)]
struct Fixed {
    changed: Vec<&'static str>,
}

impl Fixed {
    /// Keeps what is in force, and notes where something else is wanted.
    fn keep<T: PartialEq>(&mut self, key: &'static str, now: T, new: T) -> T {
        self.note(key, now == new);
        now
    }

    fn note(&mut self, key: &'static str, is_same: bool) {
        if !is_same {
            self.changed.push(key);
        }
    }
}

/// Threads and limits of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Threads that serve clients.
    pub threads: usize,
    /// Longest wait for running answers when the process is told to stop.
    pub drain: Duration,
    /// Longest wait for running answers after another process has taken over.
    pub upgrade_drain: Duration,
    /// Idle connections to origins that are kept, over all of them.
    pub origin_idle_connections: usize,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            threads: 2,
            drain: Duration::from_secs(30),
            upgrade_drain: Duration::from_secs(3600),
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
