//! SIGHUP: what can change does at once, what can't is named, and a wrong file changes nothing.

use super::upgrade::{Scene, check, check_hit};
use crate::{
    client::{Answer, Client, Request},
    gate::{CHUNK, allocated},
    model::Object,
    origin::{Script, Valve},
    patience::within,
};

/// The configuration with a section more, or with other words in it.
struct Edit<'a>(&'a str, &'a str);

impl Scene {
    fn edit(&self, Edit(from, to): Edit) {
        let text = self.configuration("1GiB");
        assert!(text.contains(from), "{from:?} in:\n{text}");
        self.configure(&text.replace(from, to));
    }
}

fn with_clients(keys: &str) -> String {
    format!("clients: {{{keys}}}\nroutes:\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_change_does_at_once() {
    let (scene, _, mut tidegate) = Scene::with_film(920).await;
    type Probe = fn(&Answer) -> bool;
    let get = Request::get("/film");
    let many = (0..20).fold(get.clone(), |request, nth| {
        request.header(&format!("X-{nth}"), "a")
    });
    let cases: [(String, Request, Probe); 5] = [
        (with_clients("max_header_fields: 10"), many, |answer| {
            answer.status() == 431
        }),
        (
            with_clients("rate: {requests: 1/h, burst: 1}"),
            get.clone(),
            |answer| answer.status() == 429,
        ),
        (
            with_clients("max_ranges: 1"),
            get.clone().range("bytes=0-1,10-11"),
            |answer| answer.status() == 200,
        ),
        (
            with_clients("purge_from: [192.0.2.1]"),
            Request::new("PURGE", "/film"),
            |answer| answer.status() == 403,
        ),
        // The last: it empties the cache.
        ("cache_version".into(), get, |answer| {
            !answer.head.cache_status().is_hit()
        }),
    ];
    for (nth, (to, request, is_so)) in cases.iter().enumerate() {
        if request.method != "PURGE" {
            let before = tidegate.ask(request.clone()).await;
            assert!(!is_so(&before), "{to} before the reload: {before}");
        }
        match &**to {
            "cache_version" => scene.edit(Edit("max_size:", "version: 2\n  max_size:")),
            section => scene.edit(Edit("routes:\n", section)),
        }
        tidegate.signal(tidegate.current(), "HUP");
        tidegate.said("all else is as configured", nth + 1).await;
        tidegate.ask(request.clone()).await;
        let after = tidegate.ask(request.clone()).await;
        // A cache that is empty has the film again by the second request.
        let is_so =
            is_so(&after) || to == "cache_version" && scene.origin.asked("/film").len() == 2;
        assert!(is_so, "{to} after the reload: {after}");
    }
    assert!(!tidegate.log().iter().any(|line| line.contains("SIGUSR2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_budget_is_kept_at_once() {
    let scene = Scene::new("1GiB").await;
    let mut tidegate = scene.run().await;
    let films = Vec::from_iter((0..8).map(|nth| {
        let target = format!("/{nth}");
        let film = scene.put(&target, 930 + nth, 2 << 20);
        (target, film)
    }));
    for (target, film) in &films {
        check(&tidegate, target, film).await;
    }
    scene.origin.settled().await;
    scene.edit(Edit("1GiB", "4MiB"));
    tidegate.signal(tidegate.current(), "HUP");
    tidegate.said("all else is as configured", 1).await;
    let cache = scene.cache();
    let shrunk = async {
        while allocated(&cache) > 4 << 20 {
            tokio::task::yield_now().await;
        }
    };
    within("the store to shrink", shrunk).await;
    for (target, film) in &films {
        check(&tidegate, target, film).await;
        assert!(allocated(&cache) <= 4 << 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_new_process_is_named_and_an_upgrade_brings_it() {
    let (scene, film, mut tidegate) = Scene::with_film(940).await;
    scene.edit(Edit(
        "admin:\n",
        "  - address: 127.0.0.2:0\nserver: {threads: 3}\nadmin:\n",
    ));
    tidegate.signal(tidegate.current(), "HUP");
    let named = tidegate
        .said("can't change while the process runs", 1)
        .await;
    assert!(
        named.contains("reload: server.threads, listen can't"),
        "{named}"
    );
    assert!(named.contains("SIGUSR2"), "{named}");
    check_hit(&tidegate, "/film", &film).await;
    tidegate.upgrade().await;
    let line = tidegate.said("listening on http://127.0.0.2:", 1).await;
    let (_, address) = line.split_once("http://").unwrap();
    let answer = Client::connect(address.trim().parse().unwrap())
        .await
        .ask(&Request::get("/film"))
        .await;
    assert!(answer.status() == 200 && answer.is_whole(), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_file_changes_nothing_and_says_why_while_an_answer_goes_on() {
    let scene = Scene::new("1GiB").await;
    let valve = Valve::at(CHUNK);
    let script = Script {
        valve: Some(valve.clone()),
        ..Script::new(950, 8 * CHUNK)
    };
    let film = Object::from(&script);
    scene.origin.put("/film", script);
    let mut tidegate = scene.run().await;
    let mut client = Client::connect(tidegate.address).await;
    client.send(&Request::get("/film")).await.unwrap();
    client.head().await.unwrap();
    let mut body = client.at_least(CHUNK as usize).await.unwrap();
    for (nth, (from, to, why)) in [
        (
            "routes:\n",
            "clients: {max_ranges: none}\nroutes:\n",
            "clients.max_ranges",
        ),
        ("origins: [media]", "origins: [nobody]", "routes[0].origins"),
        ("admin:\n", "unheard_of: 1\nadmin:\n", "unheard_of"),
    ]
    .into_iter()
    .enumerate()
    {
        scene.edit(Edit(from, to));
        tidegate.signal(tidegate.current(), "HUP");
        tidegate.said("nothing is changed", nth + 1).await;
        tidegate.said(why, 1).await;
    }
    let counted = async {
        loop {
            let mut operator = Client::connect(tidegate.admin).await;
            let page = operator.ask(&Request::get("/metrics")).await;
            let page = String::from_utf8(page.body).unwrap();
            if page.contains("tidegate_reloads_total{outcome=\"refused\"} 3\n") {
                break;
            }
        }
    };
    within("all refusals to be counted", counted).await;
    valve.open();
    let (rest, cut) = client.rest().await;
    body.extend(rest);
    assert!(cut.is_none(), "{cut:?}");
    assert_eq!(body.len() as u64, film.size);
    film.content.verify(0, &body).unwrap();
}
