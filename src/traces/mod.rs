//! What became of single requests, step by step, told to a collector of OpenTelemetry.
//!
//! What it promises: no request waits for it, whatever the collector does. Spans go through a
//! queue with a bound to a task of its own; those that find no room, or can't be sent, are
//! counted. One request tells of a bounded number of steps, however long it goes on, and counts
//! the others. A request that is not recorded costs a name for whoever is asked behind, and
//! nothing at all where traces are off.
//!
//! What it never does: let what strangers say decide what is recorded, or tell an object by it. The
//! fields of a trace are taken out of a request before anything is looked up.
//!
//! The libraries of OpenTelemetry (looked at: `opentelemetry_sdk` and `opentelemetry-otlp` 0.33) are
//! not used. Their batches are sent by a thread of their own that blocks on each request, waits for
//! it at the end, and says only then, in a log, how many spans found no room. That is twelve crates
//! for one message, and a bound, a deadline or a count would still be ours to put around them.
//!
//! | file | what it holds |
//! |---|---|
//! | `context.rs`, `rules.rs` | pure: where a request stands (W3C Trace Context); which are recorded |
//! | `span.rs`, `wire.rs`, `otlp.rs` | pure: a span as a value, and as a collector takes it |
//! | `retry.rs` | pure: what is done about spans that were not taken |
//! | `trace.rs`, `asked.rs` | the part of one request, and of one server that is asked for it |
//! | `queue.rs`, `exporter.rs`, `collector.rs` | the queue, the task, one request to the collector |

mod asked;
mod collector;
mod config;
mod context;
mod exporter;
mod otlp;
mod queue;
mod retry;
mod rules;
mod span;
mod stats;
mod trace;
mod wire;

pub use asked::Asked;
pub use collector::Collector;
pub use config::{CollectorConfig, Config, FieldValue};
pub use context::{Context, TRACEPARENT, TRACERESPONSE, TRACESTATE};
pub use exporter::Exporter;
pub use queue::Queue;
pub use rules::Rules;
pub use span::{Attributes, Clock, Value};
pub use stats::Stats;
pub use trace::{Ending, Step, Told, Trace};

/// The runtime's clock, which tests may stop.
fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}
