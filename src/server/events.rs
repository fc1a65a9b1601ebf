//! What a process counts of itself.

use prometheus::{IntCounter, IntCounterVec, Opts, core::Collector};

/// Counters of what is no request's doing.
#[derive(Debug)]
pub(super) struct Events {
    reloads: IntCounterVec,
    upgrades_failed: IntCounter,
    /// How often the system's clock has jumped.
    pub clock_jumps: IntCounter,
}

const DONE: &str = "done";
const REFUSED: &str = "refused";

impl Events {
    /// Nothing has happened.
    pub fn new() -> Self {
        const WELL_FORMED: &str = "names of metrics are well-formed";
        let counter = |name: &str, help: &str| IntCounter::new(name, help).expect(WELL_FORMED);
        let reloads = Opts::new(
            "tidegate_reloads_total",
            "Reloads of the configuration by outcome: done, or refused because of a mistake in it, which the log names. After a refusal the process runs with what it had.",
        );
        let reloads = IntCounterVec::new(reloads, &["outcome"]).expect(WELL_FORMED);
        for outcome in [DONE, REFUSED] {
            reloads.with_label_values(&[outcome]);
        }
        Self {
            reloads,
            upgrades_failed: counter(
                "tidegate_upgrades_failed_total",
                "Upgrades (SIGUSR2) that did not come about, for a reason that the log names; this process went on as before. Those that do come about end the process.",
            ),
            clock_jumps: counter(
                "tidegate_clock_jumps_total",
                "Jumps of the system's clock by two seconds or more. After one, what is stored is fresh for longer or less long than it should be.",
            ),
        }
    }

    /// All of them, for those who read them.
    pub fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.reloads.clone()),
            Box::new(self.upgrades_failed.clone()),
            Box::new(self.clock_jumps.clone()),
        ]
    }

    pub fn reloaded(&self, done: bool) {
        let outcome = if done { DONE } else { REFUSED };
        self.reloads.with_label_values(&[outcome]).inc();
    }

    pub fn upgrade_failed(&self) {
        self.upgrades_failed.inc();
    }
}
