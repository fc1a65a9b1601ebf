//! A part of an object, put together from the tier and from the origin.

use super::{
    Tier,
    entry::Entry,
    pieces::{Piece, joined},
    progress::Progress,
    source::{Asked, is_part, of_part},
};
use crate::{
    domain::{ByteRange, ChunkIndex, ChunkRun},
    source::{Body, Source, SourceError},
};
use async_trait::async_trait;
use bytes::{Buf, Bytes};
use futures_util::{StreamExt, stream::BoxStream};
use parking_lot::Mutex;
use std::{collections::VecDeque, sync::Arc};
use tokio::{
    sync::OwnedSemaphorePermit,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

/// The body of an answer that the tier and the origin give together.
pub(super) struct Joined {
    tier: Arc<Tier>,
    origins: Arc<dyn Source>,
    entry: Arc<Entry>,
    asked: Asked,
    pieces: VecDeque<Piece>,
    current: Current,
    /// The pieces that come next, as far as they are read ahead.
    ahead: VecDeque<Ahead>,
}

/// Where bytes come from at the moment.
enum Current {
    /// The next piece is to be begun.
    Edge,
    Origin(Box<dyn Body>, ByteRange),
    Tier(Reading, ByteRange),
    /// Read ahead: it is all here.
    Read(Ready),
}

/// A piece that was read ahead, and the room that it takes.
struct Ready {
    parts: VecDeque<Bytes>,
    _room: Option<OwnedSemaphorePermit>,
}

/// A piece that is being read ahead, given up when this is dropped.
struct Ahead(
    JoinHandle<Option<VecDeque<Bytes>>>,
    Option<OwnedSemaphorePermit>,
);

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Joined {
    /// Puts these pieces together. `first` is the body of the first one, where that is the
    /// origin's.
    pub fn new(
        tier: Arc<Tier>,
        origins: Arc<dyn Source>,
        entry: Arc<Entry>,
        asked: Asked,
        pieces: Vec<Piece>,
        first: Option<Box<dyn Body>>,
    ) -> Self {
        let mut pieces = VecDeque::from(pieces);
        let current = match (first, pieces.front()) {
            (Some(body), Some(Piece::Origin(part))) => {
                let current = Current::Origin(body, *part);
                pieces.pop_front();
                current
            }
            _ => Current::Edge,
        };
        Self {
            tier,
            origins,
            entry,
            asked,
            pieces,
            current,
            ahead: VecDeque::new(),
        }
    }

    /// Begins the next piece; false where there is none.
    async fn begin(&mut self) -> Result<bool, SourceError> {
        let Some(piece) = self.pieces.pop_front() else {
            return Ok(false);
        };
        match piece {
            Piece::Origin(part) => {
                self.ahead.clear();
                self.current = self.ask_origin(part).await?;
            }
            Piece::Tier {
                run,
                chunks,
                wanted,
            } => {
                let ahead = self.ahead.pop_front();
                self.read_ahead();
                let read = match ahead {
                    Some(mut ahead) => {
                        let room = ahead.1.take();
                        let parts = (&mut ahead.0).await.ok().flatten();
                        parts.map(|parts| Ready { parts, _room: room })
                    }
                    None => None,
                };
                self.current = match read {
                    Some(ready) => Current::Read(ready),
                    None => Current::Tier(self.reading(run, chunks, wanted), wanted),
                };
            }
        }
        Ok(true)
    }

    /// Begins to read the pieces behind the present one, where they are the tier's and there is
    /// room.
    fn read_ahead(&mut self) {
        let most = self.tier.config().parallel.saturating_sub(1);
        for piece in self.pieces.iter().skip(self.ahead.len()) {
            let Piece::Tier {
                run,
                chunks,
                wanted,
            } = piece
            else {
                return;
            };
            if self.ahead.len() >= most {
                return;
            }
            let Some(room) = self.tier.room_ahead(wanted.len()) else {
                return;
            };
            let reading = self.reading(run.clone(), *chunks, *wanted);
            self.ahead
                .push_back(Ahead(tokio::spawn(reading.all()), Some(room)));
        }
    }

    fn reading(&self, run: String, chunks: ChunkRun, wanted: ByteRange) -> Reading {
        let told = Progress::begin(self.asked.request.trace());
        let (tier, entry) = (self.tier.clone(), self.entry.clone());
        Reading::new(tier, entry, run, chunks, wanted, told)
    }

    async fn ask_origin(&self, part: ByteRange) -> Result<Current, SourceError> {
        let ranged = of_part(&self.asked.ranged, part);
        let (request, urgency) = (&self.asked.request, self.asked.urgency);
        let answer = self.origins.clone().fetch(request, Some(&ranged), urgency);
        let answer = answer.await?;
        match is_part(&answer, &ranged, &self.entry) {
            true => Ok(Current::Origin(answer.body, part)),
            false => Err(SourceError::Broken(
                "the origin does not continue what the tier has".into(),
            )),
        }
    }

    /// The tier has failed in the middle of a piece: what is left is the origin's.
    async fn go_on_without(&mut self, rest: ByteRange) -> Result<(), SourceError> {
        self.ahead.clear();
        let last = self.pieces.drain(..).next_back();
        let rest = match last {
            Some(Piece::Origin(part) | Piece::Tier { wanted: part, .. }) => joined(rest, part),
            None => rest,
        };
        self.current = self.ask_origin(rest).await?;
        Ok(())
    }
}

#[async_trait]
impl Body for Joined {
    async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        loop {
            match &mut self.current {
                Current::Edge => {
                    if !self.begin().await? {
                        return Ok(None);
                    }
                }
                Current::Origin(body, left) => match body.next().await? {
                    Some(bytes) => match after(*left, bytes.len()) {
                        Ok(rest) => {
                            *left = rest;
                            return Ok(Some(bytes));
                        }
                        Err(true) => {
                            self.current = Current::Edge;
                            return Ok(Some(bytes));
                        }
                        Err(false) => {
                            return Err(SourceError::Broken("more bytes than announced".into()));
                        }
                    },
                    None => return Err(SourceError::Broken("fewer bytes than announced".into())),
                },
                Current::Read(ready) => match ready.parts.pop_front() {
                    Some(bytes) => return Ok(Some(bytes)),
                    None => self.current = Current::Edge,
                },
                Current::Tier(reading, left) => match reading.next().await {
                    Some(bytes) => {
                        match after(*left, bytes.len()) {
                            Ok(rest) => *left = rest,
                            Err(_) => self.current = Current::Edge,
                        }
                        return Ok(Some(bytes));
                    }
                    None => {
                        let rest = *left;
                        self.go_on_without(rest).await?;
                    }
                },
            }
        }
    }
}

/// What is left of a range behind so many bytes; an error where nothing is, which is well if it
/// ends there.
fn after(range: ByteRange, bytes: usize) -> Result<ByteRange, bool> {
    let start = range.start() + bytes as u64;
    ByteRange::new(start, range.end()).ok_or(start == range.end())
}

/// An answer of the tier. Nobody else has it: the lock only makes it one that may be shared.
type Stream = Mutex<BoxStream<'static, Result<Bytes, object_store::Error>>>;

/// Chunks of one run on their way in. Bytes are given out only when their chunk is here and its
/// checksum is right.
struct Reading {
    tier: Arc<Tier>,
    entry: Arc<Entry>,
    run: String,
    next: ChunkIndex,
    end: ChunkIndex,
    wanted: ByteRange,
    stream: Option<Stream>,
    /// What has come of the next chunk, and perhaps more.
    came: VecDeque<Bytes>,
    checked: VecDeque<Bytes>,
    told: Progress,
}

impl Reading {
    fn new(
        tier: Arc<Tier>,
        entry: Arc<Entry>,
        run: String,
        chunks: ChunkRun,
        wanted: ByteRange,
        told: Progress,
    ) -> Self {
        Self {
            tier,
            entry,
            run,
            next: chunks.start,
            end: chunks.end,
            wanted,
            stream: None,
            came: VecDeque::new(),
            checked: VecDeque::new(),
            told,
        }
    }

    /// All of it, or nothing.
    async fn all(mut self) -> Option<VecDeque<Bytes>> {
        let mut all = VecDeque::new();
        let mut bytes = 0;
        while bytes < self.wanted.len() {
            let next = self.next().await?;
            bytes += next.len() as u64;
            all.push_back(next);
        }
        Some(all)
    }

    /// The next bytes; nothing where the tier does not give them.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.checked.pop_front() {
                return Some(bytes);
            }
            if self.next >= self.end {
                return None;
            }
            match self.read_chunk().await {
                Ok(()) => {
                    self.tier.stats().chunk("ok");
                    if self.next >= self.end {
                        self.told.outcome = "ok";
                    }
                }
                Err(why) => {
                    self.tier.stats().chunk(why);
                    self.told.outcome = why;
                    return None;
                }
            }
        }
    }

    async fn read_chunk(&mut self) -> Result<(), &'static str> {
        let chunk = self.next;
        let grid = self.entry.grid().ok_or("failed")?;
        let bytes = grid.bytes_of(chunk).ok_or("failed")?;
        let expected = self.entry.run_of(chunk).filter(|run| run.name == self.run);
        let expected = expected
            .and_then(|run| run.checksum(chunk))
            .ok_or("failed")?;
        let mut have: u64 = self.came.iter().map(|part| part.len() as u64).sum();
        self.open().await?;
        // For all of it, however often a little comes.
        let until = Instant::now() + self.tier.remote().timeout();
        while have < bytes.len() {
            let part = self.receive(until).await?;
            have += part.len() as u64;
            self.told.bytes += part.len() as u64;
            self.tier.stats().moved("read", part.len());
            self.came.push_back(part);
        }
        let parts = take(&mut self.came, bytes.len());
        let checksum = parts
            .iter()
            .fold(0, |sum, part| crc32c::crc32c_append(sum, part));
        if checksum != expected {
            let id = self.entry.object.id;
            log::warn!(
                "chunk {} of {id} is damaged in the tier (run {})",
                chunk.0,
                self.run
            );
            self.tier.lookup().forget(id);
            return Err("corrupt");
        }
        // Only what is wanted of it goes on.
        let mut parts = VecDeque::from(parts);
        let before = self.wanted.start().saturating_sub(bytes.start());
        take(&mut parts, before);
        let wanted = self.wanted.end().min(bytes.end()) - self.wanted.start().max(bytes.start());
        self.checked.extend(take(&mut parts, wanted));
        self.next = chunk.next();
        Ok(())
    }

    /// Begins to read, unless that was done.
    async fn open(&mut self) -> Result<(), &'static str> {
        if self.stream.is_some() {
            return Ok(());
        }
        let remote = self.tier.remote();
        let range = self.range_in_run().ok_or("failed")?;
        let id = self.entry.object.id;
        let version = self.tier.lookup().version();
        let path = remote.layout().run(version, id, &self.run);
        match remote.open(&path, range).await {
            Ok(Some(stream)) => {
                self.stream = Some(Mutex::new(stream));
                Ok(())
            }
            Ok(None) => {
                // It has been replaced since.
                self.tier.lookup().forget(id);
                Err("failed")
            }
            Err(_) => Err("failed"),
        }
    }

    async fn receive(&mut self, until: Instant) -> Result<Bytes, &'static str> {
        let Some(stream) = &mut self.stream else {
            return Err("failed");
        };
        let part = match timeout_at(until, stream.get_mut().next()).await {
            Ok(Some(Ok(part))) => return Ok(part),
            Ok(Some(Err(e))) => e.to_string(),
            Ok(None) => "an answer that was cut".into(),
            Err(_) => "no chunk in time".into(),
        };
        self.tier.remote().broke(&part);
        Err("failed")
    }

    /// The bytes from the next chunk to the last, as offsets in the run.
    fn range_in_run(&self) -> Option<std::ops::Range<u64>> {
        let run = self.entry.run_of(self.next)?;
        let first = self.entry.place_in(run, self.next)?;
        let last = self
            .entry
            .place_in(run, ChunkIndex(self.end.0.checked_sub(1)?))?;
        Some(first.start()..last.end())
    }
}

/// Takes so many bytes from the front.
fn take(parts: &mut VecDeque<Bytes>, mut bytes: u64) -> Vec<Bytes> {
    let mut taken = Vec::new();
    while bytes > 0
        && let Some(mut part) = parts.pop_front()
    {
        if part.len() as u64 > bytes {
            let mut rest = part.clone();
            rest.advance(bytes as usize);
            part.truncate(bytes as usize);
            parts.push_front(rest);
        }
        bytes -= part.len() as u64;
        taken.push(part);
    }
    taken
}
