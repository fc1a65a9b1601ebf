//! The client behind the fills: asks a route's servers in order, over kept connections.

use super::{Origin, Purpose, Server, Stats};
use crate::source::{Answer, Body, Ranged, Request, Source, SourceError};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, header};
use pingora_core::{
    Error, ErrorType,
    connectors::{ConnectorOptions, http::Connector},
    protocols::http::client::HttpSession,
    upstreams::peer::HttpPeer,
};
use pingora_http::RequestHeader;
use std::sync::Arc;

/// Connections and counters that all origins share.
pub struct Client {
    connector: Connector,
    stats: Stats,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// A client that keeps up to `idle_connections` for the next request.
    pub fn new(idle_connections: usize) -> Arc<Self> {
        let options = ConnectorOptions::new(idle_connections);
        Arc::new(Self {
            connector: Connector::new(Some(options)),
            stats: Stats::default(),
        })
    }

    /// What has happened so far, on Pingora's path too.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}

/// A route's origins, in order, as one source.
#[derive(Debug)]
pub struct Upstream {
    origins: Vec<Arc<Origin>>,
    client: Arc<Client>,
}

impl Upstream {
    /// These origins, asked in this order.
    pub fn new(origins: Vec<Arc<Origin>>, client: Arc<Client>) -> Self {
        Self { origins, client }
    }

    /// The server to try after `failures` others, and its origin.
    pub fn server(&self, failures: usize) -> Option<(&Arc<Origin>, &Arc<Server>)> {
        self.servers().nth(failures)
    }

    /// The client and its counters.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    fn servers(&self) -> impl Iterator<Item = (&Arc<Origin>, &Arc<Server>)> {
        self.origins
            .iter()
            .flat_map(|o| o.servers().iter().map(move |s| (o, s)))
    }
}

#[async_trait]
impl Source for Upstream {
    async fn fetch(
        &self,
        request: &Request,
        range: Option<&Ranged>,
    ) -> Result<Answer, SourceError> {
        let mut last = SourceError::Unreachable("no server is configured".into());
        for (origin, server) in self.servers() {
            match self.client.ask(origin, server, request, range).await {
                Ok(answer) if answer.status.is_server_error() => {
                    last = SourceError::Broken(format!(
                        "{} answered {}",
                        origin.name(),
                        answer.status
                    ));
                }
                Ok(answer) => return Ok(answer),
                Err(e) => {
                    self.client.stats.failed(origin.name(), Purpose::Fill);
                    last = e;
                }
            }
        }
        Err(last)
    }
}

impl Client {
    async fn ask(
        self: &Arc<Self>,
        origin: &Arc<Origin>,
        server: &Server,
        request: &Request,
        range: Option<&Ranged>,
    ) -> Result<Answer, SourceError> {
        let unreachable = |e: std::io::Error| SourceError::Unreachable(e.to_string());
        let peer = origin.peer(server).await.map_err(unreachable)?;
        let head = head(server, request, range).map_err(named)?;
        let (session, reused) = self.send(origin, &peer, &head).await.map_err(named)?;
        let session = match (session, reused) {
            (Ok(session), _) => session,
            // The server may have closed a kept connection just then: once more, on a new one.
            (Err(_), true) => {
                let (session, _) = self.send(origin, &peer, &head).await.map_err(named)?;
                session.map_err(named)?
            }
            (Err(e), false) => return Err(named(e)),
        };
        let response = session
            .response_header()
            .ok_or_else(|| SourceError::Broken("no head".into()))?;
        Ok(Answer {
            status: response.status,
            headers: response.headers.clone(),
            body: Box::new(Incoming {
                client: self.clone(),
                origin: origin.clone(),
                peer,
                session: Some(session),
            }),
        })
    }

    /// Sends a request and reads the head of the answer. Fails as a whole where there is no
    /// connection; else tells whether the connection had been used before.
    async fn send(
        &self,
        origin: &Origin,
        peer: &HttpPeer,
        head: &RequestHeader,
    ) -> Result<(Result<HttpSession, Box<Error>>, bool), Box<Error>> {
        let (mut session, reused) = self.connector.get_http_session(peer).await?;
        self.stats.requested(origin.name(), Purpose::Fill);
        session.set_read_timeout(peer.options.read_timeout);
        session.set_write_timeout(peer.options.write_timeout);
        let exchanged = exchange(&mut session, head).await;
        Ok((exchanged.map(|()| session), reused))
    }
}

async fn exchange(session: &mut HttpSession, head: &RequestHeader) -> Result<(), Box<Error>> {
    session.write_request_header(Box::new(head.clone())).await?;
    session.finish_request_body().await?;
    for _ in 0..INTERIM_ANSWERS {
        session.read_response_header().await?;
        let interim = session
            .response_header()
            .is_some_and(|head| head.status.is_informational());
        if !interim {
            return Ok(());
        }
    }
    Error::e_explain(ErrorType::InvalidHTTPHeader, "only interim answers")
}

/// Interim (1xx) answers that are read past.
const INTERIM_ANSWERS: usize = 8;

fn head(
    server: &Server,
    request: &Request,
    range: Option<&Ranged>,
) -> Result<RequestHeader, Box<Error>> {
    let fields = request.headers.len() + 3;
    let mut head = RequestHeader::build(Method::GET, request.target.as_bytes(), Some(fields))?;
    for (name, value) in &request.headers {
        head.append_header(name.clone(), value.clone())?;
    }
    head.insert_header(header::HOST, server.authority())?;
    if let Some(Ranged { range, if_range }) = range {
        let field = format!("bytes={}-{}", range.start(), range.last());
        head.insert_header(header::RANGE, field)?;
        if let Some(validator) = if_range {
            head.insert_header(header::IF_RANGE, validator.as_str())?;
        }
    }
    Ok(head)
}

/// A body on its way. After its end the connection is kept for the next request; dropped before,
/// it is closed.
struct Incoming {
    client: Arc<Client>,
    origin: Arc<Origin>,
    peer: HttpPeer,
    session: Option<HttpSession>,
}

#[async_trait]
impl Body for Incoming {
    async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        let Some(session) = &mut self.session else {
            return Ok(None);
        };
        let (stats, origin) = (&self.client.stats, self.origin.name());
        match session.read_response_body().await {
            Ok(Some(bytes)) => {
                stats.received(origin, Purpose::Fill, bytes.len());
                Ok(Some(bytes))
            }
            Ok(None) => {
                if let Some(session) = self.session.take() {
                    let idle = self.peer.options.idle_timeout;
                    self.client
                        .connector
                        .release_http_session(session, &self.peer, idle)
                        .await;
                }
                Ok(None)
            }
            Err(e) => {
                stats.failed(origin, Purpose::Fill);
                self.session = None;
                Err(named(e))
            }
        }
    }
}

fn named(e: Box<Error>) -> SourceError {
    match e.etype() {
        ErrorType::ConnectTimedout
        | ErrorType::TLSHandshakeTimedout
        | ErrorType::ReadTimedout
        | ErrorType::WriteTimedout => SourceError::TimedOut(e.to_string()),
        ErrorType::ConnectError
        | ErrorType::ConnectRefused
        | ErrorType::ConnectNoRoute
        | ErrorType::ConnectProxyFailure
        | ErrorType::TLSHandshakeFailure
        | ErrorType::InvalidCert
        | ErrorType::SocketError => SourceError::Unreachable(e.to_string()),
        _ => SourceError::Broken(e.to_string()),
    }
}
