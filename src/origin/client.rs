//! The thin client: connections, and one exchange over one of them.

use super::{
    Failure, Origin, Stats,
    failure::Cause,
    http2::{Links, Opened},
    interim::{self, Interim},
    resolve::Addresses,
    server::Place,
    warm::{Warm, WarmUp},
    wire::Wire,
};
use http::{HeaderValue, StatusCode, Uri, Version, header, uri::PathAndQuery};
use pingora_core::{
    Error, ErrorType,
    connectors::{ConnectorOptions, http::Connector},
    protocols::ALPN,
    upstreams::peer::HttpPeer,
};
use pingora_http::{RequestHeader, ResponseHeader};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// Connections and counters that all origins share, whoever asks them.
pub struct Client {
    connector: Connector,
    http2: Links,
    pub(super) warm: Warm,
    stats: Stats,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

/// A connection to a server while a request is on it.
pub(super) struct Connection {
    pub wire: Wire,
    peer: Box<HttpPeer>,
    /// Whether it had been used before.
    pub reused: bool,
}

/// Whether a connection may be one that was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It may: the request can be repeated if the server is just closing it.
    Allowed,
    /// It may not, where that can be helped.
    Avoided,
}

/// Addresses of one server that are tried for one request.
const ADDRESSES: usize = 3;
/// Kept connections that may turn out to be closed before a new one is made.
const KEPT: usize = 3;

impl Client {
    /// A client that keeps up to `idle_connections` for the next request.
    pub fn new(idle_connections: usize) -> Arc<Self> {
        let options = ConnectorOptions::new(idle_connections);
        Arc::new(Self {
            connector: Connector::new(Some(options)),
            http2: Links::default(),
            warm: Warm::default(),
            stats: Stats::default(),
        })
    }

    /// What has happened so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Connects to a place, trying its addresses in turn.
    pub(super) async fn connect(
        &self,
        origin: &Origin,
        place: &Place,
        known: Option<&Addresses>,
        kept: Kept,
    ) -> Result<Connection, Failure> {
        let unresolved = |e| Failure::new(Cause::Resolve, format!("{}: {e}", place.authority));
        let all = origin.resolver().resolve(&place.host, place.port).await;
        let all = all.map_err(unresolved)?;
        let now = super::now();
        let order = known.map_or_else(|| all.to_vec(), |known| known.order(&all, now));
        let mut last = Failure::new(Cause::Resolve, format!("{}: no address", place.authority));
        for address in order.into_iter().take(ADDRESSES) {
            let peer = Box::new(origin.peer(place, address));
            // Boxed: it is ten times as large as all that waits for the answer then.
            match Box::pin(self.open(&peer, kept)).await {
                Ok((mut wire, reused)) => {
                    if let Some(known) = known {
                        known.succeeded(address);
                    }
                    wire.set_read_timeout(peer.options.read_timeout);
                    wire.set_write_timeout(peer.options.write_timeout);
                    return Ok(Connection { wire, peer, reused });
                }
                Err(e) => {
                    if let Some(known) = known {
                        known.failed(address, super::now());
                    }
                    last = Failure::of(&e, &place.authority);
                    // The connector's own word for a handshake that took too long.
                    if last.cause == Cause::Tls {
                        break;
                    }
                }
            }
        }
        Err(last)
    }

    /// A kept connection, or a new one, and whether it is a kept one.
    async fn open(&self, peer: &HttpPeer, kept: Kept) -> Result<(Wire, bool), Box<Error>> {
        let may_be_http2 = peer.options.alpn.get_max_http_version() == 2;
        if may_be_http2 && !self.http2.is_declined_by(peer, super::now()) {
            if let Some(stream) = self.http2.reuse(peer) {
                return Ok((Wire::Http2(Box::new(stream)), true));
            }
            return Ok(match self.http2.open(peer).await? {
                Opened::Http2(stream) => (Wire::Http2(stream), false),
                Opened::Http1(stream) => (Wire::http1(stream, peer), false),
            });
        }
        let mut peer = peer.clone();
        peer.options.alpn = ALPN::H1;
        if kept == Kept::Avoided {
            return Ok((self.warm.open(&peer).await?, false));
        }
        if let Some(wire) = self.warm.take(&peer) {
            return Ok((wire, true));
        }
        let (session, reused) = self.connector.get_http_session(&peer).await?;
        Ok((Wire::Http1(Box::new(session)), reused))
    }

    /// Sends a request without a body and reads the head of the answer, over a kept connection if
    /// there is one. `interim` takes the heads that come before the final one.
    pub(super) async fn ask(
        &self,
        origin: &Origin,
        place: &Place,
        known: Option<&Addresses>,
        head: &RequestHeader,
        interim: &Interim,
    ) -> Result<Connection, Failure> {
        let patience = origin.config().first_byte_timeout;
        for kept in 0.. {
            let mut connection = self.connect(origin, place, known, Kept::Allowed).await?;
            let exchanged = exchange(&mut connection, head, patience, interim).await;
            match exchanged {
                Ok(()) => return Ok(connection),
                // The server may have closed a kept connection just then: that says nothing.
                Err(e) if connection.reused && kept < KEPT && !is_timeout(&e) => {}
                Err(e) => return Err(Failure::of(&e, &place.authority)),
            }
        }
        Err(Failure::new(Cause::Broken, place.authority.clone()))
    }

    /// Opens a connection to an address ahead of a request.
    pub(super) async fn warm_up(self: &Arc<Self>, peer: HttpPeer) -> Option<WarmUp> {
        Warm::up(self, peer).await
    }

    /// Keeps a connection whose answer has been read to its end for the next request.
    pub(super) async fn keep(&self, connection: Connection) {
        let Connection { wire, peer, .. } = connection;
        // One for HTTP/2 is never let go.
        if let Wire::Http1(session) = wire {
            let (connector, idle) = (&self.connector, peer.options.idle_timeout);
            // Boxed: who only reads an answer to its end has no room for it.
            Box::pin(connector.release_http_session(*session, &*peer, idle)).await;
        }
    }
}

fn is_timeout(e: &Error) -> bool {
    matches!(
        e.etype(),
        ErrorType::ReadTimedout | ErrorType::WriteTimedout
    )
}

impl Connection {
    /// Sends the head of a request in the form of this connection's protocol, whatever the one
    /// that the client speaks; with `is_whole` it is all of the request.
    pub async fn send_head(
        &mut self,
        head: &RequestHeader,
        is_whole: bool,
    ) -> Result<(), Box<Error>> {
        let mut head = head.clone();
        match &self.wire {
            Wire::Http2(_) => {
                head.remove_header(&header::TRANSFER_ENCODING);
                let host = head.remove_header(&header::HOST);
                let scheme = if self.peer.is_tls() { "https" } else { "http" };
                let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
                let url = Uri::builder()
                    .scheme(scheme)
                    .authority(host.as_ref().map_or(&[][..], HeaderValue::as_bytes))
                    .path_and_query(target)
                    .build();
                let wrong = |e| Error::because(ErrorType::InvalidHTTPHeader, "authority", e);
                head.set_uri(url.map_err(wrong)?);
                head.set_version(Version::HTTP_2);
            }
            Wire::Http1(_) => head.set_version(Version::HTTP_11),
        }
        self.wire.write_head(head, is_whole).await
    }
}

async fn exchange(
    connection: &mut Connection,
    head: &RequestHeader,
    patience: Duration,
    interim: &Interim,
) -> Result<(), Box<Error>> {
    connection.send_head(head, true).await?;
    read_head(&mut connection.wire, patience, interim).await
}

/// Whether the end of a body and its bytes can be told from the coding: from none, or chunks alone
/// (RFC 9112, section 6.3).
fn can_be_read(head: &ResponseHeader) -> bool {
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    codings.next().is_none_or(is_chunked) && codings.next().is_none()
}

/// The final head of an answer, which has been read.
pub(super) fn final_head(wire: &Wire, server: &str) -> Result<ResponseHeader, Failure> {
    let head = wire.copy_of_head().map_err(|e| Failure::of(&e, server))?;
    head.ok_or_else(|| Failure::new(Cause::Broken, "no head"))
}

/// Reads up to the final head of an answer.
pub(super) async fn read_head(
    wire: &mut Wire,
    patience: Duration,
    interim: &Interim,
) -> Result<(), Box<Error>> {
    let reading = async {
        for _ in 0..=interim::MOST {
            wire.read_head().await?;
            match wire.head() {
                Some(head) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
                    // It is never asked for.
                    return Error::e_explain(ErrorType::InvalidHTTPHeader, "unasked for: 101");
                }
                Some(head) if head.status.is_informational() => interim.pass(head),
                Some(head) if !can_be_read(head) => {
                    let what = "a transfer coding that is not spoken here";
                    return Error::e_explain(ErrorType::InvalidHTTPHeader, what);
                }
                Some(_) => return Ok(()),
                None => break,
            }
        }
        Error::e_explain(ErrorType::InvalidHTTPHeader, "only interim answers")
    };
    match timeout(patience, reading).await {
        Ok(read) => read,
        Err(_) => Error::e_explain(ErrorType::ReadTimedout, "no head of an answer in time"),
    }
}
