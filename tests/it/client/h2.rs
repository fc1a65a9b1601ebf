//! HTTP/2 by prior knowledge, with a window that can be withheld.

use super::{Answer, Cut, Head, Request, Stream};
use crate::patience::within;
use bytes::Bytes;
use h2::{RecvStream, client::SendRequest};
use std::net::SocketAddr;
use tokio::{net::TcpStream, task::JoinHandle};

/// One connection; streams share it.
pub struct H2 {
    requests: SendRequest<Bytes>,
    driver: JoinHandle<()>,
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

    /// Asks and waits for the header alone.
    pub async fn open(&self, request: &Request) -> H2Answer {
        let mut builder = http::Request::builder()
            .method(request.method.as_str())
            .uri(format!("http://media.test{}", request.target));
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let message = builder.body(()).unwrap();
        let mut requests = within("room for a stream", self.requests.clone().ready())
            .await
            .unwrap();
        let bodiless = request.body.is_empty();
        let (answer, mut body) = requests.send_request(message, bodiless).unwrap();
        if !bodiless {
            // As frames alone: no header tells the length.
            body.send_data(request.body.clone().into(), true).unwrap();
        }
        let answer = within("a header over HTTP/2", answer).await.unwrap();
        let (parts, body) = answer.into_parts();
        let lines = parts.headers.iter();
        let lines = lines.map(|(name, value)| (name.to_string(), text(value.as_bytes())));
        let head = Head {
            status: parts.status.as_u16(),
            headers: lines.collect(),
        };
        H2Answer { head, body }
    }

    pub async fn ask(&self, request: &Request) -> Answer {
        self.open(request).await.whole().await
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
