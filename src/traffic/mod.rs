//! Who may go, when and how long: pure decisions about traffic. They take `now`.

mod arriving;
pub mod breaker;
mod crowd;
mod features;
mod latency;
mod lull;
mod pace;
mod queue;
mod rate;
pub mod recent;
mod segment;
mod sequel;
mod untaken;
mod urgency;

pub use arriving::Arriving;
pub use crowd::{Crowd, CrowdLimits, customer, is_among};
pub use features::Features;
pub use latency::Latency;
pub use lull::Lull;
pub use pace::{Burst, Pace, Pacer};
pub use queue::{Arrival, Queue, Ticket};
pub use rate::{Meter, Meters, Rate};
pub use segment::{Habit, Pieces, SegmentSize, Sending, UNSENT};
pub use sequel::{Came, Row, Sequels, Way};
pub use untaken::{Share, Untaken};
pub use urgency::{Class, Urgency};

use std::time::Duration;

/// How long to wait before the next attempt, after `failures` in a row.
pub fn backoff(failures: u32) -> Duration {
    Duration::from_millis(100) * 2u32.saturating_pow(failures.saturating_sub(1)).min(64)
}
