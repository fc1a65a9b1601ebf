//! What is counted of the tier. Labels are closed sets.

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, core::Collector};

/// Counters of one tier.
#[derive(Clone, Debug)]
pub struct Stats {
    pub(super) requests: IntCounterVec,
    pub(super) bytes: IntCounterVec,
    pub(super) lookups: IntCounterVec,
    pub(super) lookup_seconds: Histogram,
    pub(super) chunks: IntCounterVec,
    pub(super) uploads: IntCounterVec,
    pub(super) waiting: IntGauge,
    pub(super) breaker: IntGauge,
    pub(super) purges: IntGauge,
    pub(super) untold: IntGauge,
    pub(super) stuck: IntGauge,
    pub(super) ready: IntGauge,
}

/// Whether the tier is of use at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It is asked, and what comes in goes up.
    InUse,
    /// It fails, and is left alone for a while.
    LeftAlone,
    /// Not yet: it could not be asked since the start, or is another's.
    NotInUse,
}

/// Look-ups of an object that is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is there.
    Found,
    /// It is not.
    Absent,
    /// It is, but was purged.
    Purged,
    /// No answer in time: the origin was asked.
    Late,
    /// Too many look-ups at a time.
    Full,
    /// The tier failed, or is left alone.
    Failed,
}

impl Outcome {
    pub fn label(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Absent => "absent",
            Self::Purged => "purged",
            Self::Late => "late",
            Self::Full => "full",
            Self::Failed => "failed",
        }
    }
}

impl Default for Stats {
    fn default() -> Self {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels);
            counters.expect("names of metrics are well-formed")
        };
        let gauge = |name: &str, help: &str| {
            IntGauge::new(name, help).expect("names of metrics are well-formed")
        };
        let seconds = HistogramOpts::new(
            "tidegate_tier_lookup_seconds",
            "Time until the tier has said whether it has an object. A rise makes first requests slower, up to the 95th percentile, after which the origin is asked.",
        );
        let seconds = seconds.buckets(vec![
            0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
        ]);
        Self {
            requests: counters(
                "tidegate_tier_requests_total",
                "Requests to the tier, by operation and outcome (ok, absent, conflict, unsupported, failed, late, open). What the service bills; a rise of failed or late says that it throttles or fails.",
                &["operation", "outcome"],
            ),
            bytes: counters(
                "tidegate_tier_bytes_total",
                "Bytes of runs and manifests read from and written to the tier. What the service bills for traffic.",
                &["direction"],
            ),
            lookups: counters(
                "tidegate_tier_lookups_total",
                "Look-ups of objects that are not on this disk, by outcome. A rise of late or failed says that the tier does not keep up; of absent, that these objects are new to the fleet.",
                &["outcome"],
            ),
            lookup_seconds: Histogram::with_opts(seconds)
                .expect("names of metrics are well-formed"),
            chunks: counters(
                "tidegate_tier_chunks_total",
                "Chunks that were missing here and read from the tier, by outcome (ok, corrupt, failed, full: no room for it in memory within tier.timeout, late: the origin was asked, too). A rise of late says that the tier stalls, and that the origin has more to do; of full that fill.in_flight is too little; of corrupt says that the tier is damaged, and that what is read of it is replaced: tidegate tier verify finds the rest.",
                &["outcome"],
            ),
            uploads: counters(
                "tidegate_tier_uploads_total",
                "Uploads, each of runs of chunks of one object that were due together, by outcome: stored, known (another edge had brought them), gone (not here any more), unwanted (too small, or not asked for often enough so far, by tier.min_size and tier.min_requests; or without a validator), grid (what lies there is in chunks of another size, and stays), later (the tier did not take them; tried again, after 10 minutes at most), failed (given up after a day of that, or at the end of the process), full (too many waited: single runs that came, or an upload that was to be tried again). A rise of grid says that cache.chunk_size, or chunk_size of a route, is not the same on all edges; of later that the tier can't be written to; of full, that it does not keep up. Bytes that went up are in tidegate_tier_bytes_total.",
                &["outcome"],
            ),
            waiting: gauge(
                "tidegate_tier_uploads_waiting",
                "Runs of chunks, and whole objects, that wait for their upload, those too that are tried again later. Near tier.queue what comes is not uploaded.",
            ),
            breaker: gauge(
                "tidegate_tier_breaker",
                "Whether the tier is left alone after failures: 0 asked, 1 tried, 2 left alone. Runs that are read, look-ups, uploads and purges fail apart from each other, and this is the worst of them; the log says which. Purges are tried on all the same.",
            ),
            purges: gauge(
                "tidegate_tier_purges",
                "Number of the last purge of the fleet that this edge has carried out; the first is the time, in milliseconds, at which the purges began. Edges that stay behind others do not see them.",
            ),
            ready: gauge(
                "tidegate_tier_ready",
                "Whether the tier is in use: 1 once it has been found to be this fleet's and its purges have been carried out. A lasting 0 says that it can't be used: tidegate check --online says why.",
            ),
            stuck: gauge(
                "tidegate_tier_purges_stuck",
                "Purges of the fleet that the disk of this edge has refused in part. What they mean is out of service, and they are tried again, by the next process too. A lasting rise says that files can't be changed: the log says which purge, tidegate_store_disk_errors_total how often.",
            ),
            untold: gauge(
                "tidegate_tier_purges_untold",
                "Purges of this edge that the fleet has not been told of yet. A lasting rise says that the tier can't be written to.",
            ),
        }
    }
}

impl Stats {
    pub(super) fn looked_up(&self, outcome: Outcome) {
        self.lookups.with_label_values(&[outcome.label()]).inc();
    }

    pub(super) fn chunk(&self, outcome: &str) {
        self.chunks.with_label_values(&[outcome]).inc();
    }

    pub(super) fn upload(&self, outcome: &str) {
        self.uploads.with_label_values(&[outcome]).inc();
    }

    /// Bytes came from the tier, or went there.
    pub(super) fn moved(&self, direction: &str, bytes: usize) {
        self.bytes
            .with_label_values(&[direction])
            .inc_by(bytes as u64);
    }

    /// Whether it is of use.
    pub fn condition(&self) -> Condition {
        match (self.ready.get(), self.breaker.get()) {
            (0, _) => Condition::NotInUse,
            (_, 2) => Condition::LeftAlone,
            _ => Condition::InUse,
        }
    }

    /// Uploads that wait.
    pub fn waiting(&self) -> u64 {
        self.waiting.get().max(0) as u64
    }

    /// Purges that the fleet is still to be told of.
    pub fn untold(&self) -> u64 {
        self.untold.get().max(0) as u64
    }

    /// All of them, for the metrics.
    pub fn collectors(&self) -> Vec<Box<dyn Collector>> {
        let counters = [
            &self.requests,
            &self.bytes,
            &self.lookups,
            &self.chunks,
            &self.uploads,
        ];
        let gauges = [
            &self.ready,
            &self.waiting,
            &self.breaker,
            &self.purges,
            &self.untold,
            &self.stuck,
        ];
        let mut all: Vec<Box<dyn Collector>> = vec![Box::new(self.lookup_seconds.clone())];
        all.extend(counters.map(|counter| Box::new(counter.clone()) as Box<dyn Collector>));
        all.extend(gauges.map(|gauge| Box::new(gauge.clone()) as Box<dyn Collector>));
        all
    }
}
