//! A client's connection from when it was accepted to its last byte.
//!
//! Pingora accepts it and serves each request. What is between is here: how many there may be, on
//! whose behalf they come, TLS, and which protocol is spoken.

use super::proxy_protocol::{self, Spoken};
use crate::{
    origin::Sessions,
    proxy::{ClientStream, Connections, HeadLimits, Link, Proxy, Refusal, Socket, Ticket},
    traffic::is_among,
};
use ipnet::IpNet;
use pingora_core::{
    apps::{HttpServerApp, ServerApp},
    listeners::tls::Acceptor,
    protocols::{ALPN, Stream, http::ServerSession},
    server::ShutdownWatch,
};
use pingora_proxy::HttpProxy;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// How the connections of one listener are met.
pub(super) struct Door {
    /// All connections of the process.
    pub connections: Arc<Connections>,
    /// Those who say on whose behalf they come; nobody is asked where absent.
    pub balancers: Option<Vec<IpNet>>,
    /// TLS, where it is spoken.
    pub tls: Option<Acceptor>,
    /// Whether HTTP/2 may be spoken in the clear.
    pub h2c: bool,
    /// The longest wait for what comes before HTTP.
    pub handshake: Duration,
    /// The longest wait for a first request.
    pub idle: Duration,
    /// The bounds on the heads of requests.
    pub head: HeadLimits,
}

type Served = Arc<HttpProxy<Proxy, Sessions>>;

impl Door {
    /// Serves a connection that Pingora has accepted.
    pub async fn serve(
        &self,
        proxy: Served,
        accepted: Stream,
        shutdown: ShutdownWatch,
    ) -> Option<Stream> {
        // In a place of its own: a connection does not hold for life what its handshake needs.
        let let_in = Box::pin(self.let_in(accepted)).await;
        match let_in {
            Ok((stream, _ticket)) => self.speak(proxy, stream, shutdown).await,
            Err(why) => {
                self.connections.refuse(why);
                None
            }
        }
    }

    /// Everything before HTTP.
    async fn let_in(&self, accepted: Stream) -> Result<(ClientStream, Ticket), Refusal> {
        let mut ticket = self.connections.enter()?;
        let late = Instant::now() + self.handshake;
        let socket = Socket::take_over(accepted).map_err(|_| Refusal::Files)?;
        let introduced = timeout_at(late, self.introduce(socket)).await;
        let (socket, client) = introduced.map_err(|_| Refusal::ProxyProtocol)??;
        ticket.identify(client.ip())?;
        let link = Link::new(socket.reading_half());
        let stream: Stream = match &self.tls {
            None => Box::new(socket),
            Some(tls) => {
                let agreed = timeout_at(late, tls.tls_handshake(socket)).await;
                let agreed = agreed.map_err(|_| Refusal::Handshake)?;
                Box::new(agreed.map_err(|e| {
                    log::debug!("TLS with {client}: {e}");
                    Refusal::Handshake
                })?)
            }
        };
        let stream = ClientStream::new(stream, link, self.head).map_err(|_| Refusal::Files)?;
        Ok((stream, ticket))
    }

    /// Finds out whose connection it is.
    async fn introduce(&self, mut socket: Socket) -> Result<(Socket, SocketAddr), Refusal> {
        let peer = socket.peer().ok_or(Refusal::Files)?;
        let Some(balancers) = &self.balancers else {
            return Ok((socket, peer));
        };
        if !is_among(balancers, peer.ip()) {
            return Err(Refusal::ProxyProtocol);
        }
        match proxy_protocol::read(&mut socket).await {
            Ok(Spoken::For(client)) => Ok((socket.on_behalf_of(client), client)),
            Ok(Spoken::ForItself) => Ok((socket, peer)),
            Err(e) => {
                log::debug!("PROXY protocol from {peer}: {e}");
                Err(Refusal::ProxyProtocol)
            }
        }
    }

    async fn speak(
        &self,
        proxy: Served,
        mut stream: ClientStream,
        shutdown: ShutdownWatch,
    ) -> Option<Stream> {
        let link = stream.link().clone();
        if self.may_speak_http2(&stream) {
            let late = Instant::now() + self.idle;
            // An error is a client that has gone without a word.
            let is_http2 = timeout_at(late, stream.detect_http2()).await.ok()?.ok()?;
            if is_http2 {
                return proxy.process_new(Box::new(stream), &shutdown).await;
            }
            // What was agreed on is not what comes (RFC 9113, section 3.4).
            if self.tls.is_some() {
                return None;
            }
        }
        link.expect_head();
        let mut session = ServerSession::new_http1(Box::new(stream));
        session.set_keepalive((!*shutdown.borrow()).then_some(self.idle.as_secs().max(1)));
        while let Some(reused) = proxy.process_new_http(session, &shutdown).await {
            link.expect_head();
            let (stream, kept) = reused.consume();
            session = ServerSession::new_http1(stream);
            if let Some(kept) = kept {
                kept.apply_to_session(&mut session);
            }
        }
        None
    }

    /// Whether HTTP/2 was negotiated, or may come unannounced.
    fn may_speak_http2(&self, stream: &ClientStream) -> bool {
        match &self.tls {
            Some(_) => stream.negotiated() == Some(ALPN::H2),
            None => self.h2c,
        }
    }
}
