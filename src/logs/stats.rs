//! What the logs count.

use prometheus::{IntCounterVec, Opts};

/// Counters of the logs. The admin room gives them their place in the metrics.
#[derive(Debug)]
pub struct Stats {
    /// Lines that were not written, by why.
    pub dropped: IntCounterVec,
}

/// Why a line was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// The queue was full.
    Full,
    /// It could not be written.
    Unwritable,
}

impl Dropped {
    fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Unwritable => "unwritable",
        }
    }
}

impl Default for Stats {
    fn default() -> Self {
        let dropped = Opts::new(
            "tidegate_log_lines_dropped_total",
            "Lines of the logs that were not written, by reason: full, since they came faster than they could be written; unwritable, since the file system refused them. A rise of full says that the disk or what reads stderr is too slow (log.access.sample makes it less), of unwritable that the disk is full or the log's folder gone.",
        );
        let dropped = IntCounterVec::new(dropped, &["reason"]).expect("well-formed");
        for reason in [Dropped::Full, Dropped::Unwritable] {
            dropped.with_label_values(&[reason.label()]);
        }
        Self { dropped }
    }
}

impl Stats {
    /// Lines were not written.
    pub(super) fn dropped(&self, why: Dropped, lines: u64) {
        self.dropped.with_label_values(&[why.label()]).inc_by(lines);
    }
}
