//! `POST /api/drain`: load balancers are sent elsewhere, and called back.

use super::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The body of a request to drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Draining {
    /// Whether `/readyz` is to answer 503 from now on. What comes all the same is served, and no
    /// connection is closed: SIGTERM ends a process.
    pub draining: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drained {
    /// The state from now on. A process that stops goes on draining.
    pub state: State,
    /// Requests under way.
    pub streams: u64,
}
