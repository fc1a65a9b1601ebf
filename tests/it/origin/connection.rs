//! One connection of the origin: requests in, scripted answers out.

use super::{Cut, Desk, End, Framing, Script, Seen, State, answer};
use crate::content::Content;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

/// Serves requests until either side ends it.
pub async fn serve(mut stream: TcpStream, desk: Arc<Desk>) {
    let mut buffer = Vec::new();
    while let Some(mut seen) = read_request(&mut stream, &mut buffer).await {
        let place = desk.enter(&mut seen);
        let script = desk.script(&seen);
        let state = answer_request(&mut stream, &seen, &script, &desk, place).await;
        desk.note(place, |seen| seen.state = state);
        if state != State::Complete || script.framing == Framing::UntilClose {
            break;
        }
    }
}

impl Desk {
    /// Counts the request and writes it down; returns its place in the log.
    fn enter(&self, seen: &mut Seen) -> usize {
        let mut place = 0;
        self.log.send_modify(|log| {
            seen.nth = log
                .iter()
                .filter(|other| other.target == seen.target)
                .count();
            place = log.len();
            log.push(seen.clone());
        });
        place
    }

    fn script(&self, seen: &Seen) -> Script {
        let known = self.scripts.lock().unwrap().get(&seen.target).cloned();
        let mut script = known.unwrap_or_else(|| Script {
            status: 404,
            cache_control: None,
            ..Script::new(404, 9)
        });
        if let Some(twist) = script.twist.clone() {
            twist(seen, &mut script);
        }
        if let Some(name) = script.vary_by {
            script.content = variant(script.content, seen.header(name).unwrap_or_default());
        }
        script
    }

    fn note(&self, place: usize, change: impl FnOnce(&mut Seen)) {
        self.log.send_modify(|log| change(&mut log[place]));
    }
}

/// The content that a value of the `Vary` header chooses.
pub fn variant(content: Content, value: &str) -> Content {
    let mut hasher = DefaultHasher::new();
    (content.seed, value).hash(&mut hasher);
    Content {
        seed: hasher.finish(),
        ..content
    }
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Seen> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        read_more(stream, buffer).await?;
    };
    let head: Vec<u8> = buffer.drain(..end).collect();
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
    let mut first = lines.next()?.split(' ');
    let headers = lines.filter_map(|line| line.split_once(':'));
    let mut seen = Seen {
        nth: 0,
        method: first.next()?.to_owned(),
        target: first.next()?.to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect(),
        received: 0,
        status: 0,
        sent: 0,
        state: State::Sending,
    };
    // Whatever the client speaks, an origin over HTTP/1 is spoken to in it.
    let version = first.next()?;
    assert_eq!(version, "HTTP/1.1", "{} {}", seen.method, seen.target);
    seen.received = read_body(stream, buffer, &seen).await?;
    Some(seen)
}

async fn read_body(stream: &mut TcpStream, buffer: &mut Vec<u8>, seen: &Seen) -> Option<u64> {
    if seen.header("transfer-encoding").is_some() {
        let end = loop {
            if let Some(end) = buffer.windows(5).position(|five| five == b"0\r\n\r\n") {
                break end + 5;
            }
            read_more(stream, buffer).await?;
        };
        return Some(buffer.drain(..end).count() as u64);
    }
    let length = seen
        .header("content-length")
        .map_or(Some(0), |value| value.parse().ok())?;
    while buffer.len() < length {
        read_more(stream, buffer).await?;
    }
    buffer.drain(..length);
    Some(length as u64)
}

async fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let read = stream.read_buf(buffer).await.ok()?;
    (read > 0).then_some(())
}

async fn answer_request(
    stream: &mut TcpStream,
    seen: &Seen,
    script: &Script,
    desk: &Desk,
    place: usize,
) -> State {
    let mut head = script.interim.to_owned();
    if let Some(valve) = script.valve.as_ref().filter(|_| script.holds_head) {
        if stream.write_all(head.as_bytes()).await.is_err() {
            return State::Left;
        }
        head.clear();
        tokio::select! {
            _ = valve.beyond(0) => (),
            () = peer_left(stream) => return State::Left,
        }
    }
    let answer = answer::decide(seen, script);
    desk.note(place, |seen| seen.status = answer.status);
    head += &format!("HTTP/1.1 {} As Scripted\r\n", answer.status);
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &match answer.framing {
        _ if answer.status == 304 => String::new(),
        Framing::Length => format!(
            "Content-Length: {}\r\n",
            answer.body.end - answer.body.start
        ),
        Framing::Chunked => "Transfer-Encoding: chunked\r\n".into(),
        Framing::UntilClose => "Connection: close\r\n".into(),
    };
    head += "\r\n";
    if stream.write_all(head.as_bytes()).await.is_err() {
        return State::Left;
    }
    if !answer.has_body {
        return State::Complete;
    }
    send_body(stream, &answer, script, desk, place).await
}

async fn send_body(
    stream: &mut TcpStream,
    answer: &answer::Answer,
    script: &Script,
    desk: &Desk,
    place: usize,
) -> State {
    let started = Instant::now();
    let length = answer.body.end - answer.body.start;
    let mut sent = 0;
    while sent < length {
        let offset = answer.body.start + sent;
        let mut piece = PIECE.min(length - sent);
        if let Some(cut) = script.cut {
            if sent >= cut.after {
                return end_early(stream, cut).await;
            }
            piece = piece.min(cut.after - sent);
        }
        if let Some(valve) = &script.valve {
            tokio::select! {
                limit = valve.beyond(offset) => piece = piece.min(limit - offset),
                () = peer_left(stream) => return State::Left,
            }
        }
        if let Some(rate) = script.rate {
            let due = Duration::from_secs_f64((sent + piece) as f64 / rate as f64);
            tokio::time::sleep_until(started + due).await;
        }
        let bytes = framed(script.bytes(offset..offset + piece), answer.framing);
        if stream.write_all(&bytes).await.is_err() {
            return State::Left;
        }
        sent += piece;
        desk.note(place, |seen| seen.sent = sent);
    }
    let end = format!("0\r\n{}\r\n", script.trailers);
    if answer.framing == Framing::Chunked && stream.write_all(end.as_bytes()).await.is_err() {
        return State::Left;
    }
    State::Complete
}

fn framed(bytes: Vec<u8>, framing: Framing) -> Vec<u8> {
    if framing != Framing::Chunked {
        return bytes;
    }
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend(bytes);
    chunk.extend(b"\r\n");
    chunk
}

async fn end_early(stream: &mut TcpStream, cut: Cut) -> State {
    match cut.how {
        End::Reset => stream.set_zero_linger().unwrap(),
        End::Close => {
            let _ = stream.shutdown().await;
        }
    }
    State::Cut
}

/// Waits until the peer has closed its side; a pipelined request keeps it waiting.
async fn peer_left(stream: &TcpStream) {
    match stream.peek(&mut [0]).await {
        Ok(0) | Err(_) => (),
        Ok(_) => std::future::pending().await,
    }
}

/// Small enough for rates and valves to be smooth.
const PIECE: u64 = 16 << 10;
