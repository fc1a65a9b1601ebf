//! The seam between the fills and where missing chunks come from, and may go.
//!
//! The origins are a [`Source`]; a shared second tier can be one too, in front of them. A
//! [`Sink`] is offered every chunk that came in complete.

mod need;

pub use need::{Follower, Need};

use crate::{
    domain::{ByteRange, ChunkIndex, Groups},
    traces::Trace,
    traffic::Urgency,
};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use std::{any::Any, sync::Arc, time::Duration};

/// Where bytes of an object can be asked for.
#[async_trait]
pub trait Source: Send + Sync + std::fmt::Debug {
    /// Asks for an object, or for `range` of it, and returns with the head of the answer.
    /// Implementations put a deadline on every wait.
    async fn fetch(
        self: Arc<Self>,
        request: &Request,
        range: Option<&Ranged>,
        urgency: Urgency,
    ) -> Result<Answer, SourceError>;

    /// Prepares for a request that may come, in the background, and returns at once. What is
    /// returned is dropped when the request has been made or will not be.
    fn prepare(self: Arc<Self>, request: &Request) -> Option<Box<dyn Any + Send + Sync>>;

    /// The groups of an object's bytes that come from different places: a request is for one only.
    fn groups(&self) -> Groups;
}

/// What identifies an object to a source: a GET of this target with these fields.
#[derive(Clone, Debug)]
pub struct Request {
    /// Path and query, as the client sent them.
    pub target: String,
    /// End-to-end fields, without conditions and ranges.
    pub headers: HeaderMap,
    /// A digest of the object's cache key, by which servers may share the objects among them.
    pub key: u64,
    /// Where it is noted whom it has had asked, if anybody wants to know.
    pub trail: Option<Arc<Trail>>,
}

/// Whom a request has had asked, by itself and by the fills that it caused.
#[derive(Debug, Default)]
pub struct Trail {
    steps: Mutex<Steps>,
    trace: Option<Arc<Trace>>,
}

/// What a trail shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// The origin that was asked last; empty where none was.
    pub origin: String,
    /// The server of it.
    pub server: String,
    /// Requests to servers.
    pub attempts: u32,
}

impl Trail {
    /// A trail that is a part of a trace, too.
    pub fn of(trace: Option<Arc<Trace>>) -> Self {
        Self {
            steps: Mutex::default(),
            trace,
        }
    }

    /// The part of a trace that it is, where it is one.
    pub fn trace(&self) -> Option<&Arc<Trace>> {
        self.trace.as_ref()
    }

    /// A server is asked.
    pub fn note(&self, origin: &str, server: &str) {
        let mut steps = self.steps.lock();
        origin.clone_into(&mut steps.origin);
        server.clone_into(&mut steps.server);
        steps.attempts += 1;
    }

    /// What it shows by now.
    pub fn so_far(&self) -> Steps {
        self.steps.lock().clone()
    }
}

impl Request {
    /// The part of a trace that it is, where it is one.
    pub fn trace(&self) -> Option<&Arc<Trace>> {
        self.trail.as_ref()?.trace()
    }
}

/// A part of an object of which something is known already.
#[derive(Clone, Debug)]
pub struct Ranged {
    /// The hash of the object's key, by which it is known to all who have parts of it.
    pub id: [u8; 16],
    /// Length of the whole object.
    pub total: u64,
    /// The bytes asked for.
    pub range: ByteRange,
    /// The `If-Range` that keeps parts of two versions apart, where there is a validator for it.
    pub if_range: Option<String>,
    /// Whether caches on the way are to ask the origin themselves.
    pub past_caches: bool,
}

/// The head of an answer, and its body still to come.
pub struct Answer {
    /// Status of the answer.
    pub status: StatusCode,
    /// Its header.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Box<dyn Body>,
}

/// A body that is coming in.
#[async_trait]
pub trait Body: Send + Sync {
    /// The next bytes; `None` after a proper end, an error where the body was cut.
    async fn next(&mut self) -> Result<Option<Bytes>, SourceError>;
}

/// The body of a request's answer that may be had apart from the request.
pub trait Detachable: Send + Sync + std::fmt::Debug {
    /// Hands it out, if it is still to be had.
    fn detach(&self) -> Option<Box<dyn Body>>;

    /// Leaves it to the request.
    fn leave(&self);
}

/// Why a source did not deliver.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// No connection came about.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// Nothing came in time.
    #[error("timed out: {0}")]
    TimedOut(String),
    /// The connection or the answer broke.
    #[error("broken: {0}")]
    Broken(String),
    /// It was not asked: it has enough to do, or is left alone after failures.
    #[error("not asked: {reason}")]
    Busy {
        /// Why.
        reason: String,
        /// When it is worth another try.
        retry_after: Duration,
    },
}

/// Who may want complete chunks.
pub trait Sink: Send + Sync + std::fmt::Debug {
    /// Offers a chunk that is on disk; returns at once, whatever becomes of it.
    fn offer(&self, chunk: &Offered);

    /// A request has found an object, as one of so many since the start.
    fn found(&self, id: [u8; 16], generation: u64, times: u64);

    /// The origin has said that an object may be used for so long.
    fn refreshed(&self, id: [u8; 16], generation: u64, fresh: Duration);
}

/// A complete chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offered {
    /// The hash of the object's key.
    pub id: [u8; 16],
    /// Generation of the object.
    pub generation: u64,
    /// Which chunk.
    pub chunk: ChunkIndex,
}
