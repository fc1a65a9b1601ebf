//! What the fills count.

use crate::store::KeepError;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts};
use std::time::Duration;

/// Counters of the fills. The admin room gives them their place in the metrics.
#[derive(Debug)]
pub struct Stats {
    /// Flights under way, those of clients included.
    pub running: IntGauge,
    /// Complete chunks by what became of them.
    pub chunks: IntCounterVec,
    /// Waits for room for a chunk, by the budget that had none.
    pub waits: IntCounterVec,
    /// How long chunks took, by what of it.
    pub chunk: HistogramVec,
    /// Answers of the origin that contradicted themselves or the object.
    pub lies: IntCounter,
    /// Answers of caches before the origin that were of another version, and not believed as such.
    pub disputes: IntCounter,
}

impl Default for Stats {
    fn default() -> Self {
        const WELL_FORMED: &str = "names of metrics are well-formed";
        let stats = Self {
            running: IntGauge::new(
                "tidegate_fills_running",
                "Transfers from origins into the store that are under way. A rise without more clients says that origins are slow.",
            )
            .expect(WELL_FORMED),
            chunks: IntCounterVec::new(
                Opts::new(
                    "tidegate_fill_chunks_total",
                    "Chunks that came in complete, by what became of them. A rise of anything but `kept` and `unwanted` says that the disk can't follow.",
                ),
                &["outcome"],
            )
            .expect(WELL_FORMED),
            waits: IntCounterVec::new(
                Opts::new(
                    "tidegate_fill_waits_total",
                    "Chunks that had to wait for room, by the budget that had none: all (fill.in_flight), object (half of it), client (fill.in_flight_per_client), unchecked (half as much as fill.in_flight besides, for chunks of the tier, which are checked as a whole before they come in). A rise says that the disk can't follow, or that one of them wants more than its part.",
                ),
                &["budget"],
            )
            .expect(WELL_FORMED),
            chunk: HistogramVec::new(
                HistogramOpts::new(
                    "tidegate_fill_chunk_seconds",
                    "How long chunks had their share of fill.in_flight: until all of a chunk had come (fetch), and then until it was on disk (store). A rise of `fetch` says that origins or this machine are slow, one of `store` that the disk is; fill.in_flight by both is what can come in at most.",
                )
                .buckets(vec![0.001, 0.004, 0.016, 0.064, 0.25, 1.0, 4.0, 16.0]),
                &["step"],
            )
            .expect(WELL_FORMED),
            lies: IntCounter::new(
                "tidegate_origin_untrusted_answers_total",
                "Partial answers of origins that contradicted themselves or the object; none was kept. A rise says that an origin or something before it mishandles ranges.",
            )
            .expect(WELL_FORMED),
            disputes: IntCounter::new(
                "tidegate_version_disputes_total",
                "Answers of caches before an origin that were of another version than the object; the origin itself was asked for each. A rise after a new version says that the caches learn of it one after the other, one that stays that an origin has different files behind one name.",
            )
            .expect(WELL_FORMED),
        };
        for step in ["fetch", "store"] {
            stats.chunk.with_label_values(&[step]);
        }
        for budget in ["all", "object", "client", "unchecked"] {
            stats.waits.with_label_values(&[budget]);
        }
        stats
    }
}

impl Stats {
    /// A chunk has taken so long for one step.
    pub(super) fn chunk_took(&self, step: &str, time: Duration) {
        let step = self.chunk.with_label_values(&[step]);
        step.observe(time.as_secs_f64());
    }

    pub(super) fn chunk_ended(&self, kept: &Result<(), KeepError>) {
        let outcome = match kept {
            Ok(()) => "kept",
            Err(KeepError::QueueFull) => "queue_full",
            Err(KeepError::NoRoom) => "no_room",
            Err(KeepError::Unwanted | KeepError::Closed) => "unwanted",
            Err(KeepError::Lost) => "lost",
            Err(KeepError::Disk(_)) => "disk_error",
        };
        self.chunks.with_label_values(&[outcome]).inc();
    }
}
