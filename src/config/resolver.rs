//! The section `resolver`: how names are resolved.

use super::{
    address,
    scalar::{DAY, duration, timeout},
    spot::Spot,
};
use crate::origin::Resolving;
use std::time::Duration;

pub(super) fn resolver(at: &Spot) -> Option<Resolving> {
    let default = Resolving::default();
    let ttl = || duration(Duration::ZERO..=DAY);
    at.section(|keys| {
        let servers = |at: &Spot| at.distinct("DNS server", address::reachable);
        let resolving = Resolving {
            servers: keys.or("servers", default.servers, servers),
            timeout: keys.or("timeout", default.timeout, timeout),
            min_ttl: keys.or("min_ttl", default.min_ttl, ttl()),
            max_ttl: keys.or("max_ttl", default.max_ttl, ttl()),
        };
        let bound = ("max_ttl", resolving.max_ttl);
        keys.refuse_longer(("min_ttl", resolving.min_ttl), bound);
        Some(resolving)
    })
}
