//! The sending half of one stream, shared by its session and by whoever waits for its client.

use super::{super::date_line::Date, wakers::Wakers};
use bytes::Bytes;
use h2::{Reason, SendStream, server::SendResponse};
use http::Response;
use parking_lot::Mutex;
use pingora_proxy::Session;
use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// One request's stream. It lives on after its session, of no use then, where something that was
/// begun for the request does.
pub struct Http2Stream {
    half: Mutex<Half>,
    wakers: Arc<Wakers>,
    /// The date of the answer that comes next.
    date: Mutex<Option<Date>>,
}

enum Half {
    /// The final head is still to be sent.
    Head(SendResponse<Bytes>),
    /// It has been.
    Body(SendStream<Bytes>),
    /// The session is over.
    Over,
}

impl Http2Stream {
    pub(super) fn new(respond: SendResponse<Bytes>) -> Arc<Self> {
        Arc::new(Self {
            half: Mutex::new(Half::Head(respond)),
            wakers: Arc::default(),
            date: Mutex::default(),
        })
    }

    /// The stream that a request came by, where it came by one.
    pub fn of(session: &Session) -> Option<&Arc<Self>> {
        session.req_header().extensions.get()
    }

    /// Says which `Date` the next answer is to bear; with `None` it is the present time.
    pub fn keep_date(&self, date: Option<Date>) {
        *self.date.lock() = date;
    }

    /// Waits until the client has reset the stream, or the connection or the session is at its
    /// end. It may be dropped at any await.
    pub async fn reset(&self) {
        poll_fn(|cx| self.poll_reset(cx)).await;
    }

    fn poll_reset(&self, cx: &Context<'_>) -> Poll<()> {
        // An error is a connection that has ended.
        self.wakers.poll(cx, |cx| match &mut *self.half.lock() {
            Half::Head(respond) => respond.poll_reset(cx).map(|_| ()),
            Half::Body(body) => body.poll_reset(cx).map(|_| ()),
            Half::Over => Poll::Ready(()),
        })
    }

    pub(super) fn date(&self) -> Option<Date> {
        *self.date.lock()
    }

    /// Sends an interim head. It is a hint: what can't be sent is dropped.
    pub(super) fn send_interim(&self, head: Response<()>) {
        if let Half::Head(respond) = &mut *self.half.lock() {
            let _ = respond.send_informational(head);
        }
    }

    /// Sends the final head.
    pub(super) fn send_head(&self, head: Response<()>, end: bool) -> Result<(), h2::Error> {
        let mut half = self.half.lock();
        if let Half::Head(respond) = &mut *half {
            *half = Half::Body(respond.send_response(head, end)?);
        }
        Ok(())
    }

    /// Sends what is `left` of a piece of the body as the client's windows and the bound on what
    /// may be queued let it, and with its last byte the `end`. It may be polled again with what is
    /// left then.
    pub(super) fn poll_send(
        &self,
        cx: &Context<'_>,
        left: &mut Bytes,
        end: bool,
    ) -> Poll<Result<(), h2::Error>> {
        let mut half = self.half.lock();
        let Half::Body(body) = &mut *half else {
            return Poll::Ready(Err(Reason::STREAM_CLOSED.into()));
        };
        while !left.is_empty() {
            body.reserve_capacity(left.len());
            let room = match body.capacity() {
                0 => ready!(self.wakers.poll(cx, |cx| body.poll_capacity(cx))),
                room => Some(Ok(room)),
            };
            let room = room.ok_or(Reason::CANCEL)??;
            let piece = left.split_to(room.min(left.len()));
            body.send_data(piece, end && left.is_empty())?;
            if left.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Ready(match end {
            true => body.send_data(Bytes::new(), true),
            false => Ok(()),
        })
    }

    /// Waits until the client's windows and the bound on what may be queued let something be sent,
    /// or nothing more can be. It may be dropped at any await.
    pub async fn room(&self) {
        poll_fn(|cx| self.poll_room(cx)).await;
    }

    fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut half = self.half.lock();
        let Half::Body(body) = &mut *half else {
            return Poll::Ready(());
        };
        body.reserve_capacity(1);
        if body.capacity() == 0 {
            // An error, or an end, is for who sends to find.
            ready!(self.wakers.poll(cx, |cx| body.poll_capacity(cx)));
        }
        // Others of the connection may have it until there is something to send.
        body.reserve_capacity(0);
        Poll::Ready(())
    }

    /// Ends the stream so that what was sent is not taken for the whole.
    pub(super) fn abandon(&self) {
        match &mut *self.half.lock() {
            Half::Head(respond) => respond.send_reset(Reason::INTERNAL_ERROR),
            Half::Body(body) => body.send_reset(Reason::INTERNAL_ERROR),
            Half::Over => {}
        }
    }

    /// The session is over. h2 resets a stream that nobody holds and that has not ended, after
    /// what is queued.
    pub(super) fn leave(&self) {
        *self.half.lock() = Half::Over;
        self.wakers.wake_all();
    }
}

impl fmt::Debug for Http2Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http2Stream")
    }
}
