//! pingora-cache's `HandleHit`: one request's reader of an object.

use super::{
    Order,
    attendance::{absent, too_slow},
    pacing::Pacing,
};
use crate::{
    domain::{ByteRange, ChunkRun},
    fill::{Board, Coverage, Cursor, FillError, Fills, Gathered, Visit},
    traffic::UNSENT,
};
use async_trait::async_trait;
use bytes::Bytes;
use pingora_cache::{
    CacheKey,
    storage::{HandleHit, Storage},
    trace::SpanHandle,
};
use pingora_core::{Error, ErrorType, Result};
use std::{any::Any, sync::Arc};
use tokio::time::Instant;

/// Reads an object, or the interval that it was last sent to.
pub struct Reader {
    visit: Arc<Visit>,
    order: Arc<Order>,
    cursor: Option<Cursor>,
    range: Option<ByteRange>,
    /// Bytes that may still be read before what this request leads has come in.
    leash: Option<usize>,
    pacing: Option<Pacing>,
    /// What was read for the client so far, if anything was.
    given: Option<Given>,
    /// Until when the client is to take more, where it is waited for.
    room_by: Option<Instant>,
}

/// What a client was given.
#[derive(Clone, Copy)]
struct Given {
    /// Bytes.
    last: usize,
    /// Bytes.
    all: u64,
    since: Instant,
}

/// What a client that stands still takes in any case: less than the smallest window that an
/// HTTP/2 client opens with.
const LEASH: usize = 48 << 10;

impl Reader {
    /// A reader of what is there.
    pub(super) fn new(fills: Arc<Fills>, board: Arc<Board>, order: Arc<Order>) -> Self {
        let visit = Visit::planned(fills, board, order.errand.clone());
        order.attend(&visit);
        Self {
            visit,
            pacing: order.pace.map(Pacing::new),
            order,
            cursor: None,
            range: None,
            leash: None,
            given: None,
            room_by: None,
        }
    }

    /// The reader of the request that brings the object in.
    pub(super) fn leading(fills: Arc<Fills>, board: Arc<Board>, order: Arc<Order>) -> Self {
        let leash = order.is_leashed().then_some(LEASH);
        let reader = Self {
            leash,
            ..Self::new(fills, board, order)
        };
        reader.visit.come();
        // The client may have left before there was anything to visit.
        reader.order.attend(&reader.visit);
        reader
    }

    /// The board of the object that is read.
    pub fn board(&self) -> &Arc<Board> {
        self.visit.board()
    }

    /// The order of the request that reads.
    pub fn order(&self) -> &Arc<Order> {
        &self.order
    }

    /// Says what will be read, and waits until its first byte is there, so that the head of the
    /// answer can still be an error.
    pub async fn prepare(&mut self, range: Option<ByteRange>) -> Result<(), FillError> {
        self.aim(range);
        self.cursor().ready().await
    }

    /// Waits until all of these parts, or the whole where there are none, are stored.
    pub async fn gather(&mut self, parts: &[ByteRange]) -> Result<Gathered, FillError> {
        if parts.is_empty() {
            self.aim(None);
            return self.cursor().gather().await;
        }
        // The first is read first: it is looked at last.
        for part in parts.iter().rev() {
            self.aim(Some(*part));
            if self.cursor().gather().await? == Gathered::NotKept {
                return Ok(Gathered::NotKept);
            }
        }
        Ok(Gathered::Stored)
    }

    /// What of `range`, or of the whole, is there before anything is asked for.
    pub fn coverage(&self, range: Option<ByteRange>) -> Coverage {
        let board = self.board();
        let wanted = board.object().grid().map(|grid| match range {
            Some(range) => Some(grid.run_over(range)),
            None => grid.all(),
        });
        match wanted {
            Some(Some(run)) => match board.coverage(run) {
                Coverage::Partial if self.is_elsewhere(run) => Coverage::Elsewhere,
                coverage => coverage,
            },
            Some(None) => Coverage::Stored,
            None => Coverage::Coming,
        }
    }

    /// Whether others have what lacks of a run.
    fn is_elsewhere(&self, run: ChunkRun) -> bool {
        let (board, catalogue) = (self.board(), &self.order().errand.catalogue);
        let (Some(catalogue), Some(_)) = (catalogue, board.object().total()) else {
            return false;
        };
        let lacking = board.object().first_missing(run);
        let lacking = lacking.and_then(|start| board.part(ChunkRun { start, ..run }));
        lacking.is_none_or(|part| catalogue.has(&part))
    }

    /// From now on what comes in is wanted.
    pub(super) fn come(&self) {
        self.visit.come();
    }

    /// The object can't be read to its end: lookups find it no more.
    pub fn give_up(&self) {
        let fills = self.visit.fills();
        fills.store().remove(self.board().object());
    }

    fn aim(&mut self, range: Option<ByteRange>) {
        self.visit.come();
        self.range = range;
        self.cursor = None;
    }

    /// The next bytes when their time has come, at most `max` of them. It may be dropped and called
    /// again.
    async fn next_at_pace(&mut self, mut max: usize) -> Result<Option<Bytes>, FillError> {
        if let Some(pacing) = &mut self.pacing {
            let (bytes, waited) = pacing.wait(self.visit.board()).await;
            max = max.min(bytes);
            if waited {
                self.cursor().held_up();
            }
        }
        let read = self.cursor().next_within(max).await?;
        if let (Some(pacing), Some(bytes)) = (&mut self.pacing, &read) {
            pacing.sent(bytes.len());
        }
        Ok(read)
    }

    /// Waits until the client takes more than it was given: a segment that is read before lies in
    /// memory for as long as the client lets it. It may be dropped and called again.
    async fn room(&mut self, given: Given) -> Result<()> {
        // An answer of which all was given is at its end, however slowly that is taken.
        if self.cursor().left().is_none() {
            return Ok(());
        }
        let patience = || {
            let pieces = self.order.sending.of(self.range.is_some());
            let Given { last, all, since } = given;
            Instant::now() + pieces.patience(last.max(UNSENT), all, since.elapsed())
        };
        let late = *self.room_by.get_or_insert_with(patience);
        let has_room = self.order.room(late).await;
        self.room_by = None;
        // What a request leads may go on without its client, and what has no known length may be at
        // its end: who writes to the client finds out.
        let may_go_on = self.order.is_leading() || self.board().object().total().is_none();
        match has_room || may_go_on {
            true => Ok(()),
            false => Err(too_slow()),
        }
    }

    fn cursor(&mut self) -> &mut Cursor {
        let (visit, order) = (&self.visit, &self.order);
        self.cursor.get_or_insert_with(|| {
            visit.come();
            let largest = order.sending.of(self.range.is_some()).segment;
            let cursor = Cursor::new(visit.clone(), self.range, order.closed, order.tally.clone());
            let cursor = cursor.in_segments_of(largest, order.habit.clone());
            let mut cursor = cursor.shares(order.untaken.clone());
            if let Some(run) = *order.brings.lock() {
                cursor.owns(run);
            }
            cursor
        })
    }
}

#[async_trait]
impl HandleHit for Reader {
    async fn read_body(&mut self) -> Result<Option<Bytes>> {
        if self.order.has_no_body() {
            self.visit.leave();
            return Ok(None);
        }
        // In a crowd others have their turn after each segment: whoever has just come waits for no
        // more than one of each.
        if let Some(given) = self.given {
            let before = Instant::now();
            tokio::task::yield_now().await;
            self.cursor().passed_over(before.elapsed());
            self.room(given).await?;
        }
        if self.leash == Some(0) {
            self.order.landed().await;
            self.leash = None;
        }
        let max = self.leash.unwrap_or(usize::MAX);
        let order = self.order.clone();
        let read = tokio::select! {
            // First: what is there is served, and nobody looks at the client for it.
            biased;
            read = self.next_at_pace(max) => read.map_err(broken)?,
            // Pingora itself looks at the client of a request that brings something in.
            () = order.gone(), if !order.is_leading() => return Err(absent()),
        };
        let last = read.as_ref().map_or(0, Bytes::len);
        self.given = Some(Given {
            last,
            all: self.given.map_or(0, |given| given.all) + last as u64,
            since: self.given.map_or_else(Instant::now, |given| given.since),
        });
        match (&mut self.leash, &read) {
            (Some(leash), Some(bytes)) => *leash = leash.saturating_sub(bytes.len()),
            // The request may go on for the sake of the cache; its client has what it wanted.
            (_, None) => self.visit.leave(),
            _ => {}
        }
        Ok(read)
    }

    async fn finish(
        self: Box<Self>,
        _storage: &'static (dyn Storage + Sync),
        _key: &CacheKey,
        _trace: &SpanHandle,
    ) -> Result<()> {
        Ok(())
    }

    fn can_seek(&self) -> bool {
        true
    }

    fn seek(&mut self, start: usize, end: Option<usize>) -> Result<()> {
        let end = end.map_or(u64::MAX, |end| end as u64);
        let range = ByteRange::new(start as u64, end);
        // Prepared for exactly this: what has been waited for stays.
        if range.is_some() && range == self.range {
            return Ok(());
        }
        self.aim(range);
        match range {
            Some(_) => Ok(()),
            None => Error::e_explain(ErrorType::InternalError, "a seek to an empty interval"),
        }
    }

    fn should_count_access(&self) -> bool {
        false
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn as_any_mut(&mut self) -> &mut (dyn Any + Send + Sync) {
        self
    }
}

fn broken(why: FillError) -> Box<Error> {
    Error::because(ErrorType::ReadError, "the object can't be read on", why).into_up()
}
