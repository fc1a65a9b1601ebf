//! Two stores over one directory, one after the other its owner.

use super::*;
use crate::{
    domain::{ByteRange, ChunkIndex, place_of},
    store::{Config, KeepError, Object, OpenError, Read, manifest::tests::sample},
};
use bytes::Bytes;
use futures_util::FutureExt;
use std::sync::atomic::{AtomicBool, AtomicU64};
use tokio::task::JoinSet;

const CHUNK: u32 = 65536;
const COUNT: u32 = 8;

fn config(directory: &tempfile::TempDir) -> Config {
    Config {
        max_size: 100 << 20,
        chunk_size: CHUNK,
        ..Config::new(directory.path().join("cache"))
    }
}

fn content(chunk: u32) -> Bytes {
    Bytes::from(vec![chunk as u8 + 1; CHUNK as usize])
}

async fn keep(store: &Arc<Store>, object: &Arc<Object>, chunk: u32) -> Result<(), KeepError> {
    let bytes = content(chunk);
    let checksum = crc32c::crc32c(&bytes);
    let chunk = ChunkIndex(chunk);
    store.keep(object, chunk, vec![bytes], checksum).await
}

fn opened(config: &Config) -> Arc<Store> {
    let store = Store::open(config.clone()).unwrap();
    store.recover();
    store
}

/// A store with one object, all of it stored.
async fn filled(config: &Config) -> (Arc<Store>, Arc<Object>) {
    let store = opened(config);
    let object = store.conceive(sample(u64::from(CHUNK * COUNT), CHUNK));
    store.publish(&object, store.mark()).await;
    for chunk in 0..COUNT {
        keep(&store, &object, chunk).await.unwrap();
    }
    (store, object)
}

fn range_in(chunk: u32) -> ByteRange {
    let start = u64::from(chunk * CHUNK);
    ByteRange::new(start + 1000, start + 9000).unwrap()
}

/// What a reader gets of a chunk, if anything; it must be right.
async fn read(store: &Arc<Store>, object: &Arc<Object>, chunk: u32) -> Option<()> {
    let bytes = match store.read(object, ChunkIndex(chunk), range_in(chunk)) {
        Read::Memory(bytes) | Read::Ready(bytes) => bytes,
        Read::Slow(slow) => slow.await?,
        Read::Missing => return None,
    };
    let is_right = bytes == content(chunk).slice(1000..9000);
    assert!(is_right, "chunk {chunk} has other bytes");
    Some(())
}

async fn take_over(config: &Config, given: &Given) -> (Arc<Store>, Arc<Object>) {
    let lock = given.lock.try_clone().unwrap();
    let next = Store::open_with(config.clone(), Some(lock)).unwrap();
    next.recover();
    let id = sample(1, CHUNK).id;
    let object = next.find_by_id(id).await.unwrap();
    (next, object)
}

#[tokio::test]
async fn the_next_owner_has_everything_and_the_first_keeps_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory);
    let (store, object) = filled(&config).await;
    let given = store.give().await.unwrap();
    assert!(matches!(
        Store::open(config.clone()),
        Err(OpenError::InUse(..))
    ));
    let (next, same) = take_over(&config, &given).await;
    for chunk in 0..COUNT {
        read(&store, &object, chunk).await.expect("still there");
        read(&next, &same, chunk).await.expect("there as well");
    }
    assert_eq!(next.size(), store.size());
    next.forget(&same, ChunkIndex(3));
    assert!(matches!(
        keep(&store, &object, 3).await,
        Err(KeepError::Closed)
    ));
    store.forget(&object, ChunkIndex(4));
    store.remove(&object);
    store.close().await;
    read(&next, &same, 4)
        .await
        .expect("not the first's to remove");
    drop(given);
    assert!(Store::open(config).is_err(), "the next owner has the lock");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_of_the_first_get_right_bytes_or_none_whatever_the_next_owner_does() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory);
    let (store, object) = filled(&config).await;
    let stop = Arc::new(AtomicBool::new(false));
    let readers = (0..4u32).map(|reader| {
        let (store, stop) = (store.clone(), stop.clone());
        let id = object.id();
        tokio::spawn(async move {
            let mut read_so_far = 0;
            for nth in reader.. {
                if stop.load(SeqCst) {
                    break;
                }
                // Opened anew again and again: what is missing is not missing for ever.
                let object = match store.find_by_id(id).await {
                    Some(object) => object,
                    None => continue,
                };
                read_so_far += u32::from(read(&store, &object, nth % COUNT).await.is_some());
                if object.present().is_empty() {
                    store.table.lock().forget_all();
                }
            }
            read_so_far
        })
    });
    let readers = Vec::from_iter(readers);
    let given = store.give().await.unwrap();
    let (next, same) = take_over(&config, &given).await;
    for nth in 0..3000 {
        next.forget(&same, ChunkIndex(nth % COUNT));
        keep(&next, &same, nth % COUNT).await.unwrap();
    }
    stop.store(true, SeqCst);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
}

#[tokio::test]
async fn what_is_taken_back_is_known_as_it_is_by_then() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory);
    let (store, object) = filled(&config).await;
    let given = store.give().await.unwrap();
    let (next, same) = take_over(&config, &given).await;
    next.forget(&same, ChunkIndex(2));
    drop((next, same, given));
    store.take_back();
    store.recover();
    // Whoever read before goes on, and is not misled.
    assert_eq!(read(&store, &object, 2).await, None);
    read(&store, &object, 1).await.unwrap();
    let anew = store.find_by_id(object.id()).await.unwrap();
    assert!(!anew.has(ChunkIndex(2)) && anew.has(ChunkIndex(1)));
    keep(&store, &anew, 2).await.unwrap();
    read(&store, &anew, 2).await.unwrap();
    assert!(matches!(Store::open(config), Err(OpenError::InUse(..))));
}

#[tokio::test]
async fn clients_writes_are_passed_on() {
    let directory = tempfile::tempdir().unwrap();
    let (store, object) = filled(&config(&directory)).await;
    let mut given = store.give().await.unwrap();
    let written = store.supersede("here".into(), Some(object.id()));
    let told = async {
        let write = given.writes.recv().await.unwrap();
        assert_eq!((&*write.place, write.id), ("here", Some(object.id())));
        write.done.send(()).unwrap();
    };
    assert_eq!(tokio::join!(written, told).0, Ok(()));
    drop(given);
    let late = store.supersede("here".into(), None).await;
    assert_eq!(late, Err(PurgeError::Closed));
}

/// Who asked before the directory passed on comes to the files after.
#[test]
fn a_write_that_is_overtaken_by_the_passing_on_is_the_next_owners() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let (store, object) = filled(&config(&directory)).await;
        let place = place_of(object.key());
        let (free, busy) = std::sync::mpsc::channel::<()>();
        let only_thread = tokio::task::spawn_blocking(move || busy.recv());
        let mut written = std::pin::pin!(store.supersede(place.clone(), Some(object.id())));
        assert!(written.as_mut().now_or_never().is_none());
        // What `give` comes to.
        let (tell, mut writes) = mpsc::channel(1);
        *store.next_owner.lock() = Some(tell);
        *store.owned.write() = false;
        store.given_away.store(true, SeqCst);
        free.send(()).unwrap();
        only_thread.await.unwrap().unwrap();
        let told = async {
            let write = writes.recv().await.unwrap();
            assert_eq!((write.place, write.id), (place.clone(), Some(object.id())));
            write.done.send(()).unwrap();
        };
        tokio::select! {
            _ = &mut written => panic!("nobody was told"),
            () = told => {}
        }
        assert_eq!(written.await, Ok(()));
        assert!(store.paths.manifest(object.id()).exists());
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_passing_on_waits_for_a_write_that_is_at_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let (store, object) = filled(&config(&directory)).await;
    let id = object.id();
    let (mut begun, mut giving) = (JoinSet::new(), JoinSet::new());
    {
        let (store, place) = (store.clone(), place_of(object.key()));
        tokio::task::block_in_place(|| {
            let _files = store.files(id);
            let writer = store.clone();
            begun.spawn(async move { writer.supersede(place, Some(id)).await });
            while store.open_object(id).is_some() {
                std::thread::yield_now();
            }
            let giver = store.clone();
            giving.spawn(async move { giver.give().await });
            while !store.is_given_away() {
                std::thread::yield_now();
            }
        });
    }
    let _given = giving.join_next().await.unwrap().unwrap().unwrap();
    assert!(!store.paths.manifest(id).exists());
    assert_eq!(begun.join_next().await.unwrap().unwrap(), Ok(()));
}

/// The next process dies before it is told.
#[tokio::test]
async fn a_write_is_carried_out_here_where_the_directory_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let (store, object) = filled(&config(&directory)).await;
    let (id, place) = (object.id(), place_of(object.key()));
    let given = store.give().await.unwrap();
    let mut written = std::pin::pin!(store.supersede(place, Some(id)));
    assert!(written.as_mut().now_or_never().is_none());
    store.take_back();
    drop(given);
    assert_eq!(written.await, Ok(()));
    assert!(!store.paths.manifest(id).exists());
}

static GENERATION: AtomicU64 = AtomicU64::new(100);

/// An object that nothing tells from its next version, and a first chunk of it.
async fn unversioned(store: &Arc<Store>) -> Arc<Object> {
    let mut manifest = sample(u64::from(CHUNK * COUNT), CHUNK);
    manifest.generation = GENERATION.fetch_add(1, SeqCst);
    manifest.meta.headers.remove(http::header::ETAG);
    let object = store.conceive(manifest);
    store.publish(&object, store.mark()).await;
    keep(store, &object, 0).await.unwrap();
    object
}

fn files(config: &Config) -> usize {
    let folder = config.directory.join("objects/07");
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn what_cannot_be_asked_for_again_is_kept_without_a_name() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory);
    let store = opened(&config);
    let object = unversioned(&store).await;
    assert_eq!(files(&config), 2);
    let given = store.give().await.unwrap();
    assert_eq!(files(&config), 0);
    keep(&store, &object, 1).await.unwrap();
    for chunk in [0, 1] {
        read(&store, &object, chunk).await.expect("kept");
    }
    // What has begun since is not the next owner's either.
    let later = unversioned(&store).await;
    keep(&store, &later, 5).await.unwrap();
    read(&store, &later, 5).await.expect("kept");
    assert_eq!(files(&config), 0);
    // One that is taken back stays what it is.
    drop(given);
    store.take_back();
    store.recover();
    keep(&store, &later, 2).await.unwrap();
    read(&store, &later, 2).await.expect("kept");
    assert_eq!((files(&config), store.size()), (0, 0));
    drop((object, later));
    assert_eq!(store.private.load(SeqCst), 0);
}

#[tokio::test]
async fn what_is_whole_or_can_be_asked_for_again_is_the_next_owners() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory);
    let store = opened(&config);
    let object = unversioned(&store).await;
    for chunk in 1..COUNT {
        keep(&store, &object, chunk).await.unwrap();
    }
    let given = store.give().await.unwrap();
    let (next, same) = take_over(&config, &given).await;
    read(&next, &same, 3).await.expect("there");
}

#[tokio::test]
async fn files_without_a_name_do_not_grow_without_end() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config {
        max_size: u64::from(CHUNK) * 16,
        ..config(&directory)
    };
    let store = opened(&config);
    let object = unversioned(&store).await;
    let _given = store.give().await.unwrap();
    for chunk in [1, 2] {
        keep(&store, &object, chunk).await.unwrap();
    }
    let third = keep(&store, &object, 3).await;
    assert!(matches!(third, Err(KeepError::NoRoom)), "{third:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_comes_in_while_the_directory_passes_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory);
    let store = opened(&config);
    for _ in 0..20 {
        let object = unversioned(&store).await;
        let keeps = (1..COUNT).map(|chunk| {
            let (store, object) = (store.clone(), object.clone());
            tokio::spawn(async move { keep(&store, &object, chunk).await })
        });
        let keeps = Vec::from_iter(keeps);
        let given = store.give().await.unwrap();
        for kept in keeps {
            kept.await.unwrap().unwrap();
        }
        for chunk in 0..COUNT {
            read(&store, &object, chunk).await.expect("kept");
        }
        drop(given);
        store.take_back();
        store.recover();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn removals_and_the_passing_on_do_not_wait_for_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(&config(&directory));
    let stop = Arc::new(AtomicBool::new(false));
    let removed = store.conceive(sample(1, CHUNK));
    let removals = {
        let (store, stop) = (store.clone(), stop.clone());
        tokio::task::spawn_blocking(move || {
            while !stop.load(SeqCst) {
                store.retire(&removed);
            }
        })
    };
    for _ in 0..50 {
        let _object = unversioned(&store).await;
        let given = tokio::time::timeout(DISK_PATIENCE * 4, store.give());
        drop(given.await.expect("an end").unwrap());
        store.take_back();
        store.recover();
    }
    stop.store(true, SeqCst);
    removals.await.unwrap();
}

#[tokio::test]
async fn a_private_object_that_ends_leaves_its_successor_alone() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory);
    let store = opened(&config);
    let mut manifest = sample(1, CHUNK);
    manifest.total = None;
    let stream = store.conceive(manifest);
    store.publish(&stream, store.mark()).await;
    keep(&store, &stream, 0).await.unwrap();
    drop(store.give().await.unwrap());
    store.take_back();
    store.recover();
    let mut manifest = sample(u64::from(CHUNK), CHUNK);
    manifest.generation = GENERATION.fetch_add(1, SeqCst);
    let next = store.conceive(manifest);
    store.publish(&next, store.mark()).await;
    keep(&store, &next, 0).await.unwrap();
    stream.set_total(u64::from(CHUNK));
    store.complete(&stream).await;
    let written = store.load_manifest(next.id()).unwrap().unwrap();
    assert_eq!(written.generation, next.generation());
    assert_eq!(files(&config), 2);
}
