//! What can change about a process while it runs: whether it wants clients, and its configuration.

use super::Configured;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;

/// Whether the process wants clients.
#[derive(Debug, Default)]
pub struct State(Mutex<Wish>);

#[derive(Debug, Default)]
struct Wish {
    /// An operator has sent load balancers elsewhere.
    draining: bool,
    stopping: bool,
    /// What operators wish is another process's to know, or about to be.
    is_passed_on: bool,
}

impl State {
    /// Load balancers are to look elsewhere from the beginning where that is so.
    pub fn new(draining: bool) -> Self {
        Self(Mutex::new(Wish {
            draining,
            ..Wish::default()
        }))
    }

    /// The process is about to stop: load balancers are told to look elsewhere, for good.
    pub fn drain(&self) {
        self.0.lock().stopping = true;
    }

    /// Load balancers are told to look elsewhere, or that clients are wanted again. False where it is
    /// another process's to tell them.
    pub fn set_draining(&self, draining: bool) -> bool {
        let mut wish = self.0.lock();
        if !wish.is_passed_on {
            wish.draining = draining;
        }
        !wish.is_passed_on
    }

    /// Whether they are to look elsewhere.
    pub fn is_draining(&self) -> bool {
        let wish = self.0.lock();
        wish.draining || wish.stopping
    }

    /// Another process is to take over with what an operator has wished, which comes back. Nothing
    /// changes until [`State::take_back`].
    pub fn pass_on(&self) -> bool {
        let mut wish = self.0.lock();
        wish.is_passed_on = true;
        wish.draining
    }

    /// No other process has taken over.
    pub fn take_back(&self) {
        self.0.lock().is_passed_on = false;
    }
}

/// The configuration in force; a reload replaces it.
#[derive(Debug, Default)]
pub struct InForce(RwLock<Option<Arc<Configured>>>);

impl InForce {
    /// From now on this is in force.
    pub fn replace(&self, configured: Configured) {
        *self.0.write() = Some(Arc::new(configured));
    }

    /// What is in force, once anything is.
    pub fn configured(&self) -> Option<Arc<Configured>> {
        self.0.read().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stops_is_not_called_back() {
        let state = State::default();
        for draining in [true, false] {
            state.set_draining(draining);
            assert_eq!(state.is_draining(), draining);
        }
        state.drain();
        state.set_draining(false);
        assert!(state.is_draining());
    }

    #[test]
    fn what_is_passed_on_does_not_change() {
        let state = State::new(true);
        assert!(state.pass_on());
        assert!(!state.set_draining(false) && state.is_draining());
        state.take_back();
        assert!(state.set_draining(false) && !state.is_draining());
        assert!(!state.pass_on());
    }
}
