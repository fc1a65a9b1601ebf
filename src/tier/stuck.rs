//! Purges that the disk here has refused, in part: a plain value.
//!
//! What they mean is out of service, and comes back with a restart, as files of it are there still. So
//! they are tried again until none is refused, and as long as one is, it is not written down how far
//! this edge has come: the next process carries out all from there on.

use crate::domain::Selector;
use std::{
    mem,
    time::{Duration, Instant},
};

/// A purge as it is carried out.
pub type Order = (Selector, bool);

/// Those that are to be tried again.
#[derive(Debug, Default)]
pub struct Stuck {
    orders: Vec<Order>,
    /// How often in a row all were tried, and some refused again; and until when none is.
    failures: u32,
    not_before: Option<Instant>,
}

/// With more than this all goes instead, as it does where so many were missed.
const MOST: usize = 1000;
/// The longest wait for another attempt: what is meant has been fetched anew meanwhile, and goes too.
const LONGEST: Duration = Duration::from_secs(600);

impl Stuck {
    /// The disk has refused this.
    pub fn add(&mut self, order: Order) {
        if self.orders.contains(&order) {
            return;
        }
        self.orders.push(order);
        if self.orders.len() > MOST {
            self.orders = vec![(Selector::All, false)];
        }
    }

    /// What is to be tried now, which is not known here any more: what is refused again comes back.
    /// It is `step` until the first attempt, and twice as long until each further one.
    pub fn take(&mut self, now: Instant, step: Duration) -> Vec<Order> {
        if self.orders.is_empty() {
            (self.failures, self.not_before) = (0, None);
            return Vec::new();
        }
        let not_before = *self.not_before.get_or_insert(now + step.min(LONGEST));
        if now < not_before {
            return Vec::new();
        }
        self.failures += 1;
        let doubled = step.saturating_mul(2u32.saturating_pow(self.failures));
        self.not_before = Some(now + doubled.min(LONGEST));
        mem::take(&mut self.orders)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.orders.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(2);

    fn order(path: &str) -> Order {
        (Selector::at("a.example", path), false)
    }

    #[test]
    fn what_is_refused_is_tried_again_and_later_each_time() {
        let (mut stuck, start) = (Stuck::default(), Instant::now());
        let later = |seconds| start + Duration::from_secs(seconds);
        stuck.add(order("/a"));
        stuck.add(order("/a"));
        assert_eq!(stuck.len(), 1);
        let mut tried = Vec::new();
        for second in 0..60 {
            for order in stuck.take(later(second), STEP) {
                tried.push(second);
                stuck.add(order);
            }
        }
        assert_eq!(tried, [2, 6, 14, 30]);
        // Once none is refused the next one begins anew.
        assert_eq!(stuck.take(later(100), STEP), [order("/a")]);
        assert_eq!(stuck.take(later(101), STEP), []);
        stuck.add(order("/b"));
        assert_eq!(stuck.take(later(102), STEP), []);
        assert_eq!(stuck.take(later(104), STEP), [order("/b")]);
    }

    #[test]
    fn with_too_many_all_goes() {
        let mut stuck = Stuck::default();
        (0..=MOST).for_each(|nth| stuck.add(order(&format!("/{nth}"))));
        assert_eq!((stuck.len(), &stuck.orders[0].0), (1, &Selector::All));
    }
}
