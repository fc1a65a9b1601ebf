//! `GET /api/origins`: the origins in force and how their servers do.

use super::{Queued, Rooms};
use crate::{
    origin::{Origin, Server, Stats},
    traffic::{Class, breaker::State},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// The origins in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OriginsView {
    /// In the order of the configuration.
    pub origins: Vec<OriginView>,
}

/// One origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OriginView {
    /// Its name.
    pub name: String,
    /// Requests under way at it.
    pub active: u64,
    /// Requests that may be: `limit.requests`.
    pub limit: u64,
    /// Requests that wait for their turn.
    pub queued: Queued,
    /// Its servers.
    pub servers: Vec<ServerView>,
}

/// One server of an origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerView {
    /// Host and, unless it is the scheme's own, port.
    pub name: String,
    /// Whether it counts as healthy: its health checks find it so, or there are none.
    pub healthy: bool,
    /// What there is behind that.
    pub health: HealthView,
    /// Its circuit breaker.
    pub breaker: BreakerView,
    /// Requests under way at it.
    pub active: u64,
    /// Requests sent to it since the start, health checks among them.
    pub requests: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Seconds within which half of its last answers began.
    pub first_byte_p50: Option<f64>,
    /// Seconds within which 95 of a hundred did.
    pub first_byte_p95: Option<f64>,
}

/// How a server is, as far as anybody has looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthView {
    /// Its health checks find it so.
    Healthy,
    /// Its health checks find it so.
    Unhealthy,
    /// It has been asked, but not checked: its breaker goes by what came of that.
    Unchecked,
    /// Nobody has asked it anything yet.
    NotAsked,
}

impl HealthView {
    fn of(server: &Server, requests: u64) -> Self {
        match (server.is_checked(), server.is_healthy()) {
            (_, false) => Self::Unhealthy,
            (true, true) => Self::Healthy,
            (false, true) if requests > 0 => Self::Unchecked,
            (false, true) => Self::NotAsked,
        }
    }
}

/// The state of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerView {
    /// The server is asked.
    Closed,
    /// It is tried.
    HalfOpen,
    /// It is left alone.
    Open,
}

impl OriginsView {
    /// All of them, as they are now.
    pub fn of(rooms: &Rooms, now: Instant) -> Self {
        let stats = &rooms.origins;
        let all = stats.origins();
        Self {
            origins: all.iter().map(|o| origin(o, stats, now)).collect(),
        }
    }
}

fn origin(origin: &Origin, stats: &Stats, now: Instant) -> OriginView {
    let limit = origin.limit();
    let depth = |class| limit.depth(class) as u64;
    let servers = origin.servers().iter();
    OriginView {
        name: origin.name().to_owned(),
        active: limit.active() as u64,
        limit: origin.config().limit.requests as u64,
        queued: Queued {
            small: depth(Class::Small),
            medium: depth(Class::Medium),
            large: depth(Class::Large),
            read_ahead: depth(Class::ReadAhead),
            completion: depth(Class::Completion),
        },
        servers: servers
            .map(|s| server(origin.name(), s, stats, now))
            .collect(),
    }
}

fn server(origin: &str, server: &Server, stats: &Stats, now: Instant) -> ServerView {
    let (requests, failures) = stats.record(origin, server.name());
    let within = |share| server.latency(share).map(|time| time.as_secs_f64());
    ServerView {
        name: server.name().to_owned(),
        healthy: server.is_healthy(),
        health: HealthView::of(server, requests),
        breaker: match server.breaker(now) {
            State::Closed => BreakerView::Closed,
            State::HalfOpen => BreakerView::HalfOpen,
            State::Open => BreakerView::Open,
        },
        active: server.active() as u64,
        requests,
        failures,
        first_byte_p50: within(0.5),
        first_byte_p95: within(0.95),
    }
}
