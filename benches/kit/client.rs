//! An HTTP/1.1 client that costs next to nothing: one blocking socket, one fixed buffer. A body
//! may be thrown away in the kernel, so that what is measured is the server and not its reader.

use super::{
    body::Content,
    head::{self, Head},
};
use rustix::net::RecvFlags;
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    ops::Range,
    thread,
    time::{Duration, Instant},
};

const BUFFER: usize = 256 << 10;
/// The first read takes the head and some of the body; no more, for what is copied costs.
const FIRST_READ: usize = 16 << 10;
const TIMEOUT: Duration = Duration::from_secs(60);

/// One client with one connection, kept alive as long as the server does.
pub struct Client {
    server: SocketAddr,
    socket: Option<TcpStream>,
    buffer: Box<[u8]>,
}

/// What is done with a body. Its first bytes are always compared with what they must be.
#[derive(Clone, Copy, Debug)]
pub enum Reading {
    /// Compare every byte.
    Check,
    /// Let the kernel drop the rest.
    Discard,
    /// Drop it at so many bytes per second, and stop there at the latest.
    Slowly { rate: u64, until: Instant },
}

/// One answer, times counted from the sending of the request.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Bytes of the body that were read.
    pub length: u64,
    /// Until the first byte of the body.
    pub first_byte: Duration,
    /// Until the last.
    pub whole: Duration,
}

impl Client {
    pub fn new(server: SocketAddr) -> Self {
        Self::with_buffer(server, BUFFER)
    }

    /// A client for crowds, where each takes little memory.
    pub fn small(server: SocketAddr) -> Self {
        Self::with_buffer(server, FIRST_READ)
    }

    fn with_buffer(server: SocketAddr, length: usize) -> Self {
        Self {
            server,
            socket: None,
            buffer: vec![0; length].into_boxed_slice(),
        }
    }

    /// Connects ahead of the first request.
    pub fn connect(&mut self) -> io::Result<()> {
        if self.socket.is_none() {
            let socket = TcpStream::connect(self.server)?;
            socket.set_nodelay(true)?;
            socket.set_read_timeout(Some(TIMEOUT))?;
            socket.set_write_timeout(Some(TIMEOUT))?;
            self.socket = Some(socket);
        }
        Ok(())
    }

    /// Gets `range` of an object, or all of it; anything but that is an error.
    pub fn get(
        &mut self,
        path: &str,
        range: Option<Range<u64>>,
        reading: Reading,
    ) -> io::Result<Answer> {
        self.connect()?;
        let mut socket = self.socket.take().expect("just connected");
        let asked = Instant::now();
        socket.write_all(head::request(self.server, path, range.as_ref()).as_bytes())?;
        let (head, mut have) = read_head(&mut socket, &mut self.buffer)?;
        head.expect(range.as_ref())?;

        let offset = range.map_or(0, |it| it.start);
        let mut body = Body {
            content: Content::of(path),
            offset,
            length: head.length,
            read: 0,
            reading,
        };
        body.take(&self.buffer[head.end..have])?;
        if body.read == 0 && head.length > 0 {
            have = socket.read(&mut self.buffer[..FIRST_READ])?;
            body.take(&self.buffer[..have])?;
        }
        let first_byte = asked.elapsed();
        body.finish(&mut socket, &mut self.buffer, asked)?;
        if !head.closes && body.read == head.length {
            self.socket = Some(socket);
        }
        Ok(Answer {
            length: body.read,
            first_byte,
            whole: asked.elapsed(),
        })
    }
}

fn read_head(socket: &mut TcpStream, buffer: &mut [u8]) -> io::Result<(Head, usize)> {
    let mut have = 0;
    loop {
        match socket.read(&mut buffer[have..FIRST_READ])? {
            0 => return Err(io::Error::other("no complete response head")),
            more => have += more,
        }
        if let Some(head) = Head::parse(&buffer[..have]) {
            return Ok((head, have));
        }
    }
}

/// A body on its way in.
struct Body {
    content: Content,
    offset: u64,
    length: u64,
    read: u64,
    reading: Reading,
}

impl Body {
    /// Compares the next bytes with what they must be.
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.content.matches(self.offset + self.read, bytes) {
            let at = self.offset + self.read;
            return Err(io::Error::other(format!("wrong bytes at or after {at}")));
        }
        self.read += bytes.len() as u64;
        Ok(())
    }

    fn finish(
        &mut self,
        socket: &mut TcpStream,
        buffer: &mut [u8],
        asked: Instant,
    ) -> io::Result<()> {
        while self.read < self.length {
            let left = usize::try_from(self.length - self.read).unwrap_or(usize::MAX);
            let most = left.min(buffer.len());
            let got = match self.reading {
                Reading::Check => {
                    let got = socket.read(&mut buffer[..most])?;
                    self.take(&buffer[..got])?;
                    got
                }
                Reading::Discard => self.drop_some(socket, &mut buffer[..most])?,
                Reading::Slowly { rate, until } => {
                    let due = asked + Duration::from_secs_f64(self.read as f64 / rate as f64);
                    let now = Instant::now();
                    if now >= until {
                        return Ok(());
                    }
                    thread::sleep(due.min(until).saturating_duration_since(now));
                    self.drop_some(socket, &mut buffer[..most])?
                }
            };
            if got == 0 {
                return Err(io::Error::other(format!(
                    "body ends at {} of {}",
                    self.read, self.length
                )));
            }
        }
        Ok(())
    }

    /// Has the kernel throw bytes away without copying them.
    fn drop_some(&mut self, socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        let (_, dropped) = rustix::net::recv(socket, buffer, RecvFlags::TRUNC)?;
        self.read += dropped as u64;
        Ok(dropped)
    }
}
