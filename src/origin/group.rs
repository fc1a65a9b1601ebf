//! A named origin: a group of servers that answer for the same objects.

use super::{
    Config, Server,
    balance::{Balancer, Candidate, Part},
    checks::Checks,
    credentials::Identity,
    limit::Limit,
    resolve::Resolver,
    retry::Budget,
    server::{Attempt, Place},
    tls::TlsFiles,
};
use crate::domain::without_port;
use parking_lot::Mutex;
use pingora_core::{
    protocols::{TcpKeepalive, tls::ALPN},
    upstreams::peer::HttpPeer,
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// A named origin.
#[derive(Debug)]
pub struct Origin {
    config: Config,
    servers: Vec<Arc<Server>>,
    balancer: Mutex<Balancer>,
    limit: Arc<Limit>,
    budget: Mutex<Budget>,
    identity: Option<Identity>,
    files: TlsFiles,
    resolver: Arc<Resolver>,
    /// Keeps connections of origins apart that trust other authorities.
    group: u64,
    checks: Mutex<Option<Checks>>,
}

/// Why an origin can't be set up.
#[derive(Debug, thiserror::Error)]
#[error("origin {origin}: {reason}")]
pub struct OriginError {
    origin: String,
    reason: String,
}

/// Groups given out: an origin that is made anew with other authorities has connections of its own.
static NEXT_GROUP: AtomicU64 = AtomicU64::new(1);
/// How often an HTTP/2 connection, and an idle one of any kind, is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// HTTP/2 streams over one connection to a server.
const STREAMS: usize = 16;

impl Origin {
    /// An origin as configured. Reads the files that its settings name.
    pub fn new(config: Config, resolver: Arc<Resolver>) -> Result<Self, OriginError> {
        let wrong = |reason: String| OriginError {
            origin: config.name.clone(),
            reason,
        };
        let identity = config.credentials.as_ref().map(Identity::load).transpose();
        let identity = identity.map_err(|e| wrong(e.to_string()))?;
        let files = TlsFiles::load(&config.tls).map_err(|e| wrong(e.to_string()))?;
        let (rise, fall) = config.check.as_ref().map_or((1, 1), |c| (c.rise, c.fall));
        let server = |s| Arc::new(Server::new(s, config.breaker, rise, fall));
        Ok(Self {
            servers: config.servers.iter().map(server).collect(),
            balancer: Mutex::new(Balancer::new(config.balance)),
            limit: Limit::new(config.limit),
            budget: Mutex::new(Budget::new(config.retry.budget)),
            group: NEXT_GROUP.fetch_add(1, Relaxed),
            identity,
            files,
            resolver,
            config,
            checks: Mutex::default(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its servers.
    pub fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    /// Its limit, with the queue before it.
    pub fn limit(&self) -> &Arc<Limit> {
        &self.limit
    }

    /// Whether we say who we are to it.
    pub(super) fn vouches(&self) -> bool {
        self.identity.is_some() || self.files.identity.is_some()
    }

    /// Whether it has read files that may have changed since: it is made anew at a reload.
    pub fn has_files(&self) -> bool {
        self.files.ca.is_some() || self.files.identity.is_some()
    }

    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    pub(super) fn resolver(&self) -> &Arc<Resolver> {
        &self.resolver
    }

    pub(super) fn keep_checks(&self, checks: Checks) {
        *self.checks.lock() = Some(checks);
    }

    /// A request is sent.
    pub(super) fn deposit(&self, now: Instant) {
        self.budget.lock().deposit(now);
    }

    /// Whether the budget allows one more repetition or hedge.
    pub(super) fn withdraw(&self, now: Instant) -> bool {
        self.budget.lock().withdraw(now)
    }

    /// Chooses a server that has not been `tried`, by health, breaker and balance.
    pub(super) fn choose(
        &self,
        tried: impl Fn(usize) -> bool,
        part: Part,
        guarded: bool,
        now: Instant,
    ) -> Option<(usize, Attempt)> {
        let key = part.hashed(self.config.groups);
        let mut candidates = self.candidates(tried, guarded, now);
        let mut balancer = self.balancer.lock();
        while let Some(at) = balancer.choose(&candidates, key) {
            match self.servers[at].begin(guarded, now) {
                Ok(attempt) => return Some((at, attempt.of(part.key))),
                // Others have taken the trials that it lets pass.
                Err(_) => candidates[at].usable = false,
            }
        }
        None
    }

    /// How long the first of the servers that have not been `tried` will be left alone; `None`
    /// where none is.
    pub(super) fn left_alone_for(
        &self,
        tried: impl Fn(usize) -> bool,
        now: Instant,
    ) -> Option<Duration> {
        let servers = self.servers.iter().enumerate();
        let left = servers.filter(|(at, _)| !tried(*at));
        let waits = left.filter_map(|(_, server)| server.begin(true, now).err());
        waits.map(|open| open.retry_after).min()
    }

    /// The server that the next request is likely to go to.
    pub(super) fn expected(&self, part: Part) -> Option<&Arc<Server>> {
        let key = part.hashed(self.config.groups);
        let candidates = self.candidates(|_| false, true, super::now());
        let mut balancer = self.balancer.lock().clone();
        self.servers.get(balancer.choose(&candidates, key)?)
    }

    fn candidates(
        &self,
        tried: impl Fn(usize) -> bool,
        guarded: bool,
        now: Instant,
    ) -> Vec<Candidate> {
        let candidate = |(at, server): (usize, &Arc<Server>)| Candidate {
            weight: server.weight(),
            active: server.active(),
            preferred: server.is_healthy(),
            usable: !tried(at) && (!guarded || server.would_admit(now)),
            id: server.id(),
        };
        self.servers.iter().enumerate().map(candidate).collect()
    }

    /// The peer at an address of one of its servers or of where a redirect leads.
    pub(super) fn peer(&self, place: &Place, address: SocketAddr) -> HttpPeer {
        let own = self.config.sni.as_deref().or(self.config.host.as_deref());
        let is_own = self.servers.iter().any(|server| server.place() == place);
        let sni = own.filter(|_| is_own).map(without_port);
        let sni = sni.unwrap_or(&place.host).to_owned();
        let mut peer = HttpPeer::new(address, place.tls, sni);
        peer.group_key = self.group;
        if is_own {
            peer.client_cert_key = self.files.identity.clone();
        }
        let options = &mut peer.options;
        options.ca = self.files.ca.clone();
        options.verify_cert = self.config.tls.verify;
        options.verify_hostname = self.config.tls.verify;
        options.custom_l4 = Some(Arc::new(super::dial::Dial(self.config.connect_timeout)));
        options.connection_timeout = Some(self.config.tls_timeout);
        let both = self.config.connect_timeout + self.config.tls_timeout;
        options.total_connection_timeout = Some(both);
        options.read_timeout = Some(self.config.read_timeout);
        options.write_timeout = Some(self.config.read_timeout);
        options.idle_timeout = Some(self.config.idle_timeout);
        options.max_h2_streams = STREAMS;
        options.h2_ping_interval = Some(KEEPALIVE);
        options.tcp_keepalive = Some(TcpKeepalive {
            idle: KEEPALIVE * 3,
            interval: KEEPALIVE,
            count: 3,
            #[cfg(target_os = "linux")]
            user_timeout: Duration::ZERO,
        });
        options.alpn = match (self.config.http2, place.tls) {
            (true, true) => ALPN::H2H1,
            (true, false) => ALPN::H2,
            (false, _) => ALPN::H1,
        };
        peer
    }
}
