//! Purges against a plain model, and at the size of a large cache.

use super::*;
use crate::{
    domain::{ChunkIndex, ExtraKind, ObjectKey},
    store::{
        Config, Manifest, Meta,
        tests::{Bench, create, keep, manifest},
    },
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use std::{collections::BTreeMap, fs::File, time::Instant};

fn key(path: String) -> Vec<u8> {
    ObjectKey {
        version: 1,
        host: "a.example".into(),
        path,
        query: None,
        extras: Vec::new(),
    }
    .encode()
}

fn tagged(manifest: Manifest, path: String, tags: &str) -> Manifest {
    let mut manifest = Manifest {
        key: key(path),
        ..manifest
    };
    let name = HeaderName::from_static("surrogate-key");
    let value = HeaderValue::from_str(tags).unwrap();
    manifest.meta.headers.insert(name, value);
    manifest.meta.fresh_until = SystemTime::now() + Duration::from_secs(3600);
    manifest
}

/// One step of a history. Objects are numbered; an odd one is `red`, every third is `blue`.
#[derive(Clone, Debug)]
enum Step {
    /// A new generation comes, with its chunk.
    Store(u8),
    /// It is taken out.
    Remove(u8),
    /// It is changed at the origin.
    Write(u8),
    /// A purge that is held against what came before.
    Purge(Which, bool),
    /// The process starts anew.
    Restart,
}

#[derive(Clone, Debug)]
enum Which {
    Url(u8),
    Prefix(u8),
    Tag(bool),
    All,
}

impl Which {
    fn selector(&self) -> Selector {
        match self {
            Self::Url(n) => Selector::at("a.example", &path(*n)),
            Self::Prefix(group) => Selector::of_prefix(["a.example"], &format!("/{group}/")),
            Self::Tag(true) => Selector::Tag("red".into()),
            Self::Tag(false) => Selector::Tag("blue".into()),
            Self::All => Selector::All,
        }
    }

    fn means(&self, n: u8) -> bool {
        match self {
            Self::Url(own) => *own == n,
            Self::Prefix(group) => n % 4 == *group,
            Self::Tag(true) => n % 2 == 1,
            Self::Tag(false) => n.is_multiple_of(3),
            Self::All => true,
        }
    }
}

fn path(n: u8) -> String {
    format!("/{}/{n}", n % 4)
}

fn place(n: u8) -> String {
    crate::domain::place_of(&key(path(n)))
}

fn tags(n: u8) -> &'static str {
    match (n % 2, n % 3) {
        (1, 0) => "red blue",
        (1, _) => "red",
        (_, 0) => "blue",
        _ => "none",
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = prop_oneof![
        (1u8..12).prop_map(Which::Url),
        (0u8..4).prop_map(Which::Prefix),
        any::<bool>().prop_map(Which::Tag),
        Just(Which::All),
    ];
    let step = prop_oneof![
        6 => (1u8..12).prop_map(Step::Store),
        1 => (1u8..12).prop_map(Step::Remove),
        2 => (1u8..12).prop_map(Step::Write),
        3 => (which, any::<bool>()).prop_map(|(which, soft)| Step::Purge(which, soft)),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_is_found_is_what_was_stored_and_not_purged(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(history(steps));
    }
}

/// Generation and whether it is fresh, by number.
type Model = BTreeMap<u8, (u64, bool)>;

async fn history(steps: Vec<Step>) {
    let bench = Bench::new(64 << 20);
    let mut store = bench.open();
    let mut model = Model::new();
    for (generation, step) in (1..).zip(steps) {
        match step {
            Step::Store(n) => {
                let fresh = tagged(manifest(n, generation, 1000), path(n), tags(n));
                let object = create(&store, fresh).await;
                keep(&store, &object, 0).await.unwrap();
                model.insert(n, (generation, true));
            }
            Step::Remove(n) => {
                if let Some(object) = store.find_by_id(ObjectId([n; 16])).await {
                    store.remove(&object);
                }
                model.remove(&n);
            }
            Step::Write(n) => {
                store.supersede(place(n), None).await.unwrap();
                model.remove(&n);
            }
            Step::Purge(which, soft) => {
                let how = How {
                    soft,
                    dry_run: false,
                    is_told: false,
                };
                let meant = model.keys().filter(|n| which.means(**n)).count() as u64;
                let purged = store.purge(which.selector(), how).await.unwrap();
                assert_eq!(purged.objects, meant, "{which:?}");
                model.retain(|n, _| soft || !which.means(*n));
                let softened = model.iter_mut().filter(|(n, _)| which.means(**n));
                softened.for_each(|(_, (_, fresh))| *fresh &= !soft);
            }
            Step::Restart => {
                store.close().await;
                drop(store);
                store = bench.open();
            }
        }
        assert_same(&store, &model).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_out_is_not_counted_again_but_does_not_come_back() {
    let bench = Bench::new(64 << 20);
    let store = bench.open();
    let object = create(&store, tagged(manifest(1, 1, 1000), path(1), tags(1))).await;
    keep(&store, &object, 0).await.unwrap();
    // Out of service, and nobody has come yet to take its files away.
    assert!(store.table.lock().remove(&object));
    let purged = store.purge(Selector::All, How::default()).await.unwrap();
    assert_eq!(purged, Purged::default());
    drop(object);
    store.close().await;
    drop(store);
    assert_same(&bench.open(), &Model::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_before_a_write_is_not_kept() {
    let bench = Bench::new(64 << 20);
    let store = bench.open();
    let known = create(&store, tagged(manifest(1, 1, 1000), path(1), tags(1))).await;
    let before = store.mark();
    store.supersede(place(2), None).await.unwrap();
    for (n, stays) in [(2, false), (3, true)] {
        let object = store.conceive(tagged(manifest(n, 2, 1000), path(n), tags(n)));
        assert_eq!(store.publish(&object, before).await, stays, "{n}");
        assert_eq!(object.is_retired(), !stays, "{n}");
    }
    let meta = known.meta();
    assert!(store.update(&known, Meta::clone(&meta), before).await);
    store.supersede(place(1), None).await.unwrap();
    assert!(!store.update(&known, Meta::clone(&meta), before).await);
    let stored = Model::from([(3, (2, true))]);
    assert_same(&store, &stored).await;
}

/// As long as the walk after a start has not ended, what is looked for by its name goes at least.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_does_not_wait_until_all_is_known() {
    let bench = Bench::new(64 << 20);
    let store = bench.open();
    for n in [1, 2] {
        let object = create(&store, tagged(manifest(n, 1, 1000), path(n), tags(n))).await;
        keep(&store, &object, 0).await.unwrap();
    }
    store.close().await;
    drop(store);
    let store = Store::open(bench.config.clone()).unwrap();
    let id = ObjectId([1; 16]);
    store.supersede(place(1), Some(id)).await.unwrap();
    assert!(!store.paths.manifest(id).exists());
    let left = Model::from([(2, (1, true))]);
    assert_same(&store, &left).await;
    store.recover();
    assert_same(&store, &left).await;
}

/// A soft purge finds an object whose first manifest is just being written, with what was true
/// before.
#[tokio::test(flavor = "multi_thread")]
async fn a_soft_purge_is_not_overwritten_by_a_manifest_under_way() {
    let bench = Bench::new(64 << 20);
    let store = bench.open();
    let object = create(&store, tagged(manifest(1, 1, 1000), path(1), tags(1))).await;
    let is_stale = |object: &Object| object.meta().fresh_until < SystemTime::now();
    // Its body is there, its manifest not yet.
    object.create_body(&store.paths).unwrap();
    let (taken, ready) = std::sync::mpsc::channel();
    let writer = {
        let (store, object) = (store.clone(), object.clone());
        std::thread::spawn(move || {
            let files = store.files(object.id());
            let fresh = object.manifest().unwrap();
            taken.send(()).unwrap();
            while !is_stale(&object) {
                std::thread::yield_now();
            }
            // Time for a purge that does not wait to have its answer.
            std::thread::sleep(Duration::from_millis(50));
            store
                .paths
                .write_manifest(object.id(), &fresh.encode())
                .unwrap();
            object.note_manifest();
            store.index.lock().insert(&fresh, Arc::default());
            drop(files);
        })
    };
    ready.recv().unwrap();
    let how = How {
        soft: true,
        dry_run: false,
        is_told: false,
    };
    let purged = store.purge(Selector::All, how).await.unwrap();
    assert_eq!(purged.objects, 1);
    writer.join().unwrap();
    let written = store.load_manifest(object.id()).unwrap().unwrap();
    assert!(written.meta.fresh_until < SystemTime::now());
}

async fn assert_same(store: &Arc<Store>, model: &Model) {
    let now = SystemTime::now();
    for n in 1..12 {
        let found = store.find_by_id(ObjectId([n; 16])).await;
        let found = found.map(|object| (object.generation(), object.meta().fresh_until >= now));
        assert_eq!(found, model.get(&n).copied(), "{n} of {model:?}");
    }
}

/// Puts so many objects on disk as a process before would have left them.
fn fill(config: &Config, count: u32) {
    let store = Store::open(config.clone()).unwrap();
    for n in 0..count {
        let tag = if n % 10 == 0 { "tenth" } else { "other" };
        let path = format!("/{}/film-{n}.mp4", n % 2);
        let mut object = tagged(manifest(1, 7, 4), path, tag);
        object.id.0[..4].copy_from_slice(&n.to_be_bytes());
        let file = File::create(store.paths.body(object.id, 7)).unwrap();
        let content = Bytes::from_static(b"film");
        let checksum = crc32c::crc32c(&content);
        let body = Body::new(file, 7, object.chunk_size);
        body.write(ChunkIndex(0), &[content], checksum).unwrap();
        store
            .paths
            .write_manifest(object.id, &object.encode())
            .unwrap();
    }
}

/// Fills a store, and purges a tenth by tag, then half of the rest by prefix, then all.
async fn purge_in_parts(count: u32) {
    let bench = Bench::new(16 << 30);
    fill(&bench.config, count);
    let store = bench.open();
    assert_eq!(store.index_size().0, count as usize);
    let purge = async |selector, expected: u32| {
        let began = Instant::now();
        let purged = store.purge(selector, How::default()).await.unwrap();
        assert_eq!(purged.objects, u64::from(expected));
        let took = began.elapsed();
        // Not optimised, everything here takes several times as long.
        let patience = if cfg!(debug_assertions) { 1000 } else { 100 };
        let patience = Duration::from_micros(patience) * expected.max(1000);
        assert!(took < patience, "{took:?} for {expected}");
        took
    };
    let by_tag = purge(Selector::Tag("tenth".into()), count / 10).await;
    let below = Selector::of_prefix(["a.example"], "/1/");
    let by_prefix = purge(below, count / 2).await;
    let rest = purge(Selector::All, count * 4 / 10).await;
    println!("of {count}: a tenth by tag {by_tag:?}, half by prefix {by_prefix:?}, all {rest:?}");
    assert_eq!(store.index_size(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_go_at_once() {
    purge_in_parts(10_000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes 1.2 GB; run it optimised: cargo test --release --lib hundred_thousand -- --ignored"]
async fn ten_thousand_of_a_hundred_thousand_go_in_a_second() {
    purge_in_parts(100_000).await;
}

#[test]
fn a_variant_lies_at_the_place_of_its_url() {
    let mut variant = ObjectKey::decode(&key("/0/1".into())).unwrap();
    variant.extras.push(crate::domain::Extra {
        kind: ExtraKind::Variant,
        name: "width".into(),
        value: "720".into(),
    });
    let place = crate::domain::place_of;
    assert_eq!(place(&variant.encode()), place(&key("/0/1".into())));
}
