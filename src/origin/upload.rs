//! A request with a body: it goes to one server, and only once.

use super::{
    Failure, Purpose, Upstream,
    attempts::Attempts,
    client::{Connection, Kept, final_head, read_head},
    failure::Cause,
    interim::Interim,
    sending,
};
use crate::traffic::Arriving;
use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use pingora_core::{Error, ErrorType, Result, protocols::http::custom::BodyWrite};
use pingora_http::{RequestHeader, ResponseHeader};
use std::time::Duration;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

/// A request whose body is still being sent, or its answer.
pub(super) struct Upload {
    attempts: Attempts,
    connection: Connection,
    pieces: Pieces,
    sent: bool,
    rule: Arriving,
    /// How much has come of it, and how long it was waited for.
    came: u64,
    waited: Duration,
    /// Why the body could not be sent on; the answer may have come before.
    unsent: Option<Failure>,
    /// How long the head of the answer is waited for after all was sent, and until when.
    patience: Duration,
    deadline: Option<Instant>,
}

/// A piece of a body, or its end.
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Bytes),
    End,
}

/// The end of a body at which it is sent on.
pub(super) type Pieces = mpsc::Receiver<Piece>;

/// The two ends of a body. The client's may wait as long as finding a server for it may take.
pub(super) fn pair(upstream: &Upstream) -> (Uploader, Pieces) {
    let (sender, pieces) = mpsc::channel(PIECES);
    let waits = upstream.legs().iter().map(|leg| {
        let config = leg.origin.config();
        let server = config.connect_timeout + config.tls_timeout;
        config.limit.wait + server + config.read_timeout
    });
    (Uploader(Some((sender, waits.sum()))), pieces)
}

/// Pieces that may wait between the client and the server.
const PIECES: usize = 2;

/// Connects to the present server and sends the head of a request, with `is_whole` all of it.
/// The error tells whether nothing of it was sent.
pub(super) async fn begin(
    attempts: &mut Attempts,
    asked: &RequestHeader,
    is_whole: bool,
) -> std::result::Result<Connection, (Failure, bool)> {
    let upstream = attempts.upstream.clone();
    let leg = &upstream.legs()[attempts.leg_index()];
    let Some(attempt) = attempts.current() else {
        return Err((Failure::new(Cause::Connect, "no server was chosen"), false));
    };
    let server = attempt.server().clone();
    let placed = attempt.placed(asked, Purpose::Request);
    let unsent = |failure| (failure, true);
    let request = sending::dressed(&upstream, leg, server.place(), &placed).map_err(unsent)?;
    let client = upstream.client();
    let (origin, place) = (&leg.origin, server.place());
    // A kept connection may be closed at any moment, and this request can't be sent twice.
    let connection = client.connect(origin, place, Some(&server.addresses), Kept::Avoided);
    let mut connection = connection.await.map_err(unsent)?;
    let stats = client.stats();
    stats.requested(origin.name(), server.name(), Purpose::Request);
    match connection.send_head(&request, is_whole).await {
        Ok(()) => {
            if !is_whole {
                // Until all is sent it may be the client that one waits for.
                connection.wire.set_read_timeout(None);
            }
            Ok(connection)
        }
        Err(e) => Err((Failure::of(&e, server.name()), false)),
    }
}

impl Upload {
    /// A body on its way to the server that was connected to.
    pub fn new(attempts: Attempts, connection: Connection, pieces: Pieces, rule: Arriving) -> Self {
        let leg = attempts.leg();
        let patience = leg.map(|leg| leg.origin.config().first_byte_timeout);
        Self {
            patience: patience.unwrap_or_default(),
            deadline: None,
            attempts,
            connection,
            pieces,
            sent: false,
            rule,
            came: 0,
            waited: Duration::ZERO,
            unsent: None,
        }
    }

    /// Reads the next head, interim or final, sending on what comes of the body meanwhile.
    pub async fn read_head(&mut self) -> std::result::Result<ResponseHeader, Failure> {
        loop {
            let began = Instant::now();
            let wire = &mut self.connection.wire;
            let deadline = self.deadline.unwrap_or(began);
            let step = tokio::select! {
                read = wire.read_head() => Step::Read(read),
                piece = self.pieces.recv(), if !self.sent => Step::Send(piece),
                () = sleep_until(deadline), if self.deadline.is_some() => Step::Read(
                    Error::e_explain(ErrorType::ReadTimedout, "no head of an answer in time"),
                ),
            };
            self.waited += began.elapsed();
            match step {
                Step::Read(Ok(())) => {
                    let name = self.attempts.server_name();
                    let head = final_head(&self.connection.wire, &name)?;
                    if head.status == StatusCode::SWITCHING_PROTOCOLS {
                        let failure = Failure::new(Cause::Broken, "unasked for: 101");
                        self.attempts.failed(failure.clone());
                        return Err(failure);
                    }
                    if !head.status.is_informational() {
                        let now = super::now();
                        self.attempts.head_came(head.status, now);
                        let status = head.status;
                        if !self.sent && (status.is_client_error() || status.is_server_error()) {
                            // It does not want the rest.
                            self.pieces.close();
                        }
                        if status.is_server_error() {
                            let what = status.to_string();
                            self.attempts.failed(Failure::new(Cause::of(&head), what));
                        } else if let Some(attempt) = self.attempts.current() {
                            attempt.answered(now);
                        }
                    }
                    return Ok(head);
                }
                Step::Read(Err(e)) => return Err(self.failed(&e)),
                Step::Send(piece) => self.send(piece).await?,
            }
        }
    }

    /// The next bytes of the answer.
    pub async fn next(&mut self) -> std::result::Result<Option<Bytes>, Failure> {
        loop {
            let began = Instant::now();
            let wire = &mut self.connection.wire;
            let step = tokio::select! {
                read = wire.read_body() => Step::Read(read),
                piece = self.pieces.recv(), if !self.sent => Step::Send(piece),
            };
            self.waited += began.elapsed();
            match step {
                Step::Read(Ok(bytes)) => {
                    let length = bytes.as_ref().map_or(0, Bytes::len);
                    self.attempts.received(Purpose::Request, length);
                    return Ok(bytes);
                }
                Step::Read(Err(e)) => return Err(self.failed(&e)),
                Step::Send(piece) => self.send(piece).await?,
            }
        }
    }

    /// Whether the answer has come to its end.
    pub fn is_done(&mut self) -> bool {
        self.connection.wire.is_done()
    }

    /// Sends on what has come of the body; an error where the client has taken too long over that.
    /// What does not come at all is the client's own limit's, which Pingora has.
    async fn send(&mut self, piece: Option<Piece>) -> std::result::Result<(), Failure> {
        if let Some(Piece::Bytes(bytes)) = &piece {
            self.came += bytes.len() as u64;
            let longest = self.rule.longest(self.came);
            if longest.is_some_and(|longest| self.waited > longest) {
                let what = format!("less than {} bytes a second", self.rule.min_rate);
                return Err(Failure::new(Cause::SlowBody, what));
            }
        }
        let wire = &mut self.connection.wire;
        let sent = match piece {
            Some(Piece::Bytes(bytes)) => wire.write_body(bytes).await,
            Some(Piece::End) => {
                self.sent = true;
                self.deadline = Some(Instant::now() + self.patience);
                wire.set_read_timeout(Some(self.patience));
                wire.finish().await
            }
            // The client has gone in the middle of its body, or the rest is not wanted.
            None => Error::e_explain(ErrorType::WriteError, "the request's body ended too early"),
        };
        if let Err(e) = sent {
            // The server may have answered before it stopped reading.
            self.sent = true;
            self.deadline = Some(Instant::now() + self.patience);
            wire.set_read_timeout(Some(self.patience));
            self.unsent = Some(Failure::of(&e, &self.attempts.server_name()));
        }
        Ok(())
    }

    fn failed(&mut self, e: &Error) -> Failure {
        let read = Failure::of(e, &self.attempts.server_name());
        let failure = self.unsent.take().unwrap_or(read);
        self.attempts.failed(failure.clone());
        failure
    }
}

enum Step<T> {
    Read(Result<T>),
    Send(Option<Piece>),
}

/// Takes a body from Pingora, and how long the server may stand still while it does. Without a
/// sender the request has none.
pub(super) struct Uploader(Option<(mpsc::Sender<Piece>, Duration)>);

impl Uploader {
    /// The writer of a body that is not there.
    pub fn idle() -> Self {
        Self(None)
    }

    async fn send(&self, piece: Piece) -> Result<()> {
        let Some((sender, patience)) = &self.0 else {
            return Ok(());
        };
        // While Pingora waits here it takes nothing of the answer: each may wait for the other.
        match timeout(*patience, sender.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Error::e_explain(ErrorType::WriteError, "the answer has ended"),
            Err(_) => Error::e_explain(ErrorType::WriteTimedout, "the server takes no more"),
        }
        .map_err(|e: Box<Error>| e.into_up())
    }
}

#[async_trait]
impl BodyWrite for Uploader {
    async fn write_all_buf(&mut self, data: &mut Bytes) -> Result<()> {
        match data.is_empty() {
            // To the codec an empty piece is the end of the body.
            true => Ok(()),
            false => self.send(Piece::Bytes(std::mem::take(data))).await,
        }
    }

    async fn finish(&mut self) -> Result<()> {
        self.send(Piece::End).await
    }

    async fn cleanup(&mut self) -> Result<()> {
        Ok(())
    }

    fn upgrade_body_writer(&mut self) {}
}

/// Reads the final head of an answer to a request that was sent whole.
pub(super) async fn answer(
    attempts: &mut Attempts,
    connection: &mut Connection,
    interim: &Interim,
) -> std::result::Result<ResponseHeader, Failure> {
    let leg = attempts.leg().cloned();
    let server = attempts.current().map(|a| a.server().clone());
    let (Some(leg), Some(server)) = (leg, server) else {
        return Err(Failure::new(Cause::Connect, "no server was chosen"));
    };
    let patience = leg.origin.config().first_byte_timeout;
    let wire = &mut connection.wire;
    let read = read_head(wire, patience, interim).await;
    read.map_err(|e| Failure::of(&e, server.name()))?;
    let head = final_head(wire, server.name())?;
    attempts.head_came(head.status, super::now());
    if head.status.is_server_error() {
        let what = format!("{}: {}", server.name(), head.status);
        attempts.failed(Failure::new(Cause::of(&head), what));
    } else if let Some(attempt) = attempts.current() {
        attempt.answered(super::now());
    }
    Ok(head)
}
