//! What is going on around one generation of an object: its flights, the chunks that are coming
//! in, and who is reading.

use super::{
    FillError, FinishWhen,
    chunk_buffer::ChunkBuffer,
    flights::{Driver, FlightId, Flights, Plan, Reach},
    now,
    scene::Transfer,
};
use crate::{
    domain::{ChunkIndex, ChunkRun, Movie, Sizes, chunk_at},
    source::Ranged,
    store::Object,
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst},
    },
    time::Instant,
};
use tokio::sync::{Notify, Semaphore};

/// Shared by the readers and flights of one generation.
#[derive(Debug)]
pub struct Board {
    object: Arc<Object>,
    /// For what of it has come in and is not on disk yet, in KiB.
    pub(super) room: Arc<Semaphore>,
    state: Mutex<State>,
    changed: Notify,
    readers: Mutex<Readers>,
    completing: AtomicBool,
    /// The policy says that what is under way goes on without readers.
    goes_on: AtomicBool,
    /// Counts everything that moves.
    progress: AtomicU64,
    /// Chunks that the disk did not take.
    unkept: AtomicU64,
    /// The lengths at which an object of unknown length is kept.
    sizes: OnceLock<Sizes>,
    /// What is not there of it will not come: nobody was there for it. Set with the readers locked.
    given_up: AtomicBool,
    /// Lookups are not to find it.
    withdrawn: AtomicBool,
    /// What comes in is offered to others.
    shared: AtomicBool,
    pub(super) movie: Mutex<Movie>,
    /// Where the next byte is that says something of the movie; the largest number if nowhere.
    pub(super) movie_next: AtomicU64,
    /// The index of the movie has been asked for, or need not be.
    pub(super) index_sought: AtomicBool,
}

/// Where each reader is, by its number.
type Readers = BTreeMap<u64, Arc<AtomicU64>>;

#[derive(Debug)]
struct State {
    flights: Flights,
    coming: HashMap<ChunkIndex, Coming>,
    failures: u64,
    last_failure: Option<(ChunkIndex, FillError)>,
    ended: Option<FillError>,
    whole_only: bool,
}

/// A chunk that comes in, or waits for the disk.
#[derive(Debug)]
struct Coming {
    buffer: Arc<ChunkBuffer>,
    /// By which flight.
    by: FlightId,
}

/// Where a chunk is.
#[derive(Debug)]
pub enum Place {
    /// On disk.
    Stored,
    /// Coming in, or waiting for the disk.
    Coming(Arc<ChunkBuffer>),
    /// Neither.
    Nowhere,
}

impl Board {
    pub(super) fn new(object: Arc<Object>, room: Arc<Semaphore>) -> Self {
        Self {
            state: Mutex::new(State {
                flights: Flights::new(object.chunk_size()),
                coming: HashMap::new(),
                failures: 0,
                last_failure: None,
                ended: None,
                whole_only: false,
            }),
            object,
            room,
            changed: Notify::new(),
            readers: Mutex::default(),
            completing: AtomicBool::new(false),
            goes_on: AtomicBool::new(false),
            progress: AtomicU64::new(0),
            unkept: AtomicU64::new(0),
            sizes: OnceLock::new(),
            given_up: AtomicBool::new(false),
            withdrawn: AtomicBool::new(false),
            shared: AtomicBool::new(false),
            movie: Mutex::default(),
            movie_next: AtomicU64::new(0),
            index_sought: AtomicBool::new(false),
        }
    }

    /// The object in question.
    pub fn object(&self) -> &Arc<Object> {
        &self.object
    }

    /// Where `chunk` is.
    pub fn place(&self, chunk: ChunkIndex) -> Place {
        // A buffer leaves only after its chunk is on disk: asked in this order, a chunk that
        // is anywhere is found.
        let state = self.state.lock();
        if let Some(coming) = state.coming.get(&chunk) {
            return Place::Coming(coming.buffer.clone());
        }
        match self.object.has(chunk) {
            true => Place::Stored,
            false => Place::Nowhere,
        }
    }

    /// Whether a chunk is anywhere: what [`Board::place`] says of it, for who has the state already.
    fn holds(&self, state: &State, chunk: ChunkIndex) -> bool {
        state.coming.contains_key(&chunk) || self.object.has(chunk)
    }

    /// Whether all of `run` is here, on disk or on its way there, and else whether what lacks
    /// first is coming.
    pub fn coverage(&self, mut run: ChunkRun) -> Coverage {
        let state = self.state.lock();
        while let Some(chunk) = self.object.first_missing(run) {
            match state.coming.get(&chunk) {
                Some(coming) if coming.buffer.is_complete() => run.start = chunk.next(),
                Some(_) => return Coverage::Coming,
                None if state.flights.will_bring(chunk) => return Coverage::Coming,
                None => return Coverage::Partial,
            }
        }
        Coverage::Stored
    }

    /// Waits until no flight will come by `chunk`.
    pub(super) async fn passed(&self, chunk: ChunkIndex) {
        loop {
            let notified = self.changed.notified();
            let mut notified = std::pin::pin!(notified);
            notified.as_mut().enable();
            if !self.state.lock().flights.will_bring(chunk) {
                return;
            }
            notified.await;
        }
    }

    /// Decides about a chunk that is nowhere; where it is to be fetched, the flight has departed
    /// on return.
    pub(super) fn claim(&self, want: ChunkIndex, limit: ChunkIndex, now: Instant) -> Claim {
        let mut state = self.state.lock();
        let held = |chunk| self.holds(&state, chunk);
        if held(want) {
            return Claim::Wait;
        }
        let reach = self.reach(&state);
        let limit = match reach {
            Reach::Whole => self
                .object
                .grid()
                .map_or(limit, |grid| ChunkIndex(grid.count())),
            Reach::Parts | Reach::Once => limit,
        };
        match state.flights.plan(want, limit, reach, held, now) {
            Plan::Follow => Claim::Wait,
            Plan::Lost => Claim::Lost,
            Plan::Fetch(run) => Claim::Fetch(run, state.flights.depart(run, Driver::Fill, now)),
        }
    }

    /// Whether a reader that is at `from` is to fetch `chunk` ahead: nobody has, or was sent for it.
    pub(super) fn is_unasked(&self, chunk: ChunkIndex, from: ChunkIndex) -> bool {
        let state = self.state.lock();
        !self.holds(&state, chunk) && !state.flights.expects(chunk, from, now())
    }

    /// A flight whose run is given.
    pub(super) fn depart(&self, run: ChunkRun, driver: Driver) -> FlightId {
        self.state.lock().flights.depart(run, driver, now())
    }

    /// Whether a flight is to bring `chunk`: it is not there, not coming, and within its run.
    pub(super) fn wants(&self, flight: FlightId, chunk: ChunkIndex) -> Wanted {
        let mut state = self.state.lock();
        state.flights.moved(flight, chunk, now());
        match state.flights.may_deliver(flight, chunk) {
            false => Wanted::Over,
            true if self.holds(&state, chunk) => Wanted::Held,
            true => Wanted::Yes,
        }
    }

    /// Whether a flight that stands at `offset` brings nothing for so many bytes: all of them are here,
    /// or come in already, and what lacks behind them can be asked for.
    pub(super) fn brings_nothing_for(&self, flight: FlightId, offset: u64, bytes: u64) -> bool {
        let size = self.object.chunk_size();
        let end = offset.saturating_add(bytes);
        let (first, last) = (
            chunk_at(size, offset),
            chunk_at(size, end.saturating_sub(1)),
        );
        let state = self.state.lock();
        self.reach(&state) == Reach::Parts
            && self.object.total().is_some_and(|total| total >= end)
            && state.flights.may_deliver(flight, last)
            && (first.0..=last.0).all(|chunk| self.holds(&state, ChunkIndex(chunk)))
    }

    /// Whether a flight at the beginning of `chunk` has more to bring.
    pub(super) fn will_go_on(&self, flight: FlightId, chunk: ChunkIndex) -> bool {
        let within = self.object.grid().is_none_or(|grid| chunk.0 < grid.count());
        within && self.state.lock().flights.may_deliver(flight, chunk)
    }

    /// What can't be asked for again makes no room for others before its readers have passed it.
    fn note_needs(&self, readers: &Readers) {
        let object = &self.object;
        let lowest = match object.comes_once() {
            true => lowest(readers),
            false => None,
        };
        object.spare(lowest.map(|at| chunk_at(object.chunk_size(), at)));
    }

    /// Readers may have passed something.
    pub(super) fn look_at_readers(&self) {
        self.note_needs(&self.readers.lock());
    }

    /// A chunk begins to come in by a flight; false where another one was faster.
    pub(super) fn begin_chunk(
        &self,
        by: FlightId,
        chunk: ChunkIndex,
        buffer: Arc<ChunkBuffer>,
    ) -> bool {
        self.look_at_readers();
        let mut state = self.state.lock();
        let free = !self.holds(&state, chunk);
        if free {
            state.coming.insert(chunk, Coming { buffer, by });
            drop(state);
            self.changed.notify_waiters();
        }
        free
    }

    /// A chunk is on disk, or will never be: from now on it is found there, or fetched anew.
    pub(super) fn end_chunk(&self, chunk: ChunkIndex, buffer: &Arc<ChunkBuffer>) {
        let mut state = self.state.lock();
        if state
            .coming
            .get(&chunk)
            .is_some_and(|coming| Arc::ptr_eq(&coming.buffer, buffer))
        {
            state.coming.remove(&chunk);
        }
        drop(state);
        self.note_progress();
        self.changed.notify_waiters();
    }

    /// Bytes of `chunk` have come in.
    pub(super) fn moved(&self, flight: FlightId, chunk: ChunkIndex) {
        self.state.lock().flights.moved(flight, chunk, now());
        self.note_progress();
    }

    fn note_progress(&self) {
        self.progress.fetch_add(1, Relaxed);
    }

    /// A count that goes up with everything that moves.
    pub(super) fn progress(&self) -> u64 {
        self.progress.load(Relaxed)
    }

    /// The disk did not take a chunk.
    pub(super) fn note_unkept(&self, buffer: &ChunkBuffer) {
        buffer.note_unkept();
        self.unkept.fetch_add(1, Relaxed);
        self.changed.notify_waiters();
    }

    /// Chunks that the disk did not take so far.
    pub(super) fn unkept(&self) -> u64 {
        self.unkept.load(Relaxed)
    }

    /// Waits for a change of a chunk that is coming in, or waits for the disk.
    pub(super) async fn settled(&self, chunk: ChunkIndex, buffer: &Arc<ChunkBuffer>) {
        let notified = self.changed.notified();
        let mut notified = std::pin::pin!(notified);
        notified.as_mut().enable();
        let same = matches!(self.place(chunk), Place::Coming(found) if Arc::ptr_eq(&found, buffer));
        if same && !buffer.is_unkept() {
            notified.await;
        }
    }

    /// A flight is over; a failure is what readers of `at` and the chunks after it will see.
    pub(super) fn land(&self, flight: FlightId, failure: Option<(ChunkIndex, FillError)>) {
        let mut state = self.state.lock();
        state.flights.land(flight);
        if failure.is_some() {
            state.failures += 1;
            state.last_failure = failure;
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// The number of failed flights so far, and the last failure if it concerns `chunk`.
    pub(super) fn failures(&self, chunk: ChunkIndex) -> (u64, Option<FillError>) {
        let state = self.state.lock();
        let concerns = |(at, e): &(ChunkIndex, FillError)| (*at <= chunk).then(|| e.clone());
        (
            state.failures,
            state.last_failure.as_ref().and_then(concerns),
        )
    }

    /// This generation can't be completed any more: its bytes are not the origin's current ones.
    pub(super) fn end(&self, why: FillError) {
        self.state.lock().ended.get_or_insert(why);
        self.changed.notify_waiters();
    }

    /// Why this generation ended, if it did.
    pub fn ended(&self) -> Option<FillError> {
        self.state.lock().ended.clone()
    }

    /// Waits for a change of what [`Board::place`] says of `chunk`, or of the flights.
    pub(super) async fn changed(&self, chunk: ChunkIndex) {
        let notified = self.changed.notified();
        let mut notified = std::pin::pin!(notified);
        notified.as_mut().enable();
        if matches!(self.place(chunk), Place::Nowhere) && !self.state.lock().flights.is_empty() {
            notified.await;
        }
    }

    /// A chunk in the hands of a client's flight that stands still is free to be fetched by
    /// another.
    pub(super) fn give_up_stalled(&self, chunk: ChunkIndex, now: Instant) {
        let mut state = self.state.lock();
        let again = self.reach(&state) != Reach::Once;
        let by = state.coming.get(&chunk).map(|coming| coming.by);
        if again && by.is_some_and(|by| state.flights.is_stalled_at(by, chunk, now)) {
            state.coming.remove(&chunk);
        }
    }

    /// The origin was found to ignore ranges.
    pub fn comes_whole(&self) {
        self.state.lock().whole_only = true;
    }

    /// Whether a reader that comes now can get all of it: what can't be asked for again must be
    /// there, or on its way.
    pub fn is_whole_or_coming(&self) -> bool {
        let state = self.state.lock();
        if self.reach(&state) != Reach::Once {
            return true;
        }
        let goes_on = !self.given_up.load(SeqCst);
        let there = |c: &ChunkIndex| self.holds(&state, *c);
        match self.object.grid() {
            Some(grid) => (0..grid.count())
                .map(ChunkIndex)
                .all(|c| there(&c) || goes_on && state.flights.will_bring(c)),
            None => state
                .flights
                .first_next()
                .is_some_and(|next| goes_on && (0..next.0).map(ChunkIndex).all(|c| there(&c))),
        }
    }

    /// Whether what is missing can't be asked for: a reader has to be there before it is looked
    /// whether all of it is coming.
    pub fn comes_once(&self) -> bool {
        self.reach(&self.state.lock()) == Reach::Once
    }

    /// Whether missing chunks can be asked for one by one.
    pub fn comes_in_parts(&self) -> bool {
        self.reach(&self.state.lock()) == Reach::Parts
    }

    /// How a run is asked for; nothing where it is none of the object's, or its length is not known.
    pub fn part(&self, run: ChunkRun) -> Option<Ranged> {
        let object = self.object();
        Some(Ranged {
            id: object.id().0,
            total: object.total()?,
            range: object.grid()?.bytes_of_run(run)?,
            if_range: object.validators().for_if_range().map(str::to_owned),
            past_caches: false,
        })
    }

    /// Whether anything is coming in.
    pub(super) fn is_under_way(&self) -> bool {
        !self.state.lock().flights.is_empty()
    }

    pub(super) fn start_over(&self, flight: FlightId, run: ChunkRun) {
        self.state.lock().flights.start_over(flight, run, now());
    }

    /// The length of this object is not known yet: it is kept if it will be one of these.
    pub fn keep_only(&self, sizes: Sizes) {
        let _ = self.sizes.set(sizes);
    }

    /// Takes note of the length: the bytes so far, or, at the end, all of them.
    pub(super) fn measure(&self, bytes: u64, is_all: bool) {
        let fits = self.sizes.get().is_none_or(|sizes| match is_all {
            true => sizes.takes(bytes),
            false => sizes.may_take(bytes),
        });
        if !fits {
            self.withdraw();
        }
    }

    /// Lookups are not to find it any more: see [`Board::is_withdrawn`].
    pub(super) fn withdraw(&self) {
        self.withdrawn.store(true, SeqCst);
    }

    /// Whether it has turned out that this object is not to be kept, or never whole. Those who read it read on;
    /// lookups are not to find it, and it goes with its last reader.
    pub fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(SeqCst)
    }

    /// Whether it is withdrawn, and of no use to anybody any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.is_withdrawn() && self.readers.lock().is_empty() && !self.is_under_way()
    }

    fn reach(&self, state: &State) -> Reach {
        match state.whole_only {
            _ if self.object.comes_once() => Reach::Once,
            true => Reach::Whole,
            false => Reach::Parts,
        }
    }

    /// What comes in from now on is offered to others as well.
    pub fn share(&self) {
        // Nearly always it is known: who only reads leaves the line to the other cores.
        if !self.is_shared() {
            self.shared.store(true, Relaxed);
        }
    }

    pub(super) fn is_shared(&self) -> bool {
        self.shared.load(Relaxed)
    }

    /// Whether anybody wants more of this object.
    pub fn is_wanted(&self) -> bool {
        self.is_wanted_beside(&self.readers.lock())
    }

    fn is_wanted_beside(&self, readers: &Readers) -> bool {
        !readers.is_empty() || self.goes_on.load(SeqCst) && !self.is_withdrawn()
    }

    /// Whether a flight may end since nobody wants more. What can't be asked for again is given up
    /// with it, so that nobody comes to it in that moment.
    pub(super) fn is_deserted(&self) -> bool {
        let readers = self.readers.lock();
        let is_wanted = self.is_wanted_beside(&readers);
        if !is_wanted && self.comes_once() {
            self.given_up.store(true, SeqCst);
        }
        !is_wanted
    }

    /// A reader is there, if it was not already; its position shows from now on.
    pub(super) fn reader_came(&self, number: u64, position: &Arc<AtomicU64>) {
        let mut readers = self.readers.lock();
        readers.entry(number).or_insert_with(|| position.clone());
        self.note_needs(&readers);
    }

    /// The offset of the next byte of the reader that is farthest behind.
    pub(super) fn lowest_reader(&self) -> Option<u64> {
        lowest(&self.readers.lock())
    }

    /// Offsets of the bytes that readers are to get next.
    pub(super) fn positions(&self) -> Vec<u64> {
        let readers = self.readers.lock();
        readers.values().map(|at| at.load(Relaxed)).collect()
    }

    /// The chunks that come in, in no order, and the transfers that bring them and others.
    pub(super) fn transfers(&self) -> (Vec<ChunkIndex>, Vec<Transfer>) {
        let state = self.state.lock();
        let coming = state.coming.keys().copied().collect();
        let runs = state.flights.runs();
        let transfers = runs.map(|(run, driver)| Transfer::new(run, driver));
        (coming, transfers.collect())
    }

    /// A reader leaves: true where that was the last one and the object is now to be completed all
    /// the same. `None` for one that was not there.
    pub(super) fn reader_left(&self, number: u64, policy: FinishWhen) -> Option<bool> {
        let last = {
            let mut readers = self.readers.lock();
            readers.remove(&number)?;
            self.note_needs(&readers);
            readers.is_empty()
        };
        let go_on = last && self.has_earned(policy);
        self.goes_on.fetch_or(go_on, SeqCst);
        Some(go_on && self.comes_in_parts() && !self.completing.swap(true, SeqCst))
    }

    pub(super) fn completed(&self) {
        self.completing.store(false, SeqCst);
    }

    /// Whether `policy` says that this object is to be brought in to its end.
    pub fn has_earned(&self, policy: FinishWhen) -> bool {
        match (policy, self.object.grid()) {
            (FinishWhen::Never, _) => false,
            (FinishWhen::Always, _) => true,
            (FinishWhen::Percent(_), None) => false,
            (FinishWhen::Percent(share), Some(grid)) => {
                let there = u64::from(self.object.present().len()) * 100;
                there >= u64::from(share) * u64::from(grid.count())
            }
        }
    }
}

fn lowest(readers: &Readers) -> Option<u64> {
    readers.values().map(|at| at.load(Relaxed)).min()
}

/// What of a run is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// All is here.
    Stored,
    /// What lacks first is on its way already.
    Coming,
    /// What lacks is where it counts as stored as well.
    Elsewhere,
    /// Something must be fetched.
    Partial,
}

/// What a reader that lacks a chunk is to do.
#[derive(Debug)]
pub(super) enum Claim {
    /// Wait for a change.
    Wait,
    /// Run this flight, which has departed.
    Fetch(ChunkRun, FlightId),
    /// Give up.
    Lost,
}

/// What a flight is to do with a chunk that it has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Bring it.
    Yes,
    /// Pass it by: it is there, or coming with another flight.
    Held,
    /// End: what follows is another flight's.
    Over,
}
