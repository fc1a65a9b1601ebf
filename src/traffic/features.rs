//! Switches for the riskier parts, so that an operator can turn one off at night.

/// What is on for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// Servers whose circuit breaker is open are not asked.
    pub breaker: bool,
    /// Small and urgent requests go first where an origin's limit makes requests wait; otherwise
    /// all wait in the order in which they came.
    pub priority_queue: bool,
    /// Origins are resolved while a look-up is under way.
    pub speculation: bool,
    /// And connected to.
    pub preconnect: bool,
    /// A second server is asked for a chunk when the first has not begun to answer within its own
    /// 95th percentile.
    pub hedging: bool,
    /// The next window of chunks is fetched while the one before it is still coming in.
    pub parallel_fetches: bool,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            breaker: true,
            priority_queue: true,
            speculation: true,
            preconnect: false,
            hedging: false,
            parallel_fetches: true,
        }
    }
}
