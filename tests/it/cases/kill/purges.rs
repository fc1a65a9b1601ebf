//! A purge that was answered has happened: killed right after the answer, what comes up again
//! knows nothing of what was purged, and all of the rest.

use super::{Tidegate, configuration};
use crate::{
    client::{Answer, Client, Request},
    content::Content,
    gate::CHUNK,
    model::{Expected, Object},
    origin::{Origin, Script, Valve, variant},
    patience::within,
};
use std::collections::BTreeMap;
use tempfile::TempDir;

/// Longer than one chunk, with a last one that is not full.
const SIZE: u64 = 3 * CHUNK + 77;

/// The objects: where they lie, for which colour, and their tags.
const OBJECTS: [(&str, &str, &str); 10] = [
    ("/a/film", "red", ""),
    ("/a/film", "blue", ""),
    ("/a/film2", "", ""),
    ("/a", "", "old"),
    ("/b/1", "", "live"),
    ("/b/2", "", "old live"),
    ("/b/3", "", "lives"),
    ("/c/1", "", ""),
    ("/c/1/2", "", "live"),
    ("/cd", "", ""),
];

/// What has become of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is served from the store.
    Stays,
    /// It is not known any more.
    Gone,
    /// It is known, and the origin is asked whether it is still current.
    Softened,
}

/// Ways to ask for a purge.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// `PURGE` of a target, with the field that makes it soft or without.
    Request(&'static str, bool),
    /// `POST /purge` of this order.
    Order(&'static str),
    /// Not a purge, but a request that changes a target.
    Change(&'static str, &'static str),
}

struct Scene {
    origin: Origin,
    directory: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let origin = Origin::start().await;
        for (nth, (target, colour, tags)) in (0..).zip(OBJECTS) {
            let mut script = Script::new(seed(target), SIZE + nth / 2);
            script.vary_by = (!colour.is_empty()).then_some("X-Colour");
            script.headers.push(("Surrogate-Key", tags.to_owned()));
            origin.put(target, script);
        }
        let directory = tempfile::tempdir().unwrap();
        let text = configuration(&origin, directory.path(), "1GiB");
        std::fs::write(directory.path().join("tidegate.yaml"), text).unwrap();
        Self { origin, directory }
    }

    async fn run(&self) -> Tidegate {
        Tidegate::run(&self.directory.path().join("tidegate.yaml")).await
    }

    /// From now on the origin has another version of everything.
    fn renew(&self) {
        for (target, _, _) in OBJECTS {
            self.origin
                .change(target, |script| script.content.version = 2);
        }
    }

    /// The object in this version.
    fn object(&self, nth: usize, version: u64) -> Object {
        let (target, colour, _) = OBJECTS[nth];
        let mut found = None;
        self.origin.change(target, |script| {
            let mut script = script.clone();
            script.content.version = version;
            if !colour.is_empty() {
                script.content = variant(script.content, colour);
            }
            found = Some(Object::from(&script));
        });
        found.unwrap()
    }

    /// Brings everything in, until all of it is stored.
    async fn fill(&self, tidegate: &Tidegate) {
        for nth in 0..OBJECTS.len() {
            let answer = get(tidegate, nth).await;
            verify(&self.object(nth, 1), nth, &answer);
        }
        self.origin.settled().await;
        assert_eq!(self.origin.log().len(), OBJECTS.len());
        let stored = async {
            while stored_chunks(tidegate).await < OBJECTS.len() as u64 * SIZE.div_ceil(CHUNK) {
                tokio::task::yield_now().await;
            }
        };
        within("all chunks to be stored", stored).await;
    }

    /// Asks for everything: what is given out, and what the origin was asked for it.
    async fn assert_fates(&self, tidegate: &Tidegate, version: u64, fates: &BTreeMap<usize, Fate>) {
        for (nth, _) in OBJECTS.iter().enumerate() {
            let fate = fates.get(&nth).copied().unwrap_or(Fate::Stays);
            let before = self.origin.settled().await.len();
            let answer = get(tidegate, nth).await;
            let asked = self.origin.settled().await.split_off(before);
            let known: Vec<_> = asked
                .iter()
                .map(|seen| (seen.header("if-none-match").is_some(), seen.status))
                .collect();
            let told = match (fate, version) {
                (Fate::Stays, _) => vec![],
                (Fate::Gone, _) => vec![(false, 200)],
                (Fate::Softened, 1) => vec![(true, 304)],
                (Fate::Softened, _) => vec![(true, 200)],
            };
            let object = &OBJECTS[nth];
            assert_eq!(known, told, "{object:?}, {fate:?}: {answer}{asked:#?}");
            let given = if fate == Fate::Stays { 1 } else { version };
            verify(&self.object(nth, given), nth, &answer);
            let status = answer.head.cache_status();
            assert_eq!(status.is_hit(), fate == Fate::Stays, "{object:?}: {answer}");
        }
    }
}

fn seed(target: &str) -> u64 {
    target
        .bytes()
        .fold(7, |seed, byte| seed * 31 + u64::from(byte))
}

fn verify(object: &Object, nth: usize, answer: &Answer) {
    let verdict = object.verify(&Expected::Whole, answer);
    verdict.unwrap_or_else(|wrong| panic!("{:?}: {wrong}\n{answer}", OBJECTS[nth]));
}

async fn get(tidegate: &Tidegate, nth: usize) -> Answer {
    let (target, colour, _) = OBJECTS[nth];
    let mut request = Request::get(target);
    if !colour.is_empty() {
        request = request.header("X-Colour", colour);
    }
    let mut client = Client::connect(tidegate.address).await;
    client.ask(&request).await
}

/// Purges, and returns as soon as it is answered.
async fn purge(tidegate: &Tidegate, way: Way) -> Answer {
    let (address, request) = match way {
        Way::Request(target, soft) => {
            let request = Request::new("PURGE", target);
            let soft = soft.then(|| ("Soft-Purge".to_owned(), "1".to_owned()));
            let headers = soft.into_iter().collect();
            (tidegate.address, Request { headers, ..request })
        }
        Way::Order(body) => {
            let request = Request::new("POST", "/purge").header("Content-Type", "application/json");
            let body = body.as_bytes().to_vec();
            (tidegate.admin, Request { body, ..request })
        }
        Way::Change(method, target) => (tidegate.address, Request::new(method, target)),
    };
    Client::connect(address).await.ask(&request).await
}

/// How many chunks of all objects are stored.
async fn stored_chunks(tidegate: &Tidegate) -> u64 {
    let mut targets: Vec<_> = OBJECTS.iter().map(|(target, _, _)| target).collect();
    targets.dedup();
    let mut client = Client::operator(tidegate.admin).await;
    let mut chunks = 0;
    for target in targets {
        let page = format!(
            "/inspect?url=http%3A%2F%2Fmedia.test{}",
            target.replace('/', "%2F")
        );
        let answer = client.ask(&Request::get(&page)).await;
        assert_eq!(answer.status(), 200, "{answer}");
        let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let objects = told["objects"].as_array().unwrap().iter();
        chunks += objects.map(|o| o["present"].as_u64().unwrap()).sum::<u64>();
    }
    chunks
}

/// The numbers of the objects with this fate.
fn fates(numbers: &[usize], fate: Fate) -> BTreeMap<usize, Fate> {
    numbers.iter().map(|nth| (*nth, fate)).collect()
}

/// Fills, perhaps comes up from a kill, purges, is killed by the answer, and looks.
async fn assert_survives(way: Way, is_new: bool, version: u64, fates: &BTreeMap<usize, Fate>) {
    let scene = Scene::new().await;
    let mut tidegate = scene.run().await;
    scene.fill(&tidegate).await;
    if is_new {
        // What it purges then it knows from the disk only.
        tidegate.kill().await;
        tidegate = scene.run().await;
    }
    if version == 2 {
        scene.renew();
    }
    let answer = purge(&tidegate, way).await;
    tidegate.kill().await;
    assert_eq!(answer.status(), 200, "{way:?}: {answer}");
    let tidegate = scene.run().await;
    scene.assert_fates(&tidegate, version, fates).await;
    // And what was fetched anew is stored.
    let before = scene.origin.settled().await.len();
    for nth in 0..OBJECTS.len() {
        let given = if fates.contains_key(&nth) { version } else { 1 };
        verify(&scene.object(nth, given), nth, &get(&tidegate, nth).await);
    }
    assert_eq!(scene.origin.settled().await.len(), before, "{way:?}");
    tidegate.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_purged_before_a_kill_is_not_found_after_it() {
    let ways: [(Way, &[usize]); 6] = [
        (Way::Request("/a/film", false), &[0, 1]),
        (Way::Order(r#"{"url":"http://media.test/a/film"}"#), &[0, 1]),
        (Way::Order(r#"{"tag":"live"}"#), &[4, 5, 8]),
        (Way::Order(r#"{"prefix":"http://media.test/c/"}"#), &[7, 8]),
        (
            Way::Order(r#"{"prefix":"http://media.test/a"}"#),
            &[0, 1, 2, 3],
        ),
        (
            Way::Order(r#"{"all":true}"#),
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        ),
    ];
    for (way, gone) in ways {
        for is_new in [false, true] {
            assert_survives(way, is_new, 2, &fates(gone, Fate::Gone)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_before_a_kill_is_not_found_after_it() {
    let ways: [(Way, &[usize]); 2] = [
        (Way::Change("PUT", "/a/film"), &[0, 1]),
        (Way::Change("DELETE", "/c/1"), &[7]),
    ];
    for (way, gone) in ways {
        for is_new in [false, true] {
            assert_survives(way, is_new, 2, &fates(gone, Fate::Gone)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_softly_purged_before_a_kill_is_revalidated_after_it() {
    let ways: [(Way, &[usize]); 4] = [
        (Way::Request("/a/film", true), &[0, 1]),
        (
            Way::Order(r#"{"url":"http://media.test/b/1","soft":true}"#),
            &[4],
        ),
        (Way::Order(r#"{"tag":"old","soft":true}"#), &[3, 5]),
        (
            Way::Order(r#"{"prefix":"http://media.test/c/","soft":true}"#),
            &[7, 8],
        ),
    ];
    for (way, softened) in ways {
        for (is_new, version) in [(false, 1), (true, 1), (false, 2), (true, 2)] {
            assert_survives(way, is_new, version, &fates(softened, Fate::Softened)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_before_a_kill_changes_nothing() {
    let way = Way::Order(r#"{"all":true,"dry_run":true}"#);
    assert_survives(way, false, 2, &BTreeMap::new()).await;
}

/// What was being brought in has some chunks on disk already.
#[tokio::test(flavor = "multi_thread")]
async fn a_fill_that_was_purged_before_a_kill_does_not_come_back() {
    let scene = Scene::new().await;
    let valve = Valve::at(2 * CHUNK + 9);
    let script = Script {
        valve: Some(valve.clone()),
        ..Script::new(8, SIZE)
    };
    scene.origin.put("/film", script);
    let tidegate = scene.run().await;
    let mut reader = Client::connect(tidegate.address).await;
    reader.send(&Request::get("/film")).await.unwrap();
    reader.head().await.unwrap();
    let start = reader.at_least(2 * CHUNK as usize).await.unwrap();
    let old = Content {
        seed: 8,
        version: 1,
    };
    old.verify(0, &start).unwrap();
    let answer = purge(&tidegate, Way::Request("/film", false)).await;
    tidegate.kill().await;
    assert_eq!(answer.status(), 200, "{answer}");
    valve.open();
    let before = scene.origin.settled().await.len();
    scene.origin.change("/film", |script| {
        script.valve = None;
        script.content.version = 2;
    });
    let tidegate = scene.run().await;
    let new = Content { version: 2, ..old };
    for _ in 0..2 {
        let mut client = Client::connect(tidegate.address).await;
        let answer = client.ask(&Request::get("/film")).await;
        assert_eq!(answer.body.len() as u64, SIZE, "{answer}");
        new.verify(0, &answer.body).unwrap();
    }
    let asked = scene.origin.settled().await.split_off(before);
    assert_eq!(asked.len(), 1, "{asked:#?}");
    assert!(!asked[0].is_conditional(), "{asked:#?}");
    assert_eq!(asked[0].sent, SIZE, "{asked:#?}");
    tidegate.kill().await;
}
