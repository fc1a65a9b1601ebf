//! The next segments of a stream, fetched before they are asked for.

use crate::{
    client::{H2, Request},
    gate::Gate,
    model::{Expected, Object},
    origin::{Origin, Script, Seen, Valve},
};
use tidegate::{proxy::Prefetch, server::Settings};

const SIZE: u64 = 150_000;

fn segment(n: u64) -> String {
    format!("/live/seg-{n:03}.ts")
}

async fn stream(seed: u64, segments: u64) -> (Origin, Object) {
    let origin = Origin::start().await;
    let script = Script::new(seed, SIZE);
    let object = Object::from(&script);
    for n in 1..=segments {
        origin.put(&segment(n), script.clone());
    }
    (origin, object)
}

fn ahead(segments: u64) -> impl FnOnce(&mut Settings) {
    move |settings| {
        settings.routes[0].prefetch = Some(Prefetch {
            segments,
            at_a_time: 8,
            max_size: SIZE,
        });
    }
}

/// Waits until so many segments were gone for with this outcome.
async fn until(gate: &Gate, outcome: &str, count: f64) {
    let line = format!("tidegate_prefetch_segments_total{{outcome=\"{outcome}\"}} {count}\n");
    gate.until_told(&line).await;
}

async fn bytes(gate: &Gate, usage: &str) -> u64 {
    let name = format!("tidegate_prefetch_bytes_total{{use=\"{usage}\"}} ");
    let metrics = gate.metrics().await;
    let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
    value.map_or(0, |value| value.parse().unwrap())
}

/// How often it is said on whose behalf a request is made: once, as of any other.
fn told(seen: &Seen) -> usize {
    let names = seen.headers.iter().map(|(name, _)| name);
    names
        .filter(|name| name.eq_ignore_ascii_case("x-forwarded-for"))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_is_there_when_it_is_asked_for() {
    let (origin, object) = stream(1080, 4).await;
    let gate = Gate::with(&origin, ahead(1)).await;
    object
        .verify(&Expected::Whole, &gate.get(&segment(1)).await)
        .unwrap();
    // One alone is no row, and neither is a part of it.
    object
        .verify(&Expected::Whole, &gate.get(&segment(1)).await)
        .unwrap();
    assert_eq!(origin.log().len(), 1);
    let part = gate.bytes(&segment(2), 10, 99).await;
    assert_eq!(part.status(), 206, "{part}");
    until(&gate, "fetched", 1.0).await;
    let asked = origin.asked(&segment(3));
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].method.as_str(), asked[0].range()), ("GET", None));
    assert_eq!(told(&asked[0]), 1, "{asked:#?}");
    let third = gate.get(&segment(3)).await;
    object.verify(&Expected::Whole, &third).unwrap();
    assert!(third.head.cache_status().has("hit"), "{third}");
    assert_eq!(origin.asked(&segment(3)).len(), 1);
    until(&gate, "fetched", 2.0).await;
    assert_eq!(
        (bytes(&gate, "used").await, bytes(&gate, "unused").await),
        (SIZE, 0)
    );
    // The fifth does not exist. That it does not is not kept.
    gate.get(&segment(4)).await;
    until(&gate, "failed", 1.0).await;
    origin.put(&segment(5), Script::new(1080, SIZE));
    let fifth = gate.get(&segment(5)).await;
    object.verify(&Expected::Whole, &fifth).unwrap();
    gate.until_active(0.0).await;
    // Those of our own are no requests of clients.
    assert_eq!(gate.metric("tidegate_requests_total").await, 6.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_as_well_and_only_what_lacks() {
    let (origin, object) = stream(1081, 5).await;
    let gate = Gate::with(&origin, ahead(2)).await;
    gate.get(&segment(4)).await;
    let h2 = H2::connect(gate.address(), 1 << 20).await;
    for n in [1, 2] {
        let answer = h2.ask(&Request::get(&segment(n))).await;
        object.verify(&Expected::Whole, &answer).unwrap();
    }
    until(&gate, "fetched", 1.0).await;
    gate.until_active(0.0).await;
    let third = origin.asked(&segment(3));
    assert_eq!(third.len(), 1);
    assert_eq!(told(&third[0]), 1, "{third:#?}");
    assert_eq!(origin.asked(&segment(4)).len(), 1);
    let third = h2.ask(&Request::get(&segment(3))).await;
    object.verify(&Expected::Whole, &third).unwrap();
    assert!(third.head.cache_status().has("hit"), "{third}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stands_back_where_the_origin_has_no_place() {
    let (origin, object) = stream(1082, 4).await;
    let valve = Valve::at(0);
    origin.change(&segment(2), |script| script.valve = Some(valve.clone()));
    let gate = Gate::with(&origin, |settings| {
        ahead(1)(settings);
        settings.origins[0].limit.requests = 1;
    })
    .await;
    gate.get(&segment(1)).await;
    let second = gate.ask(Request::get(&segment(2)));
    let held = async {
        until(&gate, "busy", 1.0).await;
        valve.open();
    };
    let (second, ()) = tokio::join!(second, held);
    object.verify(&Expected::Whole, &second).unwrap();
    assert_eq!(origin.log().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_while_it_is_fetched_follows_it() {
    let (origin, object) = stream(1083, 3).await;
    let valve = Valve::at(1000);
    origin.change(&segment(3), |script| script.valve = Some(valve.clone()));
    let gate = Gate::with(&origin, ahead(1)).await;
    for n in [1, 2] {
        gate.get(&segment(n)).await;
    }
    origin
        .wait_for("the third to be asked for", |log| {
            log.iter().any(|seen| seen.target == segment(3))
        })
        .await;
    let third = gate.ask(Request::get(&segment(3)));
    let held = async {
        // A request of ours, and the client's.
        gate.until_active(2.0).await;
        valve.open();
    };
    let (third, ()) = tokio::join!(third, held);
    object.verify(&Expected::Whole, &third).unwrap();
    until(&gate, "fetched", 1.0).await;
    assert_eq!(origin.asked(&segment(3)).len(), 1);
    assert_eq!(bytes(&gate, "used").await, SIZE);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_a_segment_may_be_is_left() {
    const LARGE: u64 = 20 << 20;
    let (origin, _) = stream(1084, 2).await;
    let large = Script::new(1085, LARGE);
    let film = Object::from(&large);
    for n in [3, 4] {
        origin.put(&segment(n), large.clone());
    }
    let gate = Gate::with(&origin, ahead(1)).await;
    for n in [1, 2] {
        gate.get(&segment(n)).await;
    }
    until(&gate, "failed", 1.0).await;
    gate.until_active(0.0).await;
    let asked = origin.asked(&segment(3));
    assert_eq!(asked.len(), 1);
    assert!(asked[0].sent < LARGE / 2, "{asked:#?}");
    // A client gets it all the same, and what follows is not even asked for.
    let third = gate.get(&segment(3)).await;
    film.verify(&Expected::Whole, &third).unwrap();
    let part = gate.bytes(&segment(3), 0, 0).await;
    assert_eq!(part.status(), 206, "{part}");
    gate.until_active(0.0).await;
    assert_eq!(origin.asked(&segment(4)).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_number_of_a_name_may_count() {
    let origin = Origin::start().await;
    let script = Script::new(1086, SIZE);
    let object = Object::from(&script);
    let named = |n: u64| format!("/vod/seg-{n}-v1-a1.ts");
    let stream = |track: u64, n: u64| format!("/dash/chunk-stream{track}-{n:05}.m4s");
    for n in 1..=4 {
        origin.put(&named(n), script.clone());
        for track in 0..3 {
            origin.put(&stream(track, n), script.clone());
        }
    }
    let gate = Gate::with(&origin, ahead(1)).await;
    for n in 1..=3 {
        gate.get(&named(n)).await;
    }
    until(&gate, "fetched", 1.0).await;
    let fourth = gate.get(&named(4)).await;
    object.verify(&Expected::Whole, &fourth).unwrap();
    assert!(fourth.head.cache_status().has("hit"), "{fourth}");
    until(&gate, "failed", 1.0).await;
    assert_eq!(origin.asked(&named(5)).len(), 1);
    // What is played together does not follow one another.
    for n in 1..=2 {
        for track in 0..2 {
            gate.get(&stream(track, n)).await;
        }
    }
    until(&gate, "fetched", 3.0).await;
    gate.until_active(0.0).await;
    assert_eq!(origin.asked(&stream(1, 3)).len(), 1);
    for n in 1..=4 {
        assert_eq!(origin.asked(&stream(2, n)).len(), 0, "{n}");
    }
}

/// Segments that are named by the time at which they begin, as `$Time$` of DASH has it.
#[tokio::test(flavor = "multi_thread")]
async fn times_count_where_they_are_as_far_from_each_other() {
    let origin = Origin::start().await;
    let script = Script::new(1086, SIZE);
    let object = Object::from(&script);
    let segment = |time: u64| format!("/dash/video-{time}.m4s");
    let times = [0, 360_360, 720_720, 1_081_080, 1_400_000];
    for time in times {
        origin.put(&segment(time), script.clone());
    }
    let gate = Gate::with(&origin, ahead(1)).await;
    for time in &times[..3] {
        object
            .verify(&Expected::Whole, &gate.get(&segment(*time)).await)
            .unwrap();
    }
    until(&gate, "fetched", 1.0).await;
    let fourth = gate.get(&segment(times[3])).await;
    assert!(fourth.head.cache_status().has("hit"), "{fourth}");
    object.verify(&Expected::Whole, &fourth).unwrap();
    // The last one is shorter, and begins elsewhere than was thought of one after it.
    until(&gate, "failed", 1.0).await;
    assert_eq!(origin.asked(&segment(1_441_440)).len(), 1);
    object
        .verify(&Expected::Whole, &gate.get(&segment(times[4])).await)
        .unwrap();
    gate.until_active(0.0).await;
    assert_eq!(origin.log().len(), times.len() + 1, "{:#?}", origin.log());
}
