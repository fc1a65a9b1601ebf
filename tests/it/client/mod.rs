//! Clients: plain HTTP/1.1 on a socket, and HTTP/2, both able to be slow.

mod h1;
mod h2;
mod multipart;

pub use self::{h1::Client, h1::Stream, h2::H2, h2::H2Asked, multipart::parts};

use crate::patience::within;
use std::{fmt, net::SocketAddr};
use tokio::net::{TcpSocket, TcpStream};

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Status and header fields of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    pub headers: Vec<(String, String)>,
}

/// A whole answer, or as much of one as came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub head: Head,
    pub body: Vec<u8>,
    /// Why the body is not whole.
    pub cut: Option<Cut>,
}

/// The connection ended before the answer did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut(pub String);

/// A connection whose kernel takes in little that is not read.
async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    within("a connection", socket.connect(address))
        .await
        .unwrap()
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub fn head(target: &str) -> Self {
        Self::new("HEAD", target)
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn range(self, range: impl Into<String>) -> Self {
        self.header("Range", range)
    }

    /// Asks for the bytes from `first` to `last`, both included.
    pub fn bytes(self, first: u64, last: u64) -> Self {
        self.range(format!("bytes={first}-{last}"))
    }
}

impl Head {
    /// The first line of a field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All lines of a field.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self.headers.iter();
        lines.filter_map(move |(known, value)| known.eq_ignore_ascii_case(name).then_some(&**value))
    }

    pub fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// Tidegate's own member of `Cache-Status`, which is to be the first.
    pub fn cache_status(&self) -> CacheStatus {
        let line = self.header("cache-status").unwrap_or_default();
        let member = line.split(',').next().unwrap_or_default();
        let mut parts = member.split(';').map(str::trim);
        CacheStatus {
            cache: parts.next().unwrap_or_default().to_owned(),
            parameters: parts.map(str::to_owned).collect(),
        }
    }
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.head.status
    }

    pub fn is_whole(&self) -> bool {
        self.cut.is_none()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            to,
            "{} with {} bytes, {:?}",
            self.head.status,
            self.body.len(),
            self.cut
        )?;
        for (name, value) in &self.head.headers {
            writeln!(to, "    {name}: {value}")?;
        }
        Ok(())
    }
}

/// One member of `Cache-Status` (RFC 9211).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheStatus {
    pub cache: String,
    pub parameters: Vec<String>,
}

impl CacheStatus {
    pub fn has(&self, parameter: &str) -> bool {
        self.parameters.iter().any(|known| known == parameter)
    }

    pub fn is_hit(&self) -> bool {
        self.has("hit")
    }

    /// Why the request was forwarded.
    pub fn forward(&self) -> Option<&str> {
        self.parameters
            .iter()
            .find_map(|known| known.strip_prefix("fwd="))
    }
}
