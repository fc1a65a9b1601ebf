//! The command line's way to the admin address of a running process.

use super::{Explanation, Inspection, Order, Outcome};
use crate::origin::brief;
use pingora_core::{connectors::http::Connector, upstreams::peer::HttpPeer};
use pingora_http::RequestHeader;
use std::{net::SocketAddr, time::Duration};

/// Why the admin address gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It could not be asked.
    #[error("{address} does not answer ({reason}); is Tidegate running with admin.address there?")]
    Silent {
        /// The admin address.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
    /// It answered with an error.
    #[error("{0}")]
    Refused(String),
}

/// Longest wait for any step.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait for a purge, which may have a million files to remove.
const PURGE_PATIENCE: Duration = Duration::from_secs(600);
/// Largest answer, in bytes.
const LARGEST: usize = 16 << 20;

/// Asks a running process what a URL gets.
pub async fn explanation(address: SocketAddr, url: &str) -> Result<Explanation, AskError> {
    about(address, "explain", url).await
}

async fn about<T>(address: SocketAddr, page: &str, url: &str) -> Result<T, AskError>
where
    T: for<'de> serde::Deserialize<'de>,
{
    let escaped: String =
        percent_encoding::utf8_percent_encode(url, percent_encoding::NON_ALPHANUMERIC).to_string();
    let (status, body) = get(address, &format!("/{page}?url={escaped}")).await?;
    let text = String::from_utf8_lossy(&body);
    if status != 200 {
        return Err(AskError::Refused(text.trim_end().to_owned()));
    }
    serde_json::from_str(&text).map_err(|e| AskError::Silent {
        address,
        reason: format!("an answer of another kind: {e}"),
    })
}

/// Asks a running process what is stored under a URL.
pub async fn inspection(address: SocketAddr, url: &str) -> Result<Inspection, AskError> {
    about(address, "inspect", url).await
}

/// Has a running process purge.
pub async fn purge(
    address: SocketAddr,
    order: &Order,
    token: Option<&str>,
) -> Result<Outcome, AskError> {
    let silent = |reason: String| AskError::Silent { address, reason };
    let posted = tokio::time::timeout(PURGE_PATIENCE, post(address, order, token)).await;
    let posted = posted.map_err(|_| silent("no answer in time".into()))?;
    let (status, body) = posted.map_err(|e| silent(brief(&e)))?;
    let text = String::from_utf8_lossy(&body);
    if status != 200 {
        return Err(AskError::Refused(text.trim_end().to_owned()));
    }
    serde_json::from_str(&text).map_err(|e| silent(format!("an answer of another kind: {e}")))
}

async fn post(
    address: SocketAddr,
    order: &Order,
    token: Option<&str>,
) -> pingora_core::Result<(u16, Vec<u8>)> {
    let body = serde_json::to_vec(order).expect("plain data always serialises");
    let mut head = RequestHeader::build("POST", b"/purge", None)?;
    head.insert_header("Host", address.to_string())?;
    head.insert_header("Content-Type", "application/json")?;
    head.insert_header("Content-Length", body.len())?;
    if let Some(token) = token {
        head.insert_header("Authorization", format!("Bearer {token}"))?;
    }
    exchange(address, head, body).await
}

async fn get(address: SocketAddr, target: &str) -> Result<(u16, Vec<u8>), AskError> {
    let silent = |reason: String| AskError::Silent { address, reason };
    let asked = tokio::time::timeout(PATIENCE, ask(address, target)).await;
    let answered = asked.map_err(|_| silent("no answer in time".into()))?;
    answered.map_err(|e| silent(brief(&e)))
}

async fn ask(address: SocketAddr, target: &str) -> pingora_core::Result<(u16, Vec<u8>)> {
    let mut head = RequestHeader::build("GET", target.as_bytes(), None)?;
    head.insert_header("Host", address.to_string())?;
    exchange(address, head, Vec::new()).await
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
