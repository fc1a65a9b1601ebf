//! The connections of all clients, counted and bounded.

use super::super::places::{Place, Places};
use crate::traffic::CrowdLimits;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// The connections that there are, and the counters about them.
#[derive(Debug)]
pub struct Connections {
    places: Arc<Places>,
    /// Connections at the moment.
    pub active: IntGauge,
    /// Connections that were taken.
    pub accepted: IntCounter,
    /// Connections that were closed before a request was read from them.
    pub refused: IntCounterVec,
}

/// How long a connection is kept for a next request where there are nearly as many as may be.
const CROWDED_IDLE: Duration = Duration::from_secs(5);

/// Why a connection was closed before a request was read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There are as many as there may be.
    Full,
    /// Its address has as many as it may have.
    Address,
    /// It did not say on whose behalf it comes, or not well.
    ProxyProtocol,
    /// TLS could not be agreed on, or not in time.
    Handshake,
    /// The system has no files left for it.
    Files,
}

/// One connection's place; it is free again when this is dropped.
#[derive(Debug)]
pub struct Ticket {
    connections: Arc<Connections>,
    place: Place,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Full,
        Self::Address,
        Self::ProxyProtocol,
        Self::Handshake,
        Self::Files,
    ];

    /// The value of the label `reason` in the metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Address => "address",
            Self::ProxyProtocol => "proxy_protocol",
            Self::Handshake => "handshake",
            Self::Files => "files",
        }
    }
}

impl Connections {
    /// None yet.
    pub fn new(limits: CrowdLimits) -> Arc<Self> {
        const WELL_FORMED: &str = "names of metrics are well-formed";
        let refused = Opts::new(
            "tidegate_connections_refused_total",
            "Connections closed before a request was read, by reason: full (clients.max_connections), address (clients.max_connections_per_address), proxy_protocol, handshake (TLS not agreed on), files (the system has no more). A rise of full or files says that more clients come than this machine may hold.",
        );
        let connections = Self {
            places: Places::new(limits),
            active: IntGauge::new(
                "tidegate_connections_active",
                "Connections of clients, idle ones included. Above three quarters of clients.max_connections idle ones are closed after five seconds.",
            )
            .expect(WELL_FORMED),
            accepted: IntCounter::new(
                "tidegate_connections_total",
                "Connections of clients that were taken. A rise without more requests says that clients do not keep theirs.",
            )
            .expect(WELL_FORMED),
            refused: IntCounterVec::new(refused, &["reason"]).expect(WELL_FORMED),
        };
        for reason in Refusal::ALL {
            connections.refused.with_label_values(&[reason.label()]);
        }
        Arc::new(connections)
    }

    /// A place for one more.
    pub fn enter(self: &Arc<Self>) -> Result<Ticket, Refusal> {
        let place = self.places.take().ok_or(Refusal::Full)?;
        self.active.inc();
        self.accepted.inc();
        Ok(Ticket {
            connections: self.clone(),
            place,
        })
    }

    /// Other limits from now on; those that are there stay.
    pub fn set_limits(&self, limits: CrowdLimits) {
        self.places.set_limits(limits);
    }

    /// How long a connection is kept for a next request, at most so long. Where there are many,
    /// those that only wait make room first.
    pub fn idle_timeout(&self, idle: Duration) -> Duration {
        match self.places.are_scarce() {
            true => idle.min(CROWDED_IDLE),
            false => idle,
        }
    }

    /// Counts one that got no further.
    pub fn refuse(&self, why: Refusal) {
        self.refused.with_label_values(&[why.label()]).inc();
    }
}

impl Ticket {
    /// Says whose the connection is.
    pub fn identify(&mut self, address: IpAddr) -> Result<(), Refusal> {
        match self.place.identify(address) {
            true => Ok(()),
            false => Err(Refusal::Address),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.connections.active.dec();
    }
}
