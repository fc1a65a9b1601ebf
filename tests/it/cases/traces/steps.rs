//! The steps of a request: which there are, whose they are, what is said of them.

use super::{all, telling};
use crate::{
    client::Request,
    collector::{CLIENT, Collector, INTERNAL, SERVER, Span},
    failover::{answering, gate},
    gate::CHUNK,
    origin::{Cut, End, Origin, Script, Valve},
};

fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_is_told_but_for_secrets() {
    let collector = Collector::start().await;
    let origin = Origin::with(Script::new(1200, 1000)).await;
    let gate = telling(&collector, &origin, |_| ()).await;
    let asked = Request::get("/film?token=SECRET&w=1").header("Host", "video.example:80");
    for _ in 0..2 {
        gate.ask(asked.clone()).await;
        gate.until_active(0.0).await;
    }
    let requests = collector.requests(2).await;
    assert_ne!(requests[0].trace, requests[1].trace);
    for request in &requests {
        assert_eq!((request.name.as_str(), request.kind), ("GET", SERVER));
        assert_eq!((&request.parent, request.has_failed), (&None, false));
        assert_eq!(request.service, "tidegate");
        for (name, value) in [
            ("http.request.method", "GET"),
            ("http.response.status_code", "404"),
            ("url.scheme", "http"),
            ("url.path", "/film"),
            ("url.query", "w=1"),
            ("server.address", "video.example"),
            ("client.address", "127.0.0.1"),
            ("network.protocol.version", "1.1"),
            ("tidegate.route", "routes[0]"),
            ("error.type", ""),
            ("tidegate.abort", ""),
        ] {
            assert_eq!(request.says(name), value, "{name} of {request:#?}");
        }
        assert_eq!(request.says("tidegate.request_id").len(), 16);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miss_asks_the_origin_and_a_hit_does_not() {
    let collector = Collector::start().await;
    let origin = Origin::with(Script::new(1201, 1000)).await;
    let gate = telling(&collector, &origin, |_| ()).await;
    for _ in 0..2 {
        gate.get("/film").await;
        gate.until_active(0.0).await;
    }
    let [miss, hit] = &collector.requests(2).await[..] else {
        unreachable!()
    };
    assert_eq!(miss.says("tidegate.cache"), "fwd=miss; stored");
    assert_eq!(miss.says("tidegate.bytes.origin"), "1000");
    assert_eq!(hit.says("tidegate.cache"), "hit");
    assert_eq!(hit.says("http.response.body.size"), "1000");
    assert_eq!(hit.says("tidegate.bytes.disk"), "1000");

    let [asked] = &collector.steps(miss, "origin", 1).await[..] else {
        unreachable!()
    };
    let server = origin.address();
    assert_eq!((asked.kind, asked.has_failed), (CLIENT, false));
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.response.body.size", "1000"),
        ("server.address", "127.0.0.1"),
        ("server.port", &server.port().to_string()),
        ("tidegate.origin", "media"),
        ("tidegate.purpose", "request"),
        ("error.type", ""),
    ] {
        assert_eq!(asked.says(name), value, "{name} of {asked:#?}");
    }
    let took: f64 = asked.says("tidegate.first_byte_ms").parse().unwrap();
    assert!(took > 0.0 && asked.ended <= miss.ended + 1_000_000_000);

    let [looked] = &collector.steps(hit, "index", 1).await[..] else {
        unreachable!()
    };
    assert_eq!(looked.kind, INTERNAL);
    assert_eq!(looked.says("tidegate.found"), "true");
    assert_eq!(names(&collector.steps_of(hit)), ["index"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_waits_for_the_lock() {
    const ALL: usize = 12;
    let collector = Collector::start().await;
    let valve = Valve::at(0);
    let origin = Origin::with(Script {
        valve: Some(valve.clone()),
        holds_head: true,
        ..Script::new(1202, 1000)
    })
    .await;
    let gate = telling(&collector, &origin, |_| ()).await;
    let mut clients = Vec::new();
    for nth in 0..ALL {
        let mut client = gate.client().await;
        client.send(&Request::get("/film")).await.unwrap();
        clients.push(client);
        if nth == 0 {
            origin
                .wait_for("the film to be asked for", |log| !log.is_empty())
                .await;
        }
    }
    gate.until_active(ALL as f64).await;
    valve.open();
    for client in &mut clients {
        client.head().await.unwrap();
        client.rest().await;
    }
    assert_eq!(origin.log().len(), 1);
    let requests = collector.requests(ALL).await;
    // The last of them may not have come as far as the lock.
    let seen = collector.seen();
    let mut locks = seen.spans.iter().filter(|span| span.name == "lock");
    let lock = locks.next().expect("those who came second wait");
    assert_eq!(
        (lock.kind, lock.says("tidegate.outcome")),
        (INTERNAL, "answered")
    );
    let first = &requests[0];
    let leader = (first.trace.clone(), first.id.clone());
    assert_eq!(lock.link.as_ref(), Some(&leader), "{lock:#?}");
    let joined = requests
        .iter()
        .find(|span| lock.parent.as_ref() == Some(&span.id));
    let joined = joined.unwrap();
    // All of it may be here by the time that it has waited.
    let told = joined.says("tidegate.cache");
    assert!(["fwd=miss; collapsed", "hit"].contains(&told), "{told}");
    let steps = collector.steps_of(joined);
    assert!(!names(&steps).contains(&"origin"), "{steps:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_server_that_was_asked_is_told_of() {
    let collector = Collector::start().await;
    let (down, origin) = (
        answering(503).await,
        Origin::with(Script::new(1203, 1000)).await,
    );
    let servers = [down.address(), origin.address()];
    let gate = gate(&[&servers], |settings| {
        settings.traces = Some(all(&collector))
    })
    .await;
    assert_eq!(gate.get("/film").await.status(), 200);
    let request = &collector.requests(1).await[0];
    assert!(!request.has_failed, "{request:#?}");
    let asked = collector.steps(request, "origin", 2).await;
    let [failed, answered] = &asked[..] else {
        unreachable!()
    };
    assert!(failed.has_failed && !answered.has_failed);
    assert_eq!(failed.says("error.type"), "503");
    let port = down.address().port().to_string();
    assert_eq!(failed.says("server.port"), port);
    assert_eq!(failed.says("http.response.status_code"), "503");
    assert_eq!(answered.says("http.response.status_code"), "200");
    assert!(failed.ended <= answered.ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_says_whose_doing_it_was() {
    let collector = Collector::start().await;
    let down = answering(503).await;
    let gate = gate(&[&[down.address()]], |settings| {
        settings.traces = Some(all(&collector));
        settings.origins[0].retry.rounds = 0;
    })
    .await;
    assert_eq!(gate.get("/film").await.status(), 503);
    let request = &collector.requests(1).await[0];
    assert!(request.has_failed);
    assert_eq!(request.says("error.type"), "503");
    assert_eq!(request.says("http.response.status_code"), "503");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_goes_on_elsewhere_is_two_servers() {
    let collector = Collector::start().await;
    let script = Script::new(1204, 4 * CHUNK);
    let cut = Script {
        cut: Some(Cut {
            after: CHUNK,
            how: End::Reset,
        }),
        ..script.clone()
    };
    let (first, second) = (Origin::with(cut).await, Origin::with(script).await);
    let servers = [first.address(), second.address()];
    let gate = gate(&[&servers], |settings| {
        settings.traces = Some(all(&collector))
    })
    .await;
    assert!(gate.get("/film").await.is_whole());
    let request = &collector.requests(1).await[0];
    let asked = collector.steps(request, "origin", 2).await;
    assert_eq!(asked[0].says("error.type"), "broken");
    assert_eq!(asked[0].says("http.response.status_code"), "200");
    assert_eq!(asked[1].says("http.response.status_code"), "206");
    let bytes = |at: usize| {
        asked[at]
            .says("http.response.body.size")
            .parse::<u64>()
            .unwrap()
    };
    assert_eq!(bytes(0) + bytes(1), 4 * CHUNK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_is_no_failure() {
    let collector = Collector::start().await;
    let valve = Valve::at(CHUNK);
    let origin = Origin::with(Script {
        valve: Some(valve.clone()),
        ..Script::new(1205, 64 * CHUNK)
    })
    .await;
    let gate = telling(&collector, &origin, |_| ()).await;
    let mut client = gate.client().await;
    client.send(&Request::get("/film")).await.unwrap();
    client.head().await.unwrap();
    client.at_least(100).await.unwrap();
    drop(client);
    valve.open();
    let request = &collector.requests(1).await[0];
    assert_eq!(request.says("tidegate.abort"), "client");
    assert_eq!(
        (request.says("error.type"), request.has_failed),
        ("", false)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_a_place_at_the_origin_is_told() {
    let collector = Collector::start().await;
    let valve = Valve::at(0);
    let origin = Origin::with(Script {
        valve: Some(valve.clone()),
        holds_head: true,
        ..Script::new(1206, 1000)
    })
    .await;
    origin.put("/other", Script::new(1207, 1000));
    let change = |settings: &mut tidegate::server::Settings| {
        settings.origins[0].limit.requests = 1;
    };
    let gate = telling(&collector, &origin, change).await;
    let (mut first, mut second) = (gate.client().await, gate.client().await);
    first.send(&Request::get("/film")).await.unwrap();
    origin
        .wait_for("the film to be asked for", |log| !log.is_empty())
        .await;
    second.send(&Request::get("/other")).await.unwrap();
    let waits = async {
        while gate.metric("origin_queue_depth").await < 1.0 {
            tokio::task::yield_now().await;
        }
    };
    crate::patience::within("one to wait for the origin", waits).await;
    valve.open();
    for client in [&mut first, &mut second] {
        client.head().await.unwrap();
        client.rest().await;
    }
    let requests = collector.requests(2).await;
    let other = requests
        .iter()
        .find(|span| span.says("url.path") == "/other");
    let [queue] = &collector.steps(other.unwrap(), "queue", 1).await[..] else {
        unreachable!()
    };
    assert_eq!(queue.says("tidegate.outcome"), "admitted");
    assert_eq!(queue.says("tidegate.origin"), "media");
    let film = requests
        .iter()
        .find(|span| span.says("url.path") == "/film");
    let steps = collector.steps_of(film.unwrap());
    assert!(
        !names(&steps).contains(&"queue"),
        "who does not wait is not told of"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fills_belong_to_who_caused_them_and_a_long_film_has_a_bound() {
    const CHUNKS: u64 = 64;
    let collector = Collector::start().await;
    let origin = Origin::with(Script::new(1208, CHUNKS * CHUNK)).await;
    let gate = telling(&collector, &origin, |settings| {
        settings.fill.max_window = CHUNK;
    })
    .await;
    let answer = gate.bytes("/film", 10, CHUNKS * CHUNK - 10).await;
    assert_eq!(answer.status(), 206);
    let asked = origin.settled().await.len() as u64;
    assert!(asked > 20, "{asked} requests to the origin");
    let request = &collector.requests(1).await[0];
    let steps = collector.steps(request, "origin", 16).await;
    assert_eq!(steps[0].says("tidegate.purpose"), "request");
    assert!(
        steps[1..]
            .iter()
            .all(|step| step.says("tidegate.purpose") == "fill")
    );
    let left_out: u64 = request.says("tidegate.left_out").parse().unwrap();
    assert!(
        left_out > 0 && left_out <= asked - 16,
        "{left_out} of {asked}"
    );
    super::until_spans(&gate, "left_out", asked - 16).await;
}

/// After a start each chunk is checked when it is first read, and that is done by the disk's turns.
#[tokio::test(flavor = "multi_thread")]
async fn waits_for_the_disk_are_told_and_summed_up() {
    const CHUNKS: u64 = 20;
    let collector = Collector::start().await;
    let origin = Origin::with(Script::new(1209, CHUNKS * CHUNK)).await;
    let mut gate = telling(&collector, &origin, |_| ()).await;
    gate.get("/film").await;
    gate.restart().await;
    let hit = gate.get("/film").await;
    assert!(hit.head.cache_status().is_hit(), "{hit}");
    let requests = collector.requests(2).await;
    let request = &requests[1];
    let waits: u64 = request.says("tidegate.disk.waits").parse().unwrap();
    assert!((1..=CHUNKS).contains(&waits), "{waits}");
    let told = waits.min(8) as usize;
    let steps = collector.steps(request, "disk", told).await;
    let nanoseconds: u64 = steps.iter().map(|step| step.ended - step.began).sum();
    let waited: f64 = request.says("tidegate.disk.waited_ms").parse().unwrap();
    assert!(
        waited * 1e6 + 1e3 >= nanoseconds as f64,
        "{waited} ms, {steps:#?}"
    );
    assert_eq!(names(&collector.steps_of(request))[0], "index");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_on_with_a_body_is_told_too() {
    let collector = Collector::start().await;
    let origin = Origin::with(Script::new(1210, 100)).await;
    let gate = telling(&collector, &origin, |_| ()).await;
    let mut post = Request::new("POST", "/film");
    post.body = b"abc".to_vec();
    assert_eq!(gate.ask(post).await.status(), 200);
    let request = &collector.requests(1).await[0];
    assert_eq!(request.name, "POST");
    let [asked] = &collector.steps(request, "origin", 1).await[..] else {
        unreachable!()
    };
    assert_eq!(asked.says("http.request.method"), "POST");
    assert_eq!(asked.says("http.response.body.size"), "100");
    let said = origin.log()[0].header("traceparent").unwrap().to_owned();
    assert!(
        said.contains(&asked.id) && said.contains(&asked.trace),
        "{said}"
    );
}
