//! Freshness ends per object, not per chunk, and versions never mix.

use crate::{
    client::{Answer, Client, Request},
    dice::{self, Dice},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Origin, Script, Seen, Valve},
    patience::let_time_pass,
};
use std::time::Duration;
use tokio::task::JoinSet;

const SIZE: u64 = 8 * CHUNK + 99;

/// Fresh for a second, then stale.
fn short_lived(seed: u64) -> Script {
    Script {
        cache_control: Some("max-age=1"),
        ..Script::new(seed, SIZE)
    }
}

async fn scene(script: Script) -> (Origin, Gate, Object) {
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::with(&origin, |settings| {
        // Some readers here stand still for as long as freshness lasts.
        settings.routes[0].sending.whole.least_time = Duration::from_secs(30);
    })
    .await;
    (origin, gate, object)
}

async fn outlive_freshness() {
    let_time_pass(Duration::from_millis(2100)).await;
}

fn conditional(log: &[Seen]) -> usize {
    log.iter().filter(|seen| seen.is_conditional()).count()
}

fn version(object: &Object, version: u64) -> Object {
    let mut script = Script::new(object.content.seed, object.size);
    script.content.version = version;
    Object::from(&script)
}

/// An answer is of the version that its `ETag` says, and of that alone, or it is seen to be cut.
fn assert_one_version(object: &Object, range: Option<&str>, answer: &Answer) {
    if answer.status() >= 500 {
        return;
    }
    let tag = answer.head.header("etag").unwrap_or_default();
    let named = tag
        .trim_matches(['"', 'v'])
        .parse()
        .unwrap_or_else(|_| panic!("{answer}"));
    let object = version(object, named);
    if answer.is_whole() {
        let verdict = object.verify(&object.expected(range, None), answer);
        return verdict.unwrap_or_else(|wrong| panic!("{range:?}: {wrong}\n{answer}"));
    }
    let start = match object.expected(range, None) {
        Expected::Parts(parts) if parts.len() == 1 => parts[0].start,
        _ => 0,
    };
    object.content.verify(start, &answer.body).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_304_keeps_all_chunks() {
    let (origin, gate, object) = scene(short_lived(100)).await;
    gate.bytes("/film", 2 * CHUNK, 4 * CHUNK - 1).await;
    let sent = origin
        .settled()
        .await
        .iter()
        .map(|seen| seen.sent)
        .sum::<u64>();
    outlive_freshness().await;
    origin.change("/film", |script| {
        script.cache_control = Some("max-age=3600")
    });
    for _ in 0..2 {
        let part = gate.bytes("/film", 2 * CHUNK, 4 * CHUNK - 1).await;
        assert_eq!(part.status(), 206, "{part}");
        object.content.verify(2 * CHUNK, &part.body).unwrap();
    }
    let log = origin.settled().await;
    assert_eq!(conditional(&log), 1, "{log:#?}");
    assert_eq!(origin.sent("/film"), sent, "a 304 brings no body: {log:#?}");
    object
        .verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
    origin.settled().await;
    assert_eq!(origin.sent("/film"), SIZE, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_object_is_revalidated_with_one_request() {
    let (origin, gate, object) = scene(short_lived(101)).await;
    gate.get("/film").await;
    outlive_freshness().await;
    origin.change("/film", |script| {
        script.cache_control = Some("max-age=3600")
    });
    object
        .verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
    let log = origin.settled().await;
    assert_eq!(
        (log.len(), log[1].status, log[1].sent),
        (2, 304, 0),
        "{log:#?}"
    );
    assert_eq!(log[1].header("if-none-match"), Some("\"v1\""), "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_replaces_the_old_one_as_a_whole() {
    let (origin, gate, object) = scene(short_lived(102)).await;
    gate.get("/film").await;
    outlive_freshness().await;
    origin.change("/film", |script| {
        script.content.version = 2;
        script.cache_control = Some("max-age=3600");
    });
    let new = version(&object, 2);
    let range = "bytes=200000-200099";
    let part = gate.ask(Request::get("/film").range(range)).await;
    new.verify(&new.expected(Some(range), None), &part).unwrap();
    new.verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
    assert_eq!(
        conditional(&origin.settled().await),
        1,
        "{:#?}",
        origin.log()
    );
    new.verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_stale_clients_are_one_conditional_request() {
    let (origin, gate, object) = scene(short_lived(103)).await;
    gate.get("/film").await;
    outlive_freshness().await;
    origin.change("/film", |script| {
        script.cache_control = Some("max-age=3600")
    });
    let mut clients = JoinSet::new();
    for _ in 0..30 {
        let address = gate.address();
        clients.spawn(async move {
            Client::connect(address)
                .await
                .ask(&Request::get("/film"))
                .await
        });
    }
    for answer in clients.join_all().await {
        object.verify(&Expected::Whole, &answer).unwrap();
    }
    let log = origin.settled().await;
    assert_eq!((conditional(&log), log.len()), (1, 2), "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_the_old_version_gets_it_to_its_end() {
    const LARGE: u64 = 24 << 20;
    let (origin, gate, object) = scene(Script {
        size: LARGE,
        ..short_lived(104)
    })
    .await;
    object
        .verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
    outlive_freshness().await;
    origin.change("/film", |script| script.cache_control = Some("max-age=2"));
    let mut reader = Client::narrow(gate.address()).await;
    reader.send(&Request::get("/film")).await.unwrap();
    reader.head().await.unwrap();
    let start = reader.at_least(1).await.unwrap();
    outlive_freshness().await;
    let_time_pass(Duration::from_secs(1)).await;
    origin.change("/film", |script| script.content.version = 2);
    let new = version(&object, 2);
    new.verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
    let (rest, cut) = reader.rest().await;
    let body = [start, rest].concat();
    assert_eq!((body.len() as u64, cut), (LARGE, None));
    object.content.verify(0, &body).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn holes_are_filled_under_the_validator_of_the_object() {
    let (origin, gate, object) = scene(Script::new(105, SIZE)).await;
    gate.bytes("/film", 0, 9).await;
    let known = origin.settled().await.len();
    object
        .verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
    for seen in &origin.settled().await[known..] {
        assert_eq!(seen.header("if-range"), Some("\"v1\""), "{seen:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_changes_amid_an_object_is_found_and_does_not_mix() {
    let (origin, gate, object) = scene(Script::new(106, SIZE)).await;
    gate.bytes("/film", 0, 2 * CHUNK).await;
    origin.settled().await;
    origin.change("/film", |script| script.content.version = 2);
    let first = gate.get("/film").await;
    assert_one_version(&object, None, &first);
    let new = version(&object, 2);
    new.verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_got_nothing_yet_gets_the_new_version() {
    let (origin, gate, object) = scene(Script::new(107, SIZE)).await;
    gate.bytes("/film", 0, 9).await;
    origin.settled().await;
    origin.change("/film", |script| script.content.version = 2);
    let new = version(&object, 2);
    let range = "bytes=400000-400999";
    let answer = gate.ask(Request::get("/film").range(range)).await;
    new.verify(&new.expected(Some(range), None), &answer)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_changes_under_a_running_stream_does_not_mix() {
    let valve = Valve::at(2 * CHUNK + 10);
    let script = Script {
        valve: Some(valve.clone()),
        ..Script::new(108, SIZE)
    };
    let (origin, gate, object) = scene(script.twisted(|seen, script| {
        if seen.nth > 0 {
            script.valve = None;
        }
    }))
    .await;
    let mut first = gate.client().await;
    first.send(&Request::get("/film")).await.unwrap();
    let head = first.head().await.unwrap();
    let start = first.at_least(2 * CHUNK as usize).await.unwrap();
    origin.change("/film", |script| script.content.version = 2);
    let range = "bytes=400000-400999";
    let seek = gate.ask(Request::get("/film").range(range)).await;
    assert_one_version(&object, Some(range), &seek);
    valve.open();
    let (rest, cut) = first.rest().await;
    let body = [start, rest].concat();
    assert_one_version(&object, None, &Answer { head, body, cut });
    let last = gate.get("/film").await;
    assert_one_version(&object, None, &last);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_change_under_a_crowd_never_mix() {
    let seed = dice::seed();
    println!("TIDEGATE_SEED={seed}");
    // Asked about each time, so that every version is found soon.
    let (origin, gate, object) = scene(Script {
        cache_control: Some("no-cache"),
        ..Script::new(109, SIZE)
    })
    .await;
    let mut clients = JoinSet::new();
    for nth in 0..8 {
        let (address, object) = (gate.address(), object.clone());
        let mut dice = Dice::new(seed + nth);
        clients.spawn(async move {
            for _ in 0..60 {
                let first = dice.below(SIZE);
                let last = first + dice.below(3 * CHUNK);
                let range = dice.percent(70).then(|| format!("bytes={first}-{last}"));
                let mut request = Request::get("/film");
                request
                    .headers
                    .extend(range.iter().map(|range| ("Range".into(), range.clone())));
                let Ok(answer) = Client::connect(address).await.try_ask(&request).await else {
                    continue;
                };
                assert_one_version(&object, range.as_deref(), &answer);
            }
        });
    }
    // A version after each few requests of the origin, as long as there are clients.
    let mut next = 2;
    let mut seen = 0;
    while let Some(finished) = {
        let more = origin.wait_for("more requests", |log| log.len() > seen + 5);
        tokio::select! {
            log = more => { seen = log.len(); Some(None) }
            client = clients.join_next() => client.map(Some),
        }
    } {
        match finished {
            Some(client) => client.unwrap(),
            None if next < 60 => {
                origin.change("/film", |script| script.content.version = next);
                next += 1;
            }
            None => (),
        }
    }
    assert!(next > 3, "the version changed only {next} times");
    assert_one_version(&object, None, &gate.get("/film").await);
}
