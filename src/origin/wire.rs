//! One exchange with a server, in the version of HTTP that its connection speaks.

use super::http2;
use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use pingora_core::{
    Result,
    protocols::{
        self,
        http::{client::HttpSession, v1::client::HttpSession as Http1Session},
    },
    upstreams::peer::HttpPeer,
};
use pingora_http::{RequestHeader, ResponseHeader};
use std::time::Duration;

/// A connection, or a place on one, for one exchange.
pub(super) enum Wire {
    /// HTTP/1.1: Pingora's.
    Http1(Box<HttpSession>),
    /// HTTP/2: ours.
    Http2(Box<http2::Stream>),
}

impl Wire {
    /// A new connection for HTTP/1.1.
    pub fn http1(stream: protocols::Stream, peer: &HttpPeer) -> Self {
        let session = Http1Session::new_with_options(stream, peer);
        Self::Http1(Box::new(HttpSession::H1(session)))
    }

    /// Sends the head of a request, with `is_whole` all of it. For HTTP/2 its URL is absolute.
    pub async fn write_head(&mut self, head: RequestHeader, is_whole: bool) -> Result<()> {
        match self {
            Self::Http1(session) => {
                session.write_request_header(Box::new(head)).await?;
                match is_whole {
                    true => session.finish_request_body().await,
                    false => Ok(()),
                }
            }
            Self::Http2(stream) => stream.write_head(head, is_whole),
        }
    }

    /// Sends some of the request's body.
    pub async fn write_body(&mut self, bytes: Bytes) -> Result<()> {
        match self {
            Self::Http1(session) => session.write_request_body(bytes, false).await,
            Self::Http2(stream) => stream.write_body(bytes).await,
        }
    }

    /// Says that the request is whole, after its body.
    pub async fn finish(&mut self) -> Result<()> {
        match self {
            Self::Http1(session) => session.finish_request_body().await,
            Self::Http2(stream) => stream.finish(),
        }
    }

    /// Reads the next head of the answer, interim or final.
    pub async fn read_head(&mut self) -> Result<()> {
        match self {
            Self::Http1(session) => session.read_response_header().await,
            Self::Http2(stream) => stream.read_head().await,
        }
    }

    /// The head that was read last.
    pub fn head(&self) -> Option<&ResponseHeader> {
        match self {
            Self::Http1(session) => session.response_header(),
            Self::Http2(stream) => stream.head(),
        }
    }

    /// The head that was read last, to keep.
    pub fn copy_of_head(&self) -> Result<Option<ResponseHeader>> {
        self.head().map(detached).transpose()
    }

    /// Reads the next bytes of the answer; `None` after its end.
    pub async fn read_body(&mut self) -> Result<Option<Bytes>> {
        match self {
            Self::Http1(session) => session.read_response_body().await,
            Self::Http2(stream) => stream.read_body().await,
        }
    }

    /// Whether the answer has come to its end.
    pub fn is_done(&mut self) -> bool {
        match self {
            Self::Http1(session) => session.response_done(),
            Self::Http2(stream) => stream.is_done(),
        }
    }

    /// How long the next bytes of the answer may take.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        match self {
            Self::Http1(session) => session.set_read_timeout(timeout),
            Self::Http2(stream) => stream.read_timeout = timeout,
        }
    }

    /// How long the server may take nothing of the request's body.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        match self {
            Self::Http1(session) => session.set_write_timeout(timeout),
            Self::Http2(stream) => stream.write_timeout = timeout,
        }
    }
}

/// What hooks and rules are likely to add to a head.
const ADDED: usize = 6;

/// A head in memory of its own, and no more of it than it fills. What was read lies in the page that
/// it came in, and would keep that as long as anything of it is known: with a stored object for ever.
/// Names are those of HTTP without regard to how the server spelled them, as what is stored has them.
fn detached(head: &ResponseHeader) -> Result<ResponseHeader> {
    let length = head.headers.values().map(HeaderValue::len).sum();
    let mut values = BytesMut::with_capacity(length);
    let all = head.headers.values();
    all.for_each(|value| values.extend_from_slice(value.as_bytes()));
    let mut values = values.freeze();
    let fields = head.headers.len() + ADDED;
    let mut own = ResponseHeader::build_no_case(head.status, Some(fields))?;
    own.set_version(head.version);
    own.set_reason_phrase(head.get_reason_phrase())?;
    for (name, value) in &head.headers {
        let copy = HeaderValue::from_maybe_shared(values.split_to(value.len()));
        own.append_header(name, copy.unwrap_or_else(|_| value.clone()))?;
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_to_keep_keeps_nothing_of_the_page_that_it_came_in() {
        let page = Bytes::from(vec![b'v'; 4096]);
        let value = |from: usize, to| HeaderValue::from_maybe_shared(page.slice(from..to)).unwrap();
        let mut head = ResponseHeader::build(203, None).unwrap();
        head.set_reason_phrase(Some("More or less")).unwrap();
        for (name, from, to) in [("X-One", 0, 10), ("X-Two", 10, 10), ("X-One", 20, 50)] {
            head.append_header(name, value(from, to)).unwrap();
        }
        let own = detached(&head).unwrap();
        assert_eq!(own.headers, head.headers);
        assert_eq!(own.status, 203);
        assert_eq!(own.get_reason_phrase(), Some("More or less"));
        assert!(!page.is_unique());
        drop(head);
        assert!(page.is_unique());
    }
}
