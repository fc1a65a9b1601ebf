//! What is counted of the requests.

use super::{
    access::Refused,
    cache_status::{Answerer, Handling},
    error::Cause,
    malformed::{Ended, Malformed},
};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    core::{Collector, Metric},
};
use std::time::Duration;

/// Counters of requests. The admin room gives them their place in the metrics.
#[derive(Debug)]
pub struct Stats {
    /// Requests by outcome.
    pub requests: IntCounterVec,
    /// Body bytes sent, by where they came from.
    pub sent: IntCounterVec,
    by_source: [IntCounter; SOURCES.len()],
    /// Requests that failed, by whose doing it was.
    pub aborts: IntCounterVec,
    /// Answers by the class of their status.
    pub statuses: IntCounterVec,
    /// Time from a request to the first byte of its answer's body or, without a body, to its end.
    pub first_byte: HistogramVec,
    /// Requests that were turned away, by why.
    pub refusals: IntCounterVec,
    /// Requests of which nothing could be made, by what was wrong.
    pub malformed: IntCounterVec,
    /// HTTP/2 connections that were ended, by why.
    pub ended: IntCounterVec,
    /// Purges, by what was named and what became of them.
    pub purges: IntCounterVec,
    /// Requests under way.
    pub active: IntGauge,
    /// Segments fetched ahead, by what became of it.
    pub ahead: IntCounterVec,
    /// Bytes fetched ahead, by whether anybody asked for them.
    pub ahead_bytes: IntCounterVec,
    /// Answers that waited to be stored first, by how that ended.
    pub store_first: IntCounterVec,
}

/// What became of a segment that was to be fetched ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// It came.
    Fetched,
    /// It was there.
    Stored,
    /// It stood back.
    Busy,
    /// It could not be had, or not be kept.
    Failed,
}

impl Ahead {
    fn label(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::Stored => "stored",
            Self::Busy => "busy",
            Self::Failed => "failed",
        }
    }
}

/// Sources of body bytes: values of a label.
pub const SOURCES: [&str; 5] = ["memory", "disk", "flight", "origin", "passed"];

/// Classes of final statuses: values of a label (RFC 9110, section 15).
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

fn class_of(status: u16) -> Option<&'static str> {
    CLASSES
        .get(usize::from(status / 100).checked_sub(2)?)
        .copied()
}

/// Bounds of the times to the first byte, in seconds.
pub const FIRST_BYTE_BUCKETS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

impl Default for Stats {
    fn default() -> Self {
        const WELL_FORMED: &str = "names of metrics are well-formed";
        let counter = |name: &str, help: &str, label: &str| {
            IntCounterVec::new(Opts::new(name, help), &[label]).expect(WELL_FORMED)
        };
        let first_byte = HistogramOpts::new(
            "tidegate_first_byte_seconds",
            "Time from a request to the first byte of its answer's body, by outcome. A rise for hits points at the disk or a lack of CPU, for the others at origins.",
        );
        let sent = counter(
            "tidegate_response_body_bytes_total",
            "Body bytes sent to clients by source: memory and disk had them, flight followed a transfer that another request caused, origin caused one, passed was not stored. A rise of origin beside the same traffic says that the cache serves less.",
            "source",
        );
        Self {
            by_source: SOURCES.map(|source| sent.with_label_values(&[source])),
            sent,
            requests: counter(
                "tidegate_requests_total",
                "Requests by outcome: hit and stale came from the store alone, partial, miss, refreshed and requested needed the origin, the others were not stored. A rise of anything but hit beside the same traffic says that the cache serves less.",
                "outcome",
            ),
            statuses: counter(
                "tidegate_responses_total",
                "Answers to clients by the class of their status. A rise of 5xx says that clients are failed, by Tidegate or by an origin whose answer is passed on; the access log says which.",
                "status",
            ),
            aborts: counter(
                "tidegate_response_aborts_total",
                "Requests that failed, in that their answer was cut before its end or was an error in its place, by cause: the client left, or slow_client took less than its route allows (delivery.*.min_rate) or sent less of a body than clients.min_rate, the origin failed, or something internal did. A rise of slow_client says that networks are slow or that somebody holds connections on purpose.",
                "cause",
            ),
            ahead: counter(
                "tidegate_prefetch_segments_total",
                "Segments of streams that routes with prefetch went for, by outcome: fetched, stored (it was there), busy (not fetched, since the route's at_a_time, the origin's limit or fill.in_flight was used up), failed (the origin had it not, it may not be stored, or it is larger than the route's max_size of prefetch). A rise of failed says that the names of segments do not count, or that players are at the live edge.",
                "outcome",
            ),
            ahead_bytes: counter(
                "tidegate_prefetch_bytes_total",
                "Bytes of segments that were fetched before they were asked for, by use: used, or unused, of which nobody has asked for the last 8192 segments of the route. The share of unused is the waste.",
                "use",
            ),
            store_first: counter(
                "tidegate_store_first_total",
                "Answers of routes with mode store_first that waited for their bytes, by outcome: stored, not_kept (sent as it came in, since the store could not keep it), left (by the client), failed (answered with an error). A rise of not_kept points at the disk or a store too small, of failed at origins.",
                "outcome",
            ),
            refusals: counter(
                "tidegate_requests_refused_total",
                "Requests that were answered with a refusal before anything was looked up, by reason: loop, spelling (an origin may take the path for one of a route with an access of its own), address (access.allow and access.deny of the route), full (clients.max_requests), full_address (clients.max_requests_per_address), rate (clients.rate), rate_address and rate_route (rate of the route), referer (access.referers), token_* (access.signed: the token is missing, malformed, of an unknown key, wrong, expired, or for another path or address). A rise of token_wrong says that somebody guesses, or that keys differ from those that sign. A rise of full (503) says that more is asked for at a time than this machine may hold. A rise of loop (508) says that an origin leads back here.",
                "reason",
            ),
            malformed: counter(
                "tidegate_requests_malformed_total",
                "Requests of which nothing could be made, by reason: unreadable (no HTTP/1, or not clear whom it asks), bad-host (the host is missing or not clear), method (CONNECT), request-header-too-slow (408), request-header-too-large (431), bad-framing (HTTP/2), and what could be read in two ways: bad-line-end, folded-field, control-character, bad-field-name, two-lengths, bad-length, transfer-coding. A rise says that somebody looks for holes, or that a client is broken; the access log says from where.",
                "reason",
            ),
            ended: counter(
                "tidegate_http2_connections_ended_total",
                "HTTP/2 connections that were ended for what their clients did, by reason: flood (more frames, resets or continuations than any use needs), protocol (frames that mean nothing), malformed (too many requests of which nothing could be made), slow (a head that did not end in time). A rise of flood says that somebody attacks; clients.max_connections_per_address bounds what one address can do.",
                "reason",
            ),
            purges: IntCounterVec::new(
                Opts::new(
                    "tidegate_purges_total",
                    "Purges by what they named and their outcome: hard, soft and dry_run were done, failed ones were not or not lastingly, refused ones came from outside clients.purge_from. A rise of refused says that strangers try.",
                ),
                &["kind", "outcome"],
            )
            .expect(WELL_FORMED),
            first_byte: HistogramVec::new(first_byte.buckets(FIRST_BYTE_BUCKETS.to_vec()), &["outcome"])
                .expect(WELL_FORMED),
            active: IntGauge::new(
                "tidegate_requests_active",
                "Requests under way. A rise without more traffic says that answers take longer.",
            )
            .expect(WELL_FORMED),
        }
        .with_all_labels()
    }
}

impl Stats {
    /// A request has been answered, with this status where it has come to one.
    pub fn answered(&self, handling: Handling, status: Option<u16>) {
        self.requests.with_label_values(&[handling.label()]).inc();
        if let Some(class) = status.and_then(class_of) {
            self.statuses.with_label_values(&[class]).inc();
        }
    }

    /// What is rare is there before it happens: what has never been seen can't be seen to rise.
    fn with_all_labels(self) -> Self {
        for cause in Cause::ALL {
            self.aborts.with_label_values(&[cause.label()]);
        }
        for class in CLASSES {
            self.statuses.with_label_values(&[class]);
        }
        for reason in Refused::ALL {
            self.refusals.with_label_values(&[reason.label()]);
        }
        for why in Ended::ALL {
            self.ended.with_label_values(&[why.label()]);
        }
        for what in Malformed::ALL {
            self.malformed.with_label_values(&[what.label()]);
        }
        self
    }

    /// Requests so far that were answered from there.
    pub fn answers(&self, answerer: Answerer) -> u64 {
        let there = Handling::ALL
            .into_iter()
            .filter(|h| h.answerer() == answerer);
        let count = |h: Handling| self.requests.with_label_values(&[h.label()]).get();
        there.map(count).sum()
    }

    /// Times to the first byte of the answers that came from there: how many kept within each of
    /// [`FIRST_BYTE_BUCKETS`], and how many took longer.
    pub fn first_bytes(&self, answerers: &[Answerer]) -> [u64; FIRST_BYTE_BUCKETS.len() + 1] {
        let mut counts = [0; FIRST_BYTE_BUCKETS.len() + 1];
        let there = Handling::ALL.into_iter();
        for handling in there.filter(|h| answerers.contains(&h.answerer())) {
            let histogram = self.first_byte.with_label_values(&[handling.label()]);
            let sample = histogram.metric();
            let mut below = 0;
            for (at, bucket) in sample.get_histogram().get_bucket().iter().enumerate() {
                counts[at] += bucket.cumulative_count() - below;
                below = bucket.cumulative_count();
            }
            counts[FIRST_BYTE_BUCKETS.len()] += histogram.get_sample_count().saturating_sub(below);
        }
        counts
    }

    /// Requests so far that failed.
    pub fn aborted(&self) -> u64 {
        let families = self.aborts.collect();
        let samples = families.iter().flat_map(|family| family.get_metric());
        samples.map(|s| s.get_counter().get_value() as u64).sum()
    }

    /// A request was turned away.
    pub fn refused(&self, why: Refused) {
        self.refusals.with_label_values(&[why.label()]).inc();
    }

    /// Nothing could be made of a request.
    pub fn malformed(&self, what: Malformed) {
        self.malformed.with_label_values(&[what.label()]).inc();
    }

    /// An HTTP/2 connection was ended.
    pub fn ended(&self, why: Ended) {
        self.ended.with_label_values(&[why.label()]).inc();
    }

    /// A segment was to be fetched ahead.
    pub fn ahead(&self, outcome: Ahead) {
        self.ahead.with_label_values(&[outcome.label()]).inc();
    }

    /// Somebody asked for what was fetched ahead.
    pub fn ahead_used(&self, bytes: Option<u64>) {
        let used = self.ahead_bytes.with_label_values(&["used"]);
        used.inc_by(bytes.unwrap_or(0));
    }

    /// What was fetched ahead is forgotten, and nobody has asked for it.
    pub fn ahead_unused(&self, bytes: Option<u64>) {
        let unused = self.ahead_bytes.with_label_values(&["unused"]);
        unused.inc_by(bytes.unwrap_or(0));
    }

    /// A purge was asked for.
    pub fn purged(&self, kind: &'static str, outcome: &'static str) {
        self.purges.with_label_values(&[kind, outcome]).inc();
    }

    /// Its first byte came after `took`.
    pub fn first_byte(&self, handling: Handling, took: Duration) {
        let histogram: Histogram = self.first_byte.with_label_values(&[handling.label()]);
        histogram.observe(took.as_secs_f64());
    }

    /// Bytes have been sent, from the source that stands there in [`SOURCES`].
    pub(super) fn sent(&self, source: usize, bytes: u64) {
        self.by_source[source].inc_by(bytes);
    }
}
