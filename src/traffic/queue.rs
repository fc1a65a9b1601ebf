//! Who waits before an origin, and who goes next: a bounded queue, as a plain value.
//!
//! The first of the first class goes first; but every fourth slot goes to whoever has waited
//! longest, of whatever class. So those who wait for little pass those who wait for much, as long
//! as they do not need more than three quarters of what the origin does, and nobody starves: who
//! waits behind `n` older ones, and is not displaced, goes after 4 `n` + 3 others at the latest.
//!
//! ```text
//!   arrive ──► active ──release──► gone        a slot that is released goes over to a
//!      │          ▲                            waiter, and never stands free while
//!      ▼          │ release, of another        somebody waits
//!   waiting ──────┘
//!      └──leave, or displaced by a better class──► gone
//! ```

use super::Class;
use std::collections::{BTreeMap, BTreeSet};

/// The queue before one origin.
#[derive(Debug)]
pub struct Queue {
    limit: usize,
    width: usize,
    active: usize,
    /// The first of the first class first.
    waiting: BTreeSet<Ticket>,
    /// The same, the oldest first.
    by_age: BTreeMap<u64, Class>,
    arrived: u64,
    /// Slots that went over to the first class since one went by age.
    by_class: u32,
}

/// Names a waiter; waiters are ordered by their tickets: by class, and then by who came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    class: Class,
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
        /// The one that did: the last of the last class.
        displaced: Ticket,
    },
    /// It can't even wait.
    Full,
}

/// Slots that go by class for each that goes by age.
const BY_CLASS: u32 = 3;

impl Queue {
    /// An empty queue: `limit` requests, but at least one, at a time, and `width` that wait.
    pub fn new(limit: usize, width: usize) -> Self {
        Self {
            limit: limit.max(1),
            width,
            active: 0,
            waiting: BTreeSet::new(),
            by_age: BTreeMap::new(),
            arrived: 0,
            by_class: 0,
        }
    }

    /// A request arrives.
    pub fn arrive(&mut self, class: Class) -> Arrival {
        if self.active < self.limit {
            self.active += 1;
            return Arrival::Admitted;
        }
        self.arrived += 1;
        let ticket = Ticket {
            class,
            sequence: self.arrived,
        };
        if self.waiting.len() < self.width {
            self.enter(ticket);
            return Arrival::Queued(ticket);
        }
        match self.waiting.last().copied() {
            Some(displaced) if ticket < displaced => {
                self.leave(displaced);
                self.enter(ticket);
                Arrival::Displacing { ticket, displaced }
            }
            _ => Arrival::Full,
        }
    }

    /// A waiter gives up. Says whether it was still waiting; otherwise it has been displaced, or a
    /// slot has gone over to it.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        self.by_age.remove(&ticket.sequence);
        self.waiting.remove(&ticket)
    }

    /// An active request is over. Its slot goes over to the waiter that is returned.
    pub fn release(&mut self) -> Option<Ticket> {
        debug_assert!(self.active > 0, "only who has a slot releases one");
        let next = self.next();
        match next {
            Some(ticket) => drop(self.leave(ticket)),
            None => self.active = self.active.saturating_sub(1),
        }
        next
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
        self.waiting.iter().filter(|it| it.class == class).count()
    }

    fn enter(&mut self, ticket: Ticket) {
        self.waiting.insert(ticket);
        self.by_age.insert(ticket.sequence, ticket.class);
    }

    /// Whose turn it is.
    fn next(&mut self) -> Option<Ticket> {
        if self.by_class < BY_CLASS {
            let first = self.waiting.first().copied();
            self.by_class += u32::from(first.is_some());
            return first;
        }
        self.by_class = 0;
        let oldest = self.by_age.first_key_value();
        oldest.map(|(&sequence, &class)| Ticket { class, sequence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn queued(arrival: Arrival) -> Ticket {
        match arrival {
            Arrival::Queued(ticket) | Arrival::Displacing { ticket, .. } => ticket,
            found => panic!("{found:?}"),
        }
    }

    #[test]
    fn small_requests_go_first_but_age_counts() {
        let mut queue = Queue::new(1, 10);
        assert_eq!(queue.arrive(Class::Large), Arrival::Admitted);
        let completion = queued(queue.arrive(Class::Completion));
        let large = queued(queue.arrive(Class::Large));
        let small = [(); 5].map(|()| queued(queue.arrive(Class::Small)));
        assert_eq!(queue.depth(Class::Small), 5);
        let order = [(); 8].map(|()| queue.release());
        let expected = [
            small[0], small[1], small[2], completion, small[3], small[4], large,
        ];
        assert_eq!(order[..7], expected.map(Some));
        assert_eq!((order[7], queue.active()), (None, 0));
    }

    #[test]
    fn the_last_gives_way_to_a_better_class() {
        let mut queue = Queue::new(1, 2);
        queue.arrive(Class::Small);
        let medium = queued(queue.arrive(Class::Medium));
        let displaced = queued(queue.arrive(Class::Completion));
        assert_eq!(queue.arrive(Class::Completion), Arrival::Full);
        let arrival = queue.arrive(Class::Small);
        let ticket = queued(arrival);
        assert_eq!(arrival, Arrival::Displacing { ticket, displaced });
        assert!(!queue.leave(displaced) && queue.leave(medium));
        assert_eq!([queue.release(), queue.release()], [Some(ticket), None]);
        assert_eq!(Queue::new(1, 0).arrive(Class::Small), Arrival::Admitted);
    }

    /// What the model knows of a waiter.
    struct Waiter {
        ticket: Ticket,
        class: Class,
        /// How many of those who wait came before it.
        older: usize,
        /// How many have gone since.
        passed: usize,
    }

    proptest! {
        /// Whoever comes, leaves and goes: limits hold, no slot is free while somebody waits, who
        /// goes is the oldest of all or of the first class, everybody leaves exactly once, and
        /// nobody waits for longer than its place promises.
        #[test]
        fn the_queue_keeps_its_promises(
            limit in 1usize..4,
            width in 0usize..12,
            steps in prop::collection::vec((0u8..8, 0usize..5), 1..400),
        ) {
            let mut queue = Queue::new(limit, width);
            let mut active = 0;
            // The oldest first.
            let mut waiting: Vec<Waiter> = Vec::new();
            for (action, which) in steps {
                match action {
                    0..=3 => {
                        let class = Class::ALL[which];
                        let arrival = queue.arrive(class);
                        let worst = waiting.iter().map(|w| w.class).max();
                        let better = worst.is_some_and(|worst| worst > class);
                        match arrival {
                            Arrival::Admitted => {
                                prop_assert!(active < limit && waiting.is_empty());
                                active += 1;
                            }
                            Arrival::Queued(_) => prop_assert!(active == limit && waiting.len() < width),
                            Arrival::Displacing { displaced, .. } => {
                                prop_assert!(active == limit && waiting.len() == width && better);
                                let last = waiting.iter().rposition(|w| Some(w.class) == worst).unwrap();
                                prop_assert_eq!(waiting.remove(last).ticket, displaced);
                                prop_assert!(!queue.leave(displaced));
                            }
                            Arrival::Full => {
                                prop_assert!(active == limit && waiting.len() == width && !better);
                            }
                        }
                        if let Arrival::Queued(ticket) | Arrival::Displacing { ticket, .. } = arrival {
                            let older = waiting.len();
                            waiting.push(Waiter { ticket, class, older, passed: 0 });
                        }
                    }
                    4 if !waiting.is_empty() => {
                        let leaver = waiting.remove(which % waiting.len());
                        prop_assert!(queue.leave(leaver.ticket) && !queue.leave(leaver.ticket));
                    }
                    5.. if active > 0 => match queue.release() {
                        Some(next) => {
                            let first = waiting.iter().map(|w| w.class).min();
                            let first = waiting.iter().position(|w| Some(w.class) == first);
                            let at = waiting.iter().position(|w| w.ticket == next).unwrap();
                            prop_assert!(at == 0 || Some(at) == first);
                            let gone = waiting.remove(at);
                            prop_assert!(gone.passed <= 4 * gone.older + 3);
                            prop_assert!(!queue.leave(next));
                            waiting.iter_mut().for_each(|w| w.passed += 1);
                        }
                        None => {
                            prop_assert!(waiting.is_empty());
                            active -= 1;
                        }
                    },
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
