//! What preparing for a miss saves while a slow look-up is under way, and what it costs a hit.
//!
//! The name of the origin is new each time, and its DNS server takes 10 ms, as does the look-up:
//! one after the other where nothing is prepared, side by side where it is. A look-up that is
//! answered from memory never gets as far as preparing anything; that it costs the same is shown
//! by timing it with the switch on and off.

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, StatusCode};
use pingora_cache::{CacheKey, CacheMeta, Storage, trace::Span};
use pingora_http::ResponseHeader;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};
use tidegate::{
    cache::{ChunkStorage, Errand, Order},
    fill::{self, Fills, FinishWhen},
    origin::{Client, Config, Leg, Origin, Request, Resolver, Resolving, Rules, Source, Upstream},
    store::{self, Store},
    traffic::{Features, Urgency},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    runtime::Builder,
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long the index, or a tier behind it, takes.
const SLOW_INDEX: Duration = Duration::from_millis(10);
/// How long a DNS server takes.
const SLOW_DNS: Duration = Duration::from_millis(10);

fn speculation(criterion: &mut Criterion) {
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let stage = runtime.block_on(Stage::new());
    let mut group = criterion.benchmark_group("speculation");
    group.sample_size(30);
    for (name, features) in [
        ("off", without()),
        ("name resolved ahead", with(false)),
        ("name resolved and connected ahead", with(true)),
    ] {
        group.bench_function(format!("miss behind a slow index, {name}"), |bencher| {
            bencher.to_async(&runtime).iter_custom(async |times| {
                let mut spent = Duration::ZERO;
                for _ in 0..times {
                    spent += stage.miss(features).await;
                }
                spent
            });
        });
    }
    for (name, features) in [("off", without()), ("on", with(true))] {
        let hit = runtime.block_on(Hit::new(&stage, features));
        group.bench_function(format!("hit in memory, {name}"), |bencher| {
            bencher.to_async(&runtime).iter(|| hit.look_up());
        });
    }
    group.finish();
    runtime.shutdown_background();
}

fn without() -> Features {
    Features {
        speculation: false,
        ..Features::default()
    }
}

fn with(preconnect: bool) -> Features {
    Features {
        preconnect,
        ..Features::default()
    }
}

/// An origin, and a DNS server that knows every name as its.
struct Stage {
    origin: SocketAddr,
    resolving: Resolving,
    names: AtomicU64,
}

impl Stage {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let origin = listener.local_addr().expect("its address");
        tokio::spawn(serve(listener));
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let dns = socket.local_addr().expect("its address");
        tokio::spawn(resolve(socket));
        Self {
            origin,
            resolving: Resolving {
                servers: vec![dns],
                ..Resolving::default()
            },
            names: AtomicU64::new(0),
        }
    }

    fn upstream(&self, features: Features) -> Arc<Upstream> {
        let name = self.names.fetch_add(1, Relaxed);
        let url = format!("http://n{name}.bench.test:{}", self.origin.port());
        let url = url.parse().expect("a URL");
        let resolver = Resolver::new(&self.resolving).expect("a resolver");
        let config = Config::new("media".into(), vec![url]);
        let origin = Arc::new(Origin::new(config, resolver).expect("an origin"));
        let leg = Leg {
            origin,
            path: None,
            ttl: None,
        };
        let rules = Rules {
            features,
            ..Rules::default()
        };
        Arc::new(Upstream::new(vec![leg], rules, Client::new(8)))
    }

    /// From the request to the head of the origin's answer, over a look-up that finds nothing.
    async fn miss(&self, features: Features) -> Duration {
        let upstream = self.upstream(features);
        let request = request();
        let began = Instant::now();
        let prepared = upstream.clone().prepare(&request);
        tokio::time::sleep(SLOW_INDEX).await;
        let answer = upstream.fetch(&request, None, Urgency::Range).await;
        let took = began.elapsed();
        assert_eq!(answer.expect("an answer").status, StatusCode::OK);
        drop(prepared);
        took
    }
}

fn request() -> Request {
    Request {
        target: "/film".into(),
        headers: HeaderMap::new(),
        key: 7,
        trail: None,
    }
}

/// An object in memory, looked up again and again.
struct Hit {
    storage: &'static ChunkStorage,
    key: CacheKey,
    _directory: tempfile::TempDir,
}

impl Hit {
    async fn new(stage: &Stage, features: Features) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(store::Config::new(directory.path().join("cache")));
        let fills = Fills::new(
            store.expect("a store"),
            fill::Config::default(),
            fill::Workers::default(),
        );
        let storage: &'static ChunkStorage = Box::leak(Box::new(ChunkStorage::new(fills)));
        let errand = Errand {
            catalogue: None,
            source: stage.upstream(features),
            request: Arc::new(request()),
            finish_when: FinishWhen::Never,
            parallel: true,
            client: None,
        };
        let mut key = CacheKey::new("film", "");
        let order = Order::new(errand, 1 << 20, false, false);
        key.extensions.insert(Arc::new(order));
        let mut head = ResponseHeader::build(200, None).expect("a head");
        head.insert_header("ETag", "\"1\"").expect("a field");
        let now = SystemTime::now();
        let meta = CacheMeta::new(now + Duration::from_secs(3600), now, 0, 0, head);
        let trace = Span::inactive();
        let trace = trace.handle();
        let writer = storage.get_miss_handler(&key, &meta, &trace);
        let mut writer = writer.await.expect("a writer");
        writer
            .write_body(bytes::Bytes::from_static(b"film"), true)
            .await
            .expect("written");
        writer.finish().await.expect("finished");
        Self {
            storage,
            key,
            _directory: directory,
        }
    }

    async fn look_up(&self) {
        let trace = Span::inactive();
        let found = self.storage.lookup(&self.key, &trace.handle()).await;
        assert!(found.is_ok_and(|found| found.is_some()));
    }
}

/// Answers every request with four bytes.
async fn serve(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfilm";
                if stream.write_all(answer).await.is_err() {
                    break;
                }
            }
        });
    }
}

/// Answers every question about an IPv4 address with ours, and has no IPv6 ones.
async fn resolve(socket: UdpSocket) {
    let socket = Arc::new(socket);
    let mut buffer = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let (question, socket) = (buffer[..length].to_vec(), socket.clone());
        tokio::spawn(async move {
            tokio::time::sleep(SLOW_DNS).await;
            let answer = answer(&question);
            let _ = socket.send_to(&answer, from).await;
        });
    }
}

/// RFC 1035, section 4: the header, the question as it was, and perhaps one answer.
fn answer(question: &[u8]) -> Vec<u8> {
    let name_ends = 12 + question[12..].iter().position(|&b| b == 0).unwrap_or(0);
    let end = (name_ends + 5).min(question.len());
    let is_v4 = question.get(name_ends + 2) == Some(&1);
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_v4), 0, 0, 0, 0]);
    answer.extend(&question[12..end]);
    if is_v4 {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    answer
}

criterion_group!(benches, speculation);
criterion_main!(benches);
