//! TCP connections with a deadline of their own, apart from the TLS handshake's.

use async_trait::async_trait;
use pingora_core::{
    Error, ErrorType, Result,
    connectors::l4::Connect,
    protocols::l4::{socket::SocketAddr, stream::Stream},
};
use std::{io::ErrorKind, time::Duration};
use tokio::net::TcpStream;

/// Connects within this time.
#[derive(Debug)]
pub struct Dial(pub Duration);

#[async_trait]
impl Connect for Dial {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let Some(address) = address.as_inet() else {
            return Error::e_explain(ErrorType::ConnectError, "not an address of the internet");
        };
        let connected = tokio::time::timeout(self.0, TcpStream::connect(address)).await;
        match connected {
            Ok(Ok(stream)) => Ok(stream.into()),
            Ok(Err(e)) => {
                let etype = match e.kind() {
                    ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
                    ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                        ErrorType::ConnectNoRoute
                    }
                    _ => ErrorType::ConnectError,
                };
                Err(Error::because(etype, "connecting", e))
            }
            Err(_) => Error::e_explain(ErrorType::ConnectTimedout, "connecting"),
        }
    }
}
