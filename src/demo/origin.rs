//! The demo's origin: one film over HTTP, ranges and conditions honoured, every byte counted.

use super::{
    answer::{Answer, Representation},
    link::Link,
};
use crate::server::listener::BoundListener;
use async_trait::async_trait;
use bytes::BytesMut;
use http::{Method, StatusCode, header};
use log::{debug, warn};
use parking_lot::Mutex;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora_core::{
    Error, ErrorType, OrErr,
    apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream},
    protocols::http::ServerSession,
    server::{Fds, ShutdownWatch},
    services::{Service as _, listening::Service},
};
use std::{
    io::{self, SeekFrom},
    num::NonZeroU64,
    ops::Range,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
    sync::watch,
    task::JoinHandle,
    time::Instant,
};

/// Where the film is.
pub const PATH: &str = "/film.mp4";

/// An origin that serves one file at [`PATH`].
#[derive(Debug)]
pub struct Origin {
    file: PathBuf,
    film: Representation,
    max_age: Duration,
    link: Link,
    asked: Arc<Asked>,
}

/// What an origin was asked for so far.
#[derive(Debug, Default)]
pub struct Asked {
    requests: AtomicU64,
    bytes: AtomicU64,
}

/// A running origin; dropping it leaves it running.
#[derive(Debug)]
pub struct Serving {
    shutdown: watch::Sender<bool>,
    service: JoinHandle<()>,
}

impl Asked {
    /// Requests whose head was read.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Bytes of bodies that were sent.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Origin {
    /// Serves a file that does not change, at most `rate` bytes a second over all requests.
    pub fn new(file: PathBuf, max_age: Duration, rate: Option<NonZeroU64>) -> io::Result<Self> {
        let facts = std::fs::metadata(&file)?;
        let made = facts.modified().unwrap_or_else(|_| SystemTime::now());
        Ok(Self {
            file,
            film: Representation::new(facts.len(), made),
            max_age,
            link: Link::new(rate),
            asked: Arc::default(),
        })
    }

    /// The counters, which go on counting while it serves.
    pub fn asked(&self) -> Arc<Asked> {
        self.asked.clone()
    }

    /// Length of the film.
    pub fn length(&self) -> u64 {
        self.film.length
    }

    /// Serves on a bound socket, on the tokio runtime of the caller.
    pub fn serve(self, listener: BoundListener) -> Serving {
        let mut table = Fds::new();
        let address = listener.hand_over(&mut table);
        let mut service = Service::new("demo origin".into(), self);
        service.add_tcp(&address);
        let (shutdown, watch) = watch::channel(false);
        let service = tokio::spawn(async move {
            let table = Arc::new(Mutex::new(table));
            service.start_service(Some(table), watch, 1).await;
        });
        Serving { shutdown, service }
    }

    /// The answer's head, and which bytes of the film follow it.
    fn head(&self, request: &RequestHeader) -> Result<Prepared, Box<Error>> {
        if request.uri.path() != PATH {
            return Prepared::empty(StatusCode::NOT_FOUND);
        }
        let answer = match request.method {
            Method::GET => self.film.answer(&request.headers),
            // A range is defined for GET alone; the conditions hold for both.
            Method::HEAD => {
                let mut headers = request.headers.clone();
                headers.remove(header::RANGE);
                self.film.answer(&headers)
            }
            _ => {
                let mut refusal = Prepared::empty(StatusCode::METHOD_NOT_ALLOWED)?;
                refusal.head.insert_header(header::ALLOW, "GET, HEAD")?;
                return Ok(refusal);
            }
        };
        let mut prepared = self.prepare(answer)?;
        if request.method == Method::HEAD {
            prepared.body = None;
        }
        Ok(prepared)
    }

    fn prepare(&self, answer: Answer) -> Result<Prepared, Box<Error>> {
        let length = self.film.length;
        let (status, body) = match answer {
            Answer::Unsatisfiable => {
                let mut refusal = Prepared::empty(StatusCode::RANGE_NOT_SATISFIABLE)?;
                let range = format!("bytes */{length}");
                refusal.head.insert_header(header::CONTENT_RANGE, range)?;
                return Ok(refusal);
            }
            Answer::NotModified => (StatusCode::NOT_MODIFIED, None),
            Answer::Whole => (StatusCode::OK, Some(0..length)),
            Answer::Part(range) => (StatusCode::PARTIAL_CONTENT, Some(range)),
        };
        let mut head = ResponseHeader::build(status, Some(8))?;
        head.insert_header(header::DATE, httpdate::fmt_http_date(SystemTime::now()))?;
        head.insert_header(header::ETAG, &self.film.etag)?;
        let max_age = format!("public, max-age={}", self.max_age.as_secs());
        head.insert_header(header::CACHE_CONTROL, max_age)?;
        let modified = httpdate::fmt_http_date(self.film.modified);
        head.insert_header(header::LAST_MODIFIED, modified)?;
        if let Some(range) = &body {
            head.insert_header(header::ACCEPT_RANGES, "bytes")?;
            head.insert_header(header::CONTENT_TYPE, "video/mp4")?;
            head.insert_header(header::CONTENT_LENGTH, range.end - range.start)?;
            if status == StatusCode::PARTIAL_CONTENT {
                let place = format!("bytes {}-{}/{length}", range.start, range.end - 1);
                head.insert_header(header::CONTENT_RANGE, place)?;
            }
        }
        Ok(Prepared { head, body })
    }

    async fn respond(&self, http: &mut ServerSession) -> Result<(), Box<Error>> {
        self.asked.requests.fetch_add(1, Ordering::Relaxed);
        let Prepared { head, body } = self.head(http.req_header())?;
        debug!("demo origin: {}: {}", http.request_summary(), head.status);
        http.write_response_header(Box::new(head)).await?;
        match body {
            Some(range) => self.send(http, range).await,
            None => Ok(()),
        }
    }

    /// Reads and sends one segment after the other: what a request holds does not depend on how
    /// much it asks for.
    async fn send(&self, http: &mut ServerSession, range: Range<u64>) -> Result<(), Box<Error>> {
        let unreadable = "the film cannot be read";
        let file = File::open(&self.file).await;
        let mut file = file.or_err(ErrorType::FileReadError, unreadable)?;
        let place = file.seek(SeekFrom::Start(range.start)).await;
        place.or_err(ErrorType::FileReadError, unreadable)?;
        let mut left = range.end - range.start;
        while left > 0 {
            let mut segment = BytesMut::zeroed(left.min(SEGMENT) as usize);
            let read = file.read_exact(&mut segment).await;
            read.or_err(ErrorType::FileReadError, unreadable)?;
            let start = self.link.accept(segment.len(), Instant::now());
            tokio::time::sleep_until(start).await;
            left -= segment.len() as u64;
            let length = segment.len() as u64;
            http.write_response_body(segment.freeze(), left == 0)
                .await?;
            self.asked.bytes.fetch_add(length, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// An answer that is ready to go.
struct Prepared {
    head: ResponseHeader,
    body: Option<Range<u64>>,
}

impl Prepared {
    fn empty(status: StatusCode) -> Result<Self, Box<Error>> {
        let mut head = ResponseHeader::build(status, Some(4))?;
        head.insert_header(header::DATE, httpdate::fmt_http_date(SystemTime::now()))?;
        head.insert_header(header::CONTENT_LENGTH, 0)?;
        Ok(Self { head, body: None })
    }
}

impl Serving {
    /// Stops accepting and waits for that; answers under way go on until the runtime ends.
    pub async fn stop(self) {
        self.shutdown.send_replace(true);
        if let Err(error) = self.service.await {
            warn!("the demo's origin ended badly: {error}");
        }
    }
}

#[async_trait]
impl HttpServerApp for Origin {
    async fn process_new_http(
        self: &Arc<Self>,
        mut http: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        match http.read_request().await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                debug!("demo origin: no request: {error}");
                return None;
            }
        }
        let keep = (!*shutdown.borrow()).then_some(KEEP_ALIVE_SECONDS);
        http.set_keepalive(keep);
        if let Err(error) = self.respond(&mut http).await {
            // Mostly an asker that has left: the proxy stops fetching what nobody wants.
            debug!("demo origin: {}: {error}", http.request_summary());
            return None;
        }
        let settings = HttpPersistentSettings::for_session(&http);
        let stream = http.finish().await.ok()??;
        Some(ReusedHttpStream::from_reusable_stream(stream, settings))
    }
}

/// Bytes read and sent at a time: small, so that requests share a slow line evenly.
const SEGMENT: u64 = 64 << 10;
const KEEP_ALIVE_SECONDS: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::listener;
    use std::{collections::HashMap, net::SocketAddr};
    use tempfile::TempDir;
    use tokio::{io::AsyncWriteExt, net::TcpStream};

    /// An origin with a file of 300,000 bytes that no two places share.
    struct Fixture {
        _directory: TempDir,
        address: SocketAddr,
        asked: Arc<Asked>,
        content: Vec<u8>,
        serving: Serving,
    }

    fn start(rate: Option<u64>) -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("film.mp4");
        let content: Vec<u8> = (0..75_000u32).flat_map(u32::to_be_bytes).collect();
        std::fs::write(&file, &content).unwrap();
        let rate = rate.and_then(NonZeroU64::new);
        let origin = Origin::new(file, Duration::from_secs(60), rate).unwrap();
        let listener = listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        Fixture {
            _directory: directory,
            address: listener.address(),
            asked: origin.asked(),
            content,
            serving: origin.serve(listener),
        }
    }

    struct Reply {
        status: u16,
        headers: HashMap<String, String>,
        body: Vec<u8>,
    }

    /// One request on a connection that may carry more of them.
    async fn ask(stream: &mut TcpStream, method: &str, path: &str, headers: &str) -> Reply {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: film\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().lines();
        let status = lines.next().unwrap()[9..12].parse().unwrap();
        let headers: HashMap<_, _> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_string()))
            .collect();
        let length = match (method, status) {
            ("HEAD", _) | (_, 304) => 0,
            _ => headers["content-length"].parse().unwrap(),
        };
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        Reply {
            status,
            headers,
            body,
        }
    }

    #[tokio::test]
    async fn one_connection_carries_every_kind_of_answer() {
        let origin = start(None);
        let stream = &mut TcpStream::connect(origin.address).await.unwrap();

        let whole = ask(stream, "GET", PATH, "").await;
        assert_eq!(whole.status, 200);
        assert!(whole.body == origin.content);
        assert_eq!(whole.headers["accept-ranges"], "bytes");
        assert_eq!(whole.headers["content-type"], "video/mp4");
        assert_eq!(whole.headers["cache-control"], "public, max-age=60");
        assert!(whole.headers.contains_key("date"));

        let head = ask(stream, "HEAD", PATH, "Range: bytes=0-9\r\n").await;
        assert_eq!(head.status, 200);
        assert_eq!(head.headers["content-length"], "300000");
        assert_eq!(head.headers["etag"], whole.headers["etag"]);

        let part = ask(stream, "GET", PATH, "Range: bytes=70000-199999\r\n").await;
        assert_eq!(part.status, 206);
        assert_eq!(part.headers["content-range"], "bytes 70000-199999/300000");
        assert!(part.body == origin.content[70_000..200_000]);

        let suffix = ask(stream, "GET", PATH, "Range: bytes=-3\r\n").await;
        assert_eq!(
            suffix.headers["content-range"],
            "bytes 299997-299999/300000"
        );
        assert_eq!(suffix.body, origin.content[299_997..]);

        let behind = ask(stream, "GET", PATH, "Range: bytes=300000-\r\n").await;
        assert_eq!(behind.status, 416);
        assert_eq!(behind.headers["content-range"], "bytes */300000");

        let etag = &whole.headers["etag"];
        let same = ask(stream, "GET", PATH, &format!("If-None-Match: {etag}\r\n")).await;
        assert_eq!(same.status, 304);
        assert_eq!(&same.headers["etag"], etag);

        for (condition, status) in [
            (etag.as_str(), 206),
            (&whole.headers["last-modified"], 206),
            ("\"x\"", 200),
        ] {
            let headers = format!("Range: bytes=5-6\r\nIf-Range: {condition}\r\n");
            assert_eq!(ask(stream, "GET", PATH, &headers).await.status, status);
        }

        assert_eq!(ask(stream, "GET", "/other", "").await.status, 404);
        let refused = ask(stream, "DELETE", PATH, "").await;
        assert_eq!(refused.status, 405);
        assert_eq!(refused.headers["allow"], "GET, HEAD");

        assert_eq!(origin.asked.requests(), 11);
        let sent = 300_000 + 130_000 + 3 + 2 + 2 + 300_000;
        assert_eq!(origin.asked.bytes(), sent);
    }

    #[tokio::test]
    async fn a_slow_line_takes_its_time_and_lets_a_second_asker_in() {
        let origin = start(Some(1_000_000));
        let begin = Instant::now();
        let address = origin.address;
        let whole = tokio::spawn(async move {
            let stream = &mut TcpStream::connect(address).await.unwrap();
            ask(stream, "GET", PATH, "").await;
        });
        tokio::time::sleep(Duration::from_millis(30)).await;
        let stream = &mut TcpStream::connect(address).await.unwrap();
        let part = ask(stream, "GET", PATH, "Range: bytes=290000-290009\r\n").await;
        assert_eq!(part.body, origin.content[290_000..290_010]);
        assert!(!whole.is_finished(), "a seek waits for the whole film");
        whole.await.unwrap();
        // The last segment goes when all before it have: 256 KiB of 300,000 bytes.
        assert!(begin.elapsed() >= Duration::from_millis(262));
    }

    #[tokio::test]
    async fn a_stopped_origin_accepts_no_more() {
        let origin = start(None);
        TcpStream::connect(origin.address).await.unwrap();
        origin.serving.stop().await;
        assert!(TcpStream::connect(origin.address).await.is_err());
    }
}
