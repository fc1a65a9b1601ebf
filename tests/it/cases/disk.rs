//! The store under pressure: too small, damaged, gone. Slower is allowed, wrong is not.

use crate::{
    client::{Client, Request},
    dice::{self, Dice},
    gate::{CHUNK, Gate, allocated},
    model::{Expected, Object},
    origin::{Framing, Origin, Script, Tag},
    patience::within,
};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::{
    fs,
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const SIZE: u64 = 8 * CHUNK + 55;

async fn scene(script: Script) -> (Origin, Gate, Object) {
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::before(&origin).await;
    (origin, gate, object)
}

async fn check(gate: &Gate, target: &str, object: &Object) {
    let answer = gate.get(target).await;
    let verdict = object.verify(&Expected::Whole, &answer);
    verdict.unwrap_or_else(|wrong| panic!("{target}: {wrong}\n{answer}"));
}

/// Looks at the cache directory again and again and keeps the largest size that it saw.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<u64>,
}

impl Watch {
    fn over(gate: &Gate) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, directory) = (stop.clone(), gate.cache_directory());
        let thread = std::thread::spawn(move || {
            let mut peak = 0;
            while !seen.load(Ordering::Relaxed) {
                peak = peak.max(allocated(&directory));
                std::thread::yield_now();
            }
            peak
        });
        Self { stop, thread }
    }

    fn peak(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_is_never_exceeded() {
    const BUDGET: u64 = 8 << 20;
    let origin = Origin::start().await;
    let gate = Gate::with(&origin, |settings| settings.store.max_size = BUDGET).await;
    let watch = Watch::over(&gate);
    let objects: Vec<_> = (0..24u64)
        .map(|nth| {
            let script = Script::new(200 + nth, (1 << 20) + nth);
            let object = Object::from(&script);
            let target = format!("/{nth}");
            origin.put(&target, script);
            (target, object)
        })
        .collect();
    for _ in 0..2 {
        for four in objects.chunks(4) {
            let asked = four
                .iter()
                .map(|(target, object)| check(&gate, target, object));
            futures_util::future::join_all(asked).await;
        }
    }
    let peak = watch.peak();
    assert!(peak <= BUDGET, "{peak} bytes on disk, {BUDGET} allowed");
    assert!(
        gate.metric("evict").await > 0.0,
        "24 MiB in 8 MiB without an eviction"
    );
    assert!(
        peak > BUDGET / 2,
        "only {peak} bytes of {BUDGET} were ever used"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_larger_than_the_budget_is_served() {
    const BUDGET: u64 = 4 << 20;
    let script = Script::new(120, 3 * BUDGET);
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::with(&origin, |settings| settings.store.max_size = BUDGET).await;
    let watch = Watch::over(&gate);
    check(&gate, "/film", &object).await;
    check(&gate, "/film", &object).await;
    let peak = watch.peak();
    assert!(peak <= BUDGET, "{peak} bytes on disk, {BUDGET} allowed");
}

/// It makes room for itself behind its reader, and waits for a slow one, as it can't be asked for
/// again.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_larger_than_the_budget_that_comes_once_reaches_who_is_behind() {
    const BUDGET: u64 = 4 << 20;
    for has_length in [true, false] {
        let mut script = Script::new(121, 5 * BUDGET);
        (script.etag, script.last_modified) = (Tag::None, false);
        if !has_length {
            script.framing = Framing::Chunked;
        }
        let object = Object::from(&script);
        let origin = Origin::with(script).await;
        let gate = Gate::with(&origin, |settings| {
            settings.store.max_size = BUDGET;
            settings.fill.in_flight = BUDGET / 2;
            settings.fill.wait = Duration::from_secs(5);
        })
        .await;
        let mut client = Client::narrow(gate.address()).await;
        client.send(&Request::get("/film")).await.unwrap();
        assert_eq!(client.head().await.unwrap().status, 200);
        // There is no more room when it begins to read.
        within("the store to be full", async {
            while origin.sent("/film") < BUDGET {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let (body, cut) = within("the film", client.rest()).await;
        assert!(cut.is_none(), "{cut:?} after {} bytes", body.len());
        assert_eq!(body.len() as u64, object.size);
        object.content.verify(0, &body).unwrap();
        assert_eq!(origin.asked("/film").len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_whole_is_there_after_a_restart() {
    let (origin, mut gate, object) = scene(Script::new(121, SIZE)).await;
    check(&gate, "/film", &object).await;
    let asked = origin.settled().await.len();
    for _ in 0..2 {
        gate.restart().await;
        let hit = gate.get("/film").await;
        object.verify(&Expected::Whole, &hit).unwrap();
        assert!(hit.head.cache_status().is_hit(), "{hit}");
    }
    assert_eq!(origin.log().len(), asked, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_chunk_is_healed_and_counted() {
    let (origin, mut gate, object) = scene(Script::new(122, SIZE)).await;
    check(&gate, "/film", &object).await;
    gate.until_stored(SIZE).await;
    let asked = origin.settled().await.len();
    gate.stop().await;
    for offset in [3 * CHUNK + 500, 8 * CHUNK + 7] {
        let needle = object.content.bytes(offset..offset + 32);
        assert_eq!(
            gate.corrupt(&needle),
            1,
            "the bytes lie on disk once, as they are"
        );
    }
    gate.start_again().await;
    check(&gate, "/film", &object).await;
    let log = origin.settled().await;
    let mut windows: Vec<_> = log[asked..].iter().map(|seen| seen.window()).collect();
    windows.sort_unstable();
    let due = [
        Some((3 * CHUNK, 4 * CHUNK - 1)),
        Some((8 * CHUNK, SIZE - 1)),
    ];
    assert_eq!(windows, due, "only the damaged chunks come again");
    assert_eq!(gate.metric("checksum").await, 2.0);
    check(&gate, "/film", &object).await;
    assert_eq!(origin.log().len(), log.len(), "they are healed");
}

/// Whatever became of the files, answers are right.
#[tokio::test(flavor = "multi_thread")]
async fn any_damage_to_the_files_is_survived() {
    let seed = dice::seed();
    println!("TIDEGATE_SEED={seed}");
    let mut dice = Dice::new(seed);
    for round in 0..6 {
        let (_origin, mut gate, object) = scene(Script::new(130 + round, SIZE)).await;
        check(&gate, "/film", &object).await;
        gate.stop().await;
        for file in gate.files() {
            let mut bytes = fs::read(&file).unwrap();
            match round {
                0 => bytes.truncate(bytes.len() / 2),
                1 => bytes.clear(),
                2 => bytes.extend(vec![0xee; 5000]),
                _ => {
                    for _ in 0..20 {
                        let at = dice.below(bytes.len() as u64) as usize;
                        if let Some(byte) = bytes.get_mut(at) {
                            *byte ^= 1 << dice.below(8);
                        }
                    }
                }
            }
            fs::write(&file, bytes).unwrap();
        }
        gate.start_again().await;
        check(&gate, "/film", &object).await;
        check(&gate, "/film", &object).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_files_in_the_directory_harm_nobody() {
    let (_origin, mut gate, object) = scene(Script::new(123, SIZE)).await;
    check(&gate, "/film", &object).await;
    gate.stop().await;
    let directory = gate.cache_directory();
    fs::write(directory.join("README"), "not ours").unwrap();
    fs::create_dir_all(directory.join("lost+found/deep")).unwrap();
    gate.start_again().await;
    check(&gate, "/film", &object).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_vanishes_makes_it_slower_never_wrong() {
    let (origin, gate, object) = scene(Script::new(124, SIZE)).await;
    check(&gate, "/film", &object).await;
    fs::remove_dir_all(gate.cache_directory()).unwrap();
    check(&gate, "/film", &object).await;
    let script = Script::new(125, SIZE);
    let other = Object::from(&script);
    origin.put("/other", script);
    for _ in 0..2 {
        let part = gate.bytes("/other", 2 * CHUNK, 3 * CHUNK).await;
        assert_eq!(part.status(), 206, "{part}");
        other.content.verify(2 * CHUNK, &part.body).unwrap();
        check(&gate, "/other", &other).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_replaced_by_a_file_makes_it_slower_never_wrong() {
    let (origin, gate, object) = scene(Script::new(126, SIZE)).await;
    fs::remove_dir_all(gate.cache_directory()).unwrap();
    fs::write(gate.cache_directory(), "in the way").unwrap();
    for _ in 0..2 {
        check(&gate, "/film", &object).await;
        origin.settled().await;
    }
}

/// It is used again without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_vanished_is_made_again_and_filled() {
    let (origin, mut gate, object) = scene(Script::new(180, SIZE)).await;
    check(&gate, "/film", &object).await;
    fs::remove_dir_all(gate.cache_directory()).unwrap();
    let lock = gate.cache_directory().join("tidegate.lock");
    within("the directory to be made again", async {
        while !lock.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.until("store_lost", 0.0).await;
    check(&gate, "/film", &object).await;
    gate.until_stored(SIZE).await;
    gate.restart().await;
    let asked = origin.settled().await.len();
    check(&gate, "/film", &object).await;
    assert_eq!(origin.log().len(), asked, "{:#?}", origin.log());
}

/// What is asked for is not said to be stored, but why it is not.
async fn is_missed_for(origin: &Origin, gate: &Gate, why: &str) {
    // Another each time: who asks while the last reader goes gets what that one had in memory.
    for (seed, path) in [(187, "/second"), (188, "/third")] {
        let script = Script::new(seed, SIZE);
        let object = Object::from(&script);
        origin.put(path, script);
        let answer = gate.get(path).await;
        object.verify(&Expected::Whole, &answer).unwrap();
        let status = answer.head.cache_status();
        assert!(!status.has("stored") && !status.is_hit(), "{answer}");
        assert!(status.has(&format!("detail={why}")), "{answer}");
    }
}

/// Nothing is said to be stored that can't be, and it is again as soon as it can.
#[tokio::test(flavor = "multi_thread")]
async fn cache_status_tells_of_a_directory_that_is_gone() {
    let (origin, gate, object) = scene(Script::new(181, SIZE)).await;
    check(&gate, "/film", &object).await;
    let directory = gate.cache_directory();
    fs::rename(&directory, directory.with_extension("away")).unwrap();
    fs::write(&directory, "in the way").unwrap();
    gate.until("store_lost", 1.0).await;
    is_missed_for(&origin, &gate, "disk-gone").await;
    fs::remove_file(&directory).unwrap();
    fs::rename(directory.with_extension("away"), &directory).unwrap();
    gate.until("store_lost", 0.0).await;
    let answer = gate.get("/film").await;
    object.verify(&Expected::Whole, &answer).unwrap();
    assert!(answer.head.cache_status().is_hit(), "{answer}");
}

/// What is to be written has to go somewhere where nobody may make a file, root neither.
#[tokio::test(flavor = "multi_thread")]
async fn cache_status_tells_of_a_disk_that_refuses_writes() {
    let (origin, gate, object) = scene(Script::new(186, SIZE)).await;
    let objects = gate.cache_directory().join("objects");
    let others = objects.with_extension("others");
    fs::create_dir(&others).unwrap();
    for byte in 0..=u8::MAX {
        symlink("/proc/self", others.join(format!("{byte:02x}"))).unwrap();
    }
    // In one step: folders that lack are made.
    let exchange = || renameat_with(CWD, &objects, CWD, &others, RenameFlags::EXCHANGE).unwrap();
    exchange();
    // The first is asked for before the disk has refused anything.
    check(&gate, "/film", &object).await;
    gate.until("store_refusing", 1.0).await;
    is_missed_for(&origin, &gate, "disk-refuses").await;

    exchange();
    let script = Script::new(189, SIZE);
    let other = Object::from(&script);
    origin.put("/other", script);
    check(&gate, "/other", &other).await;
    gate.until("store_refusing", 0.0).await;
    gate.until_stored(SIZE).await;
    let answer = gate.get("/other").await;
    other.verify(&Expected::Whole, &answer).unwrap();
    assert!(answer.head.cache_status().is_hit(), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_modes_tell_nothing_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let (_origin, gate, object) = scene(Script::new(127, SIZE)).await;
    check(&gate, "/film", &object).await;
    for file in gate.files() {
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o007, 0, "{} has mode {mode:o}", file.display());
        let name = file.to_string_lossy();
        assert!(
            !name.contains("film") && !name.contains("media.test"),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cache_version_starts_from_nothing() {
    let (origin, mut gate, object) = scene(Script::new(128, SIZE)).await;
    check(&gate, "/film", &object).await;
    gate.stop().await;
    gate.settings().cache_version = 2;
    gate.start_again().await;
    let before = origin.log().len();
    check(&gate, "/film", &object).await;
    assert!(origin.log().len() > before);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_chunk_size_loses_nothing() {
    let (origin, mut gate, object) = scene(Script::new(129, SIZE)).await;
    gate.bytes("/film", 0, 4 * CHUNK - 1).await;
    let sent = origin
        .settled()
        .await
        .iter()
        .map(|seen| seen.sent)
        .sum::<u64>();
    gate.stop().await;
    gate.settings().store.chunk_size *= 2;
    gate.start_again().await;
    check(&gate, "/film", &object).await;
    origin.settled().await;
    assert_eq!(
        origin.sent("/film") - sent,
        SIZE - 4 * CHUNK,
        "{:#?}",
        origin.log()
    );
}
