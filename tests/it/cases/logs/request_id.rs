//! The name of a request: the same for all who have to do with it.

use super::Scene;
use crate::{
    client::Request,
    gate::CHUNK,
    origin::{Origin, Script},
};
use tidegate::{domain::Trust, logs::Format};

const FIELD: &str = "X-Request-Id";
const GIVEN: &str = "0b5c4d9e-given";

async fn scene(trust: Trust, trusted: &str) -> (Origin, Scene) {
    let origin = Origin::with(Script::new(1620, 8 * CHUNK)).await;
    let scene = Scene::new(&origin, Format::Json, |settings| {
        settings.clients.trusted_proxies = vec![trusted.parse().unwrap()];
        settings.clients.request_id.trust = trust;
    })
    .await;
    (origin, scene)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_taken_over_from_those_who_are_trusted() {
    let table = [
        (Trust::Proxies, "127.0.0.0/8", true),
        (Trust::Proxies, "192.0.2.0/24", false),
        (Trust::Everybody, "192.0.2.0/24", true),
        (Trust::Nobody, "127.0.0.0/8", false),
    ];
    for (trust, trusted, taken) in table {
        let (origin, scene) = scene(trust, trusted).await;
        let named = |request: Request| request.header(FIELD, GIVEN);
        // A miss, and a part that a fill brings in.
        let near = named(Request::get("/film").bytes(0, 9));
        let far = named(Request::get("/film").bytes(6 * CHUNK, 6 * CHUNK + 9));
        let entries = [scene.ask(near).await, scene.ask(far).await];
        let seen = origin.settled().await;
        assert_eq!(seen.len(), 2);
        for (entry, seen) in entries.iter().zip(&seen) {
            let id = entry["id"].as_str().unwrap();
            assert_eq!(id == GIVEN, taken, "{trust:?} {trusted}: {id}");
            let lines = seen.headers.iter();
            let lines = lines.filter(|(name, _)| name.eq_ignore_ascii_case(FIELD));
            let told: Vec<_> = lines.map(|(_, told)| told.as_str()).collect();
            assert_eq!(told, [id], "{seen:?}");
        }
        assert_eq!(entries[0]["id"] == entries[1]["id"], taken);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_it_where_they_are_to_know() {
    let origin = Origin::with(Script::new(1621, CHUNK)).await;
    for (show, explain) in [(true, false), (false, true), (false, false)] {
        let scene = Scene::new(&origin, Format::Json, |settings| {
            settings.clients.request_id.show = show;
            settings.routes[0].debug_headers = explain;
        })
        .await;
        let requests = [
            Request::get("/film"),
            Request::get("/film"),
            Request::new("TRACE", "/film"),
        ];
        for (nth, request) in requests.into_iter().enumerate() {
            let answer = scene.gate.ask(request).await;
            let entry = &scene.entries(nth + 1).await[nth];
            let id = entry["id"].as_str().filter(|_| show || explain);
            assert_eq!(answer.head.header(FIELD), id, "{answer}");
        }
    }
}
