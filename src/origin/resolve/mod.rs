//! Names of servers turned into addresses: all of them, of both families, for as long as DNS says.
//!
//! [`table`] knows what an answer allows at a moment, [`ask`] makes one look-up; here callers meet
//! look-ups. One look-up serves all who want its name at a time, and runs as a task of its own, so
//! that it is nobody's who may go away. Nobody waits for DNS while an answer is at hand.

mod addresses;
mod ask;
mod hosts;
mod table;
#[cfg(test)]
mod tests;

pub use addresses::Addresses;

use super::Resolving;
use ask::Asker;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};
use table::{Failure, Ips, Known, NAMES, Table};
use tokio::sync::watch;

/// Resolves the names of all origins' servers.
#[derive(Debug)]
pub struct Resolver {
    asker: Asker,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    table: Table,
    /// Look-ups under way, at most [`NAMES`].
    flights: HashMap<Arc<str>, Flight>,
}

/// Tells all who wait what a look-up gave.
type Flight = watch::Receiver<Option<Result<Ips, Failure>>>;

/// What a caller does.
enum Step {
    Use(Ips),
    Wait(Flight),
    Refuse(Failure),
}

/// A look-up's task. Removes the look-up from those under way, also when its task is torn down.
struct Landing {
    resolver: Arc<Resolver>,
    name: Arc<str>,
    tell: watch::Sender<Option<Result<Ips, Failure>>>,
}

impl Resolver {
    /// A resolver that asks the configured servers, or the system's. Without any it still knows
    /// literal addresses, `localhost` and the system's table of hosts.
    pub fn new(config: &Resolving) -> io::Result<Arc<Self>> {
        let state = State {
            table: Table::new(config.min_ttl, config.max_ttl),
            flights: HashMap::new(),
        };
        Ok(Arc::new(Self {
            asker: Asker::new(config)?,
            state: Mutex::new(state),
        }))
    }

    /// All addresses of a host, at least one. Waits for DNS only where nothing, or something far
    /// too old, is known.
    pub async fn resolve(self: &Arc<Self>, host: &str, port: u16) -> io::Result<Arc<[SocketAddr]>> {
        if let Some(ip) = literal(host) {
            return Ok(at(&[ip], port));
        }
        let mut flight = match self.step(&host.to_ascii_lowercase())? {
            Step::Use(ips) => return Ok(at(&ips, port)),
            Step::Refuse(failure) => return Err(failure.about(host)),
            Step::Wait(flight) => flight,
        };
        let given = match flight.wait_for(Option::is_some).await {
            Ok(given) => given.clone(),
            Err(_) => return Err(io::Error::other(format!("{host}: the look-up broke off"))),
        };
        match given {
            Some(Ok(ips)) => Ok(at(&ips, port)),
            Some(Err(failure)) => Err(failure.about(host)),
            None => unreachable!("waited for what was given"),
        }
    }

    /// What is known now, were it old; asks nobody.
    pub fn peek(&self, host: &str, port: u16) -> Option<Arc<[SocketAddr]>> {
        if let Some(ip) = literal(host) {
            return Some(at(&[ip], port));
        }
        let name = host.to_ascii_lowercase();
        let ips = self.state.lock().table.peek(&name, now())?;
        Some(at(&ips, port))
    }

    /// What a caller does; a look-up is begun where one is due.
    fn step(self: &Arc<Self>, name: &str) -> io::Result<Step> {
        if name.is_empty() || name.len() > LONGEST {
            let text = format!("{name:?} is no name of a host");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut state = self.state.lock();
        Ok(match state.table.known(name, now()) {
            Known::Fresh(ips) => Step::Use(ips),
            Known::Stale(ips) => {
                // With too many under way it is renewed another time.
                let _ = self.depart(&mut state, name);
                Step::Use(ips)
            }
            Known::Refused(failure) => Step::Refuse(failure),
            Known::Expired(ips) => match self.depart(&mut state, name) {
                Some(flight) => Step::Wait(flight),
                None => Step::Use(ips),
            },
            Known::Unknown => match self.depart(&mut state, name) {
                Some(flight) => Step::Wait(flight),
                None => Step::Refuse(busy()),
            },
        })
    }

    /// The look-up of this name that is under way, begun now where there was none; none when too
    /// many are under way.
    fn depart(self: &Arc<Self>, state: &mut State, name: &str) -> Option<Flight> {
        if let Some(flight) = state.flights.get(name) {
            return Some(flight.clone());
        }
        if state.flights.len() >= NAMES.get() {
            return None;
        }
        let (tell, flight) = watch::channel(None);
        let landing = Landing {
            resolver: self.clone(),
            name: name.into(),
            tell,
        };
        state.flights.insert(landing.name.clone(), flight.clone());
        tokio::spawn(landing.fly());
        Some(flight)
    }
}

impl Landing {
    async fn fly(self) {
        let found = self.resolver.asker.ask(&self.name).await;
        let failure = found.as_ref().err().map(|e| e.about(&self.name));
        // Told and landed under one lock: who comes later finds the table changed.
        let mut state = self.resolver.state.lock();
        let settled = state.table.settle(&self.name, found, now());
        self.tell.send_replace(Some(settled.given));
        state.flights.remove(&self.name);
        drop(state);
        if let Some(e) = failure.filter(|_| settled.report) {
            log::warn!("addresses could not be renewed: {e}");
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut state = self.resolver.state.lock();
        let ours = self.tell.subscribe();
        // A later look-up of the same name is not ours to remove.
        if (state.flights.get(&self.name)).is_some_and(|flight| flight.same_channel(&ours)) {
            state.flights.remove(&self.name);
        }
    }
}

/// Longest name of a host in text, RFC 1035 section 2.3.4, and its last dot.
const LONGEST: usize = 254;

/// A literal address, with brackets or without.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

fn at(ips: &[IpAddr], port: u16) -> Arc<[SocketAddr]> {
    ips.iter().map(|ip| SocketAddr::new(*ip, port)).collect()
}

fn busy() -> Failure {
    let text = "too many names are being looked up";
    Failure::Failed(io::ErrorKind::ResourceBusy, text.into())
}

/// Tokio's clock, which tests can move.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
