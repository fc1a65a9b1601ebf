//! The answer to a request as it goes out.

use super::{super::date_line::Date, stream::Http2Stream, within};
use crate::proxy::headers::strip_hop_by_hop;
use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use pingora_core::{
    Error, ErrorType, OrErr, Result,
    protocols::http::{HttpTask, date::get_cached_date},
};
use pingora_http::ResponseHeader;
use std::{future::poll_fn, sync::Arc, time::Duration};

/// An answer: interim heads, the final one, and its body.
pub(super) struct Answer {
    stream: Arc<Http2Stream>,
    is_to_head: bool,
    /// Interim heads that went out.
    interim: usize,
    /// The final head, when it has gone out.
    pub head: Option<ResponseHeader>,
    has_ended: bool,
    /// Bytes of its body that were sent.
    pub sent: usize,
    /// How long a piece of it may take.
    pub patience: Option<Duration>,
}

/// Interim heads that are passed on: they wait for no window, so any more are dropped.
const MOST_INTERIM: usize = 16;

impl Answer {
    pub fn new(stream: Arc<Http2Stream>, method: &Method) -> Self {
        Self {
            stream,
            is_to_head: method == Method::HEAD,
            interim: 0,
            head: None,
            has_ended: false,
            sent: 0,
            patience: None,
        }
    }

    /// Sends a head, interim or final.
    pub fn write_head(&mut self, mut head: ResponseHeader, end: bool) -> Result<()> {
        // HTTP/2 has no fields of the connection (RFC 9113, section 8.2.2).
        strip_hop_by_hop(&mut head);
        head.remove_header(&header::TRANSFER_ENCODING);
        if head.status.is_informational() {
            self.write_interim(&head);
            return Ok(());
        }
        if self.head.is_some() {
            return Ok(());
        }
        let date = self.stream.date().map_or_else(get_cached_date, Date::field);
        head.insert_header(header::DATE, date)?;
        let end = end || !self.has_body(head.status);
        let sent = self.stream.send_head(response(&head), end);
        sent.or_err(ErrorType::WriteError, "the head of an answer")
            .map_err(|e| e.into_down())?;
        self.head = Some(head);
        self.has_ended = end;
        Ok(())
    }

    /// Sends a piece of the body, and with `end` its end.
    pub async fn write_body(&mut self, piece: Bytes, end: bool) -> Result<()> {
        if self.has_ended || (piece.is_empty() && !end) {
            return Ok(());
        }
        let (stream, length, mut left) = (&self.stream, piece.len(), piece);
        let sending = poll_fn(|cx| stream.poll_send(cx, &mut left, end));
        let sent = within(self.patience, sending).await;
        self.sent += length - left.len();
        sent.or_err(ErrorType::WriteTimedout, "a piece of an answer")
            .and_then(|sent| sent.or_err(ErrorType::WriteError, "a piece of an answer"))
            .map_err(|e| e.into_down())?;
        self.has_ended = end;
        Ok(())
    }

    /// Does what Pingora has queued; whether that was the end.
    pub async fn write_all(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let mut is_end = false;
        for task in tasks {
            is_end |= self.write(task).await?;
        }
        if is_end {
            self.finish().await?;
        }
        Ok(is_end)
    }

    async fn write(&mut self, task: HttpTask) -> Result<bool> {
        match task {
            HttpTask::Header(head, end) => self.write_head(*head, end).map(|()| end),
            HttpTask::Body(piece, end) => {
                let piece = piece.unwrap_or_default();
                self.write_body(piece, end).await.map(|()| end)
            }
            // Trailers are dropped, as they are over HTTP/1.
            HttpTask::Trailer(_) | HttpTask::Done => Ok(true),
            HttpTask::UpgradedBody(..) => {
                Error::e_explain(ErrorType::InternalError, "HTTP/2 knows no upgrade")
            }
            HttpTask::Failed(e) => Err(e),
        }
    }

    /// Ends an answer that has begun. One that has not is a stream that is reset when it is left.
    pub async fn finish(&mut self) -> Result<()> {
        match self.head {
            Some(_) => self.write_body(Bytes::new(), true).await,
            None => Ok(()),
        }
    }

    /// Ends it so that it is not taken for the whole.
    pub fn abandon(&self) {
        if !self.has_ended {
            self.stream.abandon();
        }
    }

    fn write_interim(&mut self, head: &ResponseHeader) {
        // HTTP/2 knows no upgrade (RFC 9113, section 8.6).
        let is_known = head.status != StatusCode::SWITCHING_PROTOCOLS;
        if is_known && self.interim < MOST_INTERIM {
            self.interim += 1;
            self.stream.send_interim(response(head));
        }
    }

    /// Whether an answer with this status has a body (RFC 9110, section 6.4.1).
    fn has_body(&self, status: StatusCode) -> bool {
        let is_empty = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        !self.is_to_head && !is_empty
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // What is queued of a body that was cut is of no use, and would be held for as long as the
        // client takes nothing.
        if self.sent > 0 {
            self.abandon();
        }
        self.stream.leave();
    }
}

fn response(head: &ResponseHeader) -> Response<()> {
    Response::from_parts(head.as_owned_parts(), ())
}
