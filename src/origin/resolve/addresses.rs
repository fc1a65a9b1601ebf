//! In which order a server's addresses are tried.

use parking_lot::Mutex;
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// Shares the connections of one server among its addresses, and remembers those that lately
/// failed.
#[derive(Debug, Default)]
pub struct Addresses {
    turn: AtomicUsize,
    /// At most [`REMEMBERED`], oldest first.
    failed: Mutex<Vec<(SocketAddr, Instant)>>,
}

/// So long an address that failed is tried after all others.
const SHUNNED: Duration = Duration::from_secs(10);
/// Failed addresses that are remembered.
const REMEMBERED: usize = 64;

impl Addresses {
    /// All addresses in the order to try them: each call begins with the next one, the families
    /// take turns (RFC 8305, section 4), and those that lately failed come last.
    pub fn order(&self, all: &[SocketAddr], now: Instant) -> Vec<SocketAddr> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let shunned = self.shunned(now);
        let (bad, good): (Vec<_>, Vec<_>) = all.iter().partition(|a| shunned.contains(a));
        let mut order = interleaved(&good, turn);
        order.extend(interleaved(&bad, turn));
        order
    }

    /// No connection to this address could be made.
    pub fn failed(&self, address: SocketAddr, now: Instant) {
        let mut failed = self.failed.lock();
        failed.retain(|(a, at)| *a != address && now < *at + SHUNNED);
        if failed.len() == REMEMBERED {
            failed.remove(0);
        }
        failed.push((address, now));
    }

    /// A connection to this address was made.
    pub fn succeeded(&self, address: SocketAddr) {
        self.failed.lock().retain(|(a, _)| *a != address);
    }

    fn shunned(&self, now: Instant) -> Vec<SocketAddr> {
        let failed = self.failed.lock();
        let recent = failed.iter().filter(|(_, at)| now < *at + SHUNNED);
        recent.map(|(a, _)| *a).collect()
    }
}

/// Begins with the address whose turn it is; then the other family's next one, and so on.
fn interleaved(all: &[SocketAddr], turn: usize) -> Vec<SocketAddr> {
    let Some(first) = all.get(turn.checked_rem(all.len()).unwrap_or(0)) else {
        return Vec::new();
    };
    let (mut own, mut other): (Vec<SocketAddr>, Vec<_>) =
        all.iter().partition(|a| a.is_ipv4() == first.is_ipv4());
    let start = own.iter().position(|a| a == first).unwrap_or(0);
    own.rotate_left(start);
    if !other.is_empty() {
        let start = turn % other.len();
        other.rotate_left(start);
    }
    let (mut own, mut other) = (own.into_iter(), other.into_iter());
    let mut order = Vec::with_capacity(all.len());
    while order.len() < all.len() {
        order.extend(own.next());
        order.extend(other.next());
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn four(n: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, n], 80))
    }

    fn six(n: u16) -> SocketAddr {
        SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n], 80))
    }

    #[test]
    fn each_address_is_first_in_its_turn() {
        let addresses = Addresses::default();
        let all = [four(1), four(2), six(1)];
        let now = Instant::now();
        let first: Vec<_> = (0..6).map(|_| addresses.order(&all, now)[0]).collect();
        assert_eq!(first, [all, all].concat());
    }

    #[test]
    fn families_take_turns() {
        let addresses = Addresses::default();
        let all = [six(1), six(2), six(3), four(1), four(2)];
        assert_eq!(
            addresses.order(&all, Instant::now()),
            [six(1), four(1), six(2), four(2), six(3)]
        );
    }

    #[test]
    fn what_failed_comes_last_for_a_while() {
        let addresses = Addresses::default();
        let (all, now) = ([four(1), four(2), six(1)], Instant::now());
        addresses.failed(four(2), now);
        for _ in 0..4 {
            assert_eq!(addresses.order(&all, now).last(), Some(&four(2)));
        }
        addresses.failed(six(1), now);
        assert_eq!(addresses.order(&all, now)[0], four(1));
        addresses.succeeded(six(1));
        let later = now + SHUNNED;
        let first: HashSet<_> = (0..3).map(|_| addresses.order(&all, later)[0]).collect();
        assert_eq!(first.len(), 3);
    }

    #[test]
    fn when_all_failed_all_are_tried() {
        let addresses = Addresses::default();
        let (all, now) = ([four(1), six(1)], Instant::now());
        all.iter().for_each(|a| addresses.failed(*a, now));
        assert_eq!(addresses.order(&all, now).len(), 2);
        assert_eq!(addresses.order(&[], now), []);
    }

    #[test]
    fn the_memory_of_failures_is_bounded() {
        let (addresses, now) = (Addresses::default(), Instant::now());
        (0..=255).for_each(|n| addresses.failed(four(n), now));
        assert_eq!(addresses.failed.lock().len(), REMEMBERED);
        assert_eq!(addresses.order(&[four(255), four(1)], now)[0], four(1));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_doubled(
            fours in 0..6u8, sixes in 0..6u16, bad in prop::collection::vec(0..12usize, 0..6), turn in 0..40usize,
        ) {
            let all: Vec<_> = (0..fours).map(four).chain((0..sixes).map(six)).collect();
            let (addresses, now) = (Addresses::default(), Instant::now());
            addresses.turn.store(turn, Ordering::Relaxed);
            let bad: HashSet<_> = bad.iter().filter_map(|i| all.get(*i)).copied().collect();
            bad.iter().for_each(|a| addresses.failed(*a, now));
            let order = addresses.order(&all, now);
            prop_assert_eq!(order.len(), all.len());
            prop_assert_eq!(order.iter().collect::<HashSet<_>>().len(), all.len());
            let good = all.len() - bad.len();
            prop_assert!(order[good..].iter().all(|a| bad.contains(a)));
        }
    }
}
