//! One exchange as Pingora's hooks see it.

use super::{answer::Answer, body::RequestBody, stream::Http2Stream};
use crate::logs::cleaned_path;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, stream};
use h2::RecvStream;
use http::{HeaderMap, header};
use pingora_core::{
    Error, ErrorType, Result,
    protocols::{
        Digest,
        http::{
            HttpTask,
            custom::{CustomMessageWrite, server},
            v1::client::http_req_header_to_wire,
        },
        l4::socket::SocketAddr,
    },
};
use pingora_http::{RequestHeader, ResponseHeader};
use std::{sync::Arc, time::Duration};

/// One exchange with a client.
pub(super) struct Session {
    request: RequestHeader,
    body: RequestBody,
    answer: Answer,
    stream: Arc<Http2Stream>,
    digest: Arc<Digest>,
}

impl Session {
    pub fn new(
        request: RequestHeader,
        body: RecvStream,
        stream: Arc<Http2Stream>,
        digest: Arc<Digest>,
    ) -> Self {
        Self {
            answer: Answer::new(stream.clone(), &request.method),
            request,
            body: RequestBody::new(body),
            stream,
            digest,
        }
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
        self.body.next().await
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        self.body.drain().await
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if !no_body_expected && !self.is_body_done() {
            return self.body.next().await;
        }
        self.stream.reset().await;
        Error::e_explain(ErrorType::ConnectionClosed, "the client wants no answer")
    }

    fn is_body_done(&mut self) -> bool {
        self.body.is_done() || self.is_body_empty()
    }

    fn is_body_empty(&mut self) -> bool {
        let length = self.request.headers.get(header::CONTENT_LENGTH);
        let is_nothing = length.is_some_and(|length| length.as_bytes() == b"0");
        self.body.read == 0 && (is_nothing || self.body.is_done())
    }

    fn body_bytes_read(&self) -> usize {
        self.body.read
    }

    async fn write_response_header(&mut self, head: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.answer.write_head(*head, end)
    }

    async fn write_response_header_ref(&mut self, head: &ResponseHeader, end: bool) -> Result<()> {
        self.answer.write_head(head.clone(), end)
    }

    async fn write_body(&mut self, piece: Bytes, end: bool) -> Result<()> {
        self.answer.write_body(piece, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        let trailers = HttpTask::Trailer(Some(Box::new(trailers)));
        self.answer.write_all(vec![trailers]).await.map(|_| ())
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        self.answer.write_all(tasks).await
    }

    async fn finish(&mut self) -> Result<()> {
        self.answer.finish().await
    }

    async fn shutdown(&mut self, _code: u32, _why: &str) {
        self.answer.abandon();
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.answer.head.as_ref()
    }

    fn body_bytes_sent(&self) -> usize {
        self.answer.sent
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.body.patience = timeout;
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.body.patience
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.answer.patience = timeout;
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.answer.patience
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.body.drain = timeout;
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.body.drain
    }

    fn request_summary(&self) -> String {
        let (method, uri) = (&self.request.method, &self.request.uri);
        let host = uri.authority().map_or("", |authority| authority.as_str());
        format!("{method} {}, Host: {host}", cleaned_path(uri.path()))
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

    // What has been read of a body is not kept: such a request is sent once.
    fn enable_retry_buffering(&mut self) {}

    fn retry_buffer_truncated(&self) -> bool {
        self.body.read > 0
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        None
    }

    // There are no messages beside an exchange.
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
