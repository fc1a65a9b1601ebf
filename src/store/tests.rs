//! The store as a whole, on a real directory.

use super::{manifest::tests::sample, *};
use crate::domain::{ByteRange, ChunkIndex, Grid};
use bytes::Bytes;
use futures_util::FutureExt;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};

const CHUNK: u32 = 65536;

pub(super) struct Bench {
    directory: tempfile::TempDir,
    pub(super) config: Config,
}

impl Bench {
    pub(super) fn new(max_size: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = Config {
            max_size,
            chunk_size: CHUNK,
            ..Config::new(directory.path().join("cache"))
        };
        Self { directory, config }
    }

    /// One with an object on disk, of one chunk, whose store is closed again.
    async fn with_one() -> (Self, ObjectId) {
        let bench = Self::new(100 << 20);
        let store = bench.open();
        let object = create(&store, manifest(1, 5, 10)).await;
        keep(&store, &object, 0).await.unwrap();
        store.close().await;
        (bench, object.id())
    }

    /// Opens the store and waits for its walk.
    pub(super) fn open(&self) -> Arc<Store> {
        let store = Store::open(self.config.clone()).unwrap();
        store.recover();
        store
    }

    fn allocated(&self) -> u64 {
        self.files()
            .iter()
            .map(|path| path.metadata().unwrap().blocks() * 512)
            .sum()
    }

    fn files(&self) -> Vec<std::path::PathBuf> {
        let mut folders = vec![self.directory.path().to_owned()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path)
                } else {
                    files.push(path)
                }
            }
        }
        files
    }

    fn file(&self, extension: impl Fn(&str) -> bool) -> std::path::PathBuf {
        let has = |p: &std::path::PathBuf| {
            p.extension()
                .is_some_and(|e| extension(e.to_str().unwrap()))
        };
        self.files().into_iter().find(has).unwrap()
    }
}

pub(super) fn manifest(name: u8, generation: u64, total: u64) -> Manifest {
    let id = ObjectId([name; 16]);
    Manifest {
        id,
        key: vec![name],
        generation,
        ..sample(total, CHUNK)
    }
}

/// What chunk `index` of a generation holds: nothing like that of another.
fn content(object: &Object, index: u32) -> Bytes {
    let grid = Grid::new(CHUNK, object.total().unwrap()).unwrap();
    let length = grid.bytes_of(ChunkIndex(index)).unwrap().len() as usize;
    let seed = object
        .generation()
        .wrapping_mul(31)
        .wrapping_add(u64::from(index));
    (0..length)
        .map(|i| (seed.wrapping_mul(i as u64 + 7) >> 3) as u8)
        .collect::<Vec<_>>()
        .into()
}

pub(super) async fn create(store: &Arc<Store>, manifest: Manifest) -> Arc<Object> {
    let object = store.conceive(manifest);
    store.publish(&object, store.mark()).await;
    object
}

pub(super) async fn keep(
    store: &Arc<Store>,
    object: &Arc<Object>,
    index: u32,
) -> Result<(), KeepError> {
    let bytes = content(object, index);
    let (left, right) = (
        bytes.slice(..bytes.len() / 2),
        bytes.slice(bytes.len() / 2..),
    );
    store
        .keep(
            object,
            ChunkIndex(index),
            vec![left, right],
            crc32c::crc32c(&bytes),
        )
        .await
}

pub(super) async fn read(store: &Arc<Store>, object: &Arc<Object>, index: u32) -> Option<Bytes> {
    let grid = Grid::new(CHUNK, object.total()?)?;
    let range = grid.bytes_of(ChunkIndex(index))?;
    match store.read(object, ChunkIndex(index), range) {
        Read::Memory(bytes) | Read::Ready(bytes) => Some(bytes),
        Read::Slow(read) => read.await,
        Read::Missing => None,
    }
}

#[tokio::test]
async fn chunks_survive_a_restart_and_only_those_that_were_kept() {
    let bench = Bench::new(100 << 20);
    let total = u64::from(CHUNK) * 3 + 10;
    let store = bench.open();
    let object = create(&store, manifest(1, 5, total)).await;
    keep(&store, &object, 1).await.unwrap();
    keep(&store, &object, 3).await.unwrap();
    store.close().await;
    drop((store, object));

    let store = bench.open();
    let object = store.find(ObjectId([1; 16]), &[1]).await.unwrap();
    assert_eq!(
        object.present().iter().collect::<Vec<_>>(),
        [ChunkIndex(1), ChunkIndex(3)]
    );
    for index in [1, 3] {
        assert_eq!(
            read(&store, &object, index).await.unwrap(),
            content(&object, index)
        );
    }
    assert!(read(&store, &object, 0).await.is_none());
    assert!(store.size() > 0);
}

#[tokio::test]
async fn another_key_under_the_same_name_is_not_served() {
    let bench = Bench::new(100 << 20);
    let store = bench.open();
    let object = create(&store, manifest(1, 5, 10)).await;
    keep(&store, &object, 0).await.unwrap();
    assert!(store.find(ObjectId([1; 16]), b"other").await.is_none());
}

#[tokio::test]
async fn a_damaged_chunk_is_missing_and_counted() {
    let bench = Bench::new(100 << 20);
    let store = bench.open();
    let object = create(&store, manifest(1, 5, u64::from(CHUNK) * 2)).await;
    keep(&store, &object, 0).await.unwrap();
    keep(&store, &object, 1).await.unwrap();
    store.close().await;
    drop((store, object));
    let body = std::fs::OpenOptions::new()
        .write(true)
        .open(bench.file(|e| e.len() == 16))
        .unwrap();
    body.write_all_at(b"damage", 4096 + 1000).unwrap();

    let store = bench.open();
    let object = store.find(ObjectId([1; 16]), &[1]).await.unwrap();
    assert!(read(&store, &object, 0).await.is_none());
    assert!(!object.has(ChunkIndex(0)));
    assert_eq!(store.stats().checksum_failures.get(), 1);
    assert_eq!(read(&store, &object, 1).await.unwrap(), content(&object, 1));
    keep(&store, &object, 0).await.unwrap();
    assert_eq!(read(&store, &object, 0).await.unwrap(), content(&object, 0));
}

#[tokio::test]
async fn the_budget_holds_and_what_is_left_is_right() {
    let limit = 40 * u64::from(CHUNK);
    let bench = Bench::new(limit);
    let store = bench.open();
    let mut objects = Vec::new();
    for name in 0..10 {
        let object = create(
            &store,
            manifest(name, u64::from(name) + 1, u64::from(CHUNK) * 12),
        )
        .await;
        for index in 0..12 {
            let _ = keep(&store, &object, index).await;
            assert!(
                bench.allocated() <= limit,
                "{} > {limit}",
                bench.allocated()
            );
        }
        objects.push(object);
    }
    assert!(store.stats().evictions.get() > 0);
    let mut found = 0;
    for object in &objects {
        for index in 0..12 {
            if let Some(bytes) = read(&store, object, index).await {
                assert_eq!(bytes, content(object, index));
                found += 1;
            }
        }
    }
    assert!(found >= 20, "{found} chunks are left");
}

#[tokio::test]
async fn a_new_generation_leaves_the_readers_of_the_old_one_alone() {
    let bench = Bench::new(100 << 20);
    let store = bench.open();
    let old = create(&store, manifest(1, 5, u64::from(CHUNK) * 2)).await;
    keep(&store, &old, 0).await.unwrap();
    let new = create(&store, manifest(1, 6, u64::from(CHUNK) * 2)).await;
    keep(&store, &new, 0).await.unwrap();

    assert_eq!(read(&store, &old, 0).await.unwrap(), content(&old, 0));
    assert!(matches!(
        keep(&store, &old, 1).await,
        Err(KeepError::Unwanted)
    ));
    let found = store.find(ObjectId([1; 16]), &[1]).await.unwrap();
    assert_eq!(found.generation(), 6);
    store.close().await;
    drop((store, old, new, found));
    let store = bench.open();
    let found = store.find(ObjectId([1; 16]), &[1]).await.unwrap();
    assert_eq!(read(&store, &found, 0).await.unwrap(), content(&found, 0));
    assert_eq!(bench.files().len(), 3, "{:?}", bench.files());
}

#[tokio::test]
async fn removed_objects_are_gone_with_their_files() {
    let bench = Bench::new(100 << 20);
    let store = bench.open();
    let object = create(&store, manifest(1, 5, 10)).await;
    keep(&store, &object, 0).await.unwrap();
    assert!(store.remove(&object));
    assert!(!store.remove(&object));
    assert!(store.find(ObjectId([1; 16]), &[1]).await.is_none());
    assert_eq!(read(&store, &object, 0).await.unwrap(), content(&object, 0));
    // The files go behind, on another thread.
    for _ in 0..1000 {
        if bench.files().len() == 1 {
            break;
        }
        tokio::task::spawn_blocking(std::thread::yield_now)
            .await
            .unwrap();
    }
    assert_eq!(bench.files().len(), 1);
    assert_eq!(store.size(), 0);
}

#[tokio::test]
async fn what_a_killed_process_left_is_swept() {
    let (bench, id) = Bench::with_one().await;
    let folder = bench.file(|e| e == "manifest").parent().unwrap().to_owned();
    std::fs::write(folder.join(format!("{id}.77.tmp")), b"half").unwrap();
    std::fs::write(folder.join(format!("{id}.00000000000000aa")), b"orphan").unwrap();
    let lonely = ObjectId([2; 16]);
    let lost = bench
        .config
        .directory
        .join("objects/02")
        .join(format!("{lonely}.manifest"));
    std::fs::write(&lost, manifest(2, 9, 10).encode()).unwrap();

    let store = bench.open();
    assert_eq!(bench.files().len(), 3, "{:?}", bench.files());
    assert!(store.find(id, &[1]).await.is_some());
    assert!(store.find(lonely, &[2]).await.is_none());
}

/// A link that leads to itself can't be read, as no file can while a process may open no more.
#[tokio::test]
async fn what_cannot_be_read_at_the_start_is_neither_removed_nor_taken_for_known() {
    for file in ["manifest", "0000000000000005"] {
        let (bench, id) = Bench::with_one().await;
        let path = bench.file(|extension| extension == file);
        let aside = bench.directory.path().join("aside");
        std::fs::rename(&path, &aside).unwrap();
        std::os::unix::fs::symlink(&path, &path).unwrap();

        let store = bench.open();
        let purged = store.purge(Selector::All, How::default()).await;
        assert_eq!(purged, Err(PurgeError::Blind), "{file}");
        let written = store.supersede("here".into(), Some(id)).await;
        assert_eq!(written, Err(PurgeError::Disk(1)), "{file}");
        store.close().await;
        drop(store);

        std::fs::rename(&aside, &path).unwrap();
        let store = bench.open();
        let object = store.find(id, &[1]).await.expect("still there");
        assert_eq!(read(&store, &object, 0).await.unwrap(), content(&object, 0));
        store.purge(Selector::All, How::default()).await.unwrap();
    }
}

#[tokio::test]
async fn what_another_version_wrote_is_never_read_and_makes_room() {
    let written = b"tidegate manifest 1\n";
    for other in [b"tidegate manifest 0\n", b"tidegate manifest 2\n"] {
        let (bench, id) = Bench::with_one().await;
        let file = bench.file(|extension| extension == "manifest");
        let mut bytes = std::fs::read(&file).unwrap();
        assert!(bytes.starts_with(written));
        bytes[..written.len()].copy_from_slice(other);
        std::fs::write(&file, bytes).unwrap();

        let store = Store::open(bench.config.clone()).unwrap();
        assert!(store.find(id, &[1]).await.is_none());
        store.recover();
        assert_eq!(bench.files().len(), 1, "only the lock: {:?}", bench.files());
        assert_eq!(store.size(), 0);
        let anew = create(&store, manifest(1, 6, 10)).await;
        keep(&store, &anew, 0).await.unwrap();
    }
}

#[tokio::test]
async fn a_directory_has_one_owner_and_tight_modes() {
    let bench = Bench::new(100 << 20);
    let store = bench.open();
    assert!(matches!(
        Store::open(bench.config.clone()),
        Err(OpenError::InUse(_, Some(owner))) if owner == std::process::id()
    ));
    let object = create(&store, manifest(1, 5, 10)).await;
    keep(&store, &object, 0).await.unwrap();
    for file in bench.files() {
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{file:?}"
        );
    }
    store.close().await;
    drop((store, object));
    bench.open();
}

#[tokio::test]
async fn a_disk_that_fails_keeps_nothing_and_breaks_nothing() {
    let bench = Bench::new(100 << 20);
    let store = bench.open();
    let object = create(&store, manifest(1, 5, 10)).await;
    std::fs::remove_dir_all(bench.config.directory.join("objects")).unwrap();
    assert!(matches!(
        keep(&store, &object, 0).await,
        Err(KeepError::Disk(_))
    ));
    assert!(!object.has(ChunkIndex(0)));
    assert_eq!(store.size(), 0);
}

#[tokio::test]
async fn a_stream_of_unknown_length_is_an_object_once_it_has_ended() {
    let bench = Bench::new(100 << 20);
    let store = bench.open();
    let endless = Manifest {
        total: None,
        ..manifest(1, 5, 0)
    };
    let object = create(&store, endless).await;
    let full = Bytes::from(vec![7; CHUNK as usize]);
    store
        .keep(
            &object,
            ChunkIndex(0),
            vec![full.clone()],
            crc32c::crc32c(&full),
        )
        .await
        .unwrap();
    assert!(
        !bench
            .files()
            .iter()
            .any(|f| f.extension().is_some_and(|e| e == "manifest"))
    );
    object.set_total(u64::from(CHUNK));
    store.complete(&object).await;
    store.close().await;
    drop((store, object));
    let store = bench.open();
    let object = store.find(ObjectId([1; 16]), &[1]).await.unwrap();
    assert_eq!(object.total(), Some(u64::from(CHUNK)));
    assert_eq!(read(&store, &object, 0).await.unwrap(), full);
}

#[tokio::test]
async fn hot_chunks_are_read_from_memory_and_are_the_same() {
    let mut bench = Bench::new(100 << 20);
    bench.config.memory = 1 << 20;
    let store = bench.open();
    let object = create(&store, manifest(1, 5, u64::from(CHUNK) * 2)).await;
    keep(&store, &object, 1).await.unwrap();
    let start = u64::from(CHUNK) + 100;
    let range = ByteRange::new(start, start + 50).unwrap();
    let Read::Slow(first) = store.read(&object, ChunkIndex(1), range) else {
        panic!("nothing is in memory yet");
    };
    let first = first.await.unwrap();
    assert_eq!(first, content(&object, 1).slice(100..150));
    let second = store.read(&object, ChunkIndex(1), range);
    assert!(matches!(second, Read::Memory(bytes) if bytes == first));
}

#[tokio::test]
async fn chunks_that_wait_to_be_written_are_counted() {
    let mut bench = Bench::new(100 << 20);
    (bench.config.writes, bench.config.write_queue) = (1, 2);
    let store = bench.open();
    let object = create(&store, manifest(1, 5, u64::from(CHUNK) * 3)).await;
    let turn = store.writes.acquire().await.unwrap();
    // Two wait for the turn, and one for a place in the queue.
    let [first, second, third] = [0, 1, 2].map(|index| Box::pin(keep(&store, &object, index)));
    let mut all = [first, second, third];
    for chunk in &mut all {
        assert!(chunk.now_or_never().is_none());
    }
    assert_eq!(store.stats.writes_waiting.get(), 3);
    let [first, second, third] = all;
    drop(second);
    assert_eq!(store.stats.writes_waiting.get(), 2);
    drop(turn);
    first.await.unwrap();
    third.await.unwrap();
    assert_eq!(store.stats.writes_waiting.get(), 0);
}

#[tokio::test]
async fn who_reads_from_disk_waits_for_a_turn_and_gives_it_up() {
    let mut bench = Bench::new(100 << 20);
    bench.config.reads = 1;
    let store = bench.open();
    let object = create(&store, manifest(1, 5, u64::from(CHUNK) * 2)).await;
    keep(&store, &object, 0).await.unwrap();
    store.close().await;
    drop((store, object));
    let store = bench.open();
    let object = store.find(ObjectId([1; 16]), &[1]).await.unwrap();
    let slow = || {
        // Not checked since the start: the page cache is not asked.
        let range = ByteRange::new(0, 50).unwrap();
        match store.read(&object, ChunkIndex(0), range) {
            Read::Slow(read) => read,
            other => panic!("{other:?}"),
        }
    };
    let turn = store.reads.clone().acquire_owned().await.unwrap();
    store.will_need(&object, ChunkIndex(0));
    assert_eq!(store.stats.read_ahead_dropped.get(), 1);
    let (mut first, mut second) = (slow(), slow());
    for read in [&mut first, &mut second] {
        assert!(read.now_or_never().is_none());
    }
    assert_eq!(store.stats.reads_waiting.get(), 2);
    drop(first);
    assert_eq!(store.stats.reads_waiting.get(), 1);
    drop(turn);
    assert_eq!(second.await.unwrap(), content(&object, 0).slice(..50));
    assert_eq!(store.stats.reads_waiting.get(), 0);
}

#[tokio::test]
async fn a_chunk_that_is_read_whole_is_hot_as_well() {
    let mut bench = Bench::new(100 << 20);
    bench.config.memory = 1 << 20;
    let store = bench.open();
    let object = create(&store, manifest(1, 5, u64::from(CHUNK) * 2)).await;
    keep(&store, &object, 0).await.unwrap();
    let bytes = read(&store, &object, 0).await.unwrap();
    let range = ByteRange::new(0, u64::from(CHUNK)).unwrap();
    let again = store.read(&object, ChunkIndex(0), range);
    assert!(matches!(again, Read::Memory(hot) if hot == bytes));
}

/// A manifest that is a pipe is what a disk that hangs looks like: who opens it waits.
#[test]
fn a_disk_that_hangs_leaves_threads_for_others() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(MANIFESTS + 1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (bench, id) = Bench::with_one().await;
        let store = bench.open();
        let manifest = store.paths.manifest(id);
        std::fs::remove_file(&manifest).unwrap();
        let mode = Mode::from_raw_mode(0o600);
        mknodat(CWD, &manifest, FileType::Fifo, mode, 0).unwrap();
        let finders: Vec<_> = (0..3 * MANIFESTS)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.find_by_id(id).await.is_some() })
            })
            .collect();
        for finder in finders {
            assert!(!finder.await.unwrap());
        }
        assert_eq!(store.manifests.available_permits(), 0);
        let other = tokio::task::spawn_blocking(|| 7);
        let other = tokio::time::timeout(DISK_PATIENCE, other).await;
        // Who opened it goes on now, and finds nothing in it.
        let pipe = std::fs::OpenOptions::new().write(true).open(&manifest);
        std::fs::remove_file(&manifest).unwrap();
        drop(pipe);
        assert_eq!(other.unwrap().unwrap(), 7);
        let all = store.manifests.acquire_many(MANIFESTS as u32);
        let all = tokio::time::timeout(DISK_PATIENCE, all).await;
        assert!(all.is_ok());
    });
}
