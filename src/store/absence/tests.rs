//! A directory that goes away and comes back, under a store that is looking.

use super::*;
use crate::{
    domain::{ChunkIndex, ObjectKey, Selector, place_of},
    store::{
        How, KeepError, Manifest, Object, ObjectId,
        tests::{Bench, create, keep, manifest, read},
    },
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::Ordering::Relaxed,
    time::SystemTime,
};

const CHUNK: u64 = 65536;

/// Where the directory lies while its disk is unmounted.
fn aside(directory: &Path) -> PathBuf {
    directory.with_extension("aside")
}

fn key(name: u8) -> Vec<u8> {
    ObjectKey {
        version: 1,
        host: "a.example".into(),
        path: format!("/{name}"),
        query: None,
        extras: Vec::new(),
    }
    .encode()
}

fn object(name: u8, generation: u64, total: u64) -> Manifest {
    let mut made = manifest(name, generation, total);
    made.key = key(name);
    made.meta.fresh_until = SystemTime::now() + Duration::from_secs(3600);
    made
}

/// A store with objects 1, 2 and 3, of which the first is open.
async fn filled(bench: &Bench) -> (Arc<Store>, Arc<Object>) {
    let store = bench.open();
    let first = create(&store, object(1, 1, 2 * CHUNK)).await;
    for chunk in [0, 1] {
        keep(&store, &first, chunk).await.unwrap();
    }
    for name in [2, 3] {
        let other = create(&store, object(name, 1, CHUNK)).await;
        keep(&store, &other, 0).await.unwrap();
    }
    store.look();
    (store, first)
}

async fn finds(store: &Arc<Store>, name: u8) -> bool {
    store.find_by_id(ObjectId([name; 16])).await.is_some()
}

async fn reads(store: &Arc<Store>, object: &Arc<Object>, chunk: u32) -> bool {
    read(store, object, chunk).await.is_some()
}

/// As where a disk is unmounted: an empty place on another file system.
fn unmount(store: &Store) {
    let directory = &store.config().directory;
    fs::rename(directory, aside(directory)).unwrap();
    fs::create_dir(directory).unwrap();
    store.absence.home.fetch_add(1, Relaxed);
}

fn mount(store: &Store) {
    let directory = &store.config().directory;
    fs::remove_dir(directory).unwrap();
    fs::rename(aside(directory), directory).unwrap();
}

#[tokio::test]
async fn a_directory_that_was_removed_is_made_again() {
    let bench = Bench::new(8 << 20);
    let (store, first) = filled(&bench).await;
    let all = store.size();
    fs::remove_dir_all(&bench.config.directory).unwrap();
    store.look();
    assert!(!store.is_lost());
    assert_eq!((store.size(), store.index_size().0), (0, 0));
    assert!(!finds(&store, 1).await, "its files are gone");
    // Who has it open goes on, and what comes in for it is not kept.
    assert!(reads(&store, &first, 0).await);
    assert!(matches!(
        keep(&store, &first, 0).await,
        Err(KeepError::Unwanted)
    ));
    let again = create(&store, object(1, 2, 2 * CHUNK)).await;
    keep(&store, &again, 1).await.unwrap();
    assert_eq!(store.size(), all / 4);
    store.close().await;
    let next = bench.open();
    let found = next.find_by_id(ObjectId([1; 16])).await.unwrap();
    assert!(found.has(ChunkIndex(1)) && reads(&next, &found, 1).await);
}

#[tokio::test]
async fn a_part_that_was_removed_is_made_again_and_the_rest_stays() {
    let bench = Bench::new(8 << 20);
    let (store, _first) = filled(&bench).await;
    let all = store.size();
    fs::remove_dir_all(bench.config.directory.join("objects/02")).unwrap();
    store.look();
    assert!(!store.is_lost() && finds(&store, 1).await && !finds(&store, 2).await);
    assert_eq!(store.size(), all / 4 * 3);
}

#[tokio::test]
async fn nothing_is_kept_while_it_is_gone_and_all_is_found_when_it_is_back() {
    let bench = Bench::new(8 << 20);
    let (store, first) = filled(&bench).await;
    let all = store.size();
    unmount(&store);
    store.look();
    store.look();
    assert!(store.is_lost() && store.stats().lost.get() == 1);
    assert!(!finds(&store, 1).await && !finds(&store, 2).await);
    assert!(reads(&store, &first, 1).await, "it is open");
    let new = create(&store, object(4, 1, CHUNK)).await;
    assert!(matches!(keep(&store, &new, 0).await, Err(KeepError::Lost)));
    let again = create(&store, object(1, 2, 2 * CHUNK)).await;
    mount(&store);
    store.look();
    assert!(!store.is_lost() && store.stats().lost.get() == 0);
    assert_eq!(store.size(), all);
    for name in [1, 2, 3] {
        assert!(finds(&store, name).await, "{name}");
    }
    let found = store.find_by_id(ObjectId([1; 16])).await.unwrap();
    assert!(!Arc::ptr_eq(&found, &first) && reads(&store, &found, 0).await);
    // What came in meanwhile is only for those who have it.
    assert!(matches!(
        keep(&store, &again, 0).await,
        Err(KeepError::Unwanted)
    ));
    let new = create(&store, object(4, 2, CHUNK)).await;
    keep(&store, &new, 0).await.unwrap();
}

/// What was purged, softly or not, or written to while a disk was away is so when it is back: for who
/// asks at once, before all has been read, and after a restart.
#[tokio::test]
async fn purges_hold_for_what_comes_back() {
    let bench = Bench::new(8 << 20);
    let (store, first) = filled(&bench).await;
    drop(first);
    let all = store.size();
    unmount(&store);
    // Nobody has noticed yet.
    let place = |name: u8| place_of(&key(name));
    let hard = Selector::Url(place(1));
    store.purge(hard, How::default()).await.unwrap();
    store.look();
    let soft = How {
        soft: true,
        ..How::default()
    };
    let purged = store.purge(Selector::Url(place(3)), soft).await;
    assert_eq!(purged.unwrap().objects, 0);
    store.supersede(place(2), None).await.unwrap();
    mount(&store);
    // As it is before the walk has come by.
    assert!(store.take_another().unwrap());
    assert!(!store.knows_all());
    let is_stale = async |store: &Arc<Store>| {
        let third = store.find_by_id(ObjectId([3; 16])).await.unwrap();
        third.meta().fresh_until <= SystemTime::now()
    };
    assert!(!finds(&store, 1).await && !finds(&store, 2).await);
    assert!(is_stale(&store).await);
    store.recover();
    assert!(!finds(&store, 1).await && !finds(&store, 2).await);
    assert_eq!((store.size(), store.index_size().0), (all / 4, 1));
    store.close().await;
    let next = bench.open();
    assert!(!finds(&next, 1).await && !finds(&next, 2).await);
    assert!(is_stale(&next).await);
}

/// A version that came in at the very moment takes the place of the one that came back.
#[tokio::test]
async fn what_came_back_and_was_replaced_takes_no_room() {
    let bench = Bench::new(8 << 20);
    let (store, first) = filled(&bench).await;
    drop(first);
    let all = store.size();
    unmount(&store);
    store.look();
    mount(&store);
    assert!(store.take_another().unwrap());
    let new = store.conceive(object(2, 2, CHUNK));
    store.table.lock().replace(new.clone());
    store.recover();
    assert_eq!(store.size(), all / 4 * 3);
    keep(&store, &new, 0).await.unwrap();
    assert_eq!(store.size(), all);
    assert!(!store.paths.body(new.id(), 1).exists());
}

/// An instance from before has only its own word for what the file holds by now.
#[tokio::test]
async fn who_read_before_does_no_harm_to_what_came_back() {
    let bench = Bench::new(8 << 20);
    let (store, before) = filled(&bench).await;
    let all = store.size();
    unmount(&store);
    store.look();
    mount(&store);
    store.look();
    let now = store.find_by_id(ObjectId([1; 16])).await.unwrap();
    store.forget(&now, ChunkIndex(0));
    assert!(!reads(&store, &before, 0).await, "it finds a hole");
    keep(&store, &now, 0).await.unwrap();
    store.forget(&before, ChunkIndex(1));
    assert!(reads(&store, &now, 0).await && reads(&store, &now, 1).await);
    assert_eq!(store.size(), all);
}

#[tokio::test]
async fn an_empty_place_on_another_file_system_is_left_alone() {
    let bench = Bench::new(8 << 20);
    let (store, _first) = filled(&bench).await;
    fs::remove_dir_all(&bench.config.directory).unwrap();
    let home = store.absence.home.fetch_add(1, Relaxed);
    for _ in 0..2 {
        store.look();
        assert!(store.is_lost() && !bench.config.directory.exists());
    }
    assert!(store.absence.said.lock().contains("another file system"));
    store.absence.home.store(home, Relaxed);
    store.look();
    assert!(!store.is_lost());
}

#[tokio::test]
async fn a_directory_that_another_process_has_is_left_to_it() {
    let bench = Bench::new(8 << 20);
    let (store, _first) = filled(&bench).await;
    fs::remove_dir_all(&bench.config.directory).unwrap();
    let other = bench.open();
    store.look();
    assert!(store.is_lost());
    assert!(store.absence.said.lock().contains("in use by process"));
    other.close().await;
    store.look();
    assert!(!store.is_lost());
}

#[tokio::test]
async fn the_next_process_may_have_what_this_one_lacks() {
    let bench = Bench::new(8 << 20);
    let (store, _first) = filled(&bench).await;
    unmount(&store);
    store.look();
    let given = store.give().await.unwrap();
    mount(&store);
    store.look();
    assert!(store.is_lost(), "it is the next one's");
    let next = Store::open_with(bench.config.clone(), Some(given.lock)).unwrap();
    next.recover();
    assert!(finds(&next, 1).await);
    next.close().await;
    drop(next);
    store.take_back();
    store.recover();
    assert!(store.is_lost() && !finds(&store, 1).await);
    store.look();
    assert!(!store.is_lost() && finds(&store, 1).await);
}

#[tokio::test(start_paused = true)]
async fn it_is_noticed_without_being_told() {
    let bench = Bench::new(8 << 20);
    let (store, _first) = filled(&bench).await;
    unmount(&store);
    let watching = tokio::spawn(store.clone().watch());
    while !store.is_lost() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    mount(&store);
    while store.is_lost() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    store.close().await;
    watching.await.unwrap();
}
