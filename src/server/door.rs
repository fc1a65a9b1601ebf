//! A client's connection from when it was accepted to its last byte.
//!
//! Pingora accepts it and serves each request. What is between is here: how many there may be, on
//! whose behalf they come, TLS, and which protocol is spoken.

use super::{
    FIRST_WORDS,
    count::{Count, Counted},
    proxy_protocol::{self, Spoken, Unspoken},
};
use crate::{
    origin::Sessions,
    proxy::{
        Caller, ClientStream, Clients, Connections, Enciphered, HeadLimits, Http2Limits, Journal,
        Link, Proxy, Reception, Refusal, Socket, Ticket, serve_http2,
    },
    traffic::is_among,
};
use futures_util::FutureExt;
use ipnet::IpNet;
use pingora_core::{
    apps::{HttpServerApp, ReusedHttpStream},
    listeners::tls::Acceptor,
    protocols::{ALPN, Stream, http::ServerSession},
    server::ShutdownWatch,
};
use pingora_proxy::HttpProxy;
use std::{
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout_at};

/// All clients of the process, by whatever listener they come, and how they are met.
#[derive(Clone, Debug)]
pub(super) struct Clientele {
    /// Their connections.
    pub connections: Arc<Connections>,
    /// Those that are at the beginning of a request: accepted, and their first one is still to come
    /// or to be answered; or some of a later one has come. They are owed an answer, also by a process
    /// that stops.
    pub beginning: Count,
    /// Those over HTTP/2.
    pub http2: Count,
    /// Those over HTTP/1 that have been answered and may ask more.
    pub kept: Count,
    /// Whether another process serves by now: who has only paused is given the time to ask on.
    pub is_replaced: Arc<AtomicBool>,
    /// How long clients may take, and how much.
    pub reception: Arc<Reception>,
    /// Where it is noted what was wrong with requests that did not come so far as to be one.
    pub journal: Arc<Journal>,
}

/// How the connections of one listener are met.
pub(super) struct Door {
    /// All clients of the process.
    pub clientele: Clientele,
    /// Those who say on whose behalf they come; nobody is asked where absent.
    pub balancers: Option<Vec<IpNet>>,
    /// TLS, where it is spoken.
    pub tls: Option<Acceptor>,
    /// Whether HTTP/2 may be spoken in the clear.
    pub h2c: bool,
}

type Served = Arc<HttpProxy<Proxy, Sessions>>;

impl Door {
    /// Serves a connection that Pingora has accepted, to its end.
    pub async fn serve(
        &self,
        proxy: Served,
        accepted: Stream,
        shutdown: ShutdownWatch,
        begins: Counted,
    ) {
        // In a place of its own: a connection does not hold for life what its handshake needs.
        let let_in = Box::pin(self.let_in(accepted)).await;
        match let_in {
            Ok((stream, _ticket)) => self.speak(proxy, stream, shutdown, begins).await,
            Err(why) => self.clientele.connections.refuse(why),
        }
    }

    /// Everything before HTTP.
    async fn let_in(&self, accepted: Stream) -> Result<(ClientStream, Ticket), Refusal> {
        let mut ticket = self.clientele.connections.enter()?;
        let clients = &self.clientele.reception.terms().clients;
        let late = Instant::now() + clients.handshake_timeout;
        let socket = Socket::take_over(accepted).map_err(|_| Refusal::Files)?;
        let introduced = timeout_at(late, self.introduce(socket)).await;
        let (socket, client) = introduced.map_err(|_| Refusal::ProxyProtocol)??;
        ticket.identify(client.ip())?;
        let reading = socket.reading_half();
        let (stream, aside): (Stream, _) = match &self.tls {
            None => (Box::new(socket), None),
            Some(tls) => {
                let agreed = timeout_at(late, tls.tls_handshake(socket)).await;
                let agreed = agreed.map_err(|_| Refusal::Handshake)?;
                let enciphered = Enciphered::new(agreed.map_err(|e| {
                    log::debug!("TLS with {client}: {e}");
                    Refusal::Handshake
                })?);
                let aside = enciphered.aside();
                (Box::new(enciphered), Some(aside))
            }
        };
        let link = Link::new(reading, aside);
        let caller = Caller::new(client.ip(), self.clientele.journal.clone());
        let stream = ClientStream::new(stream, link, caller, head_limits(clients));
        Ok((stream.map_err(|_| Refusal::Files)?, ticket))
    }

    /// Finds out whose connection it is.
    async fn introduce(&self, mut socket: Socket) -> Result<(Socket, SocketAddr), Refusal> {
        let peer = socket.peer().ok_or(Refusal::Files)?;
        let Some(balancers) = &self.balancers else {
            return Ok((socket, peer));
        };
        // Said by the address alone: the same from other ports is the same, and of that little is said.
        let peer_ip = peer.ip().to_canonical();
        if !is_among(balancers, peer.ip()) {
            log::warn!("closed a connection from {peer_ip}: it is not in proxy_protocol");
            return Err(Refusal::ProxyProtocol);
        }
        match proxy_protocol::read(&mut socket).await {
            Ok(Spoken::For(client)) => Ok((socket.on_behalf_of(client), client)),
            Ok(Spoken::ForItself) => Ok((socket, peer)),
            Err(Unspoken::Malformed) => {
                log::warn!(
                    "closed a connection from {peer_ip}: it does not begin with a PROXY header"
                );
                Err(Refusal::ProxyProtocol)
            }
            Err(Unspoken::Io(e)) => {
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
        begins: Counted,
    ) {
        let link = stream.link().clone();
        let terms = self.clientele.reception.terms();
        let idle = terms.clients.idle_timeout;
        let late = Instant::now() + idle.min(terms.clients.header_timeout);
        let Ok(Ok(is_http2)) = timeout_at(late, stream.detect_http2()).await else {
            // It has gone without a word.
            return;
        };
        if self.may_speak_http2(&stream) {
            if is_http2 {
                // It ends by itself when it is told that this process stops and nothing is asked. What
                // its last answers have still to send is its own to the end.
                let _lasts = self.clientele.http2.enter();
                let _begins = begins;
                let limits = http2_limits(&terms.clients);
                let stops = self.stops(shutdown.clone());
                // In a place of its own: those over HTTP/1 need none.
                Box::pin(serve_http2(proxy, stream, limits, shutdown, stops)).await;
                return;
            }
            // What was agreed on is not what comes (RFC 9113, section 3.4).
            if self.tls.is_some() {
                return;
            }
        }
        link.expect_head();
        let mut session = ServerSession::new_http1(Box::new(stream));
        session.set_keepalive((!*shutdown.borrow()).then_some(idle.as_secs().max(1)));
        let mut served = proxy.process_new_http(session, &shutdown).await;
        let _kept = self.clientele.kept.enter();
        drop(begins);
        while let Some(reused) = served {
            link.expect_head();
            let next = proxy.process_new_http(resumed(reused), &shutdown);
            served = self.once_it_comes(next, &link, &shutdown).await;
        }
    }

    /// Serves the next request on a connection over HTTP/1, if one begins to come in time. Who has
    /// begun to ask is answered, also by a process that stops.
    async fn once_it_comes<T>(
        &self,
        next: impl Future<Output = Option<T>>,
        link: &Link,
        shutdown: &ShutdownWatch,
    ) -> Option<T> {
        let mut next = pin!(next);
        // All of it may be at hand.
        if let Some(served) = next.as_mut().now_or_never() {
            return served;
        }
        if !link.has_head_begun() {
            let idle = self.clientele.reception.terms().clients.idle_timeout;
            let idle = self.clientele.connections.idle_timeout(idle);
            tokio::select! {
                biased;
                () = link.has_come() => {}
                () = sleep(idle) => return None,
                () = self.leaves(shutdown.clone(), idle) => return None,
            }
        }
        let _begins = self.clientele.beginning.enter();
        next.await
    }

    /// Waits until the process stops; gives how long it waits for the first words of who has come
    /// before. Where another one serves nobody waits for it to end, and each head has its time.
    async fn stops(&self, mut shutdown: ShutdownWatch) -> Duration {
        // An error is that nobody is left to say so.
        let _ = shutdown.wait_for(|down| *down).await;
        match self.clientele.is_replaced.load(SeqCst) {
            true => self.clientele.reception.terms().clients.header_timeout,
            false => FIRST_WORDS,
        }
    }

    /// Waits until a connection that is idle is not kept any more because the process stops.
    async fn leaves(&self, shutdown: ShutdownWatch, idle: Duration) {
        self.stops(shutdown).await;
        if self.clientele.is_replaced.load(SeqCst) {
            sleep(idle.min(PAUSE)).await;
        }
    }

    /// Whether HTTP/2 was negotiated, or may come unannounced.
    fn may_speak_http2(&self, stream: &ClientStream) -> bool {
        match &self.tls {
            Some(_) => stream.negotiated() == Some(ALPN::H2),
            None => self.h2c,
        }
    }
}

/// How long a client that pauses may take to ask on, after another process has taken over: players fetch
/// a segment every few seconds. Its next answer says that the connection is closed, where closing it at
/// once could meet a request that is on its way.
const PAUSE: Duration = Duration::from_secs(10);

/// The session of the next request on a connection over HTTP/1 that is kept.
pub(super) fn resumed(reused: ReusedHttpStream) -> ServerSession {
    let (stream, kept) = reused.consume();
    let mut session = ServerSession::new_http1(stream);
    if let Some(kept) = kept {
        kept.apply_to_session(&mut session);
    }
    session
}

/// The bounds on a connection over HTTP/2.
fn http2_limits(clients: &Clients) -> Http2Limits {
    Http2Limits {
        streams: clients.max_http2_streams as u32,
        header: clients.max_header_size as u32,
        header_time: clients.header_timeout,
        idle: clients.idle_timeout,
    }
}

/// The bounds on the heads of requests.
fn head_limits(clients: &Clients) -> HeadLimits {
    HeadLimits {
        time: clients.header_timeout,
        bytes: clients.max_header_size as usize,
    }
}
