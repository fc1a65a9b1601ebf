//! The bench that fills are tried on: a store on a real directory, and a source that does as it is
//! told.

use super::super::*;
use crate::{
    domain::{ByteRange, Groups},
    source::{Answer, Body, Ranged},
    store::{Manifest, Meta, ObjectId},
    traffic::Urgency,
};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::{
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::{Duration, SystemTime},
};
use tokio::sync::watch;

pub const CHUNK: u32 = 65536;
pub const PIECE: usize = 16384;
pub const CHUNKS: u64 = 20;
pub const TOTAL: u64 = CHUNKS * CHUNK as u64 - 1000;

fn byte(version: u64, offset: u64) -> u8 {
    (offset
        .wrapping_mul(2_654_435_761)
        .wrapping_add(version * 97)
        >> 5) as u8
}

pub fn content(version: u64, range: ByteRange) -> Bytes {
    (range.start()..range.end())
        .map(|at| byte(version, at))
        .collect::<Vec<_>>()
        .into()
}

/// What the source does. Tests change it while fills run.
#[derive(Clone, Debug)]
pub struct Script {
    pub version: u64,
    /// Bytes of each answer that are sent before it stands still.
    pub gate: u64,
    /// Bytes of each answer after which it breaks.
    pub breaks_after: Option<u64>,
    pub ignores_ranges: bool,
    /// The version that a cache before it has, which is asked unless it is to be passed.
    pub cached: Option<u64>,
    pub groups: Groups,
}

#[derive(Debug)]
pub struct Scripted {
    pub script: watch::Sender<Script>,
    pub asked: parking_lot::Mutex<Vec<Option<ByteRange>>>,
    pub urgencies: parking_lot::Mutex<Vec<Urgency>>,
    pub sent: Arc<AtomicU64>,
}

impl Scripted {
    pub fn new() -> Arc<Self> {
        let script = Script {
            version: 1,
            gate: u64::MAX,
            breaks_after: None,
            ignores_ranges: false,
            cached: None,
            groups: Groups::ONE,
        };
        Arc::new(Self {
            script: watch::Sender::new(script),
            asked: Default::default(),
            urgencies: Default::default(),
            sent: Default::default(),
        })
    }

    pub fn change(&self, change: impl FnOnce(&mut Script)) {
        self.script.send_modify(change);
    }

    pub fn asked(&self) -> Vec<Option<ByteRange>> {
        self.asked.lock().clone()
    }

    pub fn sent(&self) -> u64 {
        self.sent.load(SeqCst)
    }
}

#[async_trait]
impl Source for Scripted {
    fn prepare(self: Arc<Self>, _: &Request) -> Option<Box<dyn std::any::Any + Send + Sync>> {
        None
    }

    fn groups(&self) -> Groups {
        self.script.borrow().groups
    }

    async fn fetch(
        self: Arc<Self>,
        _: &Request,
        ranged: Option<&Ranged>,
        urgency: Urgency,
    ) -> Result<Answer, SourceError> {
        self.urgencies.lock().push(urgency);
        let asked = ranged.map(|r| r.range);
        self.asked.lock().push(asked);
        let mut script = self.script.borrow().clone();
        let mut headers = HeaderMap::new();
        let cached = script
            .cached
            .filter(|_| !ranged.is_some_and(|r| r.past_caches));
        if let Some(version) = cached {
            script.version = version;
            headers.insert(header::AGE, HeaderValue::from_static("7"));
        }
        let whole = ByteRange::new(0, TOTAL).unwrap();
        let other = ranged.and_then(|r| r.if_range.clone()) != Some(etag(script.version));
        let range = asked.filter(|_| !script.ignores_ranges && !other);
        headers.insert(
            header::ETAG,
            HeaderValue::try_from(etag(script.version)).unwrap(),
        );
        if let Some(r) = range {
            let field = format!("bytes {}-{}/{TOTAL}", r.start(), r.last());
            headers.insert(header::CONTENT_RANGE, field.parse().unwrap());
        }
        let status = if range.is_some() {
            StatusCode::PARTIAL_CONTENT
        } else {
            StatusCode::OK
        };
        let body = Stream {
            bytes: content(script.version, range.unwrap_or(whole)),
            done: 0,
            script: self.script.subscribe(),
            sent: self.sent.clone(),
        };
        Ok(Answer {
            status,
            headers,
            body: Box::new(body),
        })
    }
}

fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

struct Stream {
    bytes: Bytes,
    done: u64,
    script: watch::Receiver<Script>,
    sent: Arc<AtomicU64>,
}

#[async_trait]
impl Body for Stream {
    async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        let done = self.done;
        let script = self
            .script
            .wait_for(|s| s.gate > done)
            .await
            .unwrap()
            .clone();
        if script.breaks_after.is_some_and(|limit| done >= limit) {
            return Err(SourceError::Broken("as told".into()));
        }
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let piece = self.bytes.split_to(PIECE.min(self.bytes.len()));
        self.done += piece.len() as u64;
        self.sent.fetch_add(piece.len() as u64, SeqCst);
        Ok(Some(piece))
    }
}

pub struct Bench {
    pub directory: tempfile::TempDir,
    pub fills: Arc<Fills>,
    pub source: Arc<Scripted>,
    pub object: Arc<Object>,
    pub finish_when: FinishWhen,
}

impl Bench {
    pub async fn new() -> Self {
        Self::of(1 << 30).await
    }

    /// One whose store has room for so many bytes.
    pub async fn of(max_size: u64) -> Self {
        let bench = Self::learning(max_size, Config::default().in_flight).await;
        bench.fills.store().recover();
        bench
    }

    /// One whose store does not know yet what is in its directory.
    pub async fn learning(max_size: u64, in_flight: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = crate::store::Config {
            chunk_size: CHUNK,
            max_size,
            ..crate::store::Config::new(directory.path().to_owned())
        };
        let store = Store::open(config).unwrap();
        let config = Config {
            wait: Duration::from_secs(20),
            max_window: 4 * u64::from(CHUNK),
            in_flight,
            ..Config::default()
        };
        let fills = Fills::new(store, config, Workers::default());
        let object = fills.store().conceive(manifest());
        let store = fills.store();
        store.publish(&object, store.mark()).await;
        let source = Scripted::new();
        Self {
            directory,
            fills,
            source,
            object,
            finish_when: FinishWhen::Never,
        }
    }

    pub fn board(&self) -> Arc<Board> {
        self.fills.board(&self.object)
    }

    /// The board of another object.
    pub fn other_board(&self, number: u8) -> Arc<Board> {
        let object = self.fills.store().conceive(Manifest {
            id: ObjectId([number; 16]),
            generation: number.into(),
            ..manifest()
        });
        self.fills.board(&object)
    }

    pub fn errand(&self) -> Errand {
        let request = Request {
            trail: None,
            target: "/".into(),
            headers: HeaderMap::new(),
            key: 0,
        };
        Errand {
            source: self.source.clone(),
            request: Arc::new(request),
            catalogue: None,
            finish_when: self.finish_when,
            parallel: true,
            client: None,
        }
    }

    pub fn cursor(&self, range: Option<(u64, u64)>) -> Cursor {
        let visit = Visit::planned(self.fills.clone(), self.board(), self.errand());
        visit.come();
        let range = range.map(|(a, b)| ByteRange::new(a, b).unwrap());
        Cursor::new(visit, range, range.is_some(), Arc::default())
    }

    /// Until what came in has reached the disk.
    pub async fn settled(&self) {
        while self.fills.bytes_in_flight() > 0 {
            tokio::task::yield_now().await;
        }
    }

    pub fn stored(&self) -> Vec<u32> {
        self.object.present().iter().map(|c| c.0).collect()
    }
}

/// What is stored of the object before anything of it has come.
pub fn manifest() -> Manifest {
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, HeaderValue::from_static("\"1\""));
    let now = SystemTime::now();
    let meta = Meta {
        status: 200,
        headers,
        created: now,
        validated: now,
        epoch: now,
        fresh_until: now,
        stale_while_revalidate: 0,
        stale_if_error: 0,
        variance: None,
    };
    let (id, key) = (ObjectId([1; 16]), b"key".to_vec());
    Manifest {
        id,
        key,
        generation: 1,
        total: Some(TOTAL),
        chunk_size: CHUNK,
        meta,
    }
}

/// All that a reader gets, which must be version 1's bytes from `start` on.
pub async fn read(cursor: &mut Cursor, start: u64) -> Result<u64, FillError> {
    let mut at = start;
    while let Some(bytes) = cursor.next().await? {
        let expected = content(1, ByteRange::new(at, at + bytes.len() as u64).unwrap());
        assert!(bytes == expected, "other bytes at {at}");
        at += bytes.len() as u64;
    }
    Ok(at - start)
}

pub fn chunk_range(start: u64, end: u64) -> Option<ByteRange> {
    ByteRange::new(
        start * u64::from(CHUNK),
        (end * u64::from(CHUNK)).min(TOTAL),
    )
}
