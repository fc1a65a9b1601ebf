//! A body that comes in, and that goes on elsewhere when its server fails in the middle.
//!
//! A body can go on where its head named a strong validator and a length: what lacks is asked for
//! with `Range` and `If-Range`, and taken only from an answer of the same version and length. So
//! bytes of two versions never meet.

use super::{
    Failure,
    attempts::Attempts,
    client::Connection,
    failure::Cause,
    interim::Interim,
    sending::{Answered, Ask, send_on},
};
use crate::{
    domain::{ByteRange, ContentRange, Partial, Validators, is_coded},
    source::{Body, SourceError},
};
use async_trait::async_trait;
use bytes::{Buf, Bytes};
use http::{Method, StatusCode, header};
use pingora_http::{RequestHeader, ResponseHeader};
use std::time::{Duration, Instant};

/// A body that comes in. After its end the connection is kept for the next request; dropped
/// before, it is closed.
pub(super) struct Incoming {
    flow: Option<Flow>,
    ask: Ask,
    asked: RequestHeader,
    tail: Option<Tail>,
    pace: Pace,
    resumed: u32,
    progress: bool,
}

struct Flow {
    attempts: Attempts,
    connection: Connection,
    /// Bytes to be passed over: they have been delivered before.
    skip: u64,
}

/// What still lacks of a body whose version is known.
#[derive(Clone, Debug)]
struct Tail {
    next: u64,
    end: u64,
    total: u64,
    validators: Validators,
}

/// Times that one body may go on elsewhere.
const RESUMES: u32 = 16;

impl Incoming {
    /// The body of an answer to `asked`.
    pub fn new(answered: Answered, ask: Ask, asked: RequestHeader) -> (ResponseHeader, Self) {
        let Answered {
            attempts,
            connection,
            head,
            ..
        } = answered;
        let tail = (asked.method == Method::GET)
            .then(|| Tail::of(&head))
            .flatten();
        let incoming = Self {
            flow: Some(Flow {
                attempts,
                connection,
                skip: 0,
            }),
            ask,
            asked,
            tail,
            pace: Pace::default(),
            resumed: 0,
            progress: false,
        };
        (head, incoming)
    }

    /// Whether all has come.
    pub fn is_done(&mut self) -> bool {
        match (&mut self.flow, &self.tail) {
            (None, _) => true,
            (Some(_), Some(tail)) => tail.next == tail.end,
            (Some(flow), None) => flow.connection.wire.is_done(),
        }
    }

    /// The next bytes; `None` after a proper end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let Some(flow) = &mut self.flow else {
                return Ok(None);
            };
            let began = super::now();
            let read = flow.connection.wire.read_body().await;
            let now = super::now();
            let failure = match read {
                Ok(Some(bytes)) => match self.take(bytes, began, now) {
                    Ok(Some(bytes)) => return Ok(Some(bytes)),
                    Ok(None) => continue,
                    Err(failure) => failure,
                },
                Ok(None) if self.tail.as_ref().is_none_or(|tail| tail.next == tail.end) => {
                    self.end().await;
                    return Ok(None);
                }
                Ok(None) => Failure::new(Cause::Broken, "the body ended too early"),
                Err(e) => Failure::of(&e, &flow.attempts.server_name()),
            };
            self.go_on(failure).await?;
        }
    }

    /// Takes in what has been read; an error where the body is to go on elsewhere.
    fn take(
        &mut self,
        mut bytes: Bytes,
        began: Instant,
        now: Instant,
    ) -> Result<Option<Bytes>, Failure> {
        let Some(flow) = &mut self.flow else {
            return Ok(None);
        };
        flow.attempts.received(self.ask.purpose, bytes.len());
        if let Some(leg) = flow.attempts.leg() {
            let least = leg.origin.config().min_rate;
            let slow = self
                .pace
                .is_slow(bytes.len(), now.duration_since(began), least);
            if slow && self.tail.is_some() && flow.attempts.has_another() {
                let server = flow.attempts.server_name();
                let what = format!("{server}: less than {least} bytes per second");
                return Err(Failure::new(Cause::Slow, what));
            }
        }
        let passed = flow.skip.min(bytes.len() as u64);
        flow.skip -= passed;
        bytes.advance(passed as usize);
        if let Some(tail) = &mut self.tail {
            if bytes.len() as u64 > tail.end - tail.next {
                self.tail = None;
                return Err(Failure::new(Cause::Broken, "more bytes than announced"));
            }
            tail.next += bytes.len() as u64;
        }
        self.progress |= !bytes.is_empty();
        Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    /// All has come: the connection is kept for the next request.
    pub async fn end(&mut self) {
        if let Some(flow) = self.flow.take() {
            let Flow {
                mut attempts,
                connection,
                ..
            } = flow;
            if let Some(attempt) = attempts.current() {
                attempt.server().has_kept(super::now());
            }
            let client = attempts.upstream.client().clone();
            client.keep(connection).await;
        }
    }

    /// The server has failed in the middle: what lacks is asked of another, or of it once more.
    async fn go_on(&mut self, failure: Failure) -> Result<(), Failure> {
        let Some(Flow { mut attempts, .. }) = self.flow.take() else {
            return Err(failure);
        };
        attempts.failed(failure.clone());
        let lacks = self.tail.clone().filter(|tail| tail.next < tail.end);
        let Some(tail) = lacks.filter(|_| self.resumed < RESUMES) else {
            return Err(failure);
        };
        attempts.resume(std::mem::take(&mut self.progress));
        loop {
            self.resumed += 1;
            let request = tail.request(&self.asked).ok_or_else(|| failure.clone())?;
            let answered = send_on(attempts, self.ask, &request, &Interim::nowhere()).await;
            let Answered {
                attempts: at,
                connection,
                head,
                ..
            } = answered.map_err(|_| failure.clone())?;
            attempts = at;
            match tail.continues_in(&head) {
                Some(skip) => {
                    self.pace = Pace::default();
                    self.flow = Some(Flow {
                        attempts,
                        connection,
                        skip,
                    });
                    return Ok(());
                }
                None if self.resumed < RESUMES => {}
                None => return Err(failure),
            }
        }
    }
}

impl Tail {
    /// What an answer brings, if it could go on elsewhere.
    fn of(head: &ResponseHeader) -> Option<Self> {
        let validators = Validators::of(&head.headers);
        validators.strong_etag()?;
        if is_coded(&head.headers) {
            return None;
        }
        let text = |name| head.headers.get(name).and_then(|v| v.to_str().ok());
        let (next, end, total) = match head.status {
            StatusCode::OK => {
                let length = text(header::CONTENT_LENGTH)?.parse().ok()?;
                (0, length, length)
            }
            StatusCode::PARTIAL_CONTENT => {
                match ContentRange::parse(text(header::CONTENT_RANGE)?.as_bytes())? {
                    ContentRange::Bytes(range, total) => (range.start(), range.end(), total?),
                    ContentRange::Unsatisfied(_) => return None,
                }
            }
            _ => return None,
        };
        Some(Self {
            next,
            end,
            total,
            validators,
        })
    }

    /// The request for what lacks.
    fn request(&self, asked: &RequestHeader) -> Option<RequestHeader> {
        let mut request = asked.clone();
        let field = format!("bytes={}-{}", self.next, self.end - 1);
        request.insert_header(header::RANGE, field).ok()?;
        let validator = self.validators.for_if_range()?.to_owned();
        request.insert_header(header::IF_RANGE, validator).ok()?;
        for condition in [
            header::IF_NONE_MATCH,
            header::IF_MODIFIED_SINCE,
            header::IF_MATCH,
            header::IF_UNMODIFIED_SINCE,
        ] {
            request.remove_header(&condition);
        }
        Some(request)
    }

    /// Whether an answer brings what lacks, and after how many bytes that are known already.
    fn continues_in(&self, head: &ResponseHeader) -> Option<u64> {
        match head.status {
            StatusCode::PARTIAL_CONTENT => {
                let asked = ByteRange::new(self.next, self.end)?;
                let part = Partial::judge(asked, &head.headers).ok()?;
                let whole = part.range.end() == self.end && part.total == self.total;
                (whole && self.is_same(&part.validators)).then_some(0)
            }
            StatusCode::OK => {
                let again = Self::of(head)?;
                (again.total == self.total
                    && self.end == self.total
                    && self.is_same(&again.validators))
                .then_some(self.next)
            }
            _ => None,
        }
    }

    fn is_same(&self, other: &Validators) -> bool {
        self.validators.strong_etag().is_some()
            && self.validators.strong_etag() == other.strong_etag()
    }
}

/// How fast a body comes in, counting only the time that is spent waiting for it.
#[derive(Debug, Default)]
struct Pace {
    waited: Duration,
    bytes: u64,
}

/// Waiting time over which a rate is measured.
const PACE_WINDOW: Duration = Duration::from_secs(5);

impl Pace {
    fn is_slow(&mut self, bytes: usize, waited: Duration, least: u64) -> bool {
        self.bytes += bytes as u64;
        self.waited += waited;
        if self.waited < PACE_WINDOW {
            return false;
        }
        let Pace { waited, bytes } = std::mem::take(self);
        (bytes as f64) < least as f64 * waited.as_secs_f64()
    }
}

#[async_trait]
impl Body for Incoming {
    async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        Ok(self.next().await?)
    }
}
