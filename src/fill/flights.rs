//! Who brings in which chunks of one object: the single-flight table, as a plain value.
//!
//! A *flight* is one answer of the origin on its way in. It delivers chunk after chunk, from
//! `next` up to `end`:
//!
//! ```text
//!   depart(run) ──► next ──deliver──► next+1 ── … ──► end ──► land
//!                     │                                ▲
//!                     └── another flight departs in between: a fill's end is cut back to there
//! ```
//!
//! A chunk is fetched by a flight of its own where none is near it: a reader that seeks ahead of
//! a running stream does not wait for it.

use crate::domain::{ChunkIndex, ChunkRun};
use std::time::{Duration, Instant};

/// Who drives a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// A client's own request: it can't be cut back.
    Client {
        /// Whether it stands still when its client does (HTTP/2: the task that writes the
        /// response also reads the origin).
        held_by_client: bool,
    },
    /// A detached task.
    Fill,
}

/// Names a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlightId(u64);

/// What a reader that lacks a chunk is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Wait: a flight will bring it shortly.
    Follow,
    /// Fetch these chunks, of which it is the first.
    Fetch(ChunkRun),
    /// Nothing can be done: the chunk is gone, and parts of this object can't be asked for.
    Lost,
}

/// How an object can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// In parts: a validator tells versions apart, and the origin honours ranges.
    Parts,
    /// Again, but only as a whole: the origin ignores ranges.
    Whole,
    /// Not again: nothing would tell this version from the next.
    Once,
}

/// The flights of one object.
#[derive(Debug)]
pub struct Flights {
    /// A reader waits for a flight that is at most this many chunks behind.
    near: u32,
    flights: Vec<Flight>,
    departed: u64,
}

#[derive(Debug)]
struct Flight {
    id: FlightId,
    driver: Driver,
    next: ChunkIndex,
    end: ChunkIndex,
    moved: Instant,
}

/// A reader waits for a flight that is at most two chunks behind, or so many bytes where chunks
/// are small: less than a request of its own would take to begin.
const NEAR: u32 = 256 << 10;

/// A flight that its client may hold, and that has brought nothing for so long, is not waited for.
pub const STALLED: Duration = Duration::from_millis(500);

impl Flights {
    /// No flights yet, on a grid of `chunk_size`.
    pub fn new(chunk_size: u32) -> Self {
        Self {
            near: (NEAR / chunk_size.max(1)).max(2),
            flights: Vec::new(),
            departed: 0,
        }
    }

    /// What to do about `want`, which is neither held nor in a buffer. `limit` is one past the
    /// last chunk worth fetching; `held` tells of other chunks whether they are there or coming.
    pub fn plan(
        &self,
        want: ChunkIndex,
        limit: ChunkIndex,
        reach: Reach,
        held: impl Fn(ChunkIndex) -> bool,
        now: Instant,
    ) -> Plan {
        if self
            .flights
            .iter()
            .any(|f| f.will_bring(want) && f.is_near(want, self.near, reach, now))
        {
            return Plan::Follow;
        }
        match reach {
            Reach::Parts => {}
            Reach::Whole => {
                return Plan::Fetch(ChunkRun {
                    start: ChunkIndex(0),
                    end: limit,
                });
            }
            Reach::Once => return Plan::Lost,
        }
        let ahead = self
            .flights
            .iter()
            .map(|f| f.next)
            .filter(|next| *next > want);
        let limit = ahead.fold(limit, Ord::min).max(want.next());
        let end = (want.0 + 1..limit.0).map(ChunkIndex).find(|c| held(*c));
        Plan::Fetch(ChunkRun {
            start: want,
            end: end.unwrap_or(limit),
        })
    }

    /// A flight sets out for `run`. Fills that would have come by later end where it begins.
    pub fn depart(&mut self, run: ChunkRun, driver: Driver, now: Instant) -> FlightId {
        for other in &mut self.flights {
            if other.driver == Driver::Fill && other.next < run.start {
                other.end = other.end.min(run.start);
            }
        }
        self.departed += 1;
        let id = FlightId(self.departed);
        let ChunkRun { start: next, end } = run;
        self.flights.push(Flight {
            id,
            driver,
            next,
            end,
            moved: now,
        });
        id
    }

    /// Whether the flight is still to bring `chunk`.
    pub fn may_deliver(&self, id: FlightId, chunk: ChunkIndex) -> bool {
        self.flights.iter().any(|f| f.id == id && chunk < f.end)
    }

    /// Bytes of `chunk` have come in.
    pub fn moved(&mut self, id: FlightId, chunk: ChunkIndex, now: Instant) {
        if let Some(flight) = self.flights.iter_mut().find(|f| f.id == id) {
            flight.next = chunk;
            flight.moved = now;
        }
    }

    /// Whether some flight will come by `chunk`, near or not.
    pub fn will_bring(&self, chunk: ChunkIndex) -> bool {
        self.flights.iter().any(|f| f.will_bring(chunk))
    }

    /// Whether a reader that is at `from` need not fetch `chunk` ahead: a fill was sent for it, or
    /// another flight is near enough to be followed from there on.
    pub fn expects(&self, chunk: ChunkIndex, from: ChunkIndex, now: Instant) -> bool {
        let brings = |f: &&Flight| f.will_bring(chunk);
        let mut flights = self.flights.iter().filter(brings);
        flights.any(|f| f.driver == Driver::Fill || f.is_near(from, self.near, Reach::Parts, now))
    }

    /// Where the flight is that has come least far.
    pub fn first_next(&self) -> Option<ChunkIndex> {
        self.flights.iter().map(|f| f.next).min()
    }

    /// Whether a flight stands still with its client in `chunk`.
    pub fn is_stalled_at(&self, id: FlightId, chunk: ChunkIndex, now: Instant) -> bool {
        let flight = self.flights.iter().find(|f| f.id == id);
        flight.is_some_and(|f| f.next == chunk && f.is_stalled(now))
    }

    /// The flight begins again, for `run`: the origin sends more than it was asked for.
    pub fn start_over(&mut self, id: FlightId, run: ChunkRun, now: Instant) {
        if let Some(flight) = self.flights.iter_mut().find(|f| f.id == id) {
            (flight.next, flight.end, flight.moved) = (run.start, run.end, now);
        }
    }

    /// The flight is over; what it had not brought is missing again.
    pub fn land(&mut self, id: FlightId) {
        self.flights.retain(|f| f.id != id);
    }

    /// What each flight is still to bring, and who drives it.
    pub fn runs(&self) -> impl Iterator<Item = (ChunkRun, Driver)> {
        let under_way = self.flights.iter().filter(|f| f.next < f.end);
        under_way.map(|f| {
            let run = ChunkRun {
                start: f.next,
                end: f.end,
            };
            (run, f.driver)
        })
    }

    /// Whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }
}

impl Flight {
    fn will_bring(&self, chunk: ChunkIndex) -> bool {
        self.next <= chunk && chunk < self.end
    }

    fn is_near(&self, want: ChunkIndex, near: u32, reach: Reach, now: Instant) -> bool {
        match reach {
            Reach::Parts => want.0.saturating_sub(self.next.0) <= near && !self.is_stalled(now),
            Reach::Whole => !self.is_stalled(now),
            Reach::Once => true,
        }
    }

    fn is_stalled(&self, now: Instant) -> bool {
        let held = self.driver
            == Driver::Client {
                held_by_client: true,
            };
        held && now.duration_since(self.moved) >= STALLED
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const CLIENT: Driver = Driver::Client {
        held_by_client: true,
    };

    fn run(start: u32, end: u32) -> ChunkRun {
        ChunkRun {
            start: ChunkIndex(start),
            end: ChunkIndex(end),
        }
    }

    fn plan(flights: &Flights, want: u32, limit: u32, now: Instant) -> Plan {
        flights.plan(
            ChunkIndex(want),
            ChunkIndex(limit),
            Reach::Parts,
            |_| false,
            now,
        )
    }

    #[test]
    fn a_near_flight_is_followed_and_a_far_one_is_not_waited_for() {
        let now = Instant::now();
        let mut flights = Flights::new(1 << 20);
        let whole = flights.depart(run(0, 100), CLIENT, now);
        assert_eq!(plan(&flights, 2, 100, now), Plan::Follow);
        assert_eq!(plan(&flights, 50, 60, now), Plan::Fetch(run(50, 60)));
        flights.moved(whole, ChunkIndex(49), now);
        assert_eq!(plan(&flights, 50, 60, now), Plan::Follow);
    }

    #[test]
    fn what_a_fill_was_sent_for_is_not_fetched_ahead() {
        let now = Instant::now();
        let mut flights = Flights::new(1 << 20);
        flights.depart(run(3, 7), Driver::Fill, now);
        flights.depart(run(20, 90), CLIENT, now);
        let expected = |chunk| flights.expects(ChunkIndex(chunk), ChunkIndex(chunk), now);
        assert!(expected(3) && expected(6) && expected(20));
        assert!(!expected(7) && !expected(2) && !expected(60));
    }

    #[test]
    fn who_follows_a_flight_fetches_nothing_ahead_of_it() {
        let now = Instant::now();
        let mut flights = Flights::new(1 << 20);
        let id = flights.depart(run(0, 16), CLIENT, now);
        flights.moved(id, ChunkIndex(3), now);
        let expected = |chunk, from, now| flights.expects(ChunkIndex(chunk), ChunkIndex(from), now);
        assert!(expected(15, 2, now) && expected(15, 5, now));
        assert!(!expected(16, 5, now) && !expected(15, 6, now));
        assert!(!expected(15, 2, now + STALLED));
    }

    #[test]
    fn a_stalled_client_is_not_waited_for() {
        let now = Instant::now();
        let mut flights = Flights::new(1 << 20);
        flights.depart(run(0, 100), CLIENT, now);
        assert_eq!(plan(&flights, 0, 4, now + STALLED), Plan::Fetch(run(0, 4)));
        let only = flights.plan(
            ChunkIndex(0),
            ChunkIndex(4),
            Reach::Once,
            |_| false,
            now + STALLED,
        );
        assert_eq!(only, Plan::Follow);
    }

    #[test]
    fn a_fetch_ends_where_something_is_there_or_coming() {
        let now = Instant::now();
        let mut flights = Flights::new(1 << 20);
        flights.depart(run(10, 20), Driver::Fill, now);
        assert_eq!(plan(&flights, 5, 30, now), Plan::Fetch(run(5, 10)));
        let held = |c: ChunkIndex| c.0 == 7;
        let found = flights.plan(ChunkIndex(5), ChunkIndex(30), Reach::Parts, held, now);
        assert_eq!(found, Plan::Fetch(run(5, 7)));
    }

    #[test]
    fn a_fill_ends_where_a_later_one_begins() {
        let now = Instant::now();
        let mut flights = Flights::new(1 << 20);
        let first = flights.depart(run(0, 20), Driver::Fill, now);
        flights.depart(run(8, 12), Driver::Fill, now);
        assert!(flights.may_deliver(first, ChunkIndex(7)));
        assert!(!flights.may_deliver(first, ChunkIndex(8)));
    }

    proptest! {
        /// Whatever readers ask for and however flights proceed or break, no chunk is ever on
        /// two fills at once, and every wanted chunk is either followed or fetched.
        #[test]
        fn no_chunk_flies_twice(steps in prop::collection::vec((0u32..40, 1u32..10, 0u8..4), 1..200)) {
            let now = Instant::now();
            let mut flights = Flights::new(1 << 20);
            let mut held = BTreeSet::new();
            for (chunk, window, action) in steps {
                let first = flights.flights.first().map(|f| (f.id, f.next, f.end));
                match (action, first) {
                    (0, Some((id, _, _))) => flights.land(id),
                    (1, Some((id, next, end))) if next < end => {
                        held.insert(next);
                        flights.moved(id, next.next(), now);
                    }
                    _ if held.contains(&ChunkIndex(chunk)) => {}
                    _ => {
                        let limit = ChunkIndex((chunk + window).min(40));
                        let is_held = |c: ChunkIndex| held.contains(&c);
                        match flights.plan(ChunkIndex(chunk), limit, Reach::Parts, is_held, now) {
                            Plan::Fetch(run) => {
                                prop_assert!(run.contains(ChunkIndex(chunk)) && run.end <= limit);
                                flights.depart(run, Driver::Fill, now);
                            }
                            found => prop_assert_eq!(found, Plan::Follow),
                        }
                    }
                }
                for c in (0..40).map(ChunkIndex).filter(|c| !held.contains(c)) {
                    let carriers = flights.flights.iter().filter(|f| f.next <= c && c < f.end);
                    prop_assert!(carriers.count() <= 1);
                }
            }
        }
    }
}
