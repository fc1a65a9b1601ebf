//! What is told, in a request's trace, of chunks that come from the tier.

use crate::traces::{Attributes, Step, Told, Trace};
use std::{sync::Arc, time::Instant};

/// How far a reading has come. It is told when this is dropped.
#[derive(Debug)]
pub(super) struct Progress {
    trace: Option<Arc<Trace>>,
    began: Instant,
    /// Bytes that have come.
    pub bytes: u64,
    /// What has come of it, in a word: the outcomes of chunks in the metrics, and that nobody waits
    /// for it any more.
    pub outcome: &'static str,
}

/// Those who wanted it went on without it.
const ABANDONED: &str = "abandoned";

impl Progress {
    /// Nothing has come yet.
    pub fn begin(trace: Option<&Arc<Trace>>) -> Self {
        Self {
            trace: trace.cloned(),
            began: now(),
            bytes: 0,
            outcome: ABANDONED,
        }
    }

    fn said(&self) -> Told {
        let mut attributes: Attributes = vec![
            ("tidegate.outcome", self.outcome.into()),
            ("tidegate.bytes", self.bytes.into()),
        ];
        let has_failed = !matches!(self.outcome, "ok" | ABANDONED);
        if has_failed {
            attributes.push(("error.type", self.outcome.into()));
        }
        Told {
            attributes,
            has_failed,
            link: None,
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(trace) = &self.trace {
            trace.step(Step::TierRead, self.began..now(), || self.said());
        }
    }
}

/// The runtime's clock, which tests may stop.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
