//! When a server is left alone: its circuit breaker, as a plain value.
//!
//! Whoever asks the server takes a [`Ticket`] first and says afterwards how it went. A result
//! counts only in the state in which its ticket was given: what set out before the breaker opened
//! says nothing about a server that has since come back.

use super::recent::{Counts, Recent};
use std::time::{Duration, Instant};

/// When a server is left alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// So many failures in a row open it, those of one URL taken as one.
    pub failures: u32,
    /// So large a share of failures among the requests of a window opens it, 0 to 1.
    pub failure_rate: f64,
    /// Requests in a window below which the share says nothing.
    pub min_requests: u32,
    /// Length of a window.
    pub window: Duration,
    /// How long it stays open.
    pub open: Duration,
    /// Trial requests that must succeed before it closes; as many may be under way.
    pub trials: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            failures: 5,
            failure_rate: 0.5,
            min_requests: 20,
            window: Duration::from_secs(10),
            open: Duration::from_secs(60),
            trials: 3,
        }
    }
}

/// The circuit breaker of one server.
#[derive(Debug)]
pub struct Breaker {
    settings: Settings,
    phase: Phase,
    /// Counts the changes of phase.
    epoch: u64,
}

/// What the breaker is at:
///
/// ```text
///             failures in a row, or too large a share of them
///      CLOSED ────────────────────────────────────► OPEN ◄──┐
///        ▲                                           │      │
///        │                     `open` later, on the  │      │ one trial fails
///        │                     next request          ▼      │
///        └─────────────────────────────────────── HALF-OPEN ┘
///                    `trials` trials succeed
/// ```
#[derive(Debug)]
enum Phase {
    Closed {
        in_a_row: Row,
        /// Requests that ended within the window; the marked ones failed.
        recent: Recent,
    },
    Open {
        until: Instant,
    },
    HalfOpen {
        /// Trials without a verdict.
        under_way: u32,
        succeeded: u32,
    },
}

/// Failures since the last success.
#[derive(Debug, Default)]
struct Row {
    failures: u32,
    /// URLs that are among them already.
    urls: Vec<u64>,
}

/// URLs that a row knows apart. Where more fail, it is hardly the URLs.
const URLS: usize = 16;

/// The right to ask the server, and the duty to say how it went.
#[must_use = "report it as succeeded, failed or abandoned: a trial holds its slot until then"]
#[derive(Debug)]
pub struct Ticket {
    epoch: u64,
    trial: bool,
}

/// The server is not to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// When it is worth trying again.
    pub retry_after: Duration,
}

/// The state of a breaker, as operators see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The server is asked.
    Closed,
    /// It is left alone.
    Open,
    /// It is tried.
    HalfOpen,
}

/// Nobody knows how long trials take; a second is long for most.
const TRIAL: Duration = Duration::from_secs(1);

impl Breaker {
    /// A closed breaker. A criterion with a limit of 0 is off.
    pub fn new(settings: Settings) -> Self {
        let phase = Phase::closed(settings);
        Self {
            settings,
            phase,
            epoch: 0,
        }
    }

    /// Somebody wants to ask the server.
    pub fn admit(&mut self, now: Instant) -> Result<Ticket, Open> {
        match self.phase {
            Phase::Open { until } if until <= now => self.enter(Phase::HalfOpen {
                under_way: 0,
                succeeded: 0,
            }),
            _ => {}
        }
        let trials = self.trials();
        match &mut self.phase {
            Phase::Closed { .. } => Ok(self.ticket()),
            Phase::Open { until } => Err(Open {
                retry_after: until.saturating_duration_since(now),
            }),
            Phase::HalfOpen { under_way, .. } if *under_way < trials => {
                *under_way += 1;
                Ok(Ticket {
                    epoch: self.epoch,
                    trial: true,
                })
            }
            Phase::HalfOpen { .. } => Err(Open { retry_after: TRIAL }),
        }
    }

    /// A ticket for whoever asks the server whatever the breaker says. It holds no slot of a
    /// trial, but its result counts like others; it never begins the trials of an open breaker.
    pub fn ticket(&self) -> Ticket {
        Ticket {
            epoch: self.epoch,
            trial: false,
        }
    }

    /// The server answered.
    pub fn succeeded(&mut self, ticket: Ticket, now: Instant) {
        if !self.settle(&ticket) {
            return;
        }
        let trials = self.trials();
        match &mut self.phase {
            Phase::Closed { in_a_row, recent } => {
                *in_a_row = Row::default();
                recent.add(Counts { all: 1, marked: 0 }, now);
            }
            Phase::Open { .. } => {}
            Phase::HalfOpen { succeeded, .. } => {
                *succeeded += 1;
                if *succeeded >= trials {
                    self.enter(Phase::closed(self.settings));
                }
            }
        }
    }

    /// The server failed; for a URL with this digest, where it may be that alone that fails. Says
    /// whether that has just opened the breaker.
    pub fn failed(&mut self, ticket: Ticket, url: Option<u64>, now: Instant) -> bool {
        if !self.settle(&ticket) {
            return false;
        }
        let trips = match &mut self.phase {
            Phase::Closed { in_a_row, recent } => {
                in_a_row.add(url);
                recent.add(Counts { all: 1, marked: 1 }, now);
                too_many(in_a_row.failures, recent.sum(now), &self.settings)
            }
            Phase::Open { .. } => false,
            Phase::HalfOpen { .. } => true,
        };
        if trips {
            let until = now + self.settings.open;
            self.enter(Phase::Open { until });
        }
        trips
    }

    /// There is no verdict: the client left, say.
    pub fn abandoned(&mut self, ticket: Ticket) {
        self.settle(&ticket);
    }

    /// Whether [`Self::admit`] would admit a request.
    pub fn would_admit(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Closed { .. } => true,
            Phase::Open { until } => until <= now,
            Phase::HalfOpen { under_way, .. } => under_way < self.trials(),
        }
    }

    /// The state for the metrics.
    pub fn state(&self, now: Instant) -> State {
        match self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { until } if now < until => State::Open,
            Phase::Open { .. } | Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// Gives a trial's slot back. Says whether the ticket's result counts.
    fn settle(&mut self, ticket: &Ticket) -> bool {
        let counts = ticket.epoch == self.epoch;
        if let Phase::HalfOpen { under_way, .. } = &mut self.phase
            && counts
            && ticket.trial
        {
            *under_way -= 1;
        }
        counts
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
    }

    /// Without any trial it would never close.
    fn trials(&self) -> u32 {
        self.settings.trials.max(1)
    }
}

impl Phase {
    fn closed(settings: Settings) -> Self {
        Self::Closed {
            in_a_row: Row::default(),
            recent: Recent::new(settings.window),
        }
    }
}

impl Row {
    fn add(&mut self, url: Option<u64>) {
        match url {
            Some(url) if self.urls.contains(&url) => return,
            Some(url) if self.urls.len() < URLS => self.urls.push(url),
            _ => {}
        }
        self.failures = self.failures.saturating_add(1);
    }
}

impl State {
    /// The value of the gauge in the metrics.
    pub fn gauge(self) -> i64 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

/// Whether a closed breaker opens. A success never opens one, so this is asked after failures.
fn too_many(in_a_row: u32, recent: Counts, settings: &Settings) -> bool {
    let row = settings.failures > 0 && in_a_row >= settings.failures;
    let share = settings.failure_rate > 0.0
        && recent.all >= settings.min_requests
        && f64::from(recent.marked) >= settings.failure_rate * f64::from(recent.all);
    row || share
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETTINGS: Settings = Settings {
        failures: 3,
        failure_rate: 0.5,
        min_requests: 10,
        window: Duration::from_secs(10),
        open: Duration::from_secs(60),
        trials: 2,
    };

    fn tripped(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(SETTINGS);
        for last in [false, false, true] {
            let ticket = breaker.admit(now).unwrap();
            assert_eq!(breaker.failed(ticket, None, now), last);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_trials_close_it() {
        let now = Instant::now();
        let mut breaker = tripped(now);
        assert_eq!(breaker.state(now), State::Open);
        let early = now + Duration::from_secs(59);
        let retry_after = Duration::from_secs(1);
        assert_eq!(breaker.admit(early).unwrap_err(), Open { retry_after });
        let now = now + SETTINGS.open;
        assert_eq!(breaker.state(now), State::HalfOpen);
        let (first, second) = (breaker.admit(now).unwrap(), breaker.admit(now).unwrap());
        assert_eq!(breaker.admit(now).unwrap_err().retry_after, TRIAL);
        breaker.abandoned(first);
        breaker.succeeded(second, now);
        assert_eq!(breaker.state(now), State::HalfOpen);
        let third = breaker.admit(now).unwrap();
        breaker.succeeded(third, now);
        assert_eq!(breaker.state(now), State::Closed);
    }

    /// A URL that is asked for again and again fails by itself; several that fail, or one that fails
    /// so that it can't be the URL, are the server's.
    #[test]
    fn what_fails_for_one_url_is_one_failure() {
        let now = Instant::now();
        let mut breaker = Breaker::new(SETTINGS);
        let mut fail = |url| {
            let ticket = breaker.admit(now).unwrap();
            breaker.failed(ticket, url, now)
        };
        for _ in 0..5 {
            assert!(!fail(Some(1)) && !fail(Some(2)));
            // The share is over ten: only a row is looked at.
            if fail(None) {
                return;
            }
        }
        panic!("three failures in a row");
    }

    #[test]
    fn urls_beyond_those_known_count_each_time() {
        let mut row = Row::default();
        let most = URLS as u64;
        (0..2 * most).for_each(|url| row.add(Some(url)));
        (0..2 * most).for_each(|url| row.add(Some(url)));
        assert_eq!(u64::from(row.failures), 3 * most);
        assert_eq!(row.urls.len(), URLS);
    }

    #[test]
    fn a_success_breaks_a_row_but_not_the_share() {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(SETTINGS);
        for turn in 1..=10 {
            now += Duration::from_millis(100);
            let ticket = breaker.admit(now).unwrap();
            match turn % 2 {
                1 => breaker.succeeded(ticket, now),
                _ => assert_eq!(breaker.failed(ticket, None, now), turn == 10),
            }
        }
        assert_eq!(breaker.state(now), State::Open);
    }

    #[test]
    fn a_share_over_more_than_the_window_is_none() {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(SETTINGS);
        for turn in 0..100 {
            now += Duration::from_millis(1500);
            let ticket = breaker.admit(now).unwrap();
            match turn % 2 {
                0 => breaker.succeeded(ticket, now),
                _ => assert!(!breaker.failed(ticket, None, now)),
            }
        }
    }

    #[test]
    fn zero_turns_a_criterion_off() {
        let now = Instant::now();
        let mut breaker = Breaker::new(Settings {
            failures: 0,
            failure_rate: 0.0,
            ..SETTINGS
        });
        for _ in 0..100 {
            let ticket = breaker.admit(now).unwrap();
            assert!(!breaker.failed(ticket, None, now));
        }
    }

    #[test]
    fn dashboards_know_the_states() {
        let states = [State::Closed, State::HalfOpen, State::Open];
        assert_eq!(states.map(State::gauge), [0, 1, 2]);
    }

    #[test]
    fn late_results_count_for_nothing() {
        let now = Instant::now();
        let mut breaker = Breaker::new(SETTINGS);
        let late: Vec<_> = (0..9).map(|_| breaker.admit(now).unwrap()).collect();
        for _ in 0..3 {
            let ticket = breaker.ticket();
            breaker.failed(ticket, None, now);
        }
        let now = now + SETTINGS.open;
        let trial = breaker.admit(now).unwrap();
        for (n, ticket) in late.into_iter().enumerate() {
            match n % 3 {
                0 => breaker.succeeded(ticket, now),
                1 => assert!(!breaker.failed(ticket, None, now)),
                _ => breaker.abandoned(ticket),
            }
        }
        assert_eq!(breaker.state(now), State::HalfOpen);
        assert!(
            breaker.failed(trial, None, now),
            "one failed trial opens it again"
        );
        assert_eq!(breaker.state(now), State::Open);
    }

    proptest! {
        /// Whatever is asked, reported late or never: an open breaker admits nobody before its
        /// time, a half-open one has at most `trials` under way, all of them come back, and the
        /// state changes only along the arrows.
        #[test]
        fn states_follow_the_diagram(
            steps in prop::collection::vec((0u8..8, 0usize..64, 0u64..30), 1..300),
        ) {
            let mut now = Instant::now();
            let mut breaker = Breaker::new(SETTINGS);
            let mut out: Vec<Ticket> = Vec::new();
            let mut opened = None;
            for (action, which, pause) in steps {
                let before = breaker.state(now);
                let trials = out.iter().filter(|t| t.trial && t.epoch == breaker.epoch).count();
                let ticket = (!out.is_empty()).then(|| which % out.len());
                match (action, ticket) {
                    (0, _) => now += Duration::from_secs(pause),
                    (1, _) => out.push(breaker.ticket()),
                    (2 | 3, Some(n)) => {
                        let counts = out[n].epoch == breaker.epoch;
                        let tripped = breaker.failed(out.swap_remove(n), None, now);
                        prop_assert!(counts || !tripped);
                        prop_assert_eq!(tripped, breaker.state(now) == State::Open && before != State::Open);
                        if tripped {
                            opened = Some(now);
                        }
                    }
                    (4, Some(n)) => breaker.succeeded(out.swap_remove(n), now),
                    (5, Some(n)) => breaker.abandoned(out.swap_remove(n)),
                    _ => {
                        let would = breaker.would_admit(now);
                        let expected = match before {
                            State::Closed => true,
                            State::Open => false,
                            State::HalfOpen => trials < SETTINGS.trials as usize,
                        };
                        prop_assert_eq!(would, expected);
                        match breaker.admit(now) {
                            Ok(ticket) => {
                                prop_assert!(would);
                                prop_assert_eq!(ticket.trial, before == State::HalfOpen);
                                out.push(ticket);
                            }
                            Err(open) => {
                                prop_assert!(!would && open.retry_after > Duration::ZERO);
                                prop_assert!(open.retry_after <= SETTINGS.open);
                            }
                        }
                    }
                }
                let after = breaker.state(now);
                let waited = opened.is_some_and(|at: Instant| now >= at + SETTINGS.open);
                let allowed = match (before, after) {
                    (State::Closed, State::Open) => action == 2 || action == 3,
                    (State::HalfOpen, State::Open) => action == 2 || action == 3,
                    (State::Open, State::HalfOpen) => action == 0 && waited,
                    (State::HalfOpen, State::Closed) => action == 4,
                    (before, after) => before == after,
                };
                prop_assert!(allowed, "{before:?} to {after:?} by {action}");
                if let Phase::HalfOpen { under_way, .. } = breaker.phase {
                    let trials = out.iter().filter(|t| t.trial && t.epoch == breaker.epoch).count();
                    prop_assert_eq!(under_way as usize, trials);
                    prop_assert!(under_way <= SETTINGS.trials);
                }
            }
        }
    }
}
