//! Derivatives: however they are spelled, each is one object and one request to the origin.

use super::{SIZE, assert_one_object, gate, origin_with, targets, verify};
use crate::{
    client::{Client, Request},
    gate::Gate,
    model::Object,
    origin::{Origin, Script},
};
use tidegate::{
    config,
    domain::{OnBad, Template},
    proxy::Route,
};

/// A route's variants as a configuration would have them.
fn variants(route: &mut Route, on_bad: OnBad) {
    let text = r#"
listen: [{address: 127.0.0.1:1}]
cache: {directory: /nowhere}
origins: {media: {servers: [{url: "http://x"}]}}
routes:
  - path: /
    origins: [media]
    key: {query: [v]}
    variants:
      parameters:
        width: {type: integer, aliases: [imwidth, w], max: 4096, breakpoints: [320, 720, 1080]}
        fit: {type: word, allowed: [contain, cover], ignore_case: true, default: contain}
        time: {type: duration, aliases: [t]}
      derivative:
        aliases: [d]
        named: {thumb: {width: 320, time: 5s}}
"#;
    let settings = config::parse(text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    *route = settings.routes[0].clone();
    route.variants.on_bad = on_bad;
}

async fn refusing(origin: &Origin) -> Gate {
    gate(origin, |route| variants(route, OnBad::Refuse)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn spellings_of_one_derivative_are_one_object() {
    let own = "/film?v=1&fit=cover&time=10s&width=720";
    let (origin, object) = origin_with(760, &[own]).await;
    let gate = refusing(&origin).await;
    let spellings = [
        "/film?imwidth=700&t=00:10&fit=COVER&v=1",
        "/film?v=1&fit=cover&time=10s&width=720",
        "/film?d=thumb&w=0720&time=10000ms&v=1&f%69t=Cover&noise=%3Cscript%3E",
        "/film?%77=%37%31%39&v=1&t=00%3A00%3A10.0&fit=cover&fit=COVER",
    ];
    assert_one_object(&origin, &gate, &object, &spellings).await;
    assert_eq!(targets(&origin.log())[0], own);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_derivative_of_defaults_is_the_one_without_parameters() {
    let (origin, object) = origin_with(770, &["/film?fit=contain"]).await;
    let gate = refusing(&origin).await;
    let spellings = ["/film", "/film?fit=CONTAIN", "/film?x=y", "/film?"];
    assert_one_object(&origin, &gate, &object, &spellings).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn breakpoints_tell_derivatives_apart() {
    let origin = Origin::start().await;
    let gate = refusing(&origin).await;
    let mut objects = Vec::new();
    for (nth, width) in [320, 720, 1080].into_iter().enumerate() {
        let script = Script::new(780 + nth as u64, SIZE);
        objects.push(Object::from(&script));
        origin.put(&format!("/film?fit=contain&width={width}"), script);
    }
    for (width, object) in [(1, 0), (320, 0), (321, 1), (720, 1), (721, 2), (4096, 2)] {
        verify(
            &objects[object],
            &gate.get(&format!("/film?w={width}")).await,
        );
    }
    assert_eq!(origin.settled().await.len(), 3, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_values_are_refused_before_anybody_is_asked() {
    let (origin, _) = origin_with(790, &["/film?fit=contain"]).await;
    let gate = refusing(&origin).await;
    for query in [
        "w=5000",
        "w=x",
        "w=-1",
        "fit=fill",
        "t=1:99",
        "d=poster",
        "w=1&w=999",
        "width=",
    ] {
        let answer = gate.get(&format!("/film?{query}")).await;
        assert_eq!(answer.status(), 400, "{query}: {answer}");
        assert!(answer.head.cache_status().has("detail=variant"), "{answer}");
    }
    assert!(origin.log().is_empty(), "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_values_are_dropped_where_a_route_says_so() {
    let (origin, object) = origin_with(800, &["/film?fit=contain"]).await;
    let gate = gate(&origin, |route| variants(route, OnBad::Drop)).await;
    let spellings = [
        "/film?w=5000",
        "/film",
        "/film?fit=fill&t=1:99",
        "/film?w=1&w=999",
    ];
    assert_one_object(&origin, &gate, &object, &spellings).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_made_of_variants() {
    let (origin, object) = origin_with(810, &["/make/w=720,fit=contain/film?v=1&time=5s"]).await;
    let gate = gate(&origin, |route| {
        variants(route, OnBad::Refuse);
        let path = Template::parse("/make/w=${width},fit=${fit}/film").unwrap();
        route.origins[0].path = Some(path);
    })
    .await;
    let spellings = [
        "/film?w=700&v=1&t=5",
        "/film?d=thumb&imwidth=0720&v=1&x=2",
        "/film?v=1&time=5s&width=720&fit=contain",
    ];
    assert_one_object(&origin, &gate, &object, &spellings).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_writes_is_passed_on_in_its_own_words() {
    let own = "/f%69lm?w=0700&noise=1&t=x";
    let (origin, _) = origin_with(820, &[own]).await;
    let gate = refusing(&origin).await;
    let mut post = Request::new("POST", own);
    post.body = b"a form".to_vec();
    assert_eq!(gate.ask(post).await.status(), 200);
    assert_eq!(targets(&origin.settled().await), [own]);
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_shows_a_derivative_and_what_a_bad_one_gets() {
    let origin = Origin::start().await;
    let gate = refusing(&origin).await;
    let mut client = Client::operator(gate.admin_address()).await;
    let mut explain = async |query: &str| {
        let target = format!("/explain?url=http%3A%2F%2Fa.example%2Ffilm%3F{query}");
        let answer = client.ask(&Request::get(&target)).await;
        (answer.status(), String::from_utf8(answer.body).unwrap())
    };
    let (status, page) = explain("imwidth%3D700%26v%3D1").await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("/film?v=1&fit=contain&width=720"), "{page}");
    let (status, page) = explain("w%3D5000").await;
    assert_eq!(status, 400, "{page}");
    assert!(page.contains("clients get 400: width:"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_of_what_a_route_refuses_says_why() {
    let (origin, _) = origin_with(830, &["/film?fit=contain&width=720"]).await;
    let gate = refusing(&origin).await;
    gate.get("/film?w=720").await;
    let mut client = Client::operator(gate.admin_address()).await;
    let mut post = async |query: &str, soft: bool| {
        let mut request = Request::new("POST", "/purge").header("Content-Type", "application/json");
        let url = format!("http://media.test/film?{query}");
        request.body = format!(r#"{{"url":"{url}","soft":{soft}}}"#).into_bytes();
        let answer = client.ask(&request).await;
        (answer.status(), String::from_utf8(answer.body).unwrap())
    };
    for soft in [false, true] {
        let (status, page) = post("w=5000", soft).await;
        assert_eq!(status, 400, "{page}");
        assert!(page.contains("clients get 400"), "{page}");
        assert!(page.contains("width:"), "{page}");
    }
    let answer = gate.ask(Request::new("PURGE", "/film?w=5000")).await;
    assert_eq!(answer.status(), 400, "{answer}");
    assert!(answer.head.cache_status().has("detail=variant"), "{answer}");
    let stored = gate.get("/film?w=720").await;
    assert!(stored.head.cache_status().is_hit(), "{stored}");
    // What is no bad value is purged as ever: all derivatives of the film.
    let (status, page) = post("w=1", false).await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains(r#""objects":1"#), "{page}");
}
