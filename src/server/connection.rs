//! A client's connection from its first byte to its last.
//!
//! Pingora would serve it by itself, but over a stream on which answers lose their `Date`. So
//! HTTP/1 is served here, over a stream of ours; HTTP/2 goes back to Pingora.

use crate::{
    origin::Sessions,
    proxy::{ClientStream, Proxy},
};
use pingora_core::{
    apps::{HttpServerApp, ServerApp},
    protocols::{Stream, http::ServerSession},
    server::ShutdownWatch,
};
use pingora_proxy::HttpProxy;
use std::sync::Arc;

/// What HTTP/2 without TLS begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a connection may wait for its first request, in seconds; after that it is the
/// clients' settings that count.
const FIRST: u64 = 60;

/// Serves a connection over which HTTP/2 was not negotiated. `h2c` is whether it may be spoken all
/// the same.
pub(super) async fn serve(
    proxy: Arc<HttpProxy<Proxy, Sessions>>,
    mut stream: Stream,
    shutdown: ShutdownWatch,
    h2c: bool,
) -> Option<Stream> {
    if h2c && stream.get_ssl_digest().is_none() {
        let mut first = [0; PREFACE.len()];
        // An error is a client that has gone without a word.
        let is_peeked = stream.try_peek(&mut first).await.ok()?;
        if is_peeked && first == PREFACE {
            let stream = Box::new(ClientStream::h2c(stream));
            return proxy.process_new(stream, &shutdown).await;
        }
    }
    let mut session = ServerSession::new_http1(Box::new(ClientStream::new(stream)));
    session.set_keepalive((!*shutdown.borrow()).then_some(FIRST));
    while let Some(reused) = proxy.process_new_http(session, &shutdown).await {
        let (stream, kept) = reused.consume();
        session = ServerSession::new_http1(stream);
        if let Some(kept) = kept {
            kept.apply_to_session(&mut session);
        }
    }
    None
}
