//! Whether the tier is asked, or left alone after failures: its breaker, shared.

use super::progress::now;
use crate::traffic::breaker::{Breaker, Settings, State, Ticket};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};

/// The breaker of one kind of requests.
#[derive(Debug)]
pub struct Guard {
    breaker: Mutex<Breaker>,
}

/// A request that the breaker is still to hear of. Dropped before anything is known, it says
/// nothing of the service.
#[derive(Debug)]
pub struct Verdict {
    guard: Arc<Guard>,
    ticket: Option<Ticket>,
}

/// A tier that fails is left alone for so long; then trials go out one by one.
const BREAKER: Settings = Settings {
    failures: 5,
    failure_rate: 0.5,
    min_requests: 20,
    window: Duration::from_secs(10),
    open: Duration::from_secs(10),
    trials: 2,
};

impl Guard {
    /// One that lets all through.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            breaker: Mutex::new(Breaker::new(BREAKER)),
        })
    }

    /// Somebody wants to ask; nothing where the tier is left alone.
    pub fn admit(self: &Arc<Self>) -> Option<Verdict> {
        let ticket = self.breaker.lock().admit(now()).ok()?;
        Some(Verdict {
            guard: self.clone(),
            ticket: Some(ticket),
        })
    }

    /// Whether [`Self::admit`] would let one through.
    pub fn would_admit(&self) -> bool {
        self.breaker.lock().would_admit(now())
    }

    /// The state for the metrics.
    pub fn state(&self) -> State {
        self.breaker.lock().state(now())
    }
}

impl Verdict {
    /// It went well.
    pub fn succeeded(mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.guard.breaker.lock().succeeded(ticket, now());
        }
    }

    /// It did not.
    pub fn failed(mut self, why: &str) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        if self.guard.breaker.lock().failed(ticket, None, now()) {
            log::warn!(
                "the tier fails ({why}): it is left alone for {} s, and all goes on without it",
                BREAKER.open.as_secs()
            );
        }
    }
}

impl Drop for Verdict {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.guard.breaker.lock().abandoned(ticket);
        }
    }
}
