//! What the bytes of a movie say of it as they go by.

use super::{Board, board::Claim, now};
use crate::domain::{ChunkIndex, ChunkRun, chunk_at};
use http::HeaderMap;
use std::sync::atomic::Ordering::Relaxed;

/// The most of an index that is fetched before it is asked for, in bytes: that of some hours.
const INDEX: u64 = 4 << 20;

/// Fields in which origins say how many seconds a medium plays.
const DURATION: [&str; 2] = ["content-duration", "x-content-duration"];

fn announced(headers: &HeaderMap) -> Option<f64> {
    let field = DURATION.iter().find_map(|name| headers.get(*name))?;
    let seconds: f64 = field.to_str().ok()?.trim().parse().ok()?;
    Some(seconds).filter(|seconds| seconds.is_finite() && *seconds > 0.0)
}

impl Board {
    /// Bytes of the object go by, from `offset` on.
    pub(super) fn screen(&self, offset: u64, bytes: &[u8]) {
        let next = self.movie_next.load(Relaxed);
        if next < offset || next >= offset.saturating_add(bytes.len() as u64) {
            return;
        }
        let mut movie = self.movie.lock();
        movie.look(offset, bytes);
        let next = movie.next().unwrap_or(u64::MAX);
        self.movie_next.store(next, Relaxed);
    }

    /// Bytes per second that the object takes to play, where it says so.
    pub fn byte_rate(&self) -> Option<f64> {
        let total = self.object().total()? as f64;
        let said = self.movie.lock().duration();
        let seconds = said.or_else(|| announced(&self.object().meta().headers))?;
        Some(total / seconds)
    }

    /// Where the index of a movie is, which stands behind its media: the first time that one asks
    /// who reads so far, up to `limit`, since that is known.
    pub(super) fn index(&self, limit: ChunkIndex) -> Option<(ChunkIndex, ChunkIndex)> {
        if self.index_sought.load(Relaxed) {
            return None;
        }
        let at = self.movie.lock().index_behind()?;
        let size = self.object().chunk_size();
        if chunk_at(size, at) >= limit || self.index_sought.swap(true, Relaxed) {
            return None;
        }
        let total = self.object().total().filter(|total| at < *total)?;
        let end = total.min(at.saturating_add(INDEX));
        Some((chunk_at(size, at), chunk_at(size, end - 1).next()))
    }

    /// A player that has seen the head of such a movie will want its index next, which is from
    /// `first` up to `end`: the run to fetch for it, whose flight has departed.
    pub(super) fn claim_index(
        &self,
        first: ChunkIndex,
        end: ChunkIndex,
    ) -> Option<(ChunkRun, super::flights::FlightId)> {
        if !self.comes_in_parts() || !self.is_unasked(first, first) {
            return None;
        }
        match self.claim(first, end, now()) {
            Claim::Fetch(run, flight) => Some((run, flight)),
            Claim::Wait | Claim::Lost => None,
        }
    }
}
