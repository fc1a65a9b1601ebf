//! What is counted of the origins. Labels are names from the configuration and closed sets.

use super::{Origin, failure::Cause};
use crate::traffic::Class;
use parking_lot::RwLock;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts,
    core::{Collector, Desc},
    proto::{Metric, MetricFamily},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Why an origin is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// For a client's own request.
    Request,
    /// For missing chunks.
    Fill,
    /// For a health check.
    Check,
}

/// Why a request is made once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Another server is asked after a failure.
    NextServer,
    /// All servers have failed, and are asked once more.
    Repeat,
    /// What lacks of a body that broke is asked for.
    Resume,
    /// The conditions are left out, as a 304 spoke of another version.
    Unconditional,
}

/// Why an origin was not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The queue was full.
    QueueFull,
    /// A more urgent request took the place in the queue.
    Displaced,
    /// The wait was too long.
    QueueTimeout,
    /// The client left while its request waited.
    ClientLeft,
    /// All its servers are left alone.
    BreakerOpen,
}

/// What came of asking a second server beside a slow one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hedge {
    /// It answered first.
    Won,
    /// It did not.
    Lost,
}

impl Purpose {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Fill => "fill",
            Self::Check => "check",
        }
    }
}

impl Again {
    fn label(self) -> &'static str {
        match self {
            Self::NextServer => "next_server",
            Self::Repeat => "repeat",
            Self::Resume => "resume",
            Self::Unconditional => "unconditional",
        }
    }
}

impl Refusal {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Displaced => "displaced",
            Self::QueueTimeout => "queue_timeout",
            Self::ClientLeft => "client_left",
            Self::BreakerOpen => "breaker_open",
        }
    }
}

impl Hedge {
    fn label(self) -> &'static str {
        match self {
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
}

/// Counters and gauges of all origins. The admin room gives them their place in the metrics.
#[derive(Clone, Debug)]
pub struct Stats {
    requests: IntCounterVec,
    bytes: IntCounterVec,
    failures: IntCounterVec,
    again: IntCounterVec,
    refused: IntCounterVec,
    hedges: IntCounterVec,
    trips: IntCounterVec,
    first_byte: HistogramVec,
    waiting: HistogramVec,
    active: IntGaugeVec,
    depth: IntGaugeVec,
    breaker: IntGaugeVec,
    healthy: IntGaugeVec,
    origins: Arc<RwLock<Vec<Arc<Origin>>>>,
}

const SERVER: [&str; 2] = ["origin", "server"];

impl Default for Stats {
    fn default() -> Self {
        Self {
            requests: counter(
                "tidegate_origin_requests_total",
                "Requests sent to origins. A rise without more clients says that less is found in the cache.",
                &["origin", "server", "purpose"],
            ),
            bytes: counter(
                "tidegate_origin_body_bytes_total",
                "Body bytes received from origins: what the cache could not spare them.",
                &["origin", "server", "purpose"],
            ),
            failures: counter(
                "tidegate_origin_failures_total",
                "Requests to origins that failed, by reason. A rise says that a server or the way to it is in trouble.",
                &["origin", "server", "reason"],
            ),
            again: counter(
                "tidegate_origin_retries_total",
                "Requests made once more: to the next server, to all once more, for the rest of a body that broke, or without conditions after a 304 that spoke of another version. A rise is what failures cost.",
                &["origin", "kind"],
            ),
            refused: counter(
                "tidegate_origin_refused_total",
                "Requests that an origin was not asked, by reason. A rise says that the origin is at its limit, or down.",
                &["origin", "reason"],
            ),
            hedges: counter(
                "tidegate_origin_hedges_total",
                "Second requests beside a slow first one, by whether they answered first. Many that lost are a waste.",
                &["origin", "outcome"],
            ),
            trips: counter(
                "tidegate_origin_breaker_trips_total",
                "Times that a server's circuit breaker opened. A rise says that the server fails again and again.",
                &SERVER,
            ),
            first_byte: histogram(
                "tidegate_origin_first_byte_seconds",
                "Time from a request to the head of its answer, by server. A rise says that the server or the way to it slows down.",
                &SERVER,
            ),
            waiting: histogram(
                "tidegate_origin_queue_wait_seconds",
                "Time that requests waited for a place at an origin's limit, by class. A rise says that the limit holds clients up.",
                &["origin", "class"],
            ),
            active: gauge(
                "tidegate_origin_active_requests",
                "Requests under way at an origin. Near the origin's `limit.requests` others wait.",
                &["origin"],
            ),
            depth: gauge(
                "tidegate_origin_queue_depth",
                "Requests waiting for a place at an origin's limit, by class. When `limit.queue` of them wait, more are refused.",
                &["origin", "class"],
            ),
            breaker: gauge(
                "tidegate_origin_breaker_state",
                "A server's circuit breaker: 0 closed, 1 half-open, 2 open. Above 0 the server gets fewer requests or none.",
                &SERVER,
            ),
            healthy: gauge(
                "tidegate_origin_healthy",
                "Whether a server's health checks find it healthy: 1 or 0; 1 as long as nobody has checked it. At 0 it is asked only when no other can be.",
                &SERVER,
            ),
            origins: Arc::default(),
        }
    }
}

fn counter(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), labels).expect("names of metrics are well-formed")
}

fn gauge(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    IntGaugeVec::new(Opts::new(name, help), labels).expect("names of metrics are well-formed")
}

fn histogram(name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    let buckets = vec![
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    ];
    HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels)
        .expect("names of metrics are well-formed")
}

/// The sum of a counter over all that is told apart of one server.
fn sum_of(counters: &IntCounterVec, origin: &str, server: &str) -> u64 {
    let has = |sample: &Metric, name: &str, value: &str| {
        let mut labels = sample.get_label().iter();
        labels.any(|label| label.name() == name && label.value() == value)
    };
    let families = counters.collect();
    let samples = families.iter().flat_map(MetricFamily::get_metric);
    let its = samples.filter(|s| has(s, "origin", origin) && has(s, "server", server));
    its.map(|sample| sample.get_counter().get_value() as u64)
        .sum()
}

impl Stats {
    /// The origins whose state is shown from now on.
    pub fn watch(&self, origins: Vec<Arc<Origin>>) {
        for gauges in [&self.active, &self.depth, &self.breaker, &self.healthy] {
            gauges.reset();
        }
        *self.origins.write() = origins;
    }

    /// The origins in force.
    pub fn origins(&self) -> Vec<Arc<Origin>> {
        self.origins.read().clone()
    }

    /// Requests sent to a server so far, and how many of them failed.
    pub fn record(&self, origin: &str, server: &str) -> (u64, u64) {
        let sum = |counters| sum_of(counters, origin, server);
        (sum(&self.requests), sum(&self.failures))
    }

    pub(super) fn requested(&self, origin: &str, server: &str, purpose: Purpose) {
        let labels = [origin, server, purpose.label()];
        self.requests.with_label_values(&labels).inc();
    }

    pub(super) fn received(&self, origin: &str, server: &str, purpose: Purpose, bytes: usize) {
        let labels = [origin, server, purpose.label()];
        self.bytes.with_label_values(&labels).inc_by(bytes as u64);
    }

    pub(super) fn failed(&self, origin: &str, server: &str, cause: Cause) {
        let labels = [origin, server, cause.label()];
        self.failures.with_label_values(&labels).inc();
    }

    pub(super) fn again(&self, origin: &str, again: Again) {
        let labels = [origin, again.label()];
        self.again.with_label_values(&labels).inc();
    }

    pub(super) fn refused(&self, origin: &str, refusal: Refusal) {
        let labels = [origin, refusal.label()];
        self.refused.with_label_values(&labels).inc();
    }

    pub(super) fn hedged(&self, origin: &str, hedge: Hedge) {
        let labels = [origin, hedge.label()];
        self.hedges.with_label_values(&labels).inc();
    }

    pub(super) fn tripped(&self, origin: &str, server: &str) {
        self.trips.with_label_values(&[origin, server]).inc();
    }

    pub(super) fn first_byte(&self, origin: &str, server: &str, took: Duration) {
        self.first_byte
            .with_label_values(&[origin, server])
            .observe(took.as_secs_f64());
    }

    pub(super) fn waited(&self, origin: &str, class: Class, waited: Duration) {
        self.waiting
            .with_label_values(&[origin, class.label()])
            .observe(waited.as_secs_f64());
    }

    fn refresh(&self, now: Instant) {
        for origin in self.origins.read().iter() {
            let (name, limit) = (origin.name(), origin.limit());
            let active = limit.active() as i64;
            self.active.with_label_values(&[name]).set(active);
            for class in Class::ALL {
                let labels = [name, class.label()];
                let depth = limit.depth(class) as i64;
                self.depth.with_label_values(&labels).set(depth);
            }
            for server in origin.servers() {
                let labels = [name, server.name()];
                let state = server.breaker(now).gauge();
                self.breaker.with_label_values(&labels).set(state);
                let healthy = i64::from(server.is_healthy());
                self.healthy.with_label_values(&labels).set(healthy);
            }
        }
    }

    fn collectors(&self) -> [&dyn Collector; 13] {
        [
            &self.requests,
            &self.bytes,
            &self.failures,
            &self.again,
            &self.refused,
            &self.hedges,
            &self.trips,
            &self.first_byte,
            &self.waiting,
            &self.active,
            &self.depth,
            &self.breaker,
            &self.healthy,
        ]
    }
}

impl Collector for Stats {
    fn desc(&self) -> Vec<&Desc> {
        self.collectors().iter().flat_map(|c| c.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.refresh(super::now());
        self.collectors().iter().flat_map(|c| c.collect()).collect()
    }
}
