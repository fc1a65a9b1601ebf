//! Traces: what is told of requests, to a collector of our own that reads it by itself.

mod exporting;
mod propagation;
mod steps;
mod tier;

use crate::{collector::Collector, gate::Gate, origin::Origin};
use tidegate::{
    server::Settings,
    traces::{CollectorConfig, Config, Rules},
};

/// Records everything.
fn all(collector: &Collector) -> Config {
    Config {
        rules: Rules {
            sample: 1.0,
            ..Rules::default()
        },
        collector: CollectorConfig::new(collector.endpoint()),
    }
}

/// A Tidegate that tells everything.
async fn telling(
    collector: &Collector,
    origin: &Origin,
    change: impl FnOnce(&mut Settings),
) -> Gate {
    Gate::with(origin, |settings| {
        settings.traces = Some(all(collector));
        change(settings);
    })
    .await
}

/// What became of spans so far.
async fn spans(gate: &Gate, outcome: &str) -> u64 {
    let name = format!("tidegate_trace_spans_total{{outcome=\"{outcome}\"}} ");
    let page = gate.metrics().await;
    let line = page.lines().find_map(|line| line.strip_prefix(&name));
    line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
}

/// Waits until so many spans, or more, have come to this.
async fn until_spans(gate: &Gate, outcome: &str, least: u64) {
    let reached = async {
        while spans(gate, outcome).await < least {
            tokio::task::yield_now().await;
        }
    };
    crate::patience::within(&format!("{least} spans to be {outcome}"), reached).await;
}
