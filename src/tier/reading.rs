//! Chunks of one run on their way in.
//!
//! ```text
//!   Idle ──asked──► First ──its first bytes──► Rest ──chunk by chunk, each checked──► the end
//!                     │                          │
//!                     └── longer than usual ─────┴──► Late, once: who reads may ask the origin,
//!                                                     too, and wait on here to the deadline
//!
//! What is gathered of a chunk takes memory until it is given out. What is read ahead has room for all
//! of it from the beginning; all else waits for room when the first bytes of the chunk are here.
//! ```

use super::{
    Tier,
    entry::Entry,
    guard::Verdict,
    progress::Progress,
    remote::{Opened, Stream, Trouble},
};
use crate::domain::{ByteRange, ChunkIndex, ChunkRun};
use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use parking_lot::Mutex;
use std::{collections::VecDeque, mem, sync::Arc, time::Duration};
use tokio::{
    sync::OwnedSemaphorePermit,
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

/// Chunks of one run. Bytes are given out only when their chunk is here and its checksum is right.
/// Each wait may be dropped and begun again.
pub(super) struct Reading {
    tier: Arc<Tier>,
    entry: Arc<Entry>,
    run: String,
    next: ChunkIndex,
    end: ChunkIndex,
    wanted: ByteRange,
    coming: Coming,
    verdict: Option<Verdict>,
    /// How long the first bytes are waited for.
    patience: Duration,
    /// Since when nothing more has come.
    since: Option<Instant>,
    /// When the next chunk must be here.
    until: Option<Instant>,
    /// What has come of the next chunk, and perhaps more.
    came: VecDeque<Bytes>,
    checked: VecDeque<Bytes>,
    /// Room for all of it, where it is read ahead.
    ahead: Option<OwnedSemaphorePermit>,
    /// Room for the chunk in hand.
    room: Option<OwnedSemaphorePermit>,
    /// It has come to its end before its time.
    fault: Option<Fault>,
    told: Progress,
}

/// Why the next bytes are not here; a word in the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// They take longer than they usually do, but may come yet.
    Late,
    /// The tier does not give them.
    Failed,
    /// They are not what was written.
    Corrupt,
    /// There was no room for them here.
    Full,
}

enum Coming {
    Idle,
    First(Opening),
    /// Nobody else has it: the lock only makes it one that may be shared.
    Rest(Mutex<Stream>),
}

/// A run that is being asked for, given up when this is dropped. It is a task of its own so that
/// what takes too long for whoever reads can come to its end without.
struct Opening(JoinHandle<Result<Opened, Trouble>>);

/// The shortest silence that is one: a packet that was lost is sent again after 200 ms, and what a
/// quick tier takes longer for now and then is not worth a request to the origin.
const SILENCE: Duration = Duration::from_millis(250);

/// Runs are waited for so many times as long as 95 of 100 take. A film is hundreds of them: were each
/// twentieth asked of the origin as well, an edge that the tier could fill would still be seen there.
const TIMES_USUAL: u32 = 2;

/// How long first bytes are waited for, where 95 of 100 runs have taken so long of late.
pub(super) fn patience(usual: Duration) -> Duration {
    usual.saturating_mul(TIMES_USUAL).max(SILENCE)
}

impl Fault {
    pub fn label(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Failed => "failed",
            Self::Corrupt => "corrupt",
            Self::Full => "full",
        }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Reading {
    pub fn new(
        tier: Arc<Tier>,
        entry: Arc<Entry>,
        run: String,
        chunks: ChunkRun,
        wanted: ByteRange,
        told: Progress,
    ) -> Self {
        Self {
            patience: tier.patience(),
            tier,
            entry,
            run,
            next: chunks.start,
            end: chunks.end,
            wanted,
            coming: Coming::Idle,
            verdict: None,
            since: None,
            until: None,
            came: VecDeque::new(),
            checked: VecDeque::new(),
            ahead: None,
            room: None,
            fault: None,
            told,
        }
    }

    /// All that comes without a fault, and what is to be gone on with, which has this room.
    pub async fn ahead(mut self, room: OwnedSemaphorePermit) -> (VecDeque<Bytes>, Self) {
        self.ahead = Some(room);
        let mut all = VecDeque::new();
        let mut bytes = 0;
        while bytes < self.wanted.len()
            && let Ok(next) = self.next().await
        {
            bytes += next.len() as u64;
            all.push_back(next);
        }
        // The time until somebody goes on is not the tier's.
        self.until = None;
        (all, self)
    }

    /// The next bytes.
    pub async fn next(&mut self) -> Result<Bytes, Fault> {
        self.give(false).await
    }

    /// The next bytes, which are never late before the deadline.
    pub async fn next_at_last(&mut self) -> Result<Bytes, Fault> {
        self.give(true).await
    }

    /// The origin was quicker. How long it would have taken here is worth to know, since a tier that
    /// has become slower would be given up for ever; one that says nothing until the deadline has
    /// failed.
    pub fn let_go(mut self) {
        self.told.outcome = Fault::Late.label();
        match mem::replace(&mut self.coming, Coming::Idle) {
            Coming::Idle => {}
            Coming::First(mut opening) => {
                if let Ok(place) = self.tier.late.clone().try_acquire_owned() {
                    tokio::spawn(async move {
                        let _ = (&mut opening.0).await;
                        drop(place);
                    });
                }
            }
            Coming::Rest(_) => {
                let is_silent = self.since.is_some_and(|since| since.elapsed() >= SILENCE);
                if let Some(verdict) = self.verdict.take().filter(|_| is_silent) {
                    verdict.failed("it stalls");
                }
            }
        }
    }

    async fn give(&mut self, at_last: bool) -> Result<Bytes, Fault> {
        loop {
            if let Some(bytes) = self.checked.pop_front() {
                if self.checked.is_empty() {
                    self.room = None;
                }
                return Ok(bytes);
            }
            if let Some(fault) = self.fault {
                return Err(fault);
            }
            if self.next >= self.end {
                return Err(Fault::Failed);
            }
            match self.read_chunk(at_last).await {
                Ok(()) => self.passed_chunk(),
                Err(Fault::Late) => return Err(Fault::Late),
                Err(fault) => self.failed(fault),
            }
        }
    }

    fn passed_chunk(&mut self) {
        self.tier.stats().chunk("ok");
        self.until = None;
        if self.next >= self.end {
            self.told.outcome = "ok";
            if let Some(verdict) = self.verdict.take() {
                verdict.succeeded();
            }
        }
    }

    fn failed(&mut self, fault: Fault) {
        self.tier.stats().chunk(fault.label());
        self.told.outcome = fault.label();
        self.fault = Some(fault);
        self.coming = Coming::Idle;
        self.came.clear();
        self.room = None;
    }

    async fn read_chunk(&mut self, at_last: bool) -> Result<(), Fault> {
        let chunk = self.next;
        let grid = self.entry.grid().ok_or(Fault::Failed)?;
        let bytes = grid.bytes_of(chunk).ok_or(Fault::Failed)?;
        let expected = self.entry.run_of(chunk).filter(|run| run.name == self.run);
        let expected = expected
            .and_then(|run| run.checksum(chunk))
            .ok_or(Fault::Failed)?;
        let mut have: u64 = self.came.iter().map(|part| part.len() as u64).sum();
        while have < bytes.len() {
            if have > 0 {
                self.find_room(bytes.len()).await?;
            }
            let part = self.receive(at_last).await?;
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
            return Err(self.damaged());
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

    /// Waits for room for a chunk: who waits for the tier's first bytes holds none.
    async fn find_room(&mut self, bytes: u64) -> Result<(), Fault> {
        if self.ahead.is_some() || self.room.is_some() {
            return Ok(());
        }
        let room = self.tier.anteroom.take(bytes);
        let room = timeout(self.tier.config().timeout, room).await;
        self.room = Some(room.ok().flatten().ok_or(Fault::Full)?);
        // The time until then was not the tier's.
        self.until = None;
        Ok(())
    }

    /// The next bytes of the run.
    async fn receive(&mut self, at_last: bool) -> Result<Bytes, Fault> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let patience = self.patience;
        let part = match &mut self.coming {
            Coming::Idle => {
                self.coming = Coming::First(self.open().ok_or(Fault::Failed)?);
                return Ok(Bytes::new());
            }
            Coming::First(opening) => {
                // To the deadline, where that is not limited here: it has its own.
                let begun = match at_last {
                    true => (&mut opening.0).await,
                    false => timeout_at(since + patience, &mut opening.0)
                        .await
                        .map_err(|_| Fault::Late)?,
                };
                self.begin(begun.ok().and_then(Result::ok).ok_or(Fault::Failed)?)?
            }
            Coming::Rest(stream) => {
                // For all of the chunk, however often a little comes.
                let deadline = || Instant::now() + self.tier.config().timeout;
                let until = *self.until.get_or_insert_with(deadline);
                let silent = since + patience.max(SILENCE);
                let limit = if at_last { until } else { until.min(silent) };
                let why = match timeout_at(limit, stream.get_mut().next()).await {
                    Ok(Some(Ok(part))) => Ok(part),
                    Ok(Some(Err(e))) => Err(e.to_string()),
                    Ok(None) => Err("an answer that was cut".into()),
                    Err(_) if limit < until => return Err(Fault::Late),
                    Err(_) => Err("no chunk in time".into()),
                };
                why.map_err(|why| self.convict(&why))?
            }
        };
        self.since = None;
        Ok(part)
    }

    /// The breaker is to hear of it.
    fn convict(&mut self, why: &str) -> Fault {
        if let Some(verdict) = self.verdict.take() {
            verdict.failed(why);
        }
        Fault::Failed
    }

    /// What lies there is not what was written: the run is left alone for a while. The breaker is to
    /// hear of it once for an object, as all others may be sound.
    fn damaged(&mut self) -> Fault {
        let is_first = self.tier.lookup().doubt(self.entry.object.id, &self.run);
        if let Some(verdict) = self.verdict.take().filter(|_| is_first) {
            verdict.failed("what it has is damaged");
        }
        Fault::Corrupt
    }

    /// Asks for the bytes from the next chunk to the last.
    fn open(&self) -> Option<Opening> {
        let range = self.range_in_run()?;
        let (tier, id) = (self.tier.clone(), self.entry.object.id);
        let version = tier.lookup().version();
        let path = tier.remote().layout().run(version, id, &self.run);
        let begin = async move { tier.remote().begin(&path, range).await };
        Some(Opening(tokio::spawn(begin)))
    }

    /// The first bytes, where the run is there at all.
    fn begin(&mut self, opened: Opened) -> Result<Bytes, Fault> {
        let id = self.entry.object.id;
        let begun = match opened {
            Opened::Begun(begun) => begun,
            Opened::Absent => {
                // It has been replaced since, or is lost: another has another name.
                self.tier.lookup().doubt(id, &self.run);
                return Err(Fault::Failed);
            }
            Opened::Short(verdict) => {
                log::warn!("{id} is damaged in the tier: run {} is too short", self.run);
                self.verdict = Some(verdict);
                return Err(self.damaged());
            }
        };
        self.coming = Coming::Rest(Mutex::new(begun.rest));
        self.verdict = Some(begun.verdict);
        Ok(begun.first)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_at_the_slow_end_is_not_asked_of_the_origin() {
        let ms = Duration::from_millis;
        assert_eq!(patience(ms(5)), SILENCE);
        assert_eq!(patience(ms(300)), ms(600));
    }
}
