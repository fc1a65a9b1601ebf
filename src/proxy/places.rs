//! Places for connections and for requests: taken, and free again when they are dropped.

use crate::traffic::{Crowd, CrowdLimits};
use parking_lot::Mutex;
use std::{net::IpAddr, sync::Arc};

/// As many places as there may be.
#[derive(Debug)]
pub struct Places(Mutex<Crowd>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    address: Option<IpAddr>,
}

impl Places {
    /// All of them free.
    pub fn new(limits: CrowdLimits) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Crowd::new(limits))))
    }

    /// Other limits from now on; those that are there stay.
    pub fn set_limits(&self, limits: CrowdLimits) {
        self.0.lock().set_limits(limits);
    }

    /// A place for one more; none where all are taken.
    pub fn take(self: &Arc<Self>) -> Option<Place> {
        self.0.lock().enter().then(|| Place {
            places: self.clone(),
            address: None,
        })
    }

    /// Whether those that only wait for something to do should make room.
    pub fn are_scarce(&self) -> bool {
        self.0.lock().is_crowded()
    }
}

impl Place {
    /// Says whose it is; false where they have enough of them.
    pub fn identify(&mut self, address: IpAddr) -> bool {
        let fits = self.places.0.lock().identify(address);
        if fits {
            self.address = Some(address);
        }
        fits
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.0.lock().leave(self.address);
    }
}
