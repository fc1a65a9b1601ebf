//! What is counted of traces.

use prometheus::{IntCounterVec, Opts};

/// Counters of spans. The admin room gives them their place in the metrics.
#[derive(Debug)]
pub struct Stats {
    /// Spans, by what became of them.
    pub spans: IntCounterVec,
}

/// What became of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The collector has it.
    Sent,
    /// The collector did not want it.
    Rejected,
    /// It could not be sent.
    Unsent,
    /// The queue was full.
    Full,
    /// Its request had enough of its kind.
    LeftOut,
}

impl Outcome {
    const ALL: [Self; 5] = [
        Self::Sent,
        Self::Rejected,
        Self::Unsent,
        Self::Full,
        Self::LeftOut,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Rejected => "rejected",
            Self::Unsent => "unsent",
            Self::Full => "full",
            Self::LeftOut => "left_out",
        }
    }
}

impl Default for Stats {
    fn default() -> Self {
        let spans = Opts::new(
            "tidegate_trace_spans_total",
            "Spans of recorded requests by outcome: sent, rejected (the collector did not want them, which the log explains), unsent (it was down, too slow or said to come back later, again and again), full (they came faster than it takes them), left_out (one request had more steps of a kind than are told). Requests are served all the same. A rise of unsent points at the collector or the way there, of full at traces.sample.",
        );
        let spans = IntCounterVec::new(spans, &["outcome"]).expect("well-formed");
        for outcome in Outcome::ALL {
            spans.with_label_values(&[outcome.label()]);
        }
        Self { spans }
    }
}

impl Stats {
    /// So many spans have come to this.
    pub(super) fn count(&self, outcome: Outcome, spans: u64) {
        self.spans
            .with_label_values(&[outcome.label()])
            .inc_by(spans);
    }
}
