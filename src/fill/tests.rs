//! The fills as a whole: a store on a real directory, and a source that does as it is told.

mod peers;

use super::*;
use crate::{
    domain::{ByteRange, ChunkIndex, ChunkRun, Groups},
    source::{Answer, Body, Ranged},
    store::{Manifest, Meta, ObjectId},
    traffic::Urgency,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::{
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::{Duration, SystemTime},
};
use tokio::sync::watch;

const CHUNK: u32 = 65536;
const PIECE: usize = 16384;
const CHUNKS: u64 = 20;
const TOTAL: u64 = CHUNKS * CHUNK as u64 - 1000;

fn byte(version: u64, offset: u64) -> u8 {
    (offset
        .wrapping_mul(2_654_435_761)
        .wrapping_add(version * 97)
        >> 5) as u8
}

fn content(version: u64, range: ByteRange) -> Bytes {
    (range.start()..range.end())
        .map(|at| byte(version, at))
        .collect::<Vec<_>>()
        .into()
}

/// What the source does. Tests change it while fills run.
#[derive(Clone, Debug)]
struct Script {
    version: u64,
    /// Bytes of each answer that are sent before it stands still.
    gate: u64,
    /// Bytes of each answer after which it breaks.
    breaks_after: Option<u64>,
    ignores_ranges: bool,
    /// The version that a cache before it has, which is asked unless it is to be passed.
    cached: Option<u64>,
    groups: Groups,
}

#[derive(Debug)]
struct Scripted {
    script: watch::Sender<Script>,
    asked: parking_lot::Mutex<Vec<Option<ByteRange>>>,
    urgencies: parking_lot::Mutex<Vec<Urgency>>,
    sent: Arc<AtomicU64>,
}

impl Scripted {
    fn new() -> Arc<Self> {
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

    fn change(&self, change: impl FnOnce(&mut Script)) {
        self.script.send_modify(change);
    }

    fn asked(&self) -> Vec<Option<ByteRange>> {
        self.asked.lock().clone()
    }

    fn sent(&self) -> u64 {
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

struct Bench {
    directory: tempfile::TempDir,
    fills: Arc<Fills>,
    source: Arc<Scripted>,
    object: Arc<Object>,
    finish_when: FinishWhen,
}

impl Bench {
    async fn new() -> Self {
        Self::of(1 << 30).await
    }

    /// One whose store has room for so many bytes.
    async fn of(max_size: u64) -> Self {
        let bench = Self::learning(max_size, Config::default().in_flight).await;
        bench.fills.store().recover();
        bench
    }

    /// One whose store does not know yet what is in its directory.
    async fn learning(max_size: u64, in_flight: u64) -> Self {
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

    fn board(&self) -> Arc<Board> {
        self.fills.board(&self.object)
    }

    /// The board of another object.
    fn other_board(&self, number: u8) -> Arc<Board> {
        let object = self.fills.store().conceive(Manifest {
            id: ObjectId([number; 16]),
            generation: number.into(),
            ..manifest()
        });
        self.fills.board(&object)
    }

    fn errand(&self) -> Errand {
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

    fn cursor(&self, range: Option<(u64, u64)>) -> Cursor {
        let visit = Visit::planned(self.fills.clone(), self.board(), self.errand());
        visit.come();
        let range = range.map(|(a, b)| ByteRange::new(a, b).unwrap());
        Cursor::new(visit, range, range.is_some(), Arc::default())
    }

    /// Until what came in has reached the disk.
    async fn settled(&self) {
        while self.fills.bytes_in_flight() > 0 {
            tokio::task::yield_now().await;
        }
    }

    fn stored(&self) -> Vec<u32> {
        self.object.present().iter().map(|c| c.0).collect()
    }
}

fn manifest() -> Manifest {
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
async fn read(cursor: &mut Cursor, start: u64) -> Result<u64, FillError> {
    let mut at = start;
    while let Some(bytes) = cursor.next().await? {
        let expected = content(1, ByteRange::new(at, at + bytes.len() as u64).unwrap());
        assert!(bytes == expected, "other bytes at {at}");
        at += bytes.len() as u64;
    }
    Ok(at - start)
}

fn chunk_range(start: u64, end: u64) -> Option<ByteRange> {
    ByteRange::new(
        start * u64::from(CHUNK),
        (end * u64::from(CHUNK)).min(TOTAL),
    )
}

#[tokio::test]
async fn many_readers_of_a_cold_object_cost_each_byte_once() {
    let bench = Bench::new().await;
    let readers = (0..50).map(|_| {
        let mut cursor = bench.cursor(None);
        tokio::spawn(async move { read(&mut cursor, 0).await.unwrap() })
    });
    for reader in readers.collect::<Vec<_>>() {
        assert_eq!(reader.await.unwrap(), TOTAL);
    }
    assert_eq!(bench.source.sent(), TOTAL);
    bench.settled().await;
    assert_eq!(bench.stored().len() as u64, CHUNKS);
}

#[tokio::test]
async fn who_has_nothing_yet_goes_before_who_reads_on() {
    let bench = Bench::new().await;
    let mut cursor = bench.cursor(None);
    cursor.ready().await.unwrap();
    assert_eq!(*bench.source.urgencies.lock(), [Urgency::Range]);
    // A seek within one answer is a wait of one who has begun, and nothing is read ahead for it.
    cursor.next_within(1).await.unwrap();
    cursor.move_to(10 * u64::from(CHUNK));
    cursor.next_within(1).await.unwrap();
    let left = TOTAL - 10 * u64::from(CHUNK);
    let expected = Urgency::Whole {
        expected: Some(left),
    };
    let urgencies = bench.source.urgencies.lock();
    assert!(urgencies.contains(&expected), "{urgencies:?}");
}

#[tokio::test]
async fn a_closed_range_is_one_request_for_whole_chunks() {
    let bench = Bench::new().await;
    let start = 5 * u64::from(CHUNK) + 100;
    let end = start + 2 * u64::from(CHUNK);
    assert_eq!(
        read(&mut bench.cursor(Some((start, end))), start)
            .await
            .unwrap(),
        end - start
    );
    assert_eq!(bench.source.asked(), [chunk_range(5, 8)]);
    bench.settled().await;
    let again = read(&mut bench.cursor(Some((start, end))), start)
        .await
        .unwrap();
    assert_eq!(again, end - start);
    assert_eq!(bench.source.asked().len(), 1);
}

#[tokio::test]
async fn only_holes_are_fetched_and_neighbours_together() {
    let bench = Bench::new().await;
    let size = u64::from(CHUNK);
    read(&mut bench.cursor(Some((3 * size, 4 * size))), 3 * size)
        .await
        .unwrap();
    bench.settled().await;
    let all = bench.cursor(Some((0, 6 * size)));
    read(&mut { all }, 0).await.unwrap();
    assert_eq!(
        bench.source.asked(),
        [chunk_range(3, 4), chunk_range(0, 3), chunk_range(4, 6)]
    );
}

#[tokio::test]
async fn bytes_are_passed_on_as_they_come() {
    let bench = Bench::new().await;
    bench.source.change(|s| s.gate = 1);
    let mut cursor = bench.cursor(None);
    let first = cursor.next().await.unwrap().unwrap();
    assert_eq!(first.len(), PIECE);
    let mut other = bench.cursor(Some((100, 200)));
    assert_eq!(read(&mut other, 100).await.unwrap(), 100);
    assert!(bench.stored().is_empty());
}

#[tokio::test]
async fn a_seek_ahead_of_a_running_stream_does_not_wait_for_it() {
    let bench = Bench::new().await;
    let board = bench.board();
    let mut client = Intake::of_client(bench.fills.clone(), board, all(), true);
    client
        .push(content(1, ByteRange::new(0, 1000).unwrap()))
        .await
        .unwrap();

    let start = 15 * u64::from(CHUNK);
    assert_eq!(
        read(&mut bench.cursor(Some((start, start + 10))), start)
            .await
            .unwrap(),
        10
    );
    assert_eq!(bench.source.asked(), [chunk_range(15, 16)]);
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stands_still_holds_up_nobody() {
    let bench = Bench::new().await;
    let client = standing_still(&bench).await;
    let got = read(&mut bench.cursor(None), 0).await.unwrap();
    assert_eq!(got, TOTAL);
    assert_eq!(bench.source.sent(), TOTAL);
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn what_comes_in_in_the_place_of_a_client_that_stands_still_is_given_out_as_it_comes() {
    let bench = Bench::new().await;
    let client = standing_still(&bench).await;
    let mut cursor = bench.cursor(None);
    let (mut got, half) = (0, u64::from(CHUNK) / 2);
    for gate in (1..=4).map(|quarter| half / 4 * quarter) {
        bench.source.change(|s| s.gate = gate);
        while got < gate {
            let bytes = cursor.next().await.unwrap().unwrap();
            got += bytes.len() as u64;
        }
    }
    drop(client);
}

/// Nothing is kept before it is known how full the disk is. It holds up nobody, also where more comes
/// in than there is room for.
#[tokio::test(start_paused = true)]
async fn what_comes_in_before_the_disk_is_known_waits_for_it_as_long_as_there_is_room() {
    let room = 4 * u64::from(CHUNK);
    assert!(TOTAL > room);
    let bench = Bench::learning(1 << 30, room).await;
    let began = now();
    assert_eq!(read(&mut bench.cursor(None), 0).await.unwrap(), TOTAL);
    assert!(
        now() - began < Duration::from_secs(1),
        "{:?}",
        now() - began
    );
    assert_eq!(bench.source.sent(), TOTAL);
    assert!(bench.stored().is_empty());
    tokio::spawn(bench.fills.clone().keep_when_it_is_known());
    bench.fills.store().recover();
    bench.settled().await;
    let stored = bench.stored();
    assert!(
        !stored.is_empty() && stored.contains(&(CHUNKS as u32 - 1)),
        "{stored:?}"
    );
}

/// As after an upgrade that failed when the directory had been given away.
#[tokio::test]
async fn what_comes_in_while_the_disk_is_learnt_anew_waits_for_it_as_well() {
    let bench = Bench::new().await;
    tokio::spawn(bench.fills.clone().keep_when_it_is_known());
    // It is known: that has been seen.
    tokio::task::yield_now().await;
    let given = bench.fills.store().give().await.unwrap();
    bench.fills.store().take_back();
    drop(given);
    let board = bench.other_board(2);
    let object = board.object().clone();
    let intake = Intake::of_client(bench.fills.clone(), board, all(), false);
    bring(intake).await.unwrap();
    // Each of its chunks has its turn.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(object.present().len(), 0);
    bench.fills.store().recover();
    let kept = tokio::time::timeout(Duration::from_secs(20), bench.settled());
    kept.await.expect("all to be kept");
    assert_eq!(u64::from(object.present().len()), CHUNKS);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_the_disk_does_not_take_makes_room_for_one_that_waits() {
    let bench = Bench::learning(1 << 30, 2 * u64::from(CHUNK)).await;
    let board = bench.board();
    let _reader = bench.cursor(None);
    let buffer = Arc::new(chunk_buffer::ChunkBuffer::new(0));
    buffer.hold(bench.fills.share(&board, None).await.unwrap());
    let mut waiting = std::pin::pin!(bench.fills.share(&board, None));
    assert!(waiting.as_mut().now_or_never().is_none());
    bench.fills.unkept.push(&board, ChunkIndex(0), buffer);
    assert!(waiting.now_or_never().is_some());
}

/// As after a disk that has failed: what makes room on demand does not hold others up.
#[tokio::test]
async fn what_is_only_in_memory_is_no_pressure() {
    let bench = Bench::learning(1 << 30, 8 * u64::from(CHUNK)).await;
    let board = bench.board();
    let _reader = bench.cursor(None);
    for chunk in 0..4 {
        let offset = u64::from(chunk) * u64::from(CHUNK);
        let buffer = Arc::new(chunk_buffer::ChunkBuffer::new(offset));
        buffer.hold(bench.fills.share(&board, None).await.unwrap());
        bench.fills.unkept.push(&board, ChunkIndex(chunk), buffer);
    }
    let other = bench.other_board(2);
    let _share = bench.fills.share(&other, None).await.unwrap();
    assert_eq!(bench.fills.bytes_in_flight(), u64::from(CHUNK));
    assert_eq!(bench.fills.bytes_unkept(), 4 * u64::from(CHUNK));
    let mut shares = Vec::new();
    for _ in 0..2 {
        shares.push(bench.fills.share(&other, None).await.unwrap());
    }
    assert!(!bench.fills.is_pressed());
}

/// As where a route has larger chunks than the room was made for.
#[tokio::test]
async fn a_chunk_larger_than_all_room_has_it_alone() {
    let bench = Bench::of(1 << 30).await;
    let large = bench.fills.store().conceive(Manifest {
        id: ObjectId([9; 16]),
        chunk_size: 64 << 20,
        ..manifest()
    });
    let board = bench.fills.board(&large);
    assert!(u64::from(large.chunk_size()) > bench.fills.config().in_flight);
    let taking = bench.fills.share(&board, None);
    assert!(
        tokio::time::timeout(Duration::from_secs(5), taking)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_client_s_own_stream_is_stored_and_followed() {
    let bench = Bench::new().await;
    let mut client = Intake::of_client(bench.fills.clone(), bench.board(), all(), true);
    let mut cursor = bench.cursor(None);
    let reader = tokio::spawn(async move { read(&mut cursor, 0).await });
    for piece in 0..TOTAL.div_ceil(1000) {
        let range = ByteRange::new(piece * 1000, (piece * 1000 + 1000).min(TOTAL)).unwrap();
        assert_eq!(
            client.push(content(1, range)).await.unwrap(),
            Flow::Continue
        );
        tokio::task::yield_now().await;
    }
    client.finish().await;
    assert_eq!(reader.await.unwrap().unwrap(), TOTAL);
    assert!(bench.source.asked().is_empty());
    bench.settled().await;
    assert_eq!(bench.stored().len() as u64, CHUNKS);
}

/// What can't be asked for again, before a store that is full of what others have read.
#[tokio::test(start_paused = true)]
async fn what_comes_once_makes_no_room_before_its_reader_has_passed_it() {
    for (room, in_flight) in [(30, 1 << 20), (8, 4 * u64::from(CHUNK))] {
        let bench = Bench::learning(room * u64::from(CHUNK + 8192), in_flight).await;
        bench.fills.store().recover();
        for number in 2..8 {
            let other = bench.other_board(number);
            let intake = Intake::of_client(bench.fills.clone(), other, all(), false);
            bring(intake).await.unwrap();
            bench.settled().await;
        }
        let mut unversioned = manifest();
        unversioned.meta.headers.clear();
        unversioned.id = ObjectId([9; 16]);
        let object = bench.fills.store().conceive(unversioned);
        let board = bench.fills.board(&object);
        let visit = Visit::planned(bench.fills.clone(), board.clone(), bench.errand());
        visit.come();
        let mut cursor = Cursor::new(visit, None, false, Arc::default());
        let intake = Intake::of_client(bench.fills.clone(), board, all(), false);
        let bringing = tokio::spawn(bring(intake));
        let mut got = 0;
        while let Some(bytes) = cursor.next().await.unwrap() {
            got += bytes.len() as u64;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(got, TOTAL);
        bringing.await.unwrap().unwrap();
        assert_eq!(bench.source.asked().len(), 0);
    }
}

/// The flight of a client that has taken a little and stands still.
async fn standing_still(bench: &Bench) -> Intake {
    let mut client = Intake::of_client(bench.fills.clone(), bench.board(), all(), true);
    let begun = content(1, ByteRange::new(0, 1000).unwrap());
    client.push(begun).await.unwrap();
    tokio::time::advance(flights::STALLED).await;
    client
}

/// All chunks.
fn all() -> ChunkRun {
    ChunkRun {
        start: ChunkIndex(0),
        end: ChunkIndex(CHUNKS as u32),
    }
}

/// Brings all of an object in.
async fn bring(mut intake: Intake) -> Result<(), FillError> {
    for piece in 0..TOTAL.div_ceil(PIECE as u64) {
        let start = piece * PIECE as u64;
        let range = ByteRange::new(start, (start + PIECE as u64).min(TOTAL)).unwrap();
        intake.push(content(1, range)).await?;
    }
    intake.finish().await;
    Ok(())
}

/// A client has all of it, and the tasks that bring it to the disk have not had their turn.
#[tokio::test]
async fn what_has_come_in_is_kept_before_the_directory_is_closed() {
    let bench = Bench::new().await;
    let intake = Intake::of_client(bench.fills.clone(), bench.board(), all(), false);
    bring(intake).await.unwrap();
    bench.fills.settle().await;
    bench.fills.store().close().await;
    assert_eq!(u64::from(bench.object.present().len()), CHUNKS);
}

#[tokio::test(start_paused = true)]
async fn what_comes_in_later_or_never_is_not_waited_for() {
    let bench = Bench::new().await;
    let keeping = &bench.fills.keeping;
    let first = keeping.begin();
    let mut settled = std::pin::pin!(bench.fills.settle());
    assert!(settled.as_mut().now_or_never().is_none());
    let later = keeping.begin();
    drop(first);
    assert!(settled.now_or_never().is_some());
    let began = tokio::time::Instant::now();
    bench.fills.settle().await;
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    drop(later);
}

#[tokio::test]
async fn nobody_comes_to_what_is_being_given_up() {
    let bench = Bench::new().await;
    let mut unversioned = manifest();
    unversioned.meta.headers.clear();
    for (generation, total) in [(2, Some(TOTAL)), (3, None)] {
        let object = bench.fills.store().conceive(Manifest {
            generation,
            total,
            ..unversioned.clone()
        });
        let board = bench.fills.board(&object);
        let mut flight = Intake::of_client(bench.fills.clone(), board.clone(), all(), true);
        flight
            .push(content(1, chunk_range(0, 1).unwrap()))
            .await
            .unwrap();
        // Whoever is there in time has all of it coming.
        let visit = Visit::planned(bench.fills.clone(), board.clone(), bench.errand());
        visit.come();
        assert!(!flight.is_idle() && board.is_whole_or_coming());
        visit.leave();
        // Whoever is not finds nothing, though the flight has yet to land.
        assert!(flight.is_idle());
        assert!(!board.is_whole_or_coming());
    }
}

#[tokio::test]
async fn who_reads_back_what_was_fetched_for_it_pushes_out_nobody() {
    let bench = Bench::of(5 << 20).await;
    // What is being written can't be evicted: one chunk at a time.
    let bring = async |board: Arc<Board>| {
        let visit = Visit::planned(bench.fills.clone(), board.clone(), bench.errand());
        visit.come();
        let mut viewer = Cursor::new(visit, None, false, Arc::default());
        viewer.owns(all());
        let mut client = Intake::of_client(bench.fills.clone(), board, all(), true);
        for chunk in 0..CHUNKS {
            let range = chunk_range(chunk, chunk + 1).unwrap();
            client.push(content(1, range)).await.unwrap();
            bench.settled().await;
            while viewer.position() < range.end() {
                viewer.next().await.unwrap();
            }
        }
        client.finish().await;
    };
    bring(bench.board()).await;
    for _ in 0..2 {
        assert_eq!(read(&mut bench.cursor(None), 0).await.unwrap(), TOTAL);
    }
    for number in 2..12 {
        let board = bench.other_board(number);
        let store = bench.fills.store();
        store.publish(board.object(), store.mark()).await;
        bring(board).await;
    }
    assert_eq!(bench.stored().len() as u64, CHUNKS);
    assert_eq!(bench.source.sent(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_broken_transfer_is_tried_again_and_then_is_an_error() {
    let bench = Bench::new().await;
    let size = u64::from(CHUNK);
    bench
        .source
        .change(|s| s.breaks_after = Some(size + 20_000));
    let mut cursor = bench.cursor(Some((0, 4 * size)));
    // Each attempt brings one chunk more, so that the reader gets on.
    assert_eq!(read(&mut cursor, 0).await.unwrap(), 4 * size);

    bench.source.change(|s| s.breaks_after = Some(100));
    let broken = read(&mut bench.cursor(Some((10 * size, 12 * size))), 10 * size).await;
    assert!(matches!(broken, Err(FillError::Broken(_))), "{broken:?}");
    bench.settled().await;
    assert_eq!(bench.stored(), [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_read_ahead_that_stands_back_is_nobodys_failure() {
    let bench = Bench::new().await;
    let others = [2, 3].map(|number| bench.other_board(number));
    let mut held = Vec::new();
    while !bench.fills.is_pressed() {
        let board = &others[held.len() % others.len()];
        held.push(bench.fills.share(board, None).await.unwrap());
    }
    let board = bench.board();
    let claim = board.claim(ChunkIndex(3), ChunkIndex(4), now());
    let board::Claim::Fetch(run, flight) = claim else {
        panic!("{claim:?}");
    };
    let (fills, urgency) = (bench.fills.clone(), Urgency::ReadAhead);
    transfer::fly(fills, board.clone(), bench.errand(), run, flight, urgency).await;
    assert!(bench.source.asked().is_empty() && !board.is_under_way());
    assert_eq!(board.failures(ChunkIndex(3)).0, 0);
    // Whoever needs it gets it all the same.
    let start = 3 * u64::from(CHUNK);
    let mut cursor = bench.cursor(Some((start, start + 100)));
    assert_eq!(read(&mut cursor, start).await.unwrap(), 100);
}

#[tokio::test(start_paused = true)]
async fn one_client_can_not_take_all_the_room() {
    let bench = Bench::new().await;
    let most = 4 * u64::from(CHUNK);
    bench.fills.set_config(Config {
        in_flight_per_client: Some(most),
        ..bench.fills.config()
    });
    let address = |text: &str| text.parse().unwrap();
    let greedy = bench.fills.room_of(address("2001:db8::1")).unwrap();
    let mut held = Vec::new();
    for number in 2..6 {
        let board = bench.other_board(number);
        let share = bench.fills.share(&board, Some(&greedy)).now_or_never();
        held.push(share.expect("room for four chunks"));
    }
    let another = bench.other_board(7);
    // The same customer, who has to wait, and another one.
    let same = bench.fills.room_of(address("2001:db8::ffff")).unwrap();
    let waiting = bench.fills.share(&another, Some(&same));
    tokio::pin!(waiting);
    assert!(waiting.as_mut().now_or_never().is_none());
    let other = bench.fills.room_of(address("192.0.2.1")).unwrap();
    let share = bench.fills.share(&another, Some(&other)).now_or_never();
    assert!(share.is_some());
    let waits = &bench.fills.stats.waits;
    assert_eq!(waits.with_label_values(&["client"]).get(), 1);
    held.pop();
    assert!(waiting.now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn one_object_can_not_take_all_the_room() {
    let bench = Bench::new().await;
    let (board, other) = (bench.board(), bench.other_board(2));
    let mut held = Vec::new();
    while let Ok(share) =
        tokio::time::timeout(Duration::from_secs(1), bench.fills.share(&board, None)).await
    {
        held.push(share.unwrap());
    }
    assert_eq!(
        bench.fills.bytes_in_flight(),
        bench.fills.config().in_flight / 2
    );
    // Whoever waits takes nothing of what others may have.
    let waiting = bench.fills.share(&board, None);
    tokio::pin!(waiting);
    assert!(waiting.as_mut().now_or_never().is_none());
    let others = bench.fills.share(&other, None).now_or_never();
    assert!(others.is_some());
    held.pop();
    assert!(waiting.now_or_never().is_some());
}

/// Whoever has read the last byte of a chunk may ask again at once. One for which there is no room in
/// the end is not there.
#[tokio::test(start_paused = true)]
async fn a_chunk_of_which_all_has_come_is_whole_before_there_is_room_for_it() {
    let bench = Bench::new().await;
    let board = bench.board();
    let mut held = Vec::new();
    while let Some(Some(share)) = bench.fills.share(&board, None).now_or_never() {
        held.push(share);
    }
    let run = ChunkRun {
        start: ChunkIndex(2),
        end: ChunkIndex(3),
    };
    let mut intake = Intake::of_client(bench.fills.clone(), board.clone(), run, false);
    let all = content(1, chunk_range(2, 3).unwrap());
    {
        let push = intake.push(all);
        tokio::pin!(push);
        assert!(push.as_mut().now_or_never().is_none());
        assert_eq!(board.coverage(run), Coverage::Stored);
        assert!(matches!(push.await, Err(FillError::Busy)));
    }
    drop(intake);
    assert_eq!(board.coverage(run), Coverage::Partial);
}

#[tokio::test]
async fn another_version_ends_the_generation_and_never_mixes() {
    let bench = Bench::new().await;
    let size = u64::from(CHUNK);
    read(&mut bench.cursor(Some((0, size))), 0).await.unwrap();
    bench.settled().await;
    bench.source.change(|s| s.version = 2);
    let mut cursor = bench.cursor(None);
    let outcome = read(&mut cursor, 0).await;
    assert!(matches!(outcome, Err(FillError::Changed)), "{outcome:?}");
    assert!(bench.board().ended().is_some());
    assert!(
        bench
            .fills
            .store()
            .find(bench.object.id(), b"key")
            .await
            .is_none()
    );
}

#[tokio::test]
async fn an_origin_without_ranges_sends_the_whole_once() {
    let bench = Bench::new().await;
    bench.source.change(|s| s.ignores_ranges = true);
    let size = u64::from(CHUNK);
    let far = (12 * size, 13 * size);
    assert_eq!(
        read(&mut bench.cursor(Some(far)), far.0).await.unwrap(),
        size
    );
    let mut whole = bench.cursor(None);
    assert_eq!(read(&mut whole, 0).await.unwrap(), TOTAL);
    assert!(
        bench.source.asked().len() <= 2,
        "{:?}",
        bench.source.asked()
    );
}

#[tokio::test]
async fn a_fill_that_nobody_wants_stops_at_the_edge_of_a_chunk() {
    let bench = Bench::new().await;
    bench.source.change(|s| s.gate = 1);
    let mut cursor = bench.cursor(Some((0, 10 * u64::from(CHUNK))));
    cursor.next().await.unwrap();
    drop(cursor);
    bench.source.change(|s| s.gate = u64::MAX);
    while bench.fills.stats().running.get() > 0 {
        tokio::task::yield_now().await;
    }
    bench.settled().await;
    assert_eq!(bench.source.sent(), u64::from(CHUNK));
    assert_eq!(bench.stored(), [0]);
}

#[tokio::test]
async fn a_route_may_have_the_rest_brought_in_all_the_same() {
    let bench = Bench {
        finish_when: FinishWhen::Always,
        ..Bench::new().await
    };
    let mut cursor = bench.cursor(None);
    cursor.next().await.unwrap();
    drop(cursor);
    while (bench.stored().len() as u64) < CHUNKS {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.source.sent(), TOTAL);
}

#[tokio::test]
async fn a_reader_may_be_dropped_at_any_await() {
    let bench = Bench::new().await;
    let mut cursor = bench.cursor(None);
    let mut at = 0;
    loop {
        // Polls once, and drops what is not ready.
        let next = futures_util::FutureExt::now_or_never(tokio::task::unconstrained(cursor.next()));
        match next {
            Some(read) => match read.unwrap() {
                Some(bytes) => {
                    let expected = content(1, ByteRange::new(at, at + bytes.len() as u64).unwrap());
                    assert!(bytes == expected, "other bytes at {at}");
                    at += bytes.len() as u64;
                }
                None => break,
            },
            None => tokio::task::yield_now().await,
        }
    }
    assert_eq!(at, TOTAL);
}

#[tokio::test]
async fn a_broken_disk_costs_the_origin_no_byte_twice_while_readers_follow() {
    let bench = Bench::new().await;
    let objects = bench.directory.path().join("objects");
    std::fs::remove_dir_all(&objects).unwrap();
    let mut slow = bench.cursor(None);
    let mut fast = bench.cursor(None);
    assert_eq!(read(&mut fast, 0).await.unwrap(), TOTAL);
    assert_eq!(read(&mut slow, 0).await.unwrap(), TOTAL);
    assert_eq!(bench.source.sent(), TOTAL);
    assert!(bench.stored().is_empty());
}
