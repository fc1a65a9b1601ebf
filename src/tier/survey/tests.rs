use super::{
    super::{
        entry::{
            Run,
            tests::{entry, key_at},
        },
        history::{History, tests::notice},
        purge_log,
        remote::{self, Remote},
    },
    purges::renewed,
    *,
};
use crate::{domain::Selector, store::ObjectId};
use std::collections::BTreeMap;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const GC: Task = Task {
    fleet: String::new(),
    version: 1,
    verify: false,
    repair: false,
    erase: Erase::Useless,
    max_age: None,
    purges: DAY,
};

/// A tier with nothing in it.
async fn tier() -> Remote {
    let remote = remote::tests::tier();
    fleet::claim(&remote, "").await.unwrap();
    remote
}

fn path_of(nth: u8) -> String {
    format!("/{nth}")
}

/// An object that has survived so many purges.
async fn put(remote: &Remote, nth: u8, purges: u64) {
    let mut entry = entry("\"a\"", 1, &[]);
    let object = &mut entry.object;
    (object.id, object.key) = (ObjectId([nth; 16]), key_at(&path_of(nth)));
    object.meta.fresh_until = SystemTime::now() + 100 * DAY;
    entry.purges = purges;
    let path = remote.layout().manifest(1, ObjectId([nth; 16]));
    remote.put(&path, entry.encode().into()).await.unwrap();
}

async fn read(remote: &Remote, nth: u8) -> Option<Entry> {
    let id = ObjectId([nth; 16]);
    let got = remote.get(&remote.layout().manifest(1, id)).await.unwrap();
    got.map(|(document, _)| Entry::decode(&document, id, None).unwrap())
}

async fn purge(remote: &Remote, number: u64, nth: u8, soft: bool) {
    let notice = notice(Selector::at("a.example", &path_of(nth)), soft);
    let path = remote.layout().purge(number);
    remote.put(&path, notice.encode().into()).await.unwrap();
}

async fn gc(remote: &Remote, in_days: u32) -> Report {
    let now = SystemTime::now() + in_days * DAY;
    survey(remote, &GC, now, |_| ()).await.unwrap()
}

#[tokio::test]
async fn forgetting_purges_takes_out_only_what_they_meant() {
    let remote = tier().await;
    for nth in 1..=3 {
        put(&remote, nth, 0).await;
    }
    purge(&remote, 1, 2, false).await;
    purge(&remote, 2, 3, true).await;
    purge(&remote, 3, 9, false).await;
    let report = gc(&remote, 2).await;
    assert_eq!((report.purges, report.purged, report.renewed), (1, 1, 2));
    assert_eq!(purge_log::numbers(&remote).await.unwrap(), [3]);
    // Whoever looks now knows only the last of them.
    let report = gc(&remote, 2).await;
    assert_eq!((report.objects, report.purged, report.renewed), (2, 0, 0));
    assert_eq!(read(&remote, 2).await, None);
    let fresh = |entry: &Entry| entry.object.meta.fresh_until > SystemTime::now() + 3 * DAY;
    let (kept, stale) = (read(&remote, 1).await, read(&remote, 3).await);
    assert!(kept.is_some_and(|entry| fresh(&entry) && entry.purges == 3));
    assert!(stale.is_some_and(|entry| !fresh(&entry) && entry.purges == 3));
}

#[tokio::test]
async fn what_would_be_removed_is_counted_as_what_is() {
    let remote = tier().await;
    // More than are looked at at once.
    for nth in 1..=40 {
        put(&remote, nth, 0).await;
    }
    for number in 1..=20 {
        purge(&remote, number, number as u8, false).await;
    }
    let dry = Task {
        erase: Erase::Nothing,
        ..GC
    };
    let now = SystemTime::now() + 2 * DAY;
    let told = survey(&remote, &dry, now, |_| ()).await.unwrap();
    assert_eq!((told.objects, told.purged, told.useless), (20, 20, 39));
    assert!(told.to_string().contains("to remove    39 ("), "{told}");
    let done = gc(&remote, 2).await;
    assert_eq!((done.erased, done.useless), (told.useless, 0));
    assert_eq!(done.erased_bytes, told.useless_bytes);
}

#[tokio::test]
async fn objects_of_all_versions_are_those_in_use_and_those_of_no_use() {
    let remote = tier().await;
    for nth in 1..=3 {
        put(&remote, nth, 0).await;
    }
    purge(&remote, 1, 2, false).await;
    // What no manifest names is no object, but where all of its version goes.
    for version in 0..=1 {
        let path = remote.layout().run(version, ObjectId([7; 16]), "0-a");
        remote.put(&path, vec![7].into()).await.unwrap();
    }
    let look = Task {
        erase: Erase::Nothing,
        ..GC
    };
    let report = survey(&remote, &look, SystemTime::now(), |_| ()).await;
    let report = report.unwrap();
    assert_eq!((report.objects, report.purged, report.outdated), (2, 1, 1));
    assert_eq!(report.versions, BTreeMap::from([(0, 1), (1, 3)]));
    let said = report.to_string();
    assert!(
        said.contains("version 1  3 objects, in use or not"),
        "{said}"
    );
}

#[tokio::test]
async fn what_need_not_be_forgotten_leaves_manifests_alone() {
    let remote = tier().await;
    put(&remote, 1, 0).await;
    purge(&remote, 1, 2, false).await;
    purge(&remote, 2, 2, false).await;
    let report = gc(&remote, 0).await;
    assert_eq!((report.purges, report.renewed), (2, 0));
    assert_eq!(read(&remote, 1).await.unwrap().purges, 0);
}

#[tokio::test]
async fn writing_it_anew_makes_nothing_younger() {
    let remote = tier().await;
    put(&remote, 1, 0).await;
    purge(&remote, 1, 2, false).await;
    purge(&remote, 2, 2, false).await;
    assert_eq!(gc(&remote, 2).await.renewed, 1);
    let task = Task {
        max_age: Some(DAY),
        ..GC
    };
    // Its origin's last word is of 1970.
    let report = survey(&remote, &task, SystemTime::now(), |_| ()).await;
    assert_eq!(report.unwrap().outdated, 1);
}

#[tokio::test]
async fn what_is_another_fleets_is_left_alone() {
    let remote = tier().await;
    put(&remote, 1, 0).await;
    purge(&remote, 1, 1, false).await;
    let now = SystemTime::now() + 2 * DAY;
    let theirs = |erase, repair| Task {
        fleet: "another".into(),
        verify: repair,
        version: 9,
        erase,
        repair,
        ..GC
    };
    for task in [
        theirs(Erase::Useless, false),
        theirs(Erase::Purged, false),
        theirs(Erase::Nothing, true),
    ] {
        let why = survey(&remote, &task, now, |_| ()).await.unwrap_err();
        assert_eq!(why, Stranger::Fleet("".into(), "another".into()));
    }
    let look = theirs(Erase::Nothing, false);
    let report = survey(&remote, &look, now, |_| ()).await.unwrap();
    assert!(report.unusable.is_some_and(|why| why.contains("another")));
    assert!(read(&remote, 1).await.is_some());
    remote.delete(&remote.layout().fleet()).await.unwrap();
    let nobodys = survey(&remote, &GC, now, |_| ()).await;
    assert_eq!(nobodys, Err(Stranger::Nobody));
}

#[tokio::test]
async fn a_run_of_whatever_length_is_looked_at_and_the_others_too() {
    let remote = tier().await;
    for nth in 1..=4 {
        put(&remote, nth, 0).await;
        let mut entry = read(&remote, nth).await.unwrap();
        let chunk = vec![nth; entry.object.chunk_size as usize];
        entry.runs = vec![Run {
            name: "0-a".into(),
            first: 0,
            checksums: vec![crc32c::crc32c(&chunk); 2],
        }];
        let layout = remote.layout();
        let (manifest, run) = (
            layout.manifest(1, entry.object.id),
            layout.run(1, entry.object.id, "0-a"),
        );
        remote.put(&manifest, entry.encode().into()).await.unwrap();
        let mut bytes = chunk.repeat(2);
        // One is empty, one ends in the second chunk, one goes on behind it.
        match nth {
            1 => bytes.clear(),
            2 => bytes.truncate(chunk.len() + 7),
            3 => bytes.push(0),
            _ => {}
        }
        remote.put(&run, bytes.into()).await.unwrap();
    }
    let verify = |repair| Task {
        verify: true,
        repair,
        erase: Erase::Nothing,
        ..GC
    };
    let now = SystemTime::now();
    let found = survey(&remote, &verify(false), now, |_| ()).await.unwrap();
    assert_eq!((found.verified, found.damaged.len()), (4, 2));
    let path = |nth| remote.layout().run(1, ObjectId([nth; 16]), "0-a");
    for nth in 1..=2 {
        assert!(found.damaged.contains(&path(nth).to_string()), "{found}");
    }
    // Each is told of for itself, and so is each object, with what is left of it.
    let mut told: Vec<SoFar> = Vec::new();
    let task = verify(false);
    let again = survey(&remote, &task, now, |so_far| told.push(so_far)).await;
    let bytes = again.unwrap().bytes;
    assert_eq!(told.len(), 8);
    assert!(told.is_sorted_by_key(|so_far| (so_far.objects, so_far.bytes)));
    assert_eq!(told.last(), Some(&SoFar { objects: 4, bytes }));
    let done = survey(&remote, &verify(true), now, |_| ()).await.unwrap();
    assert_eq!(done.erased, 2);
    let left = survey(&remote, &verify(false), now, |_| ()).await.unwrap();
    assert_eq!((left.runs, left.damaged.len()), (2, 0));
}

#[test]
fn what_changed_meanwhile_is_judged_again() {
    let mut history = History::whole();
    for nth in 1..=3 {
        history.note(notice(Selector::Url(format!("{nth}")), false));
    }
    let purges = Purges {
        history,
        old: vec![1],
        floor: 1,
    };
    let at = |survived| Entry {
        purges: survived,
        ..entry("\"a\"", 1, &[])
    };
    let now = SystemTime::now();
    let survived = renewed(at(0), &purges, now).map(|entry| entry.purges);
    assert_eq!(survived, Some(3));
    assert_eq!(renewed(at(1), &purges, now), None);
    // An edge that knows of later purges is believed.
    assert_eq!(renewed(at(9), &purges, now), None);
}
