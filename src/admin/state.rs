//! What can change about a process while it runs: whether it wants clients, and its configuration.

use super::Configured;
use parking_lot::RwLock;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// Whether the process wants clients.
#[derive(Debug, Default)]
pub struct State {
    draining: AtomicBool,
    stopping: AtomicBool,
}

impl State {
    /// The process is about to stop: load balancers are told to look elsewhere, for good.
    pub fn drain(&self) {
        self.stopping.store(true, Relaxed);
    }

    /// Load balancers are told to look elsewhere, or that clients are wanted again.
    pub fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Relaxed);
    }

    /// Whether they are to look elsewhere.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Relaxed) || self.stopping.load(Relaxed)
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
}
