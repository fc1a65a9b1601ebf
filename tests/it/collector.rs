//! A collector of traces that answers as it is told, and reads what it is sent by itself.

use crate::patience::within;
use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Instant,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// The collector; its connections end with it.
pub struct Collector {
    address: SocketAddr,
    desk: Arc<Desk>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Desk {
    moods: Mutex<VecDeque<Mood>>,
    seen: watch::Sender<Seen>,
}

/// What has come so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub posts: Vec<Post>,
    /// What was taken.
    pub spans: Vec<Span>,
}

/// One request to it.
#[derive(Clone, Debug)]
pub struct Post {
    pub head: String,
    pub came: Instant,
}

/// How a request is answered; well, where nothing else was said.
#[derive(Clone, Copy, Debug)]
pub enum Mood {
    /// With a status, and what stands in `Retry-After`.
    Refuses(u16, Option<u64>),
    /// By not a word.
    IsSilent,
    /// Well, but for so many spans.
    Rejects(u64),
}

/// One span, as the schema has it; names in hexadecimal.
#[derive(Clone, Debug, Default)]
pub struct Span {
    pub service: String,
    pub trace: String,
    pub id: String,
    pub parent: Option<String>,
    pub state: String,
    pub name: String,
    pub kind: u64,
    pub began: u64,
    pub ended: u64,
    pub attributes: BTreeMap<String, String>,
    pub has_failed: bool,
    /// The trace and the span that it has a link to.
    pub link: Option<(String, String)>,
}

pub const INTERNAL: u64 = 1;
pub const SERVER: u64 = 2;
pub const CLIENT: u64 = 3;

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let desk = Arc::<Desk>::default();
        Self {
            address: listener.local_addr().unwrap(),
            accepting: tokio::spawn(accept(listener, desk.clone())),
            desk,
        }
    }

    pub fn endpoint(&self) -> http::Uri {
        format!("http://{}", self.address).parse().unwrap()
    }

    /// How the next requests are answered, one after the other.
    pub fn will(&self, moods: impl IntoIterator<Item = Mood>) {
        self.desk.moods.lock().unwrap().extend(moods);
    }

    pub fn seen(&self) -> Seen {
        self.desk.seen.borrow().clone()
    }

    /// Waits until what has come is as a test needs it.
    pub async fn until(&self, what: &str, mut ready: impl FnMut(&Seen) -> bool) -> Seen {
        let mut seen = self.desk.seen.subscribe();
        let found = within(what, seen.wait_for(|seen| ready(seen))).await;
        found.expect("the collector is there").clone()
    }

    /// Waits until so many requests of clients have been told of; returns their spans.
    pub async fn requests(&self, count: usize) -> Vec<Span> {
        let told = |seen: &Seen| seen.spans.iter().filter(|span| span.kind == SERVER).count();
        let what = format!("{count} requests to be told of");
        let seen = self.until(&what, |seen| told(seen) >= count).await;
        let mut spans = seen.spans;
        spans.retain(|span| span.kind == SERVER);
        spans.sort_by_key(|span| span.began);
        assert_eq!(spans.len(), count, "{spans:#?}");
        spans
    }

    /// What a request has done, as far as it has come, in the order in which it began.
    pub fn steps_of(&self, request: &Span) -> Vec<Span> {
        let mut spans = self.seen().spans;
        spans.retain(|span| span.parent.as_ref() == Some(&request.id));
        spans.sort_by_key(|span| span.began);
        for span in &spans {
            assert_eq!(span.trace, request.trace, "{span:#?}");
            assert!(
                request.began <= span.began && span.began <= span.ended,
                "{span:#?}"
            );
        }
        spans
    }

    /// Waits until a request has so many steps of a kind; returns them.
    pub async fn steps(&self, request: &Span, name: &str, count: usize) -> Vec<Span> {
        let is_one = |span: &Span| span.parent.as_ref() == Some(&request.id) && span.name == name;
        let told = |seen: &Seen| seen.spans.iter().filter(|span| is_one(span)).count();
        let what = format!("{count} times {name}");
        self.until(&what, |seen| told(seen) >= count).await;
        let mut steps = self.steps_of(request);
        steps.retain(is_one);
        assert_eq!(steps.len(), count, "{steps:#?}");
        steps
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Span {
    /// What is said of it under a name; nothing where nothing is.
    pub fn says(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

async fn accept(listener: TcpListener, desk: Arc<Desk>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, desk.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, desk: Arc<Desk>) {
    while let Some((head, body)) = read(&mut stream).await {
        let came = Instant::now();
        let mood = desk.moods.lock().unwrap().pop_front();
        let (status, after, answer) = match mood {
            Some(Mood::IsSilent) => {
                desk.note(head, came, Vec::new());
                // Until whoever asked goes away.
                let _ = stream.read(&mut [0]).await;
                return;
            }
            Some(Mood::Refuses(status, after)) => (status, after, Vec::new()),
            Some(Mood::Rejects(spans)) => (200, None, [&[10, 2, 8, spans as u8][..]].concat()),
            None => (200, None, Vec::new()),
        };
        let after = after.map_or(String::new(), |after| format!("Retry-After: {after}\r\n"));
        let spans = if status == 200 {
            spans_of(&body)
        } else {
            Vec::new()
        };
        desk.note(head, came, spans);
        let length = answer.len();
        let head = format!("HTTP/1.1 {status} As told\r\n{after}Content-Length: {length}\r\n\r\n");
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
        let _ = stream.write_all(&answer).await;
    }
}

impl Desk {
    fn note(&self, head: String, came: Instant, spans: Vec<Span>) {
        self.seen.send_modify(|seen| {
            seen.posts.push(Post { head, came });
            seen.spans.extend(spans);
        });
    }
}

async fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, &mut bytes).await?;
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().unwrap())
    });
    let length = length.expect("the length of what is sent");
    while bytes.len() < end + length {
        more(stream, &mut bytes).await?;
    }
    assert_eq!(
        bytes.len(),
        end + length,
        "nothing is sent before the answer"
    );
    Some((head, bytes.split_off(end)))
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(bytes).await {
        Ok(1..) => Some(()),
        _ => None,
    }
}

/// The spans of an `ExportTraceServiceRequest`.
fn spans_of(message: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource_spans in all(message, 1) {
        let resource = all(resource_spans.bytes(), 1);
        let attributes = attributes(resource[0].bytes(), 1);
        for scope_spans in all(resource_spans.bytes(), 2) {
            for span in all(scope_spans.bytes(), 2) {
                let service = attributes["service.name"].clone();
                spans.push(Span {
                    service,
                    ..span_of(span.bytes())
                });
            }
        }
    }
    spans
}

fn span_of(message: &[u8]) -> Span {
    let one = |field| all(message, field).pop();
    let hex = |field: Raw| -> String { field.bytes().iter().map(|b| format!("{b:02x}")).collect() };
    let eight = |field| u64::from_le_bytes(one(field).unwrap().bytes().try_into().unwrap());
    let failed = one(15).is_some_and(|status| all(status.bytes(), 3)[0].number() == 2);
    Span {
        service: String::new(),
        trace: hex(one(1).unwrap()),
        id: hex(one(2).unwrap()),
        state: one(3).map_or(String::new(), |state| state.text()),
        parent: one(4).map(hex),
        name: one(5).unwrap().text(),
        kind: one(6).unwrap().number(),
        began: eight(7),
        ended: eight(8),
        attributes: attributes(message, 9),
        has_failed: failed,
        link: one(13).map(|link| {
            let of = |field| hex(all(link.bytes(), field).pop().unwrap());
            (of(1), of(2))
        }),
    }
}

/// The `KeyValue`s of a message, each value as a text.
fn attributes(message: &[u8], field: u64) -> BTreeMap<String, String> {
    let pairs = all(message, field);
    let pairs = pairs.iter().map(|pair| {
        let key = all(pair.bytes(), 1)[0].text();
        let value = all(pair.bytes(), 2)[0].bytes().to_vec();
        let one = |field| all(&value, field).pop();
        let text = one(1).map(|text| text.text());
        let truth = || one(2).map(|truth| (truth.number() != 0).to_string());
        let whole = || one(3).map(|whole| (whole.number() as i64).to_string());
        let real = || {
            let bytes = one(4)?.bytes().try_into().unwrap();
            Some(f64::from_le_bytes(bytes).to_string())
        };
        let value = text.or_else(truth).or_else(whole).or_else(real);
        (key, value.expect("a value"))
    });
    pairs.collect()
}

/// The value of one field.
#[derive(Clone, Debug)]
enum Raw {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Raw {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(number) => panic!("{number} where bytes should be"),
        }
    }

    fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Bytes(bytes) => panic!("{bytes:?} where a number should be"),
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes().to_vec()).unwrap()
    }
}

/// All values of a field of a message in Protocol Buffers' wire format.
fn all(message: &[u8], field: u64) -> Vec<Raw> {
    let (mut values, mut at) = (Vec::new(), 0);
    let varint = |at: &mut usize| {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = message[*at];
            *at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    };
    while at < message.len() {
        let tag = varint(&mut at);
        let value = match tag & 7 {
            0 => Raw::Number(varint(&mut at)),
            form => {
                let length = match form {
                    1 => 8,
                    2 => varint(&mut at) as usize,
                    5 => 4,
                    form => panic!("form {form}"),
                };
                at += length;
                Raw::Bytes(message[at - length..at].to_vec())
            }
        };
        if tag >> 3 == field {
            values.push(value);
        }
    }
    values
}
