//! What went where.

use std::ops::AddAssign;

/// Counts of a time or a place: in chunks, unless they are of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Given to viewers.
    pub delivered: u64,
    /// Of these, from the edge's own disk.
    pub hit: u64,
    /// Given to edges from the disks of shields.
    pub shield: u64,
    /// Read of the tier.
    pub tier: u64,
    /// Asked of the origin, be it wanted by a viewer or not.
    pub origin: u64,
    /// Written to disks, of edges and of shields.
    pub written: u64,
    /// Written to the tier.
    pub tier_written: u64,
    pub origin_requests: u64,
    pub tier_gets: u64,
    pub tier_puts: u64,
}

impl AddAssign for Books {
    fn add_assign(&mut self, more: Self) {
        self.delivered += more.delivered;
        self.hit += more.hit;
        self.shield += more.shield;
        self.tier += more.tier;
        self.origin += more.origin;
        self.written += more.written;
        self.tier_written += more.tier_written;
        self.origin_requests += more.origin_requests;
        self.tier_gets += more.tier_gets;
        self.tier_puts += more.tier_puts;
    }
}

impl Books {
    /// A count as a share of what was delivered.
    pub fn share(&self, count: u64) -> f64 {
        count as f64 / self.delivered.max(1) as f64
    }

    /// Whether each chunk that was delivered came from somewhere, and nothing was fetched besides.
    pub fn balance(&self) -> bool {
        self.delivered == self.hit + self.shield + self.tier + self.origin
    }
}
