//! Who waits before an origin, and who goes next: a bounded queue, as a plain value.
//!
//! A waiter has a fixed *rank*: when it came, and later by two seconds for each class below the
//! first. The lowest rank goes first. So a small request goes before a completion that came with
//! it, but not before one that has waited for eight seconds: age counts, nobody starves, and
//! nothing is ever sorted again.
//!
//! ```text
//!   arrive ──► active ──release──► gone        a slot that is released goes over to the
//!      │          ▲                            first waiter, and never stands free
//!      ▼          │ release, of another        while somebody waits
//!   waiting ──────┘
//!      └──leave, or displaced by a lower rank──► gone
//! ```

use super::Class;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The queue before one origin.
#[derive(Debug)]
pub struct Queue {
    limit: usize,
    width: usize,
    active: usize,
    /// The next first.
    waiting: BTreeMap<Ticket, Class>,
    arrived: u64,
}

/// Names a waiter; waiters are ordered by their tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    rank: Instant,
    /// Between equals, who came first.
    sequence: u64,
}

/// What becomes of a request that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It has a slot.
    Admitted,
    /// It waits.
    Queued(Ticket),
    /// It waits, in the place of another, which is not to wait any longer.
    Displacing {
        /// The one that waits.
        ticket: Ticket,
        /// The one that did: the last in the queue.
        displaced: Ticket,
    },
    /// It can't even wait.
    Full,
}

/// How much later a class goes than the one before it: a read-ahead is worth nothing after a few
/// seconds, so what lies between the first class and the last must stay below the patience of
/// those who wait.
const STEP: Duration = Duration::from_secs(2);

impl Queue {
    /// An empty queue: `limit` requests, but at least one, at a time, and `width` that wait.
    pub fn new(limit: usize, width: usize) -> Self {
        Self {
            limit: limit.max(1),
            width,
            active: 0,
            waiting: BTreeMap::new(),
            arrived: 0,
        }
    }

    /// A request arrives.
    pub fn arrive(&mut self, class: Class, now: Instant) -> Arrival {
        if self.active < self.limit {
            self.active += 1;
            return Arrival::Admitted;
        }
        let ticket = self.ticket(class, now);
        if self.waiting.len() < self.width {
            self.waiting.insert(ticket, class);
            return Arrival::Queued(ticket);
        }
        match self.waiting.last_entry() {
            Some(last) if ticket < *last.key() => {
                let (displaced, _) = last.remove_entry();
                self.waiting.insert(ticket, class);
                Arrival::Displacing { ticket, displaced }
            }
            _ => Arrival::Full,
        }
    }

    /// A waiter gives up. Says whether it was still waiting; otherwise it has been displaced, or a
    /// slot has gone over to it.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        self.waiting.remove(&ticket).is_some()
    }

    /// An active request is over. Its slot goes over to the waiter that is returned.
    pub fn release(&mut self) -> Option<Ticket> {
        debug_assert!(self.active > 0, "only who has a slot releases one");
        let next = self.waiting.pop_first();
        if next.is_none() {
            self.active = self.active.saturating_sub(1);
        }
        next.map(|(ticket, _)| ticket)
    }

    /// Slots in all.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether a slot is free.
    pub fn has_room(&self) -> bool {
        self.active < self.limit
    }

    /// Requests that have a slot.
    pub fn active(&self) -> usize {
        self.active
    }

    /// Requests of one class that wait.
    pub fn depth(&self, class: Class) -> usize {
        self.waiting.values().filter(|c| **c == class).count()
    }

    fn ticket(&mut self, class: Class, now: Instant) -> Ticket {
        self.arrived += 1;
        let classes_before = Class::ALL.iter().filter(|c| **c < class).count();
        Ticket {
            rank: now + STEP * classes_before as u32,
            sequence: self.arrived,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn queued(arrival: Arrival) -> Ticket {
        match arrival {
            Arrival::Queued(ticket) | Arrival::Displacing { ticket, .. } => ticket,
            found => panic!("{found:?}"),
        }
    }

    #[test]
    fn small_requests_go_first_but_age_counts() {
        let now = Instant::now();
        let mut queue = Queue::new(1, 10);
        assert_eq!(queue.arrive(Class::Large, now), Arrival::Admitted);
        let completion = queued(queue.arrive(Class::Completion, now));
        let large = queued(queue.arrive(Class::Large, now));
        let small = queued(queue.arrive(Class::Small, now + Duration::from_secs(3)));
        let late = queued(queue.arrive(Class::Small, now + Duration::from_secs(8)));
        assert_eq!(queue.depth(Class::Small), 2);
        let order = [0; 5].map(|_| queue.release());
        let expected = [Some(small), Some(large), Some(completion), Some(late), None];
        assert_eq!(order, expected);
        assert_eq!(queue.active(), 0);
    }

    #[test]
    fn the_last_gives_way_to_who_ranks_better() {
        let now = Instant::now();
        let mut queue = Queue::new(1, 2);
        queue.arrive(Class::Small, now);
        let medium = queued(queue.arrive(Class::Medium, now));
        let displaced = queued(queue.arrive(Class::Completion, now));
        assert_eq!(queue.arrive(Class::Completion, now), Arrival::Full);
        let arrival = queue.arrive(Class::Small, now);
        let ticket = queued(arrival);
        assert_eq!(arrival, Arrival::Displacing { ticket, displaced });
        assert!(!queue.leave(displaced) && queue.leave(medium));
        assert_eq!([queue.release(), queue.release()], [Some(ticket), None]);
        assert_eq!(
            Queue::new(1, 0).arrive(Class::Small, now),
            Arrival::Admitted
        );
    }

    /// What the model knows of a waiter.
    struct Waiter {
        ticket: Ticket,
        class: Class,
        came: Instant,
    }

    proptest! {
        /// Whoever comes, leaves and goes: limits hold, no slot is free while somebody waits, the
        /// order is that of ranks, everybody leaves exactly once, and nobody is overtaken, or
        /// displaced, by what came eight seconds after them.
        #[test]
        fn the_queue_keeps_its_promises(
            limit in 1usize..4,
            width in 0usize..6,
            steps in prop::collection::vec((0u8..8, 0usize..5, 0u64..2000), 1..300),
        ) {
            let mut now = Instant::now();
            let mut queue = Queue::new(limit, width);
            let mut active = 0;
            let mut waiting: Vec<Waiter> = Vec::new();
            let mut gone = BTreeSet::new();
            let rank = |w: &Waiter| (w.came + STEP * w.class as u32, w.ticket.sequence);
            for (action, which, pause) in steps {
                now += Duration::from_millis(pause);
                match action {
                    0..=3 => {
                        let class = Class::ALL[which];
                        let arrival = queue.arrive(class, now);
                        let worst = waiting.iter().map(rank).max();
                        let better = worst.is_some_and(|(worst, _)| worst > now + STEP * which as u32);
                        match arrival {
                            Arrival::Admitted => {
                                prop_assert!(active < limit && waiting.is_empty());
                                active += 1;
                            }
                            Arrival::Queued(_) => prop_assert!(active == limit && waiting.len() < width),
                            Arrival::Displacing { displaced, .. } => {
                                prop_assert!(active == limit && waiting.len() == width && better);
                                let n = waiting.iter().position(|w| w.ticket == displaced).unwrap();
                                let loser = waiting.swap_remove(n);
                                prop_assert_eq!(Some(rank(&loser)), worst);
                                prop_assert!(now < loser.came + STEP * 4);
                                prop_assert!(gone.insert(displaced));
                            }
                            Arrival::Full => {
                                prop_assert!(active == limit && waiting.len() == width && !better);
                            }
                        }
                        if let Arrival::Queued(ticket) | Arrival::Displacing { ticket, .. } = arrival {
                            waiting.push(Waiter { ticket, class, came: now });
                        }
                    }
                    4 if !waiting.is_empty() => {
                        let leaver = waiting.swap_remove(which % waiting.len());
                        prop_assert!(queue.leave(leaver.ticket) && !queue.leave(leaver.ticket));
                        prop_assert!(gone.insert(leaver.ticket));
                    }
                    5.. if active > 0 => {
                        let next = (0..waiting.len()).min_by_key(|n| rank(&waiting[*n]));
                        let next = next.map(|n| waiting.swap_remove(n));
                        prop_assert_eq!(queue.release(), next.as_ref().map(|w| w.ticket));
                        match next {
                            Some(next) => {
                                prop_assert!(gone.insert(next.ticket) && !queue.leave(next.ticket));
                                let overtaken = waiting.iter().map(|w| w.came).min();
                                prop_assert!(overtaken.is_none_or(|came| next.came <= came + STEP * 4));
                            }
                            None => active -= 1,
                        }
                    }
                    _ => {}
                }
                prop_assert_eq!(queue.active(), active);
                prop_assert!(active <= limit && waiting.len() <= width);
                prop_assert!(waiting.is_empty() || active == limit);
                for class in Class::ALL {
                    let depth = waiting.iter().filter(|w| w.class == class).count();
                    prop_assert_eq!(queue.depth(class), depth);
                }
            }
        }
    }
}
