//! One request to a collector, over the client that asks the origins, too: it is here already,
//! and speaks TLS with the same authorities. A second one would bring a second stack.

use super::{
    config::{CollectorConfig, FieldValue},
    otlp::{self, CONTENT_TYPE, PATH},
    retry::Reply,
};
use crate::secret::{LoadError, Rotating};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header, uri::Authority};
use pingora_core::{
    Error, ErrorType, Result, connectors::http::Connector, protocols::http::client::HttpSession,
    upstreams::peer::HttpPeer,
};
use pingora_http::{RequestHeader, ResponseHeader};
use std::{
    fmt,
    net::SocketAddr,
    time::{Duration, SystemTime},
};
use tokio::{net::lookup_host, time::timeout};

/// Whom spans are sent to.
pub struct Collector {
    config: CollectorConfig,
    fields: Vec<(HeaderName, Field)>,
    connector: Connector,
}

#[derive(Debug)]
enum Field {
    Plain(HeaderValue),
    Secret(Rotating),
}

/// Addresses of its name that are tried.
const ADDRESSES: usize = 3;
/// How much of an answer is read, in bytes.
const LONGEST_ANSWER: usize = 64 << 10;
/// How long a connection is kept for the next spans.
const IDLE: Duration = Duration::from_secs(60);

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Collector({})", self.config.endpoint)
    }
}

impl Collector {
    /// A collector; secrets are read for the first time.
    pub fn load(config: CollectorConfig) -> std::result::Result<Self, LoadError> {
        let fields = config.fields.iter().map(|(name, value)| {
            let value = match value {
                FieldValue::Plain(value) => Field::Plain(value.clone()),
                FieldValue::Secret(source) => Field::Secret(Rotating::load(source)?),
            };
            Ok((name.clone(), value))
        });
        Ok(Self {
            fields: fields.collect::<std::result::Result<_, LoadError>>()?,
            config,
            connector: Connector::new(None),
        })
    }

    /// As configured.
    pub fn config(&self) -> &CollectorConfig {
        &self.config
    }

    /// Sends it a message of spans.
    pub async fn post(&self, message: Bytes) -> Reply {
        match timeout(self.config.timeout, self.exchange(message)).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(e)) => Reply::Silence(e.to_string().trim().to_owned()),
            Err(_) => Reply::Silence(format!("no answer within {:?}", self.config.timeout)),
        }
    }

    async fn exchange(&self, message: Bytes) -> Result<Reply> {
        loop {
            let (mut session, peer, reused) = self.connect().await?;
            match self.ask(&mut session, message.clone()).await {
                Ok((reply, is_whole)) => {
                    if is_whole {
                        let release = self.connector.release_http_session(session, &peer, None);
                        release.await;
                    }
                    return Ok(reply);
                }
                // It may have closed a kept connection just then: that says nothing.
                Err(_) if reused => {}
                Err(e) => return Err(e),
            }
        }
    }

    async fn connect(&self) -> Result<(HttpSession, HttpPeer, bool)> {
        let mut last = Error::explain(ErrorType::ConnectError, "its name has no address");
        for address in self.addresses().await? {
            let peer = self.peer(address);
            match self.connector.get_http_session(&peer).await {
                Ok((session, reused)) => return Ok((session, peer, reused)),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    async fn addresses(&self) -> Result<impl Iterator<Item = SocketAddr>> {
        let host = self.host().trim_matches(['[', ']']);
        let found = lookup_host((host, self.port())).await;
        let found = found.map_err(|e| Error::because(ErrorType::ConnectError, "its name", e))?;
        Ok(found.take(ADDRESSES))
    }

    fn peer(&self, address: SocketAddr) -> HttpPeer {
        let mut peer = HttpPeer::new(address, self.is_tls(), self.host().to_owned());
        peer.options.idle_timeout = Some(IDLE);
        peer
    }

    /// Its answer, and whether the connection is at its end.
    async fn ask(&self, session: &mut HttpSession, message: Bytes) -> Result<(Reply, bool)> {
        let head = self.head(message.len())?;
        session.write_request_header(Box::new(head)).await?;
        session.write_request_body(message, true).await?;
        session.finish_request_body().await?;
        session.read_response_header().await?;
        let Some(head) = session.response_header() else {
            return Error::e_explain(ErrorType::InvalidHTTPHeader, "no head");
        };
        let (status, after) = (head.status, retry_after(head));
        if status != StatusCode::OK {
            return Ok((Reply::Refused(status, after), false));
        }
        let mut answer = Vec::new();
        while let Some(bytes) = session.read_response_body().await? {
            answer.extend_from_slice(&bytes);
            if answer.len() > LONGEST_ANSWER {
                return Ok((Reply::Taken(0, String::new()), false));
            }
        }
        let (rejected, why) = otlp::rejected(&answer);
        Ok((Reply::Taken(rejected, why), true))
    }

    fn head(&self, length: usize) -> Result<RequestHeader> {
        let base = self.config.endpoint.path().trim_end_matches('/');
        let path = match base.ends_with(PATH) {
            true => base.to_owned(),
            false => format!("{base}{PATH}"),
        };
        let fields = self.fields.len() + 4;
        let mut head = RequestHeader::build("POST", path.as_bytes(), Some(fields))?;
        let authority = self
            .config
            .endpoint
            .authority()
            .map_or("", Authority::as_str);
        head.insert_header(header::HOST, authority)?;
        head.insert_header(header::USER_AGENT, USER_AGENT)?;
        head.insert_header(header::CONTENT_TYPE, CONTENT_TYPE)?;
        head.insert_header(header::CONTENT_LENGTH, length)?;
        for (name, field) in &self.fields {
            head.insert_header(name.clone(), field.value()?)?;
        }
        Ok(head)
    }

    fn host(&self) -> &str {
        self.config.endpoint.host().unwrap_or_default()
    }

    fn is_tls(&self) -> bool {
        self.config.endpoint.scheme_str() == Some("https")
    }

    fn port(&self) -> u16 {
        let usual = if self.is_tls() { 443 } else { 80 };
        self.config.endpoint.port_u16().unwrap_or(usual)
    }
}

const USER_AGENT: &str = concat!("tidegate/", env!("CARGO_PKG_VERSION"));

impl Field {
    fn value(&self) -> Result<HeaderValue> {
        match self {
            Self::Plain(value) => Ok(value.clone()),
            Self::Secret(secret) => {
                let secret = secret.current(SystemTime::now());
                let value = HeaderValue::try_from(secret.reveal());
                let unfit = |e| Error::because(ErrorType::InvalidHTTPHeader, "a secret", e);
                let mut value = value.map_err(unfit)?;
                value.set_sensitive(true);
                Ok(value)
            }
        }
    }
}

/// When to come back: in so many seconds; dates are for clocks that agree.
fn retry_after(head: &ResponseHeader) -> Option<Duration> {
    let seconds = head.headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(seconds.trim().parse().ok()?))
}
