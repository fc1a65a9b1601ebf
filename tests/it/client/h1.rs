//! HTTP/1.1 on a raw socket: sees exactly what was sent and where it ended.

use super::{Answer, Cut, Head, Request, narrow};
use crate::patience::within;
use std::{collections::VecDeque, net::SocketAddr};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// One connection, usable for one request after the other.
pub struct Client {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    body: Body,
    methods: VecDeque<String>,
    /// Whom requests are for that do not say so themselves.
    host: String,
}

/// What a client speaks on.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// How the end of the present body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    None,
    Length(u64),
    /// Bytes left of the present chunk.
    Chunked(u64),
    UntilClose,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = within("a connection", TcpStream::connect(address)).await;
        Self::tcp(stream.unwrap())
    }

    /// One that asks for the address itself, as an operator does.
    pub async fn operator(address: SocketAddr) -> Self {
        Self {
            host: address.to_string(),
            ..Self::connect(address).await
        }
    }

    /// A client whose kernel takes in little that it does not read.
    pub async fn narrow(address: SocketAddr) -> Self {
        Self::tcp(narrow(address).await)
    }

    /// Nothing when nobody listens.
    pub async fn try_connect(address: SocketAddr) -> Option<Self> {
        let stream = within("a connection", TcpStream::connect(address)).await;
        stream.ok().map(Self::tcp)
    }

    fn tcp(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self::on(stream)
    }

    /// A client on a connection that is there already.
    pub fn on(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            buffer: Vec::new(),
            body: Body::None,
            methods: VecDeque::new(),
            host: "media.test".to_owned(),
        }
    }

    /// Asks and reads the whole answer.
    pub async fn ask(&mut self, request: &Request) -> Answer {
        self.try_ask(request).await.unwrap_or_else(|cut| {
            let Request { method, target, .. } = request;
            panic!("no answer to {method} {target}: {cut:?}")
        })
    }

    /// Like `ask`; a connection that ends before the header is an error.
    pub async fn try_ask(&mut self, request: &Request) -> Result<Answer, Cut> {
        self.send(request).await?;
        self.answer().await
    }

    /// The whole of the next answer.
    pub async fn answer(&mut self) -> Result<Answer, Cut> {
        let head = self.head().await?;
        let (body, cut) = self.rest().await;
        Ok(Answer { head, body, cut })
    }

    pub async fn send(&mut self, request: &Request) -> Result<(), Cut> {
        let mut text = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
        if !request
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            text += &format!("Host: {}\r\n", self.host);
        }
        for (name, value) in &request.headers {
            text += &format!("{name}: {value}\r\n");
        }
        if !request.body.is_empty() {
            text += &format!("Content-Length: {}\r\n", request.body.len());
        }
        text += "\r\n";
        let mut bytes = text.into_bytes();
        bytes.extend(&request.body);
        self.methods.push_back(request.method.clone());
        let sent = within("a request to be sent", self.stream.write_all(&bytes)).await;
        sent.map_err(|error| Cut(format!("while sending: {error}")))
    }

    /// Reads the header of the next answer, over any 1xx.
    pub async fn head(&mut self) -> Result<Head, Cut> {
        assert_eq!(
            self.body,
            Body::None,
            "the body before was not read to its end"
        );
        let method = self.methods.pop_front().expect("a request was sent");
        loop {
            let head = self.any_head().await?;
            if head.status >= 200 {
                self.body = framing(&method, &head);
                return Ok(head);
            }
        }
    }

    /// Reads the header of an interim answer.
    pub async fn interim(&mut self) -> Result<Head, Cut> {
        let head = self.any_head().await?;
        assert!(head.status < 200, "it is final: {head:?}");
        Ok(head)
    }

    /// The status of the next header, interim or not, which stays to be read.
    pub async fn next_status(&mut self) -> Result<u16, Cut> {
        let line = loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                break String::from_utf8_lossy(&self.buffer[..end]).into_owned();
            }
            self.more("a header").await?;
        };
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        status.ok_or_else(|| Cut(format!("not an answer: {line:?}")))
    }

    /// Sends bytes as they are, as a request of a method.
    pub async fn send_raw(&mut self, method: &str, text: &str) {
        self.methods.push_back(method.to_owned());
        self.send_tail(text).await;
    }

    /// More of what was begun with [`Client::send_raw`].
    pub async fn send_tail(&mut self, text: &str) {
        let sent = within(
            "a request to be sent",
            self.stream.write_all(text.as_bytes()),
        )
        .await;
        sent.unwrap();
    }

    async fn any_head(&mut self) -> Result<Head, Cut> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            self.more("a header").await?;
        };
        let text: Vec<u8> = self.buffer.drain(..end).collect();
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut lines = text.split("\r\n").filter(|line| !line.is_empty());
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(':'));
        Ok(Head {
            status: status.ok_or_else(|| Cut(format!("not an answer: {text:?}")))?,
            headers: headers
                .map(|(name, value)| (name.into(), value.trim().into()))
                .collect(),
        })
    }

    /// Reads the next bytes of the body; `None` when it is whole.
    pub async fn some(&mut self) -> Result<Option<Vec<u8>>, Cut> {
        loop {
            match self.body {
                Body::None | Body::Length(0) => {
                    self.body = Body::None;
                    return Ok(None);
                }
                Body::Length(left) => {
                    let bytes = self.take(left).await?;
                    self.body = Body::Length(left - bytes.len() as u64);
                    return Ok(Some(bytes));
                }
                Body::Chunked(0) => {
                    let size = self.line().await?;
                    let size = u64::from_str_radix(size.split(';').next().unwrap_or_default(), 16);
                    let size = size.map_err(|error| Cut(format!("a chunk's size: {error}")))?;
                    if size == 0 {
                        while !self.line().await?.is_empty() {}
                        self.body = Body::None;
                        return Ok(None);
                    }
                    self.body = Body::Chunked(size);
                }
                Body::Chunked(left) => {
                    let bytes = self.take(left).await?;
                    let left = left - bytes.len() as u64;
                    self.body = Body::Chunked(left);
                    if left == 0 {
                        self.line().await?;
                    }
                    return Ok(Some(bytes));
                }
                Body::UntilClose => match self.take(u64::MAX).await {
                    Ok(bytes) => return Ok(Some(bytes)),
                    Err(Cut(reason)) if reason.contains("the end") => {
                        self.body = Body::None;
                        return Ok(None);
                    }
                    Err(cut) => return Err(cut),
                },
            }
        }
    }

    /// Reads at least `bytes` of the body, or all of it.
    pub async fn at_least(&mut self, bytes: usize) -> Result<Vec<u8>, Cut> {
        let mut body = Vec::new();
        while body.len() < bytes {
            match self.some().await? {
                Some(more) => body.extend(more),
                None => break,
            }
        }
        Ok(body)
    }

    /// Reads the body to its end, wherever that is.
    pub async fn rest(&mut self) -> (Vec<u8>, Option<Cut>) {
        let mut body = Vec::new();
        loop {
            match self.some().await {
                Ok(Some(more)) => body.extend(more),
                Ok(None) => return (body, None),
                Err(cut) => return (body, Some(cut)),
            }
        }
    }

    async fn take(&mut self, most: u64) -> Result<Vec<u8>, Cut> {
        if self.buffer.is_empty() {
            self.more("a body").await?;
        }
        let most = usize::try_from(most)
            .unwrap_or(usize::MAX)
            .min(self.buffer.len());
        Ok(self.buffer.drain(..most).collect())
    }

    async fn line(&mut self) -> Result<String, Cut> {
        let end = loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                break end;
            }
            self.more("a chunked body").await?;
        };
        let line: Vec<u8> = self.buffer.drain(..end + 2).take(end).collect();
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    async fn more(&mut self, of: &str) -> Result<(), Cut> {
        self.buffer.reserve(READ);
        match within(of, self.stream.read_buf(&mut self.buffer)).await {
            Ok(0) => Err(Cut(format!("the end amid {of}"))),
            Ok(_) => Ok(()),
            Err(error) => Err(Cut(format!("amid {of}: {error}"))),
        }
    }
}

fn framing(method: &str, head: &Head) -> Body {
    if method == "HEAD" || matches!(head.status, 204 | 304) {
        return Body::None;
    }
    let coding = head.header("transfer-encoding");
    if coding.is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return Body::Chunked(0);
    }
    match head.length() {
        Some(length) => Body::Length(length),
        None => Body::UntilClose,
    }
}

const READ: usize = 64 << 10;
