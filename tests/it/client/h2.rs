//! HTTP/2 by prior knowledge, with a window that can be withheld.

use super::{Answer, Cut, Head, Request, Stream, narrow};
use crate::patience::within;
use bytes::Bytes;
use h2::{
    Reason, RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use std::{future::poll_fn, net::SocketAddr};
use tokio::{net::TcpStream, task::JoinHandle};

/// One connection; streams share it.
pub struct H2 {
    requests: SendRequest<Bytes>,
    driver: JoinHandle<()>,
}

/// A request that was sent, or as much of it as is there.
pub struct H2Asked {
    answer: ResponseFuture,
    body: SendStream<Bytes>,
}

/// An answer whose body comes only as fast as it is taken.
pub struct H2Answer {
    pub head: Head,
    body: RecvStream,
}

impl H2 {
    /// Connects; each stream may run this far ahead of its reader, and the connection much further.
    pub async fn connect(address: SocketAddr, stream_window: u32) -> Self {
        let stream = within("a connection", TcpStream::connect(address))
            .await
            .unwrap();
        Self::on(stream, stream_window).await
    }

    /// The same with a kernel that takes in little that is not read.
    pub async fn narrow(address: SocketAddr, stream_window: u32) -> Self {
        Self::on(narrow(address).await, stream_window).await
    }

    /// The same on a connection that is there already.
    pub async fn on(stream: impl Stream + 'static, stream_window: u32) -> Self {
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(stream_window);
        builder.initial_connection_window_size(8 << 20);
        let greeting = within("an HTTP/2 greeting", builder.handshake::<_, Bytes>(stream)).await;
        let (requests, connection) = greeting.unwrap();
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        Self { requests, driver }
    }

    /// Asks; the body, where it is not `whole`, goes on.
    pub async fn begin(&self, request: &Request, whole: bool) -> H2Asked {
        let asked = self.try_begin(request, whole);
        within("room for a stream", asked).await.unwrap()
    }

    /// The same, or why the connection takes no more streams.
    pub async fn try_begin(&self, request: &Request, whole: bool) -> Result<H2Asked, Cut> {
        let mut builder = http::Request::builder()
            .method(request.method.as_str())
            .uri(format!("http://media.test{}", request.target));
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let message = builder.body(()).unwrap();
        let closed = |error: h2::Error| Cut(error.to_string());
        let mut requests = self.requests.clone().ready().await.map_err(closed)?;
        let bodiless = request.body.is_empty() && whole;
        let (answer, mut body) = requests.send_request(message, bodiless).map_err(closed)?;
        if !bodiless {
            // As frames alone: no header tells the length.
            let data = request.body.clone().into();
            body.send_data(data, whole).map_err(closed)?;
        }
        Ok(H2Asked { answer, body })
    }

    /// Asks and waits for the header alone.
    pub async fn open(&self, request: &Request) -> H2Answer {
        let asked = self.begin(request, true).await;
        asked.head().await.unwrap()
    }

    pub async fn ask(&self, request: &Request) -> Answer {
        self.open(request).await.whole().await
    }

    /// Waits until the other side has closed the connection.
    pub async fn closed(&mut self) {
        let _ = within("the end of an HTTP/2 connection", &mut self.driver).await;
    }
}

impl H2Asked {
    /// Sends the rest of the request's body.
    pub fn end(&mut self, body: &'static [u8]) {
        self.body.send_data(Bytes::from_static(body), true).unwrap();
    }

    /// Waits for the next interim head.
    pub async fn interim(&mut self) -> Head {
        let interim = poll_fn(|cx| self.answer.poll_informational(cx));
        let interim = within("an interim head over HTTP/2", interim).await;
        let (parts, ()) = interim.expect("an interim head").unwrap().into_parts();
        head(&parts)
    }

    /// Waits for the header, or for why there is none.
    pub async fn head(self) -> Result<H2Answer, Cut> {
        let answer = within("a header over HTTP/2", self.answer).await;
        let (parts, body) = answer.map_err(|error| Cut(error.to_string()))?.into_parts();
        let head = head(&parts);
        Ok(H2Answer { head, body })
    }

    /// Resets the stream.
    pub fn reset(mut self) {
        self.body.send_reset(Reason::CANCEL);
    }
}

fn head(parts: &http::response::Parts) -> Head {
    let lines = parts.headers.iter();
    let lines = lines.map(|(name, value)| (name.to_string(), text(value.as_bytes())));
    Head {
        status: parts.status.as_u16(),
        headers: lines.collect(),
    }
}

impl H2Answer {
    /// Reads the next bytes without giving the window back: after a window's worth it stalls.
    pub async fn some_withheld(&mut self) -> Option<Bytes> {
        within("a body over HTTP/2", self.body.data()).await?.ok()
    }

    /// Gives back what was withheld and reads to the end.
    pub async fn whole(mut self) -> Answer {
        let used = self.body.flow_control().used_capacity();
        let _ = self.body.flow_control().release_capacity(used);
        let mut body = Vec::new();
        let mut cut = None;
        while let Some(piece) = within("a body over HTTP/2", self.body.data()).await {
            match piece {
                Ok(piece) => {
                    let _ = self.body.flow_control().release_capacity(piece.len());
                    body.extend(piece);
                }
                Err(error) => {
                    cut = Some(Cut(error.to_string()));
                    break;
                }
            }
        }
        let head = self.head;
        Answer { head, body, cut }
    }
}

impl Drop for H2 {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
