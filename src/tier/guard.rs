//! Whether the tier is asked, or left alone after failures: its breaker, shared.

use super::progress::now;
use crate::traffic::breaker::{Breaker, Settings, State, Ticket};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};

/// The breaker of one kind of requests.
#[derive(Debug)]
pub struct Guard {
    breaker: Mutex<Breaker>,
    /// What is done without the tier meanwhile; nothing where it is asked whatever the breaker says.
    without: Option<&'static str>,
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
    /// One that lets all through until it fails; `without` says what that means then.
    pub fn new(without: &'static str) -> Arc<Self> {
        Arc::new(Self {
            breaker: Mutex::new(Breaker::new(BREAKER)),
            without: Some(without),
        })
    }

    /// One that lets all through always, and only knows how that goes.
    pub fn insisting() -> Arc<Self> {
        Arc::new(Self {
            breaker: Mutex::new(Breaker::new(BREAKER)),
            without: None,
        })
    }

    /// Somebody wants to ask; nothing where the tier is left alone.
    pub fn admit(self: &Arc<Self>) -> Option<Verdict> {
        let ticket = {
            let mut breaker = self.breaker.lock();
            match breaker.admit(now()) {
                Err(_) if self.without.is_none() => breaker.ticket(),
                admitted => admitted.ok()?,
            }
        };
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
        if !self.guard.breaker.lock().failed(ticket, None, now()) {
            return;
        }
        match self.guard.without {
            Some(without) => log::warn!(
                "the tier fails ({why}): for {} s {without}, and all goes on without it",
                BREAKER.open.as_secs()
            ),
            None => log::warn!("the tier fails ({why}): purges are not told of, and tried on"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_insists_lets_all_through_and_knows_when_it_goes_well_again() {
        let (guard, other) = (Guard::insisting(), Guard::new("nothing is done"));
        for _ in 0..2 * BREAKER.failures {
            guard.admit().unwrap().failed("it is down");
            if let Some(verdict) = other.admit() {
                verdict.failed("it is down");
            }
        }
        assert_eq!((guard.state(), other.state()), (State::Open, State::Open));
        assert!(guard.admit().is_some() && other.admit().is_none());
    }
}
