//! The command line's way to the admin address of a running process.

use super::{Explanation, Inspection, Order, Outcome, Status};
use crate::origin::brief;
use percent_encoding::NON_ALPHANUMERIC;
use pingora_core::{connectors::http::Connector, upstreams::peer::HttpPeer};
use pingora_http::RequestHeader;
use serde::de::DeserializeOwned;
use std::{net::SocketAddr, time::Duration};

/// Why the admin address gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It could not be asked.
    #[error("{address} does not answer: {reason}; is Tidegate running with admin.address there?")]
    Silent {
        /// The admin address.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
    /// Somebody else answered.
    #[error(
        "{address} answers, but not as an admin address does ({reason}); is it that of admin.address?"
    )]
    Other {
        /// The address.
        address: SocketAddr,
        /// What is strange.
        reason: String,
    },
    /// It wants a token.
    #[error("{address} wants the token of its admin.token_file: {TOKEN_IS}")]
    NoToken {
        /// The admin address.
        address: SocketAddr,
    },
    /// It wants another token.
    #[error("wrong token: {address} wants the one of its admin.token_file; {TOKEN_IS}")]
    WrongToken {
        /// The admin address.
        address: SocketAddr,
    },
    /// It answered with an error.
    #[error("{0}")]
    Refused(String),
}

/// Where a token is given.
const TOKEN_IS: &str =
    "give that file as --token-file, or the configuration that names it as --config";
/// Longest wait for any step.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait for a purge, which may have a million files to remove.
const PURGE_PATIENCE: Duration = Duration::from_secs(600);
/// Largest answer, in bytes.
const LARGEST: usize = 16 << 20;

/// Whom to ask: the admin address of a running process.
#[derive(Clone)]
pub struct Ask {
    address: SocketAddr,
    token: Option<String>,
}

impl Ask {
    /// Who is at this address, with the token if there is one.
    pub fn new(address: SocketAddr, token: Option<String>) -> Self {
        Self { address, token }
    }

    /// What a URL gets.
    pub async fn explanation(&self, url: &str) -> Result<Explanation, AskError> {
        self.about("/explain", url).await
    }

    /// What is stored under a URL.
    pub async fn inspection(&self, url: &str) -> Result<Inspection, AskError> {
        self.about("/inspect", url).await
    }

    /// How it is doing.
    pub async fn status(&self) -> Result<Status, AskError> {
        self.read("/api/status").await
    }

    /// Has it purge.
    pub async fn purge(&self, order: &Order) -> Result<Outcome, AskError> {
        let body = serde_json::to_vec(order).expect("plain data always serialises");
        self.ask("POST", "/purge", body, PURGE_PATIENCE).await
    }

    async fn about<T: DeserializeOwned>(&self, page: &str, url: &str) -> Result<T, AskError> {
        let escaped = percent_encoding::utf8_percent_encode(url, NON_ALPHANUMERIC);
        self.read(&format!("{page}?url={escaped}")).await
    }

    async fn read<T: DeserializeOwned>(&self, target: &str) -> Result<T, AskError> {
        self.ask("GET", target, Vec::new(), PATIENCE).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        target: &str,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<T, AskError> {
        let silent = |reason: String| AskError::Silent {
            address: self.address,
            reason,
        };
        let head = self.head(method, target, body.len());
        let head = head.map_err(|e| silent(cause(&e)))?;
        let asked = tokio::time::timeout(patience, exchange(self.address, head, body)).await;
        let answered = asked.map_err(|_| silent("no answer in time".into()))?;
        let (status, body) = answered.map_err(|e| silent(cause(&e)))?;
        let text = String::from_utf8_lossy(&body);
        match status {
            200 => {
                serde_json::from_str(&text).map_err(|e| self.other(format!("not its JSON: {e}")))
            }
            _ => Err(self.refused(status, text.trim_end())),
        }
    }

    fn refused(&self, status: u16, said: &str) -> AskError {
        let address = self.address;
        match (status, &self.token) {
            (401, None) => AskError::NoToken { address },
            (401, Some(_)) => AskError::WrongToken { address },
            _ if !is_a_line(said) => self.other(format!("status {status}")),
            _ => AskError::Refused(said.to_owned()),
        }
    }

    fn other(&self, reason: String) -> AskError {
        let address = self.address;
        AskError::Other { address, reason }
    }

    fn head(
        &self,
        method: &str,
        target: &str,
        length: usize,
    ) -> pingora_core::Result<RequestHeader> {
        let mut head = RequestHeader::build(method, target.as_bytes(), None)?;
        head.insert_header("Host", self.address.to_string())?;
        if length > 0 {
            head.insert_header("Content-Type", "application/json")?;
            head.insert_header("Content-Length", length)?;
        }
        if let Some(token) = &self.token {
            head.insert_header("Authorization", format!("Bearer {token}"))?;
        }
        Ok(head)
    }
}

/// Whether a text is as an admin address says what is wrong, rather than a page or no text at all.
fn is_a_line(said: &str) -> bool {
    let is_strange = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    !said.is_empty() && !said.starts_with('<') && !said.contains(is_strange)
}

/// What was at the bottom of an error, once.
fn cause(e: &pingora_core::Error) -> String {
    match e.cause {
        Some(_) => e.root_cause().to_string(),
        None => brief(e),
    }
}

async fn exchange(
    address: SocketAddr,
    head: RequestHeader,
    body: Vec<u8>,
) -> pingora_core::Result<(u16, Vec<u8>)> {
    let connector = Connector::new(None);
    let peer = HttpPeer::new(address, false, String::new());
    let (mut session, _) = connector.get_http_session(&peer).await?;
    session.write_request_header(Box::new(head)).await?;
    if !body.is_empty() {
        session.write_request_body(body.into(), true).await?;
    }
    session.finish_request_body().await?;
    session.read_response_header().await?;
    let status = session
        .response_header()
        .map_or(0, |head| head.status.as_u16());
    let mut body = Vec::new();
    while let Some(bytes) = session.read_response_body().await? {
        body.extend_from_slice(&bytes);
        if body.len() > LARGEST {
            break;
        }
    }
    Ok((status, body))
}
