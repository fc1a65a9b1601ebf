//! The way of bytes from an answer of the origin into chunks: to the readers at once, to the disk
//! chunk by chunk.

use super::{
    FillError, Fills,
    board::{Board, Wanted},
    budget::{ClientRoom, Share},
    chunk_buffer::ChunkBuffer,
    flights::{Driver, FlightId},
    keeping::OnItsWay,
    now,
};
use crate::{
    domain::{ChunkIndex, ChunkRun, chunk_at},
    source::Offered,
};
use bytes::Bytes;
use std::{net::IpAddr, sync::Arc};

/// One flight's end at this side. Dropped without [`Intake::finish`] it is a broken flight.
#[derive(Debug)]
pub struct Intake {
    fills: Arc<Fills>,
    board: Arc<Board>,
    flight: FlightId,
    /// What the client may have coming in, for whose request this is.
    client: Option<Arc<ClientRoom>>,
    offset: u64,
    current: Current,
    /// It has come to a chunk before.
    has_begun: bool,
    outcome: Option<FillError>,
    landed: bool,
}

/// In bytes: see [`Intake::is_near_end`].
const LITTLE: u64 = 4 << 20;

#[derive(Debug)]
enum Current {
    /// At the edge of a chunk.
    Edge,
    /// Within a chunk that this flight brings.
    Filling(Arc<ChunkBuffer>),
    /// Within a chunk that is not to be brought.
    Passing,
}

/// Whether a flight goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// More is wanted.
    Continue,
    /// Nothing more is: the flight may end here, at the edge of a chunk.
    Stop,
}

impl Intake {
    /// The intake of a client's own request, which brings `run`; `held_by_client` where it stands
    /// still with its client.
    pub fn of_client(
        fills: Arc<Fills>,
        board: Arc<Board>,
        run: ChunkRun,
        held_by_client: bool,
    ) -> Self {
        let flight = board.depart(run, Driver::Client { held_by_client });
        Self::new(fills, board, flight, run.start)
    }

    /// The intake of a flight that has departed.
    pub(super) fn new(
        fills: Arc<Fills>,
        board: Arc<Board>,
        flight: FlightId,
        first: ChunkIndex,
    ) -> Self {
        let offset = u64::from(first.0) * u64::from(board.object().chunk_size());
        fills.stats.running.inc();
        Self {
            fills,
            board,
            flight,
            client: None,
            offset,
            current: Current::Edge,
            has_begun: false,
            outcome: None,
            landed: false,
        }
    }

    /// Counts what comes in as caused by this client.
    pub fn on_behalf_of(mut self, client: Option<IpAddr>) -> Self {
        self.client = client.and_then(|client| self.fills.room_of(client));
        self
    }

    pub(super) fn fills(&self) -> &Arc<Fills> {
        &self.fills
    }

    /// The board of the object that comes in.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// The offset in the object of the next byte.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether it stands at the edge of a chunk, there is more to come, and nobody wants it. Then it
    /// is to end: what can't be asked for again is given up.
    pub fn is_idle(&self) -> bool {
        let more = self.board.will_go_on(self.flight, self.chunk());
        self.is_at_edge() && more && self.board.is_deserted()
    }

    /// Whether so little is left that it is rather read to its end than given up, and with it the
    /// connection to the origin.
    pub fn is_near_end(&self) -> bool {
        let total = self.board.object().total();
        total.is_some_and(|total| total.saturating_sub(self.offset) <= LITTLE)
    }

    /// Bytes to come of the chunk in hand for which there is room already.
    pub fn promised(&self) -> u64 {
        match &self.current {
            Current::Filling(buffer) if buffer.share().is_some() => self.room() as u64,
            _ => 0,
        }
    }

    /// Whether the next byte is the first of a chunk.
    pub fn is_at_edge(&self) -> bool {
        matches!(self.current, Current::Edge)
    }

    /// The answer brings more than was asked for: from the beginning, for `run`.
    pub(super) fn start_over(&mut self, run: ChunkRun) {
        self.offset = u64::from(run.start.0) * u64::from(self.board.object().chunk_size());
        self.board.start_over(self.flight, run);
    }

    /// Takes the next bytes. Waits only for the budget of bytes in flight, and not for ever.
    pub async fn push(&mut self, mut bytes: Bytes) -> Result<Flow, FillError> {
        while !bytes.is_empty() {
            if self.begin_chunk() == Flow::Stop {
                return Ok(Flow::Stop);
            }
            let piece = bytes.split_to(bytes.len().min(self.room()));
            self.offset += piece.len() as u64;
            let completes = self.is_past_chunk().then(|| self.fills.keeping.begin());
            if let Current::Filling(buffer) = &self.current {
                self.board.screen(self.offset - piece.len() as u64, &piece);
                let buffer = buffer.clone();
                buffer.append(piece, completes.is_some());
                self.board.moved(self.flight, self.chunk_before());
                // What is in hand is given out at once; there is no more before there is room.
                if buffer.share().is_none() {
                    buffer.hold(self.acquire_share().await?);
                }
            }
            if let Some(on_its_way) = completes {
                self.end_chunk(on_its_way);
            }
            self.board.measure(self.offset, false);
        }
        Ok(Flow::Continue)
    }

    /// The answer has ended as it should: what is in hand is the object's last chunk, or the
    /// flight ended at the edge of one.
    pub async fn finish(mut self) {
        let object = self.board.object().clone();
        let on_its_way = self.fills.keeping.begin();
        if object.total().is_none() {
            self.board.measure(self.offset, true);
            object.set_total(self.offset);
            // Nobody who reads it has to wait for its manifest.
            if let Current::Filling(buffer) = &self.current {
                buffer.end(Ok(()));
            }
            self.fills.store().complete(&object).await;
        }
        if object.total() == Some(self.offset) && !self.is_at_edge() {
            self.end_chunk(on_its_way);
        }
        self.land();
    }

    /// Says why the flight will have broken when this is dropped.
    pub fn fail(mut self, why: FillError) {
        self.outcome = Some(why);
    }

    fn begin_chunk(&mut self) -> Flow {
        if !self.is_at_edge() {
            return Flow::Continue;
        }
        let chunk = self.chunk();
        let total = self.board.object().total();
        if total.is_some_and(|total| self.offset >= total) {
            return Flow::Stop;
        }
        // Pieces do not end where chunks do: it may have come here amid one.
        if self.has_begun && self.is_idle() && !self.is_near_end() {
            return Flow::Stop;
        }
        self.has_begun = true;
        match self.board.wants(self.flight, chunk) {
            Wanted::Over => return Flow::Stop,
            Wanted::Held if self.brings_nothing_for_long() => return Flow::Stop,
            Wanted::Held => {
                self.current = Current::Passing;
                return Flow::Continue;
            }
            Wanted::Yes => {}
        }
        let buffer = Arc::new(ChunkBuffer::new(self.offset));
        self.current = match self.board.begin_chunk(self.flight, chunk, buffer.clone()) {
            true => Current::Filling(buffer),
            false => Current::Passing,
        };
        Flow::Continue
    }

    /// Whether it would be read for as much as one request brings, only to be thrown away: another
    /// request, for what lacks behind that, is cheaper.
    fn brings_nothing_for_long(&self) -> bool {
        let much = self.fills.config().max_window.max(LITTLE);
        self.board
            .brings_nothing_for(self.flight, self.offset, much)
    }

    /// Waits for room for a chunk, with the origin's answer in hand: who waits for the origin holds
    /// none.
    async fn acquire_share(&mut self) -> Result<Share, FillError> {
        let comes_once = self.board.object().comes_once();
        loop {
            let lowest = self.board.lowest_reader();
            let share = self.fills.share(&self.board, self.client.as_ref());
            let share = tokio::time::timeout(self.fills.config().wait, share).await;
            match share {
                Ok(Some(share)) => return Ok(share),
                // It waits for a slow reader to pass what is kept for it, and that goes on.
                Err(_) if comes_once && self.board.lowest_reader() != lowest => {}
                _ => {
                    self.outcome = Some(FillError::Busy);
                    return Err(FillError::Busy);
                }
            }
        }
    }

    /// The chunk in hand is complete.
    fn end_chunk(&mut self, on_its_way: OnItsWay) {
        let chunk = self.chunk_before();
        if let Current::Filling(buffer) = std::mem::replace(&mut self.current, Current::Edge) {
            buffer.end(Ok(()));
            if let Some(share) = buffer.share() {
                self.fills.stats.chunk_took("fetch", share.age());
            }
            let keep = keep(self.fills.clone(), self.board.clone(), chunk, buffer);
            self.fills.run(async move {
                keep.await;
                drop(on_its_way);
            });
        }
    }

    fn chunk(&self) -> ChunkIndex {
        chunk_at(self.board.object().chunk_size(), self.offset)
    }

    fn chunk_before(&self) -> ChunkIndex {
        chunk_at(
            self.board.object().chunk_size(),
            self.offset.saturating_sub(1),
        )
    }

    /// Bytes up to the next edge.
    fn room(&self) -> usize {
        let size = u64::from(self.board.object().chunk_size());
        (size - self.offset % size) as usize
    }

    fn is_past_chunk(&self) -> bool {
        let object = self.board.object();
        self.offset.is_multiple_of(u64::from(object.chunk_size()))
            || object.total() == Some(self.offset)
    }

    fn land(&mut self) {
        if self.landed {
            return;
        }
        self.landed = true;
        self.fills.stats.running.dec();
        let chunk = self.chunk();
        let broken = std::mem::replace(&mut self.current, Current::Edge);
        if let Current::Filling(buffer) = broken {
            // All of it may have come, and no room for it.
            let begun = self.chunk_before();
            let why = self
                .outcome
                .get_or_insert(FillError::Broken("the answer ended early".into()));
            self.board.end_chunk(begun, &buffer);
            buffer.end(Err(why.clone()));
        }
        let failure = self.outcome.take().map(|why| (chunk, why));
        self.board.land(self.flight, failure);
        self.give_up_what_cannot_be_completed();
    }
}

impl Intake {
    /// What was cut and can't be asked for again is no object: lookups must not find it.
    fn give_up_what_cannot_be_completed(&self) {
        if !self.board.is_whole_or_coming() {
            self.board.withdraw();
        }
        self.fills.remove_abandoned(&self.board);
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.land();
    }
}

impl Fills {
    /// Brings the chunks to the disk that came in before it was known how full it is.
    pub(super) fn keep_what_waits(self: &Arc<Self>) {
        for (board, chunk, buffer) in self.unkept.take_to_keep() {
            self.run(keep(self.clone(), board, chunk, buffer));
        }
    }
}

/// Brings a complete chunk to the disk; its buffer stays readable until then.
async fn keep(fills: Arc<Fills>, board: Arc<Board>, chunk: ChunkIndex, buffer: Arc<ChunkBuffer>) {
    let object = board.object();
    // What can't be asked for again is not to make room for others.
    if fills.store().must_learn_first(object) && !object.comes_once() {
        fills.unkept.push_to_keep(&board, chunk, buffer);
        // It may have been learnt meanwhile.
        if !fills.store().is_being_read() {
            fills.keep_what_waits();
        }
        return;
    }
    let (segments, checksum) = buffer.segments();
    let began = now();
    let kept = fills.store().keep(object, chunk, segments, checksum).await;
    fills
        .stats
        .chunk_took("store", now().saturating_duration_since(began));
    fills.stats.chunk_ended(&kept);
    match kept {
        Ok(()) => {
            board.end_chunk(chunk, &buffer);
            if let Some(sink) = fills.sink().filter(|_| board.is_shared()) {
                sink.offer(&Offered {
                    id: object.id().0,
                    generation: object.generation(),
                    chunk,
                });
            }
        }
        Err(_) => {
            board.note_unkept(&buffer);
            fills.unkept.push(&board, chunk, buffer);
        }
    }
}
