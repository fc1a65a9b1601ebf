//! One request as Pingora reads it and writes its answer.

use super::{super::date_line::Date, stream::Http2Stream};
use crate::proxy::headers::strip_hop_by_hop;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, stream};
use h2::RecvStream;
use http::{HeaderMap, Method, Response, StatusCode, header};
use pingora_core::{
    Error, ErrorType, OrErr, Result,
    protocols::{
        Digest,
        http::{
            HttpTask,
            custom::{CustomMessageWrite, server},
            date::get_cached_date,
            v1::client::http_req_header_to_wire,
        },
        l4::socket::SocketAddr,
    },
};
use pingora_http::{RequestHeader, ResponseHeader};
use std::{
    future::{Future, poll_fn},
    sync::Arc,
    time::Duration,
};
use tokio::time::{error::Elapsed, timeout};

/// One exchange with a client.
pub(super) struct Session {
    request: RequestHeader,
    body: RecvStream,
    /// The body was read to its end.
    was_read: bool,
    read: usize,
    stream: Arc<Http2Stream>,
    /// Interim answers that went out.
    interim: usize,
    answer: Option<ResponseHeader>,
    has_ended: bool,
    sent: usize,
    digest: Arc<Digest>,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    drain_timeout: Option<Duration>,
}

/// Interim answers that are passed on; they wait for no window, so more are dropped.
const MOST_INTERIM: usize = 16;

impl Session {
    pub fn new(
        request: RequestHeader,
        body: RecvStream,
        stream: Arc<Http2Stream>,
        digest: Arc<Digest>,
    ) -> Self {
        Self {
            request,
            body,
            was_read: false,
            read: 0,
            stream,
            interim: 0,
            answer: None,
            has_ended: false,
            sent: 0,
            digest,
            read_timeout: None,
            write_timeout: None,
            drain_timeout: None,
        }
    }

    fn write_interim(&mut self, head: ResponseHeader) {
        self.interim += 1;
        // HTTP/2 knows no upgrade (RFC 9113, section 8.6).
        let is_known = head.status != StatusCode::SWITCHING_PROTOCOLS;
        if is_known && self.interim <= MOST_INTERIM {
            self.stream.send_interim(response(&head));
        }
    }

    /// Whether an answer with this status has a body (RFC 9110, section 6.4.1).
    fn has_body(&self, status: StatusCode) -> bool {
        let is_empty = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        self.request.method != Method::HEAD && !is_empty
    }

    fn write_head(&mut self, mut head: ResponseHeader, end: bool) -> Result<()> {
        // Its fields of the connection: HTTP/2 has none (RFC 9113, section 8.2.2).
        strip_hop_by_hop(&mut head);
        head.remove_header(&header::TRANSFER_ENCODING);
        if head.status.is_informational() {
            self.write_interim(head);
            return Ok(());
        }
        if self.answer.is_some() {
            return Ok(());
        }
        let date = self.stream.date().map_or_else(get_cached_date, Date::field);
        head.insert_header(header::DATE, date)?;
        let end = end || !self.has_body(head.status);
        let sent = self.stream.send_head(response(&head), end);
        sent.or_err(ErrorType::WriteError, "the head of an answer")?;
        self.answer = Some(head);
        self.has_ended = end;
        Ok(())
    }

    async fn write_task(&mut self, task: HttpTask) -> Result<bool> {
        match task {
            HttpTask::Header(head, end) => self.write_head(*head, end).map(|()| end),
            HttpTask::Body(data, end) => {
                let data = data.unwrap_or_default();
                server::Session::write_body(self, data, end).await?;
                Ok(end)
            }
            // They are dropped, as they are over HTTP/1.
            HttpTask::Trailer(_) | HttpTask::Done => Ok(true),
            HttpTask::UpgradedBody(..) => {
                Error::e_explain(ErrorType::InternalError, "HTTP/2 knows no upgrade")
            }
            HttpTask::Failed(e) => Err(e),
        }
    }

    async fn read_to_end(&mut self) -> Result<()> {
        while server::Session::read_body_bytes(self).await?.is_some() {}
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stream.leave();
    }
}

fn response(head: &ResponseHeader) -> Response<()> {
    Response::from_parts(head.as_owned_parts(), ())
}

async fn within<F: Future>(limit: Option<Duration>, future: F) -> Result<F::Output, Elapsed> {
    match limit {
        Some(limit) => timeout(limit, future).await,
        None => Ok(future.await),
    }
}

#[async_trait]
impl server::Session for Session {
    fn req_header(&self) -> &RequestHeader {
        &self.request
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        &mut self.request
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        if self.was_read {
            return Ok(None);
        }
        let read = within(self.read_timeout, self.body.data()).await;
        let read = read.or_err(ErrorType::ReadTimedout, "the body of a request")?;
        let Some(data) = read
            .transpose()
            .or_err(ErrorType::ReadError, "the body of a request")?
        else {
            self.was_read = true;
            return Ok(None);
        };
        self.read += data.len();
        // It fails where the stream has been reset, which the next read tells.
        let _ = self.body.flow_control().release_capacity(data.len());
        Ok(Some(data))
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        let drained = within(self.drain_timeout, self.read_to_end()).await;
        drained.or_err(ErrorType::ReadTimedout, "the rest of a request's body")?
    }

    async fn write_response_header(&mut self, head: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.write_head(*head, end)
    }

    async fn write_response_header_ref(&mut self, head: &ResponseHeader, end: bool) -> Result<()> {
        self.write_head(head.clone(), end)
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        if self.has_ended || (data.is_empty() && !end) {
            return Ok(());
        }
        let (stream, length, mut left) = (&self.stream, data.len(), data);
        let sending = poll_fn(|cx| stream.poll_send(cx, &mut left, end));
        let sent = within(self.write_timeout, sending).await;
        self.sent += length - left.len();
        sent.or_err(ErrorType::WriteTimedout, "a piece of an answer")
            .and_then(|sent| sent.or_err(ErrorType::WriteError, "a piece of an answer"))
            .map_err(|e| e.into_down())?;
        self.has_ended = end;
        Ok(())
    }

    async fn write_trailers(&mut self, _trailers: HeaderMap) -> Result<()> {
        self.finish().await
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let mut is_end = false;
        for task in tasks {
            let is_failure = matches!(task, HttpTask::Failed(_));
            let ends = self.write_task(task).await;
            is_end |= ends.map_err(|e| if is_failure { e } else { e.into_down() })?;
        }
        if is_end {
            self.finish().await.map_err(|e| e.into_down())?;
        }
        Ok(is_end)
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.read_timeout
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.write_timeout = timeout;
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.write_timeout
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.drain_timeout = timeout;
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.drain_timeout
    }

    fn request_summary(&self) -> String {
        let (method, uri) = (&self.request.method, &self.request.uri);
        let host = uri.authority().map_or("", |authority| authority.as_str());
        format!("{method} {}, Host: {host}", uri.path())
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.answer.as_ref()
    }

    async fn shutdown(&mut self, _code: u32, _why: &str) {
        if !self.has_ended {
            self.stream.abandon();
        }
    }

    fn is_body_done(&mut self) -> bool {
        self.was_read || self.is_body_empty() || self.body.is_end_stream()
    }

    async fn finish(&mut self) -> Result<()> {
        match self.answer {
            Some(_) => self.write_body(Bytes::new(), true).await,
            // Nothing was answered: the stream is reset when it is dropped.
            None => Ok(()),
        }
    }

    fn is_body_empty(&mut self) -> bool {
        let length = self.request.headers.get(header::CONTENT_LENGTH);
        let is_nothing = length.is_some_and(|length| length.as_bytes() == b"0");
        self.read == 0 && (is_nothing || self.body.is_end_stream())
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if !no_body_expected && !self.is_body_done() {
            return self.read_body_bytes().await;
        }
        self.stream.reset().await;
        Error::e_explain(ErrorType::ConnectionClosed, "the client wants no answer")
    }

    fn body_bytes_sent(&self) -> usize {
        self.sent
    }

    fn body_bytes_read(&self) -> usize {
        self.read
    }

    fn digest(&self) -> Option<&Digest> {
        Some(&self.digest)
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        Arc::get_mut(&mut self.digest)
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.digest.socket_digest.as_ref()?.peer_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.digest.socket_digest.as_ref()?.local_addr()
    }

    /// What copies of the request are made of. Its target has been checked: it can be written.
    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        let text = http_req_header_to_wire(&self.request);
        text.unwrap_or_default().freeze()
    }

    // A request with a body is sent once.
    fn enable_retry_buffering(&mut self) {}

    fn retry_buffer_truncated(&self) -> bool {
        self.read > 0
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        None
    }

    // Messages beside an exchange there are none.
    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(&mut self) -> Option<Messages> {
        Some(Box::new(stream::empty()))
    }

    fn restore_custom_message_reader(&mut self, _reader: Messages) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        Some(Box::new(()))
    }

    fn restore_custom_message_writer(&mut self, _: Box<dyn CustomMessageWrite>) -> Result<()> {
        Ok(())
    }
}

type Messages = Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>;
