//! Pingora's upstream session: its requests go the same way as those of the fills.
//!
//! To Pingora this is a protocol of its own ("custom"). Each session is one exchange; choosing a
//! server, connecting, repeating and going on elsewhere all happen behind it, so that a client's
//! request obeys the same limits and breakers as a fill, over the same connections.

use super::{
    Backlog, Cause, Failure, Handover, Part, Purpose, Trail, Upstream,
    asking::{Asking, Came},
    attempts::Attempts,
    client::Connection,
    incoming::Incoming,
    interim::Interim,
    sending::{Answered, Ask},
    upload::{self, Pieces, Upload, Uploader},
    validation,
};
use crate::{
    source::Need,
    traffic::{Arriving, Urgency},
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{HeaderMap, Method, header};
use parking_lot::Mutex;
use pingora_core::{
    Error, ErrorType, Result,
    connectors::http::custom::{Connection as CustomConnection, Connector},
    protocols::{
        Digest, UniqueIDType,
        http::custom::{BodyWrite, CustomMessageWrite, client::Session},
        l4::socket::SocketAddr,
        tls::{ALPN, CustomALPN},
    },
    upstreams::peer::{HttpPeer, Peer},
};
use pingora_http::{RequestHeader, ResponseHeader};
use std::{sync::Arc, time::Duration};

/// What travels with a request from the proxy's hooks to its session, as an extension of its
/// header.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whom to ask.
    pub upstream: Arc<Upstream>,
    /// What it begins with.
    pub part: Part,
    /// What for.
    pub urgency: Urgency,
    /// Where it is noted who was asked, if anybody wants to know.
    pub trail: Option<Arc<Trail>>,
    /// Whether its conditions are about what is stored.
    pub validates: bool,
    /// What came of it.
    pub report: Arc<Report>,
    /// Where the answer's body is offered before Pingora reads it.
    pub handover: Option<Arc<Handover>>,
    /// How fast its own body must come, if it has one.
    pub arriving: Arriving,
    /// What of its body Pingora has not looked at yet.
    pub backlog: Arc<Backlog>,
}

/// What came of a request.
#[derive(Debug, Default)]
pub struct Report {
    outcome: Mutex<(Option<usize>, Option<Failure>)>,
    need: Arc<Need>,
}

impl Report {
    /// Which of the route's origins has answered.
    pub fn leg(&self) -> Option<usize> {
        self.outcome.lock().0
    }

    /// Why none has.
    pub fn failure(&self) -> Option<Failure> {
        self.outcome.lock().1.clone()
    }

    fn answered(&self, leg: usize) {
        *self.outcome.lock() = (Some(leg), None);
    }

    /// Takes down why none has, and makes an error of Pingora's of it.
    fn failed(&self, failure: Failure) -> Box<Error> {
        self.outcome.lock().1 = Some(failure.clone());
        failure.into_pingora()
    }

    /// Who needs the answer: without them neither a place at an origin nor the head of an answer
    /// is waited for.
    pub fn need(&self) -> &Arc<Need> {
        &self.need
    }
}

/// The peer that leads Pingora here. It stands for all servers of the route.
pub fn peer() -> HttpPeer {
    let nowhere = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
    let mut peer = HttpPeer::new(nowhere, false, String::new());
    peer.options.alpn = ALPN::Custom(CustomALPN::new(b"tidegate".to_vec()));
    peer
}

/// Makes sessions. Connections are kept by the client, below.
#[derive(Debug, Default)]
pub struct Sessions;

#[async_trait]
impl Connector for Sessions {
    type Session = Exchange;

    async fn get_http_session<P: Peer + Send + Sync + 'static>(
        &self,
        _peer: &P,
    ) -> Result<(CustomConnection<Exchange>, bool)> {
        Ok((CustomConnection::Session(Exchange::default()), false))
    }

    async fn reused_http_session<P: Peer + Send + Sync + 'static>(
        &self,
        _peer: &P,
    ) -> Option<Exchange> {
        None
    }

    async fn release_http_session<P: Peer + Send + Sync + 'static>(
        &self,
        _session: Exchange,
        _peer: &P,
        _idle_timeout: Option<Duration>,
    ) {
    }
}

/// One exchange of Pingora's with a route's origins.
#[derive(Default)]
pub struct Exchange {
    state: State,
    /// The head that was read last, interim or final.
    head: Option<ResponseHeader>,
    /// The body's writer, for Pingora to take.
    writer: Option<Uploader>,
    handover: Option<Arc<Handover>>,
    backlog: Arc<Backlog>,
    /// What was read of the answer's body and not given out.
    rest: Bytes,
    is_head: bool,
}

#[derive(Default)]
enum State {
    #[default]
    Idle,
    /// To be asked, as often as it takes.
    Asked(Call, Box<RequestHeader>),
    /// Being asked: heads are to come.
    Asking(Call, Box<RequestHeader>, Box<Asking>),
    /// To be sent to one server, with a body that the client may be sending already.
    Queued(Call, Box<RequestHeader>, Pieces),
    /// The body is on its way to the one server that was connected to.
    Uploading(Box<Upload>),
    /// The answer's body comes in.
    Answering(Box<Incoming>),
    /// Somebody else may take the answer's body.
    Offered(Arc<Handover>),
    /// The answer to an upload comes in.
    Direct(Box<Upload>),
    Done,
}

/// What a request of Pingora's asks for.
fn ask_of(call: &Call) -> Ask {
    Ask {
        part: call.part,
        urgency: call.urgency,
        purpose: Purpose::Request,
        may_hedge: false,
    }
}

/// Begins to ask.
fn asking(call: &Call, request: &RequestHeader) -> Asking {
    let (call, request) = (call.clone(), request.clone());
    Asking::new(|interim| async move {
        match repeatable(&request.method) {
            true => {
                let (ask, attempts) = (ask_of(&call), || attempts(&call));
                validation::send(attempts, ask, &request, call.validates, &interim).await
            }
            false => once(&call, &request, &interim).await,
        }
    })
}

impl Exchange {
    /// Reads the next head of an answer.
    async fn read_asked(
        &mut self,
        call: Call,
        request: Box<RequestHeader>,
        mut asking: Box<Asking>,
    ) -> Result<()> {
        let came = tokio::select! {
            biased;
            came = asking.next() => came,
            () = call.report.need.gone() => {
                let failure = Failure::new(Cause::Left, "nobody waits for the answer");
                return Err(call.report.failed(failure));
            }
        };
        let answered = match came {
            Came::Interim(head) => {
                self.head = Some(*head);
                self.state = State::Asking(call, request, asking);
                return Ok(());
            }
            Came::Final(answered) => (*answered).map_err(|failure| call.report.failed(failure))?,
        };
        call.report.answered(answered.leg);
        let (head, incoming) = Incoming::new(answered, ask_of(&call), *request);
        self.head = Some(head);
        self.state = State::Answering(Box::new(incoming));
        self.handover = call.handover;
        Ok(())
    }

    /// Reads the next head of the answer to an upload.
    async fn read_head(&mut self, mut upload: Box<Upload>) -> Result<()> {
        let head = upload.read_head().await.map_err(Failure::into_pingora)?;
        self.state = match head.status.is_informational() {
            true => State::Uploading(upload),
            false => State::Direct(upload),
        };
        self.head = Some(head);
        Ok(())
    }

    /// Offers the body of the answer whose head is handed out now.
    fn offer(&mut self) {
        let Some(handover) = self.handover.take() else {
            return;
        };
        match std::mem::replace(&mut self.state, State::Offered(handover.clone())) {
            State::Answering(incoming) => handover.offer(incoming),
            other => self.state = other,
        }
    }

    /// Whether more heads are to follow the one that was read last.
    fn is_interim(&self) -> bool {
        let head = self.head.as_ref();
        head.is_some_and(|head| head.status.is_informational())
    }

    fn has_body(&self) -> bool {
        let status = self.head.as_ref().map_or(200, |head| head.status.as_u16());
        !self.is_head && !matches!(status, 204 | 304)
    }
}

/// Lets Pingora take the head that was read last before the next one. It takes in one go what it
/// finds, and of an interim answer and the final one that is to be stored it keeps only the latter.
/// Reading and taking are polled in turn, each first now and then.
async fn passed_on() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

/// Of the futures that Pingora polls side by side for a request.
const TURNS: usize = 4;

fn attempts(call: &Call) -> Attempts {
    let attempts = Attempts::new(call.upstream.clone(), call.part, call.urgency);
    let attempts = attempts.noted_in(call.trail.clone());
    attempts.reporting_to(call.report.clone())
}

/// Whether a request may be sent more than once (RFC 9110, section 9.2.2).
fn repeatable(method: &Method) -> bool {
    method.is_idempotent()
}

/// Sends a request that must not reach two servers: only connecting is tried more than once.
async fn once(
    call: &Call,
    request: &RequestHeader,
    interim: &Interim,
) -> std::result::Result<Answered, Failure> {
    let (mut attempts, mut connection) = connect(call, request, true).await?;
    match upload::answer(&mut attempts, &mut connection, interim).await {
        Ok(head) => Ok(Answered {
            leg: attempts.leg_index(),
            attempts,
            connection,
            head,
        }),
        Err(failure) => {
            attempts.failed(failure.clone());
            Err(failure)
        }
    }
}

/// Connects to the first server that can be connected to, and sends the head of a request.
async fn connect(
    call: &Call,
    request: &RequestHeader,
    is_whole: bool,
) -> std::result::Result<(Attempts, Connection), Failure> {
    let mut attempts = attempts(call);
    loop {
        attempts.next().await?;
        // In a place of its own, as in `sending`: those who wait for their turn do not hold it.
        match Box::pin(upload::begin(&mut attempts, request, is_whole)).await {
            Ok(connection) => return Ok((attempts, connection)),
            Err((failure, nothing_was_sent)) => {
                attempts.failed(failure.clone());
                if !nothing_was_sent {
                    return Err(failure);
                }
            }
        }
    }
}

#[async_trait]
impl Session for Exchange {
    async fn write_request_header(&mut self, request: Box<RequestHeader>, end: bool) -> Result<()> {
        let mut parts: http::request::Parts = (*request).into();
        let Some(call) = parts.extensions.remove::<Call>() else {
            return Error::e_explain(ErrorType::InternalError, "a request without its call");
        };
        let mut request: Box<RequestHeader> = Box::new(parts.into());
        self.backlog = call.backlog.clone();
        self.is_head = request.method == Method::HEAD;
        if end {
            self.writer = Some(Uploader::idle());
            self.state = State::Asked(call, request);
            return Ok(());
        }
        if !request.headers.contains_key(header::CONTENT_LENGTH) {
            request.insert_header(header::TRANSFER_ENCODING, "chunked")?;
        }
        // Pingora watches the client only while the answer is read: the server is waited for then.
        let (writer, pieces) = upload::pair(&call.upstream);
        self.writer = Some(writer);
        self.state = State::Queued(call, request, pieces);
        Ok(())
    }

    async fn write_request_body(&mut self, _data: Bytes, _end: bool) -> Result<()> {
        Error::e_explain(ErrorType::InternalError, "the body has a writer of its own")
    }

    async fn finish_request_body(&mut self) -> Result<()> {
        Ok(())
    }

    // Deadlines are the origin's own, set on its connections.
    fn set_read_timeout(&mut self, _timeout: Option<Duration>) {}

    fn set_write_timeout(&mut self, _timeout: Option<Duration>) {}

    async fn read_response_header(&mut self) -> Result<()> {
        if self.is_interim() {
            passed_on().await;
        }
        match std::mem::take(&mut self.state) {
            State::Asked(call, request) => {
                let asking = Box::new(asking(&call, &request));
                self.read_asked(call, request, asking).await
            }
            State::Asking(call, request, asking) => self.read_asked(call, request, asking).await,
            State::Queued(call, request, pieces) => {
                let connected = connect(&call, &request, false).await;
                let (attempts, connection) =
                    connected.map_err(|failure| call.report.failed(failure))?;
                call.report.answered(attempts.leg_index());
                let upload = Upload::new(attempts, connection, pieces, call.arriving);
                self.read_head(Box::new(upload)).await
            }
            State::Uploading(upload) => self.read_head(upload).await,
            _ => Error::e_explain(ErrorType::InternalError, "no head is expected"),
        }
    }

    async fn read_response_body(&mut self) -> Result<Option<Bytes>> {
        self.backlog.cleared().await;
        if self.backlog.has_ended() {
            (self.state, self.rest) = (State::Done, Bytes::new());
            return Ok(None);
        }
        if !self.rest.is_empty() {
            return Ok(Some(self.backlog.give(&mut self.rest)));
        }
        let has_body = self.has_body();
        if let State::Offered(handover) = &self.state {
            self.state = match handover.clone().returned().await {
                Some(incoming) => State::Answering(incoming),
                None => State::Done,
            };
        }
        let read = match &mut self.state {
            State::Answering(incoming) => match has_body {
                true => incoming.next().await,
                false => {
                    incoming.end().await;
                    Ok(None)
                }
            },
            State::Direct(upload) => upload.next().await,
            _ => Ok(None),
        };
        let read = read.map_err(Failure::into_pingora)?;
        if read.is_none() {
            self.state = State::Done;
        }
        let Some(mut bytes) = read else {
            return Ok(None);
        };
        // Of an upload the rest may still be on its way, for which the answer has to be read on.
        if matches!(self.state, State::Direct(_)) {
            return Ok(Some(self.backlog.give_whole(bytes)));
        }
        let piece = self.backlog.give(&mut bytes);
        self.rest = bytes;
        Ok(Some(piece))
    }

    fn response_finished(&self) -> bool {
        matches!(self.state, State::Done) && self.rest.is_empty()
    }

    async fn shutdown(&mut self, _code: u32, _reason: &str) {
        self.state = State::Done;
    }

    fn response_header(&self) -> Option<&ResponseHeader> {
        self.head.as_ref()
    }

    fn was_upgraded(&self) -> bool {
        false
    }

    fn digest(&self) -> Option<&Digest> {
        None
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        None
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        None
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        None
    }

    async fn read_trailers(&mut self) -> Result<Option<HeaderMap>> {
        Ok(None)
    }

    fn fd(&self) -> UniqueIDType {
        -1
    }

    async fn check_response_end_or_error(&mut self, headers: bool) -> Result<bool> {
        if (headers && self.is_interim()) || !self.rest.is_empty() {
            return Ok(false);
        }
        let has_body = self.has_body();
        let done = match &mut self.state {
            State::Answering(incoming) => {
                let done = !has_body || incoming.is_done();
                if done {
                    incoming.end().await;
                }
                done
            }
            State::Direct(upload) => !has_body || upload.is_done(),
            State::Offered(_) => false,
            _ => true,
        };
        match done {
            true => self.state = State::Done,
            false => self.offer(),
        }
        Ok(done)
    }

    fn take_request_body_writer(&mut self) -> Option<Box<dyn BodyWrite>> {
        let writer = self.writer.take()?;
        Some(Box::new(writer))
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(
        &mut self,
    ) -> Option<Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>> {
        Some(Box::new(stream::empty()))
    }

    async fn drain_custom_messages(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        Some(Box::new(()))
    }
}
