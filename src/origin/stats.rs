//! What is counted of the origins.

use prometheus::{IntCounterVec, Opts};

/// Why an origin is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// For a client's own request.
    Request,
    /// For missing chunks.
    Fill,
}

impl Purpose {
    fn label(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Fill => "fill",
        }
    }
}

/// Counters by origin and purpose. The admin room gives them their place in the metrics.
#[derive(Debug)]
pub struct Stats {
    /// Requests sent.
    pub requests: IntCounterVec,
    /// Body bytes received.
    pub bytes: IntCounterVec,
    /// Requests that failed: no connection, no answer in time, a broken body.
    pub failures: IntCounterVec,
}

impl Default for Stats {
    fn default() -> Self {
        let counter = |name: &str, help: &str| {
            IntCounterVec::new(Opts::new(name, help), &["origin", "purpose"])
                .expect("names of metrics are well-formed")
        };
        Self {
            requests: counter(
                "tidegate_origin_requests_total",
                "Requests sent to origins. A rise without more clients says that less is found in the cache.",
            ),
            bytes: counter(
                "tidegate_origin_body_bytes_total",
                "Body bytes received from origins: what the cache could not spare them.",
            ),
            failures: counter(
                "tidegate_origin_failures_total",
                "Requests to origins that found no connection, no answer in time, or a body that broke. A rise says that an origin or the way to it is in trouble.",
            ),
        }
    }
}

impl Stats {
    /// A request is sent.
    pub fn requested(&self, origin: &str, purpose: Purpose) {
        self.requests
            .with_label_values(&[origin, purpose.label()])
            .inc();
    }

    /// Bytes of a body have come.
    pub fn received(&self, origin: &str, purpose: Purpose, bytes: usize) {
        self.bytes
            .with_label_values(&[origin, purpose.label()])
            .inc_by(bytes as u64);
    }

    /// A request failed.
    pub fn failed(&self, origin: &str, purpose: Purpose) {
        self.failures
            .with_label_values(&[origin, purpose.label()])
            .inc();
    }
}
