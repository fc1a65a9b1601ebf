//! What reviews found once and is to stay cured, one small case each.

use crate::{
    cases::rfc9111::exchange::{case, get, play},
    client::{Answer, Client, H2, Request},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Framing, Origin, Ranges, Script, Tag, Valve},
    patience::{let_time_pass, within},
};
use std::time::Duration;
use tokio::task::JoinSet;

const SIZE: u64 = 5 * CHUNK + 777;

async fn scene(script: Script) -> (Origin, Gate, Object) {
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::before(&origin).await;
    (origin, gate, object)
}

fn verify(object: &Object, range: Option<&str>, answer: &Answer) {
    let verdict = object.verify(&object.expected(range, None), answer);
    verdict.unwrap_or_else(|wrong| panic!("{range:?}: {wrong}\n{answer}"));
}

fn version(object: &Object, version: u64) -> Object {
    let mut script = Script::new(object.content.seed, object.size);
    script.content.version = version;
    Object::from(&script)
}

/// A client that has the header of `/film` and may read on.
async fn reader(gate: &Gate) -> Client {
    let mut client = gate.client().await;
    client.send(&Request::get("/film")).await.unwrap();
    assert_eq!(client.head().await.unwrap().status, 200);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_whose_first_client_left_is_whole_for_the_next() {
    let tags = [Tag::Strong, Tag::None];
    for (etag, ranges) in tags
        .map(|tag| [(tag, Ranges::Honoured), (tag, Ranges::Ignored)])
        .concat()
    {
        let valve = Valve::at(3 * CHUNK);
        let (origin, gate, object) = scene(Script {
            framing: Framing::Chunked,
            valve: Some(valve.clone()),
            rate: Some(32 << 20),
            last_modified: etag != Tag::None,
            etag,
            ranges,
            ..Script::new(150, 16 << 20)
        })
        .await;
        let mut leaver = reader(&gate).await;
        leaver.at_least(CHUNK as usize).await.unwrap();
        drop(leaver);
        valve.open();
        origin.settled().await;
        for _ in 0..2 {
            verify(&object, None, &gate.get("/film").await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_that_is_refused_to_one_client_is_filled_for_another() {
    let valve = Valve::at(2 * CHUNK);
    let script = Script {
        valve: Some(valve.clone()),
        ..Script::new(151, 60 * CHUNK)
    };
    let (origin, gate, object) = scene(script.twisted(|seen, script| {
        if seen.header("x-mode") == Some("404") {
            (script.status, script.cache_control, script.valve) = (404, None, None);
        }
    }))
    .await;
    verify(&object, Some("bytes=0-9"), &gate.bytes("/film", 0, 9).await);
    let mut reader = reader(&gate).await;
    let hole = Request::get("/film").bytes(50 * CHUNK, 51 * CHUNK);
    let refused = gate.ask(hole.header("X-Mode", "404")).await;
    assert_eq!(refused.status(), 404, "{refused}");
    valve.open();
    let (body, cut) = reader.rest().await;
    assert_eq!((body.len() as u64, cut), (object.size, None));
    object.content.verify(0, &body).unwrap();
    let asked = origin.settled().await.len();
    verify(&object, None, &gate.get("/film").await);
    assert_eq!(origin.log().len(), asked, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_of_a_passing_key_accepts_is_not_stored_for_others() {
    let (_origin, gate, object) = scene(Script::new(152, SIZE).twisted(|seen, script| {
        if seen.nth == 0 {
            script.cache_control = Some("no-store");
        }
        if seen.header("accept-encoding").is_some() {
            script.content.version = 2;
            script.headers.push(("Content-Encoding", "gzip".into()));
        }
    }))
    .await;
    verify(&object, None, &gate.get("/film").await);
    for _ in 0..2 {
        let gzip = Request::get("/film").header("Accept-Encoding", "gzip");
        assert_eq!(gate.ask(gzip).await.status(), 200);
        let plain = gate.get("/film").await;
        verify(&object, None, &plain);
        assert_eq!(plain.head.header("content-encoding"), None, "{plain}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_no_body_follows_an_answer_that_has_none() {
    for (request, status) in [
        (Request::head("/film"), 200),
        (Request::get("/film").header("If-None-Match", "\"v1\""), 304),
    ] {
        let (_origin, gate, _) = scene(Script {
            cache_control: Some("no-store"),
            ranges: Ranges::Ignored,
            ..Script::new(153, SIZE)
        })
        .await;
        let client = H2::connect(gate.address(), 1 << 20).await;
        for _ in 0..2 {
            let answer = client.ask(&request).await;
            let seen = (answer.status(), answer.body.len(), answer.is_whole());
            assert_eq!(seen, (status, 0, true), "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_get_with_a_body_over_http_2_is_nobody_elses() {
    let (origin, gate, object) = scene(Script::new(154, SIZE).twisted(|seen, script| {
        if seen.nth == 0 {
            script.content.version = 2;
        }
    }))
    .await;
    let mut request = Request::get("/film");
    request.body = b"which film?".to_vec();
    let client = H2::connect(gate.address(), 1 << 20).await;
    let own = client.ask(&request).await;
    verify(&version(&object, 2), None, &own);
    assert!(origin.log()[0].received > 0, "{:#?}", origin.log());
    let plain = client.ask(&Request::get("/film")).await;
    verify(&object, None, &plain);
    assert!(!plain.head.cache_status().is_hit(), "{plain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_the_head_brings_in_little() {
    let valve = Valve::at(0);
    let (origin, gate, object) = scene(Script {
        valve: Some(valve.clone()),
        holds_head: true,
        rate: Some(32 << 20),
        ..Script::new(155, 48 << 20)
    })
    .await;
    let mut leaver = gate.client().await;
    leaver.send(&Request::get("/film")).await.unwrap();
    let asked = |log: &[_]| log.len() == 1;
    origin.wait_for("the request at the origin", asked).await;
    drop(leaver);
    valve.open();
    let log = origin.settled().await;
    assert!(origin.sent("/film") < object.size / 2, "{log:#?}");
    verify(&object, None, &gate.get("/film").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_request_after_a_cold_range_is_answered() {
    for round in 0..10 {
        let valve = Valve::at(CHUNK / 2);
        let (origin, gate, object) = scene(Script {
            valve: Some(valve.clone()),
            ..Script::new(156 + round, SIZE)
        })
        .await;
        let mut client = gate.client().await;
        let cold = client.ask(&Request::get("/film").bytes(0, 9)).await;
        verify(&object, Some("bytes=0-9"), &cold);
        assert_ne!(cold.head.header("connection"), Some("close"), "{cold}");
        let next = Request::get("/film").bytes(CHUNK - 9, CHUNK - 1);
        client.send(&next).await.unwrap();
        valve.open();
        assert_eq!(client.head().await.unwrap().status, 206);
        let (body, cut) = client.rest().await;
        assert_eq!((body.len(), cut), (9, None));
        object.content.verify(CHUNK - 9, &body).unwrap();
        origin.settled().await;
    }
}

/// A stale object of which the origin has the version `new`; asked for a range, it is served as
/// it was, and revalidated behind that with a chunk at most.
async fn revalidate_behind_a_range(over_h2: bool, new: u64) {
    let (origin, gate, object) = scene(Script {
        cache_control: Some("max-age=1, stale-while-revalidate=600"),
        ..Script::new(170, SIZE)
    })
    .await;
    gate.get("/film").await;
    origin.settled().await;
    origin.change("/film", |script| {
        script.content.version = new;
        script.cache_control = Some("max-age=3600");
    });
    let_time_pass(Duration::from_millis(2100)).await;
    let request = Request::get("/film").range("bytes=70000-199999");
    let stale = match over_h2 {
        true => {
            H2::connect(gate.address(), 1 << 20)
                .await
                .ask(&request)
                .await
        }
        false => gate.ask(request).await,
    };
    verify(&object, Some("bytes=70000-199999"), &stale);
    let two = |log: &[_]| log.len() == 2;
    origin.wait_for("a revalidation", two).await;
    let log = origin.settled().await;
    assert!(log[1].is_conditional() && log[1].sent <= CHUNK, "{log:#?}");
    assert_fresh(&origin, &gate, &version(&object, new)).await;
}

/// The object is of this version, and no other request asks whether it is.
async fn assert_fresh(origin: &Origin, gate: &Gate, object: &Object) {
    let known = async {
        let head = Request::head("/film");
        loop {
            let told = gate.ask(head.clone()).await.head.cache_status();
            // What is given out stale meanwhile is a hit that says so.
            if told.forward() != Some("stale") && !told.has("detail=stale") {
                break;
            }
        }
    };
    within("the object to be fresh", known).await;
    verify(object, None, &gate.get("/film").await);
    let log = origin.settled().await;
    let conditional = log.iter().filter(|seen| seen.is_conditional());
    assert_eq!(conditional.count(), 1, "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revalidation_behind_a_range_brings_a_chunk_at_most() {
    for new in [1, 2] {
        revalidate_behind_a_range(false, new).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revalidation_behind_a_range_over_http_2_brings_a_chunk_at_most() {
    for new in [1, 2] {
        revalidate_behind_a_range(true, new).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_of_its_own_kind_does_not_keep_an_object_out() {
    for request in [
        Request::get("/film").header("Authorization", "Basic eDp5"),
        Request::get("/film")
            .bytes(0, 9)
            .header("Authorization", "Basic eDp5"),
        Request::get("/film").range("bytes=99999999-"),
    ] {
        let (origin, gate, object) = scene(Script::new(171, SIZE)).await;
        let own = gate.ask(request).await;
        assert!(!own.head.cache_status().has("stored"), "{own}");
        verify(&object, None, &gate.get("/film").await);
        let asked = origin.settled().await.len();
        // Not always a hit: its last chunk may be on its way to the disk.
        verify(&object, None, &gate.get("/film").await);
        assert_eq!(origin.log().len(), asked, "{:#?}", origin.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_cold_objects_asked_for_twice_at_once_cost_one_request_each() {
    let origin = Origin::start().await;
    // An origin with much to do is asked for parts.
    let gate = Gate::with(&origin, |settings| settings.origins[0].limit.requests = 400).await;
    let targets: Vec<_> = (0..100u64).map(|nth| format!("/{nth}")).collect();
    let mut clients = JoinSet::new();
    for (nth, target) in targets.iter().enumerate() {
        let script = Script::new(nth as u64, SIZE);
        let object = Object::from(&script);
        origin.put(target, script);
        for _ in 0..2 {
            let (mut client, object) = (gate.client().await, object.clone());
            let request = Request::get(target);
            clients.spawn(async move {
                let answer = client.ask(&request).await;
                object.verify(&Expected::Whole, &answer).unwrap();
            });
        }
    }
    within("all answers", clients.join_all()).await;
    for target in &targets {
        let asked = origin.asked(target);
        assert_eq!(asked.len(), 1, "{asked:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_of_one_variant_leaves_the_others_there() {
    const FRESH: (&str, &str) = ("Cache-Control", "max-age=600");
    let by = |field| [FRESH, ("Vary", field)];
    let of = |version, colour| {
        let step = get().says(&by("X-Colour")).tagged().of(version);
        step.field("X-Colour", colour)
    };
    let other = |version| {
        let step = get().says(&by("X-Shape")).tagged().of(version);
        step.field("X-Colour", "red")
    };
    play([
        case(
            "one that is fresh",
            [
                of(1, "red").aged(700).once().gives(1),
                of(1, "blue").once().gives(1),
                of(2, "red").once().validates("\"v1\"").gives(2),
                of(2, "blue").hits().gives(1),
                of(3, "red").hits().gives(2),
            ],
        ),
        case(
            "one that is not",
            [
                of(1, "red").aged(700).once().gives(1),
                of(1, "blue").aged(700).once().gives(1),
                of(2, "red").aged(700).once().validates("\"v1\"").gives(2),
                of(3, "red").once().validates("\"v2\"").gives(3),
                of(1, "blue").once().validates("\"v1\"").gives(1),
            ],
        ),
        // What was there before it varied otherwise is not to be believed, though it does again.
        case(
            "one of another family",
            [
                of(1, "red").aged(700).once().gives(1),
                of(1, "blue").once().gives(1),
                other(2).aged(700).once().gives(2),
                of(3, "red").once().gives(3),
                of(4, "blue").once().sends_no("If-None-Match").gives(4),
            ],
        ),
    ])
    .await;
}
