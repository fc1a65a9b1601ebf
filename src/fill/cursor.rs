//! One reader's way through an object: from the disk, from what is coming in, and where there is
//! nothing, by asking for it.

use super::{
    Board, FillError, Visit,
    board::{Claim, Place},
    chunk_buffer::Found,
    disk_ahead::DiskAhead,
    flights::{FlightId, STALLED},
    now,
    read_ahead::ReadAhead,
    transfer,
};
use crate::{
    domain::{ByteRange, ChunkIndex, ChunkRun, chunk_at},
    store::{Read, SlowRead, Store},
    traffic::{Habit, SegmentSize, Sending, Share, Untaken, Urgency, backoff},
};
use bytes::Bytes;
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::time::Sleep;

/// Reads an interval of an object. Every method may be dropped at any await and called again.
#[derive(Debug)]
pub struct Cursor {
    visit: Arc<Visit>,
    position: u64,
    end: u64,
    /// Something of it has been given out.
    has_begun: bool,
    ahead: ReadAhead,
    segment: SegmentSize,
    /// What the connection's answers hold, where there may be many.
    untaken: Option<Arc<Untaken>>,
    /// How much is to be given next, at most, since the last was given.
    wanted: Option<Share>,
    slow: Option<SlowRead>,
    disk_ahead: DiskAhead,
    pause: Option<Pin<Box<Sleep>>>,
    waiting_since: Option<Instant>,
    failures_seen: u64,
    progress_seen: u64,
    attempts: u32,
    /// The chunk that this reader has last asked for because it needs it.
    asked: Option<ChunkIndex>,
    /// What was last fetched for this reader, in one piece.
    own: Option<ChunkRun>,
    /// The chunk that was last counted as used by this reader.
    used: Option<ChunkIndex>,
    tally: Arc<Tally>,
}

/// Bytes given to a reader, by where they came from.
#[derive(Debug, Default)]
pub struct Tally {
    /// From the hot-chunk tier.
    pub memory: AtomicU64,
    /// From the disk, or its page cache.
    pub disk: AtomicU64,
    /// From a transfer that somebody else caused.
    pub flight: AtomicU64,
    /// From a transfer that this reader caused.
    pub origin: AtomicU64,
}

impl Tally {
    /// The counts, with the names that the metrics give them.
    pub fn by_source(&self) -> [(&'static str, u64); 4] {
        [
            ("memory", &self.memory),
            ("disk", &self.disk),
            ("flight", &self.flight),
            ("origin", &self.origin),
        ]
        .map(|(source, bytes)| (source, bytes.load(Relaxed)))
    }
}

impl Cursor {
    /// A reader of `range`, or of all where that is absent. `closed`: the reader itself said
    /// where it ends.
    pub fn new(
        visit: Arc<Visit>,
        range: Option<ByteRange>,
        closed: bool,
        tally: Arc<Tally>,
    ) -> Self {
        let object = visit.board().object();
        let size = object.chunk_size();
        let (start, end) = range.map_or((0, u64::MAX), |r| (r.start(), r.end()));
        let last = end
            .min(object.total().unwrap_or(u64::MAX))
            .saturating_sub(1);
        visit.reached(start);
        let first = chunk_at(size, start);
        let last = chunk_at(size, last).max(first);
        let run = ChunkRun {
            start: first,
            end: ChunkIndex(last.0.saturating_add(1)),
        };
        Self {
            ahead: ReadAhead::new(run, closed, size, visit.fills().config().max_window),
            failures_seen: visit.board().failures(first).0,
            progress_seen: visit.board().progress(),
            visit,
            position: start,
            end,
            has_begun: false,
            segment: SegmentSize::new(
                Sending::default().of(range.is_some()).segment,
                Arc::default(),
            ),
            untaken: None,
            wanted: None,
            slow: None,
            disk_ahead: DiskAhead::default(),
            pause: None,
            waiting_since: None,
            attempts: 0,
            asked: None,
            own: None,
            used: None,
            tally,
        }
    }

    /// Gives at most `largest` bytes at a time, by what the client is used to.
    pub fn in_segments_of(mut self, largest: usize, habit: Arc<Habit>) -> Self {
        self.segment = SegmentSize::new(largest, habit);
        self
    }

    /// Counts what is given as held by a connection, and gives less where that holds much.
    pub fn shares(mut self, untaken: Option<Arc<Untaken>>) -> Self {
        self.untaken = untaken;
        self
    }

    /// Counts what comes in by `run` as caused by this reader.
    pub fn owns(&mut self, run: ChunkRun) {
        let before = self.own.filter(|own| own.end == run.start);
        let start = before.map_or(run.start, |own| own.start);
        self.own = Some(ChunkRun { start, ..run });
    }

    fn is_own(&self, chunk: ChunkIndex) -> bool {
        self.own.is_some_and(|run| run.contains(chunk))
    }

    /// The next bytes; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FillError> {
        self.next_within(usize::MAX).await
    }

    /// The next bytes, at most `max` of them.
    pub async fn next_within(&mut self, max: usize) -> Result<Option<Bytes>, FillError> {
        let next = || {
            let size = self.segment.next(now(), Store::bytes_given_out());
            Share::new(self.untaken.clone(), size)
        };
        let wanted = self.wanted.get_or_insert_with(next);
        let wanted = wanted.bytes().min(max).max(1);
        loop {
            self.finish_pause().await;
            if self.slow.is_some()
                && let Some(bytes) = self.finish_slow_read().await?
            {
                return Ok(Some(self.deliver(bytes, Source::Disk)));
            }
            let Some(range) = self.next_range(wanted) else {
                return Ok(None);
            };
            if let Some((bytes, source)) = self.look(range).await? {
                return Ok(Some(self.deliver(bytes, source)));
            }
        }
    }

    /// Waits until the first byte is there, so that an answer's head can still be an error.
    pub async fn ready(&mut self) -> Result<(), FillError> {
        loop {
            self.finish_pause().await;
            let Some(range) = self.next_range(1) else {
                return Ok(());
            };
            match self.visit.board().place(self.chunk()) {
                Place::Stored => return Ok(()),
                Place::Coming(buffer)
                    if matches!(buffer.read(range.start(), 1), Found::Bytes(_)) =>
                {
                    return Ok(());
                }
                _ => {
                    self.look(range).await?;
                }
            }
        }
    }

    /// Where the next byte is.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Goes on from another place.
    pub(super) fn move_to(&mut self, position: u64) {
        self.position = position;
    }

    /// The chunk at hand is done with.
    pub(super) fn pass_chunk(&mut self) {
        let size = u64::from(self.board().object().chunk_size());
        self.position = (self.position / size + 1).saturating_mul(size);
        (self.attempts, self.waiting_since) = (0, None);
    }

    /// Bytes that are still to be read, as far as that is known; `None` at the end.
    pub fn left(&self) -> Option<u64> {
        let next = self.next_range(1)?;
        let known = self.board().object().total();
        Some(known.map_or(1, |total| self.end.min(total) - next.start()))
    }

    /// Bytes that the store has room for, other objects aside.
    pub(super) fn room(&self) -> u64 {
        self.visit.fills().store().max_size()
    }

    /// Whether all that is still to be read is on disk.
    pub(super) fn is_stored(&self) -> bool {
        let object = self.board().object();
        let interval = ByteRange::new(self.position, self.end.min(object.total().unwrap_or(0)));
        let run = object.grid().zip(interval);
        let missing = run.and_then(|(grid, range)| object.first_missing(grid.run_over(range)));
        object.total().is_some() && missing.is_none()
    }

    /// Whatever has moved since the last look gives the wait a new beginning.
    pub(super) fn note_progress(&mut self) {
        let progress = self.board().progress();
        if self.progress_seen != progress {
            (self.progress_seen, self.waiting_since) = (progress, None);
        }
    }

    pub(super) fn board(&self) -> &Arc<Board> {
        self.visit.board()
    }

    /// One look at where the next bytes are. `None`: look again.
    async fn look(&mut self, range: ByteRange) -> Result<Option<(Bytes, Source)>, FillError> {
        let chunk = self.chunk();
        self.read_ahead(chunk);
        let board = self.visit.board().clone();
        match board.place(chunk) {
            Place::Stored => Ok(self.read_stored(chunk, range)),
            Place::Coming(buffer) => match buffer.read(range.start(), range.len() as usize) {
                Found::Bytes(bytes) => Ok(Some((bytes, Source::Flight))),
                Found::NotYet => {
                    self.wait(buffer.grown(range.start())).await?;
                    board.give_up_stalled(chunk, now());
                    Ok(None)
                }
                Found::Broken(_) | Found::Past => {
                    tokio::task::yield_now().await;
                    self.check_deadline().map(|_| None)
                }
            },
            Place::Nowhere => self.ask_for(chunk).await.map(|()| None),
        }
    }

    /// Sees to it that a chunk that is nowhere comes, and waits for a change.
    pub(super) async fn ask_for(&mut self, chunk: ChunkIndex) -> Result<(), FillError> {
        let board = self.visit.board().clone();
        if let Some(why) = board.ended() {
            return Err(why);
        }
        self.count_failure(chunk)?;
        if self.pause.is_some() {
            return Ok(());
        }
        match board.claim(chunk, self.end_of_window(chunk), now()) {
            Claim::Lost => {
                self.visit.fills().withdraw(&board);
                // What has brought it may have failed before this reader came.
                let (_, failure) = board.failures(chunk);
                Err(failure.unwrap_or(FillError::Lost))
            }
            Claim::Wait => self.wait(board.changed(chunk)).await,
            Claim::Fetch(run, flight) => {
                self.owns(run);
                self.asked = Some(chunk);
                self.ahead.fetched(run);
                self.launch(run, flight, self.urgency());
                Ok(())
            }
        }
    }

    /// Where a wait puts a request in the queue before an origin: who has nothing yet waits for
    /// little, who reads on waits for all that is left, like others for a whole answer.
    fn urgency(&self) -> Urgency {
        match self.has_begun {
            false => Urgency::Range,
            true => Urgency::Whole {
                expected: self.left(),
            },
        }
    }

    /// One past the last chunk to fetch in a request from `first` on.
    fn end_of_window(&self, first: ChunkIndex) -> ChunkIndex {
        let size = self.board().object().chunk_size();
        let end = self.ahead.end_of_window(first).max(self.end_of_near(first));
        self.visit.groups().limit(size, first, end)
    }

    /// One past the last chunk that is near, from `first` on, as far as it is worth fetching now.
    fn end_of_near(&self, first: ChunkIndex) -> ChunkIndex {
        let end = self.ahead.end_of_near_window(first);
        let is_more = end > self.ahead.end_of_window(first);
        let near = is_more.then(|| self.visit.near(ChunkRun { start: first, end }));
        let size = u64::from(self.board().object().chunk_size());
        let chunks = near.unwrap_or(0).div_ceil(size);
        ChunkIndex(first.0.saturating_add(chunks as u32)).min(end)
    }

    /// Has the next window fetched before it is needed.
    pub(super) fn read_ahead(&mut self, chunk: ChunkIndex) {
        let Some(ahead) = self.ahead.reached(chunk) else {
            return;
        };
        let board = self.visit.board().clone();
        if !self.visit.reads_ahead() && board.is_under_way() {
            return;
        }
        let unasked = |c: &ChunkIndex| board.is_unasked(*c, chunk);
        let between = (chunk.0..=ahead.0).map(ChunkIndex).find(unasked);
        let Some(first) = between.filter(|_| board.comes_in_parts()) else {
            return;
        };
        let end = self.end_of_window(first);
        if let Claim::Fetch(run, flight) = board.claim(first, end, now()) {
            self.owns(run);
            self.ahead.fetched(run);
            self.launch(run, flight, Urgency::ReadAhead);
        }
    }

    /// Who reads on after the head of a movie, and up to its index, gets that before it is asked for.
    /// Another Tidegate that asks for a part may have the index from elsewhere.
    fn fetch_index(&self) {
        if !self.ahead.goes_on() || !self.visit.reads_ahead() {
            return;
        }
        let Some((first, end)) = self.board().index(self.ahead.limit()) else {
            return;
        };
        let size = self.board().object().chunk_size();
        let end = self.visit.groups().limit(size, first, end);
        if let Some((run, flight)) = self.board().claim_index(first, end) {
            self.launch(run, flight, Urgency::ReadAhead);
        }
    }

    /// It was not the client that took its time since the last bytes.
    pub fn held_up(&mut self) {
        self.segment.held_up();
    }

    /// So long others had their turn since the last bytes.
    pub fn passed_over(&mut self, time: Duration) {
        self.segment.passed_over(time);
    }

    fn launch(&self, run: ChunkRun, flight: FlightId, urgency: Urgency) {
        let (fills, board, errand) = self.visit.parts();
        let task = transfer::fly(fills.clone(), board, errand, run, flight, urgency);
        fills.run(task);
    }

    /// A failed flight that would have brought `chunk` is an attempt; after it comes a pause.
    fn count_failure(&mut self, chunk: ChunkIndex) -> Result<(), FillError> {
        let (failures, last) = self.visit.board().failures(chunk);
        if failures == self.failures_seen {
            return Ok(());
        }
        self.failures_seen = failures;
        let Some(why) = last else {
            return Ok(());
        };
        let others = self.asked != Some(chunk);
        if others && matches!(why, FillError::NotAsked(_)) {
            // What nobody waited for had to stand back; now somebody does.
            return Ok(());
        }
        self.attempts += 1;
        let most = self.visit.fills().config().attempts;
        if self.attempts >= most || self.board().comes_once() {
            return Err(why);
        }
        self.pause = Some(Box::pin(tokio::time::sleep(backoff(self.attempts))));
        Ok(())
    }

    fn read_stored(&mut self, chunk: ChunkIndex, range: ByteRange) -> Option<(Bytes, Source)> {
        self.count_use(chunk);
        let store = self.visit.fills().store();
        let found = match store.read(self.visit.board().object(), chunk, range) {
            Read::Memory(bytes) => Some((bytes, Source::Memory)),
            Read::Ready(bytes) => Some((bytes, Source::Disk)),
            Read::Slow(read) => {
                self.slow = Some(read);
                self.disk_ahead.waited(chunk);
                None
            }
            Read::Missing => None,
        };
        self.read_ahead_from_disk(chunk);
        found
    }

    /// A chunk is used once by each reader, and not yet by the one that it was fetched for, which
    /// may be so slow that it has to read it back.
    fn count_use(&mut self, chunk: ChunkIndex) {
        if self.used == Some(chunk) || self.is_own(chunk) {
            return;
        }
        self.used = Some(chunk);
        let store = self.visit.fills().store();
        store.used(self.board().object(), chunk);
    }

    /// Who reads on through what lies on disk need not wait for each chunk of it.
    fn read_ahead_from_disk(&mut self, chunk: ChunkIndex) {
        let Some(run) = self.disk_ahead.reads(chunk, self.ahead.certain_end()) else {
            return;
        };
        let (store, object) = (self.visit.fills().store(), self.board().object());
        for chunk in (run.start.0..run.end.0).map(ChunkIndex) {
            store.will_need(object, chunk);
        }
    }

    /// The bytes of a read that could not be answered from the page cache. A disk that hangs
    /// makes an error of it in the end.
    async fn finish_slow_read(&mut self) -> Result<Option<Bytes>, FillError> {
        let left = self.check_deadline()?;
        let Some(task) = &mut self.slow else {
            return Ok(None);
        };
        let since = now();
        let read = tokio::time::timeout(left, task).await;
        self.slow = None;
        self.visit.waited_for_disk(since);
        read.map_err(|_| FillError::TimedOut)
    }

    pub(super) async fn finish_pause(&mut self) {
        if let Some(pause) = &mut self.pause {
            pause.await;
            self.pause = None;
        }
    }

    /// Waits for a change, at most until it is time to look again or to give up.
    pub(super) async fn wait(&mut self, change: impl Future<Output = ()>) -> Result<(), FillError> {
        let left = self.check_deadline()?;
        self.segment.held_up();
        let _ = tokio::time::timeout(left.min(STALLED), change).await;
        Ok(())
    }

    /// Time left until the next byte must be there.
    fn check_deadline(&mut self) -> Result<Duration, FillError> {
        let since = self.waiting_since.get_or_insert_with(now);
        let left = self
            .visit
            .fills()
            .config()
            .wait
            .saturating_sub(now().duration_since(*since));
        match left.is_zero() {
            true => Err(FillError::TimedOut),
            false => Ok(left),
        }
    }

    pub(super) fn chunk(&self) -> ChunkIndex {
        chunk_at(self.visit.board().object().chunk_size(), self.position)
    }

    /// The next bytes to read: within one chunk, at most `wanted` of them.
    fn next_range(&self, wanted: usize) -> Option<ByteRange> {
        let object = self.visit.board().object();
        let end = self.end.min(object.total().unwrap_or(u64::MAX));
        let size = u64::from(object.chunk_size());
        let edge = (self.position / size + 1).saturating_mul(size);
        let reach = self.position.saturating_add(wanted as u64);
        ByteRange::new(self.position, end.min(edge).min(reach))
    }

    fn deliver(&mut self, bytes: Bytes, source: Source) -> Bytes {
        let length = bytes.len() as u64;
        // What was fetched for it the origin has given, also where it is read back from the disk.
        let source = match self.is_own(self.chunk()) {
            true => Source::Origin,
            false => source,
        };
        let wanted = self.wanted.take();
        self.board().screen(self.position, &bytes);
        self.fetch_index();
        self.position += length;
        self.has_begun = true;
        self.visit.reached(self.position);
        self.waiting_since = None;
        self.attempts = 0;
        let counter = match source {
            Source::Memory => &self.tally.memory,
            Source::Disk => &self.tally.disk,
            Source::Flight => &self.tally.flight,
            Source::Origin => &self.tally.origin,
        };
        counter.fetch_add(length, Relaxed);
        match wanted {
            Some(share) => share.hold(bytes),
            None => bytes,
        }
    }
}

/// Where bytes came from.
#[derive(Clone, Copy, Debug)]
enum Source {
    Memory,
    Disk,
    Flight,
    Origin,
}
