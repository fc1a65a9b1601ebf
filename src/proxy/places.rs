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
        let mut crowd = self.places.0.lock();
        let fits = crowd.identify(address);
        // Who was not counted is not to be counted off.
        if fits && crowd.counts_addresses() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_before_addresses_were_counted_is_not_counted_off() {
        let limits = |per_address| CrowdLimits {
            all: 10,
            per_address,
        };
        let address = IpAddr::from([192, 0, 2, 1]);
        let places = Places::new(limits(None));
        let one_more = || {
            let mut place = places.take().unwrap();
            place.identify(address).then_some(place)
        };
        let before = one_more();
        places.set_limits(limits(Some(2)));
        let since = [one_more(), one_more()];
        assert!(before.is_some() && since.iter().all(Option::is_some));
        drop(before);
        assert!(one_more().is_none());
        drop(since);
        assert!(one_more().is_some());
    }
}
