//! The PROXY protocol: a load balancer in front says on whose behalf it connects
//! (<https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>, versions 1 and 2).

use crate::proxy::Socket;
use ppp::{HeaderResult, v1, v2};
use std::net::SocketAddr;
use tokio::io::AsyncReadExt;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// The connection is this client's.
    For(SocketAddr),
    /// It is the load balancer's own, such as a health check, or of a kind without addresses.
    ForItself,
}

/// Why no header could be read.
#[derive(Debug, thiserror::Error)]
pub enum Unspoken {
    /// The connection broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Something else was said.
    #[error("no PROXY header")]
    Malformed,
}

/// The longest header that is read: version 2 with extensions of some kilobytes (certificates).
const LONGEST: usize = 4096;
/// The longest header of version 1, its line end included.
const LONGEST_TEXT: usize = 107;
/// The shortest header there is: `PROXY UNKNOWN` and its line end. So much can be read without
/// taking anything of what follows.
const SHORTEST: usize = 15;

/// Reads the header, and nothing of what follows it.
pub async fn read(socket: &mut Socket) -> Result<Spoken, Unspoken> {
    let mut bytes = Vec::with_capacity(128);
    loop {
        let more = match lacking(&bytes) {
            Some(0) => return said(&bytes),
            Some(more) if bytes.len() + more <= LONGEST => more,
            _ => return Err(Unspoken::Malformed),
        };
        let begun = bytes.len();
        bytes.resize(begun + more, 0);
        socket.read_exact(&mut bytes[begun..]).await?;
    }
}

/// How many bytes the header has at least beyond these; `None` where they begin none.
fn lacking(bytes: &[u8]) -> Option<usize> {
    if bytes.len() < SHORTEST {
        return Some(SHORTEST - bytes.len());
    }
    if bytes.starts_with(b"PROXY ") {
        // Its end is a line end: it is looked for byte by byte.
        let is_whole = bytes.ends_with(b"\n");
        return (is_whole || bytes.len() < LONGEST_TEXT).then_some(usize::from(!is_whole));
    }
    match v2::Header::try_from(bytes) {
        Ok(_) => Some(0),
        Err(v2::ParseError::Partial(have, whole)) if whole > have => Some(whole - have),
        Err(v2::ParseError::Incomplete(_)) => Some(1),
        Err(_) => None,
    }
}

fn said(bytes: &[u8]) -> Result<Spoken, Unspoken> {
    match HeaderResult::parse(bytes) {
        HeaderResult::V1(Ok(header)) => Ok(match header.addresses {
            v1::Addresses::Tcp4(a) => Spoken::For((a.source_address, a.source_port).into()),
            v1::Addresses::Tcp6(a) => Spoken::For((a.source_address, a.source_port).into()),
            v1::Addresses::Unknown => Spoken::ForItself,
        }),
        HeaderResult::V2(Ok(header)) => Ok(match (header.command, header.addresses) {
            (v2::Command::Proxy, v2::Addresses::IPv4(a)) => {
                Spoken::For((a.source_address, a.source_port).into())
            }
            (v2::Command::Proxy, v2::Addresses::IPv6(a)) => {
                Spoken::For((a.source_address, a.source_port).into())
            }
            _ => Spoken::ForItself,
        }),
        _ => Err(Unspoken::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
    };

    const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = [V2, &[0x20 | command, family]].concat();
        bytes.extend((payload.len() as u16).to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    /// What is read of these bytes, and what is left.
    async fn read_of(bytes: &[u8]) -> (Option<Spoken>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (far, peer) = listener.accept().await.unwrap();
        near.write_all(bytes).await.unwrap();
        near.shutdown().await.unwrap();
        let mut socket = Socket::new(far, peer);
        let spoken = read(&mut socket).await.ok();
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await.unwrap();
        (spoken, rest)
    }

    #[tokio::test]
    async fn both_versions_are_read_to_their_last_byte_and_no_further() {
        let client = |text: &str| Some(Spoken::For(text.parse().unwrap()));
        let v4 = [192, 0, 2, 7, 10, 0, 0, 1, 0x1f, 0x90, 0, 80];
        let with_more = [&v4[..], &[4, 0, 3, 1, 2, 3]].concat();
        for (header, spoken) in [
            (
                b"PROXY TCP4 192.0.2.7 10.0.0.1 8080 80\r\n".to_vec(),
                client("192.0.2.7:8080"),
            ),
            (
                b"PROXY TCP6 2001:db8::7 ::1 8080 80\r\n".to_vec(),
                client("[2001:db8::7]:8080"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), Some(Spoken::ForItself)),
            (v2(1, 0x11, &v4), client("192.0.2.7:8080")),
            (v2(1, 0x11, &with_more), client("192.0.2.7:8080")),
            (v2(0, 0, &[]), Some(Spoken::ForItself)),
        ] {
            let rest = b"GET / HTTP/1.1\r\n\r\n";
            let (read, left) = read_of(&[&header, &rest[..]].concat()).await;
            assert_eq!((read, &left[..]), (spoken, &rest[..]), "{header:?}");
        }
    }

    #[tokio::test]
    async fn anything_else_is_none() {
        for bytes in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"PROXY TCP4 192.0.2.7 10.0.0.1 8080 ",
            b"PROXY TCP4 192.0.2.700 10.0.0.1 8080 80\r\n",
            b"PROXY TCP9 1 2 3 4\r\n",
            b"",
        ] {
            assert_eq!(read_of(bytes).await.0, None, "{bytes:?}");
        }
        let endless = [b"PROXY TCP4 ".to_vec(), vec![b'1'; 9000]].concat();
        assert_eq!(read_of(&endless).await.0, None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let begun = [V2, &bytes].concat();
            for bytes in [&bytes, &begun] {
                if lacking(bytes) == Some(0) {
                    let _ = said(bytes);
                }
            }
        }
    }
}
