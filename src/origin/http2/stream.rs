//! One exchange.

use super::link::Taken;
use bytes::Bytes;
use futures_util::FutureExt;
use h2::{
    RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::{HeaderMap, HeaderValue, header};
use pingora_core::{Error, ErrorType, OrErr, Result, protocols::http::v2};
use pingora_http::{RequestHeader, ResponseHeader};
use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::timeout;

/// One request and its answer, on a connection that others may share.
pub(in crate::origin) struct Stream {
    send: SendRequest<Bytes>,
    taken: Taken,
    request: Option<SendStream<Bytes>>,
    answer: Option<ResponseFuture>,
    /// The head that was read last, interim or final.
    head: Option<ResponseHeader>,
    body: Option<RecvStream>,
    /// Longest wait for a head, or for bytes of a body.
    pub read_timeout: Option<Duration>,
    /// Longest wait until the server takes more of a request's body.
    pub write_timeout: Option<Duration>,
}

impl Stream {
    pub(super) fn new(send: SendRequest<Bytes>, taken: Taken) -> Self {
        Self {
            send,
            taken,
            request: None,
            answer: None,
            head: None,
            body: None,
            read_timeout: None,
            write_timeout: None,
        }
    }

    /// Sends the head of a request whose URL is absolute, with `is_whole` all of it.
    pub fn write_head(&mut self, head: RequestHeader, is_whole: bool) -> Result<()> {
        let request = http::Request::from_parts(head.into(), ());
        let sent = self.send.send_request(request, is_whole);
        let (answer, request) = sent.map_err(|e| self.failed(e, "sending a request"))?;
        self.request = (!is_whole).then_some(request);
        self.answer = Some(answer);
        Ok(())
    }

    /// Sends some of the request's body.
    pub async fn write_body(&mut self, bytes: Bytes) -> Result<()> {
        let Some(request) = &mut self.request else {
            return Error::e_explain(ErrorType::WriteError, "a body before its head, or after it");
        };
        v2::write_body(request, bytes, false, self.write_timeout).await
    }

    /// Says that the request is whole.
    pub fn finish(&mut self) -> Result<()> {
        let Some(mut request) = self.request.take() else {
            return Ok(());
        };
        let sent = request.send_data(Bytes::new(), true);
        sent.map_err(|e| self.failed(e, "ending a request"))
    }

    /// Reads the next head of the answer, interim or final.
    pub async fn read_head(&mut self) -> Result<()> {
        let patience = self.read_timeout;
        let reading = poll_fn(|cx| self.poll_head(cx));
        let read = within(patience, reading, "no head of an answer in time").await?;
        read.map_err(|e| self.failed(e, "reading the head of an answer"))?;
        match self.head().is_none_or(|head| has_one_length(&head.headers)) {
            true => Ok(()),
            false => Error::e_explain(ErrorType::InvalidHTTPHeader, "Content-Length is unclear"),
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        let Some(answer) = &mut self.answer else {
            let over = h2::Reason::STREAM_CLOSED;
            return Poll::Ready(Err(over.into()));
        };
        let head = match ready!(answer.poll_informational(cx)) {
            Some(interim) => interim?.map(|()| None),
            // There is none before what comes next.
            None => ready!(answer.poll_unpin(cx))?.map(Some),
        };
        let (head, body) = head.into_parts();
        if let Some(body) = body {
            self.body = Some(body);
            self.answer = None;
        }
        self.head = Some(head.into());
        Poll::Ready(Ok(()))
    }

    /// The head that was read last.
    pub fn head(&self) -> Option<&ResponseHeader> {
        self.head.as_ref()
    }

    /// Reads the next bytes of the answer; `None` after a proper end.
    pub async fn read_body(&mut self) -> Result<Option<Bytes>> {
        let Some(body) = &mut self.body else {
            return Ok(None);
        };
        let reading = body.data();
        let read = within(self.read_timeout, reading, "no more of a body in time").await?;
        let read = read.transpose().or_err(ErrorType::ReadError, "HTTP/2")?;
        if let Some(bytes) = &read {
            let freed = body.flow_control().release_capacity(bytes.len());
            freed.or_err(ErrorType::ReadError, "HTTP/2")?;
        }
        Ok(read)
    }

    /// Whether the answer has come to a proper end.
    pub fn is_done(&mut self) -> bool {
        let Some(body) = self.body.as_mut().filter(|body| body.is_end_stream()) else {
            return false;
        };
        // A stream that was reset has ended too (hyperium/h2, issue 806).
        let next = tokio::task::unconstrained(body.data()).now_or_never();
        matches!(next, Some(None))
    }

    /// What an error means; where it is the connection's, it is used no more.
    fn failed(&self, e: h2::Error, what: &'static str) -> Box<Error> {
        if e.is_go_away() || e.is_io() {
            self.taken.link().close();
        }
        Error::because(ErrorType::H2Error, what, e)
    }
}

/// Whether an answer says at most one length (RFC 9110, section 8.6).
fn has_one_length(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let first = lengths.next();
    let is_number = |value: &HeaderValue| {
        let digits = value.as_bytes();
        !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
    };
    first.is_none_or(is_number) && lengths.all(|next| Some(next) == first)
}

async fn within<T>(
    patience: Option<Duration>,
    waiting: impl Future<Output = T>,
    late: &'static str,
) -> Result<T> {
    match patience {
        None => Ok(waiting.await),
        Some(patience) => match timeout(patience, waiting).await {
            Ok(done) => Ok(done),
            Err(_) => Error::e_explain(ErrorType::ReadTimedout, late),
        },
    }
}
