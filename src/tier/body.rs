//! A part of an object, put together from the tier and from the origin.

use super::{
    Tier,
    entry::Entry,
    pieces::{Piece, joined},
    progress::Progress,
    reading::{Fault, Reading},
    source::{Asked, is_part, of_part},
};
use crate::{
    domain::{ByteRange, ChunkRun},
    source::{Body, Source, SourceError},
};
use async_trait::async_trait;
use bytes::Bytes;
use std::{collections::VecDeque, mem, sync::Arc};
use tokio::task::JoinHandle;

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
    /// Read ahead: it is here, as far as it came.
    Read(Ready, ByteRange),
}

/// A piece that was read ahead, and what has the room that it takes.
struct Ready {
    parts: VecDeque<Bytes>,
    rest: Reading,
}

/// A piece that is being read ahead, given up when this is dropped.
struct Ahead(JoinHandle<(VecDeque<Bytes>, Reading)>);

/// Who has been quicker.
enum First {
    Tier(Bytes),
    Origin(Box<dyn Body>),
}

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
                self.current = Current::Origin(self.ask_origin(part).await?, part);
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
                        let read = (&mut ahead.0).await.ok();
                        read.map(|(parts, rest)| Ready { parts, rest })
                    }
                    None => None,
                };
                self.current = match read {
                    Some(ready) => Current::Read(ready, wanted),
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
            let ahead = tokio::spawn(reading.ahead(room));
            self.ahead.push_back(Ahead(ahead));
        }
    }

    fn reading(&self, run: String, chunks: ChunkRun, wanted: ByteRange) -> Reading {
        let told = Progress::begin(self.asked.request.trace());
        let (tier, entry) = (self.tier.clone(), self.entry.clone());
        Reading::new(tier, entry, run, chunks, wanted, told)
    }

    async fn ask_origin(&self, part: ByteRange) -> Result<Box<dyn Body>, SourceError> {
        let ranged = of_part(&self.asked.ranged, part);
        let (request, urgency) = (&self.asked.request, self.asked.urgency);
        let answer = self.origins.clone().fetch(request, Some(&ranged), urgency);
        let answer = answer.await?;
        match is_part(&answer, &ranged, &self.entry) {
            true => Ok(answer.body),
            false => Err(SourceError::Broken(
                "the origin does not continue what the tier has".into(),
            )),
        }
    }

    /// The tier takes longer than it usually does: the origin is asked, too, and who has something
    /// first gives it. What comes of the other is as good, if that fails.
    async fn hedge(
        &mut self,
        mut reading: Reading,
        left: ByteRange,
    ) -> Result<Option<Bytes>, SourceError> {
        self.tier.stats().chunk(Fault::Late.label());
        let first = {
            let origin = self.ask_origin(left);
            tokio::pin!(origin);
            tokio::select! {
                biased;
                came = reading.next_at_last() => match came {
                    Ok(bytes) => Ok(First::Tier(bytes)),
                    Err(_) => origin.await.map(First::Origin),
                },
                answer = &mut origin => match answer {
                    Ok(origin) => Ok(First::Origin(origin)),
                    Err(why) => {
                        let came = reading.next_at_last().await;
                        came.map(First::Tier).map_err(|_| why)
                    }
                },
            }
        };
        match first? {
            First::Tier(bytes) => {
                self.current = match after(left, bytes.len()) {
                    Ok(left) => Current::Tier(reading, left),
                    Err(_) => Current::Edge,
                };
                Ok(Some(bytes))
            }
            First::Origin(body) => {
                reading.let_go();
                self.current = Current::Origin(body, left);
                Ok(None)
            }
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
        self.current = Current::Origin(self.ask_origin(rest).await?, rest);
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
                Current::Read(ready, left) => match ready.parts.pop_front() {
                    Some(bytes) => {
                        match after(*left, bytes.len()) {
                            Ok(rest) => *left = rest,
                            Err(_) => self.current = Current::Edge,
                        }
                        return Ok(Some(bytes));
                    }
                    None => {
                        let now = mem::replace(&mut self.current, Current::Edge);
                        if let Current::Read(ready, left) = now {
                            self.current = Current::Tier(ready.rest, left);
                        }
                    }
                },
                Current::Tier(reading, left) => match reading.next().await {
                    Ok(bytes) => {
                        match after(*left, bytes.len()) {
                            Ok(rest) => *left = rest,
                            Err(_) => self.current = Current::Edge,
                        }
                        return Ok(Some(bytes));
                    }
                    Err(Fault::Late) => {
                        let now = mem::replace(&mut self.current, Current::Edge);
                        if let Current::Tier(reading, left) = now
                            && let Some(bytes) = self.hedge(reading, left).await?
                        {
                            return Ok(Some(bytes));
                        }
                    }
                    Err(Fault::Failed | Fault::Corrupt | Fault::Full) => {
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
