//! How many may be there at a time, connections or requests: a count, and one for each address.

use ipnet::IpNet;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
};

/// How many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrowdLimits {
    /// All together.
    pub all: usize,
    /// From one address; a network of 64 bits counts as one in IPv6, since that is what one
    /// customer has. Nobody is counted where this is absent.
    pub per_address: Option<usize>,
}

/// Those that there are.
#[derive(Debug)]
pub struct Crowd {
    limits: CrowdLimits,
    all: usize,
    /// Has no more entries than there are in the crowd.
    by_address: HashMap<IpAddr, usize>,
}

impl Crowd {
    /// None yet.
    pub fn new(limits: CrowdLimits) -> Self {
        Self {
            limits,
            all: 0,
            by_address: HashMap::new(),
        }
    }

    /// Other limits from now on. Those who are there stay, and are counted by address from when that
    /// is limited.
    pub fn set_limits(&mut self, limits: CrowdLimits) {
        self.limits = limits;
    }

    /// One more, from nobody knows where yet; `false` where there is no room.
    pub fn enter(&mut self) -> bool {
        let fits = self.all < self.limits.all;
        self.all += usize::from(fits);
        fits
    }

    /// One that has entered turns out to be from this address; `false` where it has enough of
    /// them, and is to leave again, without this address.
    pub fn identify(&mut self, address: IpAddr) -> bool {
        let Some(most) = self.limits.per_address else {
            return true;
        };
        let count = self.by_address.entry(customer(address)).or_default();
        let fits = *count < most;
        *count += usize::from(fits);
        fits
    }

    /// Whether those that are identified now are counted by their addresses.
    pub fn counts_addresses(&self) -> bool {
        self.limits.per_address.is_some()
    }

    /// One goes; `address` is what it was identified by.
    pub fn leave(&mut self, address: Option<IpAddr>) {
        self.all = self.all.saturating_sub(1);
        let Some(customer) = address.map(customer) else {
            return;
        };
        if let Some(count) = self.by_address.get_mut(&customer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_address.remove(&customer);
            }
        }
    }

    /// How many there are.
    pub fn all(&self) -> usize {
        self.all
    }

    /// Whether those that only wait for a next request should make room.
    pub fn is_crowded(&self) -> bool {
        self.all >= self.limits.all - self.limits.all / 4
    }
}

/// Whether an address lies in one of these networks.
pub fn is_among(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

/// Who is behind an address: in IPv6 a network of 64 bits is one customer's.
pub fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_customer_is_one_address() {
        let one = |text: &str| customer(text.parse().unwrap());
        assert_eq!(one("2001:db8::1"), one("2001:db8:0:0:ffff::2"));
        assert_ne!(one("2001:db8::1"), one("2001:db8:0:1::1"));
        assert_eq!(one("::ffff:192.0.2.1"), one("192.0.2.1"));
        assert_ne!(one("192.0.2.1"), one("192.0.2.2"));
    }

    proptest! {
        #[test]
        fn no_limit_is_passed_and_nobody_is_forgotten(
            all in 1_usize..8,
            per_address in proptest::option::of(1_usize..4),
            steps in proptest::collection::vec((0_u8..3, 0_u8..4), 1..200),
        ) {
            let mut crowd = Crowd::new(CrowdLimits { all, per_address });
            let mut there: Vec<IpAddr> = Vec::new();
            for (action, who) in steps {
                let address = IpAddr::from([192, 0, 2, who]);
                let same = there.iter().filter(|a| **a == address).count();
                if action == 0 {
                    if let Some(n) = there.iter().position(|a| *a == address) {
                        crowd.leave(Some(there.swap_remove(n)));
                    }
                } else if crowd.enter() {
                    let fits = per_address.is_none_or(|most| same < most);
                    prop_assert_eq!(crowd.identify(address), fits);
                    match fits {
                        true => there.push(address),
                        false => crowd.leave(None),
                    }
                } else {
                    prop_assert_eq!(there.len(), all);
                }
                prop_assert_eq!(crowd.all(), there.len());
                prop_assert!(crowd.by_address.len() <= there.len());
                prop_assert_eq!(crowd.is_crowded(), there.len() >= all - all / 4);
            }
            for address in there.drain(..) {
                crowd.leave(Some(address));
            }
            prop_assert!(crowd.all() == 0 && crowd.by_address.is_empty());
        }
    }
}
