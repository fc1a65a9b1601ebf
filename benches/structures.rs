//! What the pure structures and the store cost, one by one, with the allocator of the binary.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, header};
use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;
use tidegate::{
    domain::{ByteRange, ChunkIndex, ChunkRun, ChunkSet, Grid, RangeSet},
    logs::{Entry, Format},
    store::{Config, Manifest, Meta, Object, ObjectId, Read, Store},
};
use tokio::runtime::{Builder, Runtime};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const CHUNK: u32 = 1 << 20;
/// A film of 20 GB.
const FILM: u64 = 20_000_000_000;

fn ranges(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("range");
    let fields = [
        ("one", "bytes=900000000-900999999"),
        ("suffix", "bytes=-65536"),
        ("sixteen", SIXTEEN),
        ("malformed", "bytes=5-2"),
    ];
    for (name, field) in fields {
        group.bench_function(format!("parse and select, {name}"), |bencher| {
            bencher.iter(|| {
                let set = RangeSet::parse(black_box(field).as_bytes())?;
                Some(set.select(FILM, 32))
            });
        });
    }
}

const SIXTEEN: &str = "bytes=0-9,20-29,40-49,60-69,80-89,100-109,120-129,140-149,160-169,\
                       180-189,200-209,220-229,240-249,260-269,280-289,300-309";

fn grid(criterion: &mut Criterion) {
    let grid = Grid::new(CHUNK, FILM).expect("a valid grid");
    let range = ByteRange::new(FILM / 2, FILM / 2 + 5_000_000).expect("a valid range");
    criterion.bench_function("grid/chunks under a range, and their bytes", |bencher| {
        bencher.iter(|| grid.bytes_of_run(grid.run_over(black_box(range))));
    });
}

fn chunk_set(criterion: &mut Criterion) {
    let all = ChunkRun {
        start: ChunkIndex(0),
        end: ChunkIndex(FILM.div_ceil(u64::from(CHUNK)) as u32),
    };
    let mut full = ChunkSet::default();
    all.iter().for_each(|chunk| _ = full.insert(chunk));
    let mut group = criterion.benchmark_group("chunk set of 20 GB");
    group.bench_function("insert all", |bencher| {
        bencher.iter(|| {
            let mut set = ChunkSet::default();
            all.iter().for_each(|chunk| _ = set.insert(chunk));
            set
        });
    });
    group.bench_function("contains one", |bencher| {
        bencher.iter(|| full.contains(black_box(ChunkIndex(9_999))));
    });
    group.bench_function("contains all", |bencher| {
        bencher.iter(|| full.first_missing(black_box(all)));
    });
    group.bench_function("list all", |bencher| bencher.iter(|| full.iter().count()));
}

fn manifest(criterion: &mut Criterion) {
    let manifest = manifest_of(1, FILM);
    let encoded = manifest.encode();
    let mut group = criterion.benchmark_group("manifest");
    group.bench_function("encode", |bencher| {
        bencher.iter(|| black_box(&manifest).encode())
    });
    group.bench_function("decode", |bencher| {
        bencher.iter(|| Manifest::decode(black_box(&encoded)));
    });
}

fn access_line(criterion: &mut Criterion) {
    let entry = Entry {
        ended: SystemTime::now(),
        client: Some([192, 0, 2, 1].into()),
        method: Some("GET"),
        host: Some("video.example"),
        path: Some("/films/7/segment-000123.m4s"),
        protocol: Some("HTTP/1.1"),
        route: Some("routes[0]"),
        key: Some("7461b20e9c22e472"),
        range: Some("bytes=1000000-1065535"),
        status: Some(206),
        bytes: 65_536,
        sources: &[("memory", 0), ("disk", 65_536)],
        cache: "hit",
        first_byte: Some(Duration::from_micros(412)),
        took: Duration::from_micros(498),
        origin: None,
        server: None,
        attempts: 0,
        id: Some("0b5c4d9e61f2a783"),
        abort: None,
        reason: None,
    };
    let mut group = criterion.benchmark_group("access log");
    for (name, format) in [("text", Format::Text), ("JSON", Format::Json)] {
        group.bench_function(format!("a line, {name}"), |bencher| {
            bencher.iter(|| black_box(&entry).line(format));
        });
    }
}

fn store_reads(criterion: &mut Criterion) {
    let stage = Stage::new(1 << 30, 1024);
    let object = stage.create(1, FILM);
    (0..64).for_each(|chunk| stage.keep(&object, chunk));
    let mut group = criterion.benchmark_group("store, in the page cache");
    let mut next = 0;
    for kilobytes in [64, 256, 1024] {
        let length = kilobytes << 10;
        group.throughput(Throughput::Bytes(length));
        group.bench_function(format!("read {kilobytes} KiB"), |bencher| {
            bencher.iter(|| {
                next = (next + 1) % 64;
                stage.read(&object, next, length)
            });
        });
    }
}

fn store_writes(criterion: &mut Criterion) {
    const BUDGET: u64 = 256 << 20;
    /// More chunks than will ever be written here.
    const ENDLESS: u64 = (CHUNK as u64) << 22;
    let stage = Stage::new(BUDGET, 1024);
    let object = stage.create(1, ENDLESS);
    let mut group = criterion.benchmark_group("store");
    let mut next = 0;
    // Fills the budget, so that each further chunk takes the place of another.
    while u64::from(next) * u64::from(CHUNK) < BUDGET {
        stage.keep(&object, next);
        next += 1;
    }
    group.throughput(Throughput::Bytes(u64::from(CHUNK)));
    group.sample_size(20);
    group.bench_function("keep a chunk, evict another", |bencher| {
        bencher.iter(|| {
            stage.keep(&object, next);
            next += 1;
        });
    });
}

fn store_lookups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store");
    let stage = Stage::new(1 << 30, 1024);
    stage.keep(&stage.create(1, FILM), 0);
    group.bench_function("find an open object", |bencher| {
        bencher.iter(|| stage.find(1))
    });
    group.bench_function("find nothing", |bencher| {
        bencher.iter(|| assert!(stage.look_for(9).is_none()));
    });
    let crowded = Stage::new(1 << 30, 1);
    (1..=2).for_each(|number| crowded.keep(&crowded.create(number, FILM), 0));
    let mut number = 1;
    group.bench_function("find an object on disk", |bencher| {
        bencher.iter(|| {
            number = 3 - number;
            crowded.find(number)
        });
    });
}

/// A store in a directory of its own.
struct Stage {
    runtime: Runtime,
    store: Arc<Store>,
    bytes: Bytes,
    checksum: u32,
    _directory: TempDir,
}

impl Stage {
    fn new(max_size: u64, open_objects: usize) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let config = Config {
            max_size,
            open_objects,
            ..Config::new(directory.path().into())
        };
        let store = Store::open(config).expect("a store opens in an empty directory");
        store.recover();
        let bytes: Bytes = (0..CHUNK)
            .map(|at| (at % 251) as u8)
            .collect::<Vec<_>>()
            .into();
        Self {
            runtime: Builder::new_multi_thread()
                .worker_threads(1)
                .enable_time()
                .build()
                .expect("a runtime"),
            store,
            checksum: crc32c::crc32c(&bytes),
            bytes,
            _directory: directory,
        }
    }

    fn create(&self, number: u8, total: u64) -> Arc<Object> {
        let object = self.store.conceive(manifest_of(number, total));
        self.runtime
            .block_on(self.store.publish(&object, self.store.mark()));
        object
    }

    fn keep(&self, object: &Arc<Object>, chunk: u32) {
        let segments = vec![self.bytes.clone()];
        let kept = self
            .store
            .keep(object, ChunkIndex(chunk), segments, self.checksum);
        self.runtime.block_on(kept).expect("the chunk is kept");
    }

    fn read(&self, object: &Arc<Object>, chunk: u32, length: u64) -> Bytes {
        let start = u64::from(chunk) * u64::from(CHUNK);
        let range = ByteRange::new(start, start + length).expect("a valid range");
        let _inside = self.runtime.enter();
        match self.store.read(object, ChunkIndex(chunk), range) {
            Read::Ready(bytes) => bytes,
            other => panic!("a chunk just written is in the page cache: {other:?}"),
        }
    }

    fn look_for(&self, number: u8) -> Option<Arc<Object>> {
        self.runtime
            .block_on(self.store.find(ObjectId([number; 16]), &[number]))
    }

    fn find(&self, number: u8) -> Arc<Object> {
        self.look_for(number).expect("the object is there")
    }
}

fn manifest_of(number: u8, total: u64) -> Manifest {
    let mut headers = HeaderMap::new();
    let fields = [
        (header::ETAG, "\"5f3e-1a2b3c4d\""),
        (header::LAST_MODIFIED, "Sat, 01 Mar 2025 10:00:00 GMT"),
        (header::CONTENT_TYPE, "video/mp4"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    for (name, text) in fields {
        headers.insert(name, HeaderValue::from_static(text));
    }
    let now = SystemTime::now();
    Manifest {
        id: ObjectId([number; 16]),
        key: vec![number],
        generation: 1,
        total: Some(total),
        chunk_size: CHUNK,
        meta: Meta {
            status: 200,
            headers,
            created: now,
            validated: now,
            epoch: now,
            fresh_until: now + Duration::from_secs(3600),
            stale_while_revalidate: 0,
            stale_if_error: 0,
            variance: None,
        },
    }
}

criterion_group!(
    structures,
    ranges,
    grid,
    chunk_set,
    manifest,
    access_line,
    store_reads,
    store_writes,
    store_lookups
);
criterion_main!(structures);
