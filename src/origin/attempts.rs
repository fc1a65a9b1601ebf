//! Whom to ask next: a route's servers, one after the other, for one request.
//!
//! Every request to an origin goes this way, and so obeys the origin's limit, its breakers and its
//! budget of repetitions, whether it is a client's own or a fill's.

use super::{
    Failure, Origin, Part, Upstream,
    failure::Cause,
    limit::{Permit, Refused},
    retry::pause,
    server::{Attempt, Server},
    session::Report,
    stats::{Again, Purpose},
    upstream::Leg,
};
use crate::{
    source::Trail,
    traces::Step,
    traffic::{Class, Urgency},
};
use http::StatusCode;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The servers that a request has tried, and the one that it is at.
#[derive(Debug)]
pub(super) struct Attempts {
    pub upstream: Arc<Upstream>,
    pub part: Part,
    /// Where a client leaves its word that it does not wait any more.
    report: Option<Arc<Report>>,
    trail: Option<Arc<Trail>>,
    urgency: Urgency,
    /// Servers that have been tried in this round, by origin and place in it.
    tried: Vec<(usize, usize)>,
    /// Origins that can't be asked any more in this round.
    shut: Vec<usize>,
    round: u32,
    held: Option<(usize, Permit)>,
    current: Option<(usize, Attempt)>,
    /// The request counts once in the budget of repetitions.
    counted: bool,
    /// An origin was not asked, though it might have answered.
    skipped: bool,
    /// The failure that is told in the end: the last of a server, or why none was asked.
    last: Option<Failure>,
}

/// When it is worth another try at a full queue.
const RETRY_WHEN_FULL: Duration = Duration::from_secs(1);

impl Attempts {
    pub fn new(upstream: Arc<Upstream>, part: Part, urgency: Urgency) -> Self {
        Self {
            upstream,
            part,
            report: None,
            trail: None,
            urgency,
            tried: Vec::new(),
            shut: Vec::new(),
            round: 0,
            held: None,
            current: None,
            counted: false,
            skipped: false,
            last: None,
        }
    }

    /// Whether an origin was not asked, though it might have answered.
    pub fn skipped(&self) -> bool {
        self.skipped
    }

    /// The same for a client that may leave while it waits.
    pub fn reporting_to(mut self, report: Arc<Report>) -> Self {
        self.report = Some(report);
        self
    }

    /// The same for one who wants to know afterwards who was asked.
    pub fn noted_in(mut self, trail: Option<Arc<Trail>>) -> Self {
        self.trail = trail;
        self
    }

    fn note_asked(&self, origin: &Origin, attempt: &mut Attempt) {
        let Some(trail) = &self.trail else { return };
        trail.note(origin.name(), attempt.server().name());
        if let Some(trace) = trail.trace() {
            attempt.is_part_of(trace, origin.name());
        }
    }

    /// A place at an origin was waited for, or there was none to be had.
    fn note_waited(&self, origin: &str, since: Instant, entered: &Result<Permit, Refused>) {
        let Some(trace) = self.trail.as_ref().and_then(|trail| trail.trace()) else {
            return;
        };
        let outcome = match entered {
            Ok(permit) if permit.waited().is_zero() => return,
            Ok(_) => "admitted",
            Err(refused) => super::stats::Refusal::from(*refused).label(),
        };
        trace.step(Step::Queue, since..super::now(), || {
            vec![
                ("tidegate.origin", origin.to_owned().into()),
                ("tidegate.outcome", outcome.into()),
            ]
        });
    }

    /// The origin that is being asked.
    pub fn leg(&self) -> Option<&Leg> {
        let (leg, _) = self.current.as_ref()?;
        self.upstream.legs().get(*leg)
    }

    /// Which of the route's origins is being asked.
    pub fn leg_index(&self) -> usize {
        self.current.as_ref().map_or(0, |(leg, _)| *leg)
    }

    /// The server that is being asked.
    pub fn current(&mut self) -> Option<&mut Attempt> {
        self.current.as_mut().map(|(_, attempt)| attempt)
    }

    /// The name of the server that is being asked.
    pub fn server_name(&self) -> String {
        let server = self.current.as_ref().map(|(_, attempt)| attempt.server());
        server.map_or_else(String::new, |server| server.name().to_owned())
    }

    /// The final head of an answer has come from the present server.
    pub fn head_came(&mut self, status: StatusCode, now: Instant) {
        if let Some(attempt) = self.current() {
            attempt.head_came(status, now);
        }
    }

    /// Bytes of a body have come from the present server.
    pub fn received(&mut self, purpose: Purpose, bytes: usize) {
        if let Some((at, attempt)) = &mut self.current {
            let origin = &self.upstream.legs()[*at].origin;
            let stats = self.upstream.client().stats();
            stats.received(origin.name(), attempt.server().name(), purpose, bytes);
            attempt.received(bytes);
        }
    }

    /// Goes on to the next server, waiting where its origin has enough to do. The last failure
    /// comes back where none is left.
    pub async fn next(&mut self) -> Result<(), Failure> {
        let again = self.current.take().is_some();
        loop {
            if self.next_in_round().await {
                if again {
                    self.count(Again::NextServer);
                }
                return Ok(());
            }
            self.next_round().await?;
        }
    }

    async fn next_in_round(&mut self) -> bool {
        for at in 0..self.upstream.legs().len() {
            if self.shut.contains(&at) {
                continue;
            }
            if !self.is_open(at) || !self.enter(at).await || !self.choose(at) {
                self.shut.push(at);
                continue;
            }
            return true;
        }
        false
    }

    /// Whether any server of an origin may be asked; no place in its queue is taken otherwise.
    fn is_open(&mut self, at: usize) -> bool {
        let open = self.may_ask(at);
        if !open {
            self.note_left_alone(at);
        }
        open
    }

    /// Whether an origin has a server that has not been tried and may be asked now.
    fn may_ask(&self, at: usize) -> bool {
        let guarded = self.upstream.features().breaker;
        let now = super::now();
        let servers = self.upstream.legs()[at].origin.servers().iter().enumerate();
        let mut left = servers.filter(|(server, _)| !self.tried.contains(&(at, *server)));
        left.any(|(_, server)| !guarded || server.would_admit(now))
    }

    /// Takes down that what is left of an origin's servers is left alone, if that is why none of
    /// them is asked.
    fn note_left_alone(&mut self, at: usize) {
        let origin = self.upstream.legs()[at].origin.clone();
        let tried = |server: usize| self.tried.contains(&(at, server));
        if let Some(after) = origin.left_alone_for(tried, super::now()) {
            let stats = self.upstream.client().stats();
            stats.refused(origin.name(), super::stats::Refusal::BreakerOpen);
            self.note(Failure::new(Cause::Open(after), origin.name()));
        }
    }

    async fn enter(&mut self, at: usize) -> bool {
        if self.held.as_ref().is_some_and(|(held, _)| *held == at) {
            return true;
        }
        self.held = None;
        let origin = self.upstream.legs()[at].origin.clone();
        let class = self.class();
        let since = super::now();
        let entered = match &self.report {
            None => origin.limit().enter(class).await,
            Some(report) => tokio::select! {
                biased;
                entered = origin.limit().enter(class) => entered,
                () = report.need().gone() => Err(Refused::Left),
            },
        };
        self.note_waited(origin.name(), since, &entered);
        let stats = self.upstream.client().stats();
        match entered {
            Ok(permit) => {
                stats.waited(origin.name(), class, permit.waited());
                self.held = Some((at, permit));
                true
            }
            Err(refused) => {
                stats.refused(origin.name(), refused.into());
                let what = format!("{}: {refused}", origin.name());
                let cause = match refused {
                    Refused::Left => Cause::Left,
                    _ => Cause::Full(RETRY_WHEN_FULL),
                };
                self.note(Failure::new(cause, what));
                false
            }
        }
    }

    fn choose(&mut self, at: usize) -> bool {
        let guarded = self.upstream.features().breaker;
        let origin = self.upstream.legs()[at].origin.clone();
        let tried = |server: usize| self.tried.contains(&(at, server));
        let now = super::now();
        match origin.choose(tried, self.part, guarded, now) {
            Some((server, mut attempt)) => {
                self.tried.push((at, server));
                self.note_asked(&origin, &mut attempt);
                self.current = Some((at, attempt));
                if !std::mem::replace(&mut self.counted, true) {
                    origin.deposit(now);
                }
                true
            }
            None => {
                self.note_left_alone(at);
                false
            }
        }
    }

    /// Begins at the first server again, where that may help and the budget allows it.
    async fn next_round(&mut self) -> Result<(), Failure> {
        let nothing = || Failure::new(Cause::Connect, "no server is configured");
        let last = self.last.clone().unwrap_or_else(nothing);
        let first = self.upstream.legs().first().map(|leg| leg.origin.clone());
        let may_help = matches!(last.cause, Cause::Resolve | Cause::Connect | Cause::Broken);
        let Some(origin) = first.filter(|_| may_help) else {
            return Err(last);
        };
        let retry = origin.config().retry;
        if self.round >= retry.rounds || !origin.withdraw(super::now()) {
            return Err(last);
        }
        self.round += 1;
        // Nobody's place is held while nothing is asked.
        self.held = None;
        self.tried.clear();
        self.shut.clear();
        tokio::time::sleep(pause(retry.backoff, self.round, fastrand::f64())).await;
        let stats = self.upstream.client().stats();
        stats.again(origin.name(), Again::Repeat);
        Ok(())
    }

    /// The present server has failed.
    pub fn failed(&mut self, failure: Failure) {
        let now = super::now();
        if let Some((at, attempt)) = &mut self.current {
            let origin = self.upstream.legs()[*at].origin.clone();
            let stats = self.upstream.client().stats();
            let server = attempt.server().clone();
            stats.failed(origin.name(), server.name(), failure.cause);
            log::log!(
                if failure.cause.is_the_servers() {
                    log::Level::Warn
                } else {
                    log::Level::Info
                },
                "origin {}: {failure}",
                origin.name()
            );
            if attempt.failed(failure.cause, now) {
                self.tripped(&origin, &server);
            }
        }
        self.note(failure);
    }

    fn tripped(&self, origin: &Origin, server: &Server) {
        let stats = self.upstream.client().stats();
        stats.tripped(origin.name(), server.name());
        log::warn!(
            "origin {}: {} is left alone for {:?}, after failures",
            origin.name(),
            server.name(),
            origin.config().breaker.open
        );
    }

    /// A failure of a server says more than that another was not asked.
    fn note(&mut self, failure: Failure) {
        let asked = |f: &Failure| f.retry_after().is_none();
        self.skipped |= !asked(&failure);
        if self.last.as_ref().is_none_or(|last| !asked(last)) || asked(&failure) {
            self.last = Some(failure);
        }
    }

    /// Whether another server may still be asked in this round, as far as can be told now.
    pub fn has_another(&self) -> bool {
        let mut legs = 0..self.upstream.legs().len();
        legs.any(|at| !self.shut.contains(&at) && self.may_ask(at))
    }

    /// What lacks of a body is asked for: all servers may be asked again, this one last. Where
    /// there was progress, repetitions are counted anew.
    pub fn resume(&mut self, progress: bool) {
        if progress {
            self.round = 0;
        }
        // Not the last that was tried: that may be a second one, beside which this one has won.
        let here = self.here();
        self.tried.clear();
        self.tried.extend(here);
        self.shut.clear();
        self.count(Again::Resume);
    }

    /// The server that is being asked, by origin and place in it.
    fn here(&self) -> Option<(usize, usize)> {
        let (at, attempt) = self.current.as_ref()?;
        let mut servers = self.upstream.legs()[*at].origin.servers().iter();
        let server = servers.position(|server| Arc::ptr_eq(server, attempt.server()))?;
        Some((*at, server))
    }

    fn count(&self, again: Again) {
        if let Some(leg) = self.leg() {
            let stats = self.upstream.client().stats();
            stats.again(leg.origin.name(), again);
        }
    }

    /// A second server of the same origin, where one can be asked at once and the budget allows.
    pub fn second(&mut self) -> Option<Second> {
        let at = self.leg_index();
        let guarded = self.upstream.features().breaker;
        let origin = self.upstream.legs()[at].origin.clone();
        let now = super::now();
        if !self.may_ask(at) {
            return None;
        }
        let permit = origin.limit().try_enter(self.class())?;
        if !origin.withdraw(now) {
            return None;
        }
        let tried = |server: usize| self.tried.contains(&(at, server));
        let (server, mut attempt) = origin.choose(tried, self.part, guarded, now)?;
        self.tried.push((at, server));
        self.note_asked(&origin, &mut attempt);
        Some(Second { attempt, permit })
    }

    /// The second server has won. The first may be slow for this object, or dead: where it has failed
    /// nobody knows, so that it counts as having failed for this object.
    pub fn take(&mut self, second: Second) {
        let at = self.leg_index();
        if let Some((_, first)) = &mut self.current
            && first.outrun(super::now())
        {
            let origin = self.upstream.legs()[at].origin.clone();
            let server = first.server().clone();
            self.tripped(&origin, &server);
        }
        self.held = Some((at, second.permit));
        self.current = Some((at, second.attempt));
    }

    fn class(&self) -> Class {
        match self.upstream.features().priority_queue {
            true => self.urgency.into(),
            false => Class::Large,
        }
    }
}

/// A second server that is asked beside the first.
#[derive(Debug)]
pub(super) struct Second {
    pub attempt: Attempt,
    permit: Permit,
}

impl From<Refused> for super::stats::Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => Self::QueueFull,
            Refused::Displaced => Self::Displaced,
            Refused::TimedOut => Self::QueueTimeout,
            Refused::Left => Self::ClientLeft,
        }
    }
}
