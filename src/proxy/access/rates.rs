//! How often clients may ask.

use crate::traffic::{Meter, Meters, Rate};
use parking_lot::Mutex;
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

/// How often a route may be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// By each address.
    pub per_address: Option<Rate>,
    /// By all together.
    pub all: Option<Rate>,
}

/// Holds each address to a rate.
#[derive(Debug)]
pub struct PerAddress {
    rate: Rate,
    meters: Mutex<Meters>,
}

/// Holds all together to a rate.
#[derive(Debug)]
pub struct Together {
    rate: Rate,
    meter: Mutex<Meter>,
}

/// The most addresses that are held to a rate at a time, at about 100 bytes each. Who has more of
/// them may begin anew before the time, with those that were quiet for longest.
const MOST_ADDRESSES: usize = 1 << 16;

impl PerAddress {
    /// Nobody has asked yet.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            meters: Mutex::new(Meters::of(MOST_ADDRESSES)),
        }
    }

    /// Whether one more request may come; otherwise how long it should wait.
    pub fn take(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        self.meters.lock().take(address, &self.rate, now)
    }
}

impl Together {
    /// Nobody has asked yet.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            meter: Mutex::default(),
        }
    }

    /// Whether one more request may come; otherwise how long it should wait.
    pub fn take(&self, now: Instant) -> Result<(), Duration> {
        self.meter.lock().take(&self.rate, now)
    }
}
