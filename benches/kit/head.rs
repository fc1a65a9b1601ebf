//! What clients ask, and what the head of an answer says.

use std::{io, net::SocketAddr, ops::Range};

/// What a response's head says.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Where it ends in the buffer.
    pub end: usize,
    pub status: u16,
    pub length: u64,
    pub closes: bool,
    /// Whether it came from the cache, where the server says so.
    pub hit: Option<bool>,
}

/// A GET for `range` of an object, or for all of it.
pub fn request(server: SocketAddr, path: &str, range: Option<&Range<u64>>) -> String {
    let range = range.map_or(String::new(), |it| {
        format!("Range: bytes={}-{}\r\n", it.start, it.end - 1)
    });
    format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n{range}\r\n")
}

impl Head {
    /// The head that `bytes` begin with; none while it is not complete.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let value = |name: &str| {
            let mut fields = text.lines().filter_map(|line| line.split_once(':'));
            Some(fields.find(|(it, _)| *it == name)?.1.trim())
        };
        Some(Self {
            end,
            status: text.split(' ').nth(1)?.parse().ok()?,
            length: value("content-length")
                .and_then(|it| it.parse().ok())
                .unwrap_or(0),
            closes: value("connection") == Some("close"),
            hit: hit(value),
        })
    }

    /// Anything but what was asked for is an error.
    pub fn expect(&self, range: Option<&Range<u64>>) -> io::Result<()> {
        let right = match range {
            Some(range) => self.status == 206 && self.length == range.end - range.start,
            None => self.status == 200 && self.length > 0,
        };
        if right {
            return Ok(());
        }
        let (status, length) = (self.status, self.length);
        Err(io::Error::other(format!(
            "status {status} with {length} bytes for {range:?}"
        )))
    }
}

/// Ours says it in `Cache-Status`, as RFC 9211 has it; nginx as configured in `X-Cache`; Varnish
/// by naming, in `X-Varnish`, the request that stored the object beside this one.
fn hit<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Option<bool> {
    let ours = value("cache-status").map(|it| it.split(';').any(|part| part.trim() == "hit"));
    let nginx = || value("x-cache").map(|it| it == "hit");
    let varnish = || value("x-varnish").map(|it| it.contains(' '));
    ours.or_else(nginx).or_else(varnish)
}
