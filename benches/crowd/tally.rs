//! What a crowd of visitors has seen.

use crate::{kit::measure::quantile, visitor::Progress};
use std::io;

/// Sums over visitors and requests.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests that were answered, if only with a part or an error, or failed.
    pub requests: u64,
    pub hits: u64,
    pub errors: u64,
    /// Errors that are bytes other than those of the object.
    pub wrong: u64,
    /// Requests that had no byte yet when the time was over.
    pub waiting: u64,
    pub bytes: u64,
    /// Milliseconds to the first byte, of what the server had.
    cached: Vec<f64>,
    /// The same of what it had to ask the origin for.
    fetched: Vec<f64>,
    pub first_error: Option<String>,
}

impl Tally {
    /// Notes one request; `outcome` is none when the time was over before its end.
    pub fn note(&mut self, progress: &Progress, outcome: Option<&io::Result<()>>) {
        self.bytes += progress.bytes;
        if let Some(first) = progress.first_byte {
            let milliseconds = first.as_secs_f64() * 1e3;
            if progress.hit {
                self.hits += 1;
                self.cached.push(milliseconds);
            } else {
                self.fetched.push(milliseconds);
            }
        }
        match outcome {
            None if progress.first_byte.is_none() => self.waiting += 1,
            None | Some(Ok(())) => self.requests += 1,
            Some(Err(error)) => {
                self.requests += 1;
                self.errors += 1;
                self.wrong += u64::from(error.kind() == io::ErrorKind::InvalidData);
                self.first_error.get_or_insert_with(|| error.to_string());
            }
        }
    }

    pub fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.hits += other.hits;
        self.errors += other.errors;
        self.wrong += other.wrong;
        self.waiting += other.waiting;
        self.bytes += other.bytes;
        self.cached.extend(other.cached);
        self.fetched.extend(other.fetched);
        self.first_error = self.first_error.take().or(other.first_error);
    }

    pub fn errors_percent(&self) -> f64 {
        percent(self.errors, self.requests)
    }

    pub fn hits_percent(&self) -> f64 {
        percent(self.hits, self.requests)
    }

    pub fn cached_ms(&self, q: f64) -> f64 {
        quantile(&self.cached, q)
    }

    pub fn fetched_ms(&self, q: f64) -> f64 {
        quantile(&self.fetched, q)
    }
}

/// Not a number where there is nothing to have a share of.
fn percent(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64 * 100.0
}
