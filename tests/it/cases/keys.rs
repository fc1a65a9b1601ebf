//! What tells objects apart: spellings that are one object, and inputs that are not in the key and
//! therefore can't change what others get.

mod poisoning;
mod variants;

use crate::{
    client::{Answer, Request},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Origin, Script, Seen},
};
use tidegate::{
    domain::Chosen,
    proxy::{KeyRules, Route},
};

/// Larger than what first contact brings for a range, so that fills have something to do.
const SIZE: u64 = 3 * CHUNK + 21;

/// A Tidegate whose only route is changed.
async fn gate(origin: &Origin, change: impl FnOnce(&mut Route)) -> Gate {
    Gate::with(origin, |settings| change(&mut settings.routes[0])).await
}

/// An object at each of these targets, the same behind all of them.
async fn origin_with(seed: u64, targets: &[&str]) -> (Origin, Object) {
    let script = Script::new(seed, SIZE);
    let object = Object::from(&script);
    let origin = Origin::start().await;
    for target in targets {
        origin.put(target, script.clone());
    }
    (origin, object)
}

fn verify(object: &Object, answer: &Answer) {
    let verdict = object.verify(&Expected::Whole, answer);
    verdict.unwrap_or_else(|wrong| panic!("{wrong}\n{answer}"));
}

fn targets(log: &[Seen]) -> Vec<&str> {
    log.iter().map(|seen| seen.target.as_str()).collect()
}

/// Asks for a part by the first spelling, so that a fill brings the rest for the second, and then
/// by all others: they are one object, and the origin is only ever asked by one name.
async fn assert_one_object(origin: &Origin, gate: &Gate, object: &Object, spellings: &[&str]) {
    let part = gate.bytes(spellings[0], 0, 9).await;
    assert_eq!((part.status(), part.body.len()), (206, 10), "{part}");
    verify(object, &gate.get(spellings[1]).await);
    let log = origin.settled().await;
    let sent: u64 = log.iter().map(|seen| seen.sent).sum();
    assert_eq!(sent, object.size, "{log:#?}");
    assert!(log.len() > 1, "no fill had to be made: {log:#?}");
    for spelling in spellings {
        let answer = gate.get(spelling).await;
        verify(object, &answer);
        assert!(answer.head.cache_status().is_hit(), "{spelling}: {answer}");
    }
    let log = origin.log();
    let first = targets(&log)[0];
    assert!(
        targets(&log).iter().all(|target| *target == first),
        "{log:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn spellings_of_one_path_are_one_object() {
    let (origin, object) = origin_with(700, &["/fi%2Flm?a=~"]).await;
    let gate = gate(&origin, |_| ()).await;
    let spellings = ["/f%69%2flm?%61=%7e", "/fi%2Flm?a=~", "/fi%2flm?a=%7E"];
    assert_one_object(&origin, &gate, &object, &spellings).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_origin_may_tell_apart_stays_apart() {
    let apart = [
        "/a/b",
        "/a//b",
        "/a%2Fb",
        "/a/./b",
        "/a/%2E/b",
        "/a/b?",
        "/a/b?c=+",
        "/a/b?c=%20",
    ];
    let origin = Origin::start().await;
    for (nth, target) in apart.iter().enumerate() {
        origin.put(target, Script::new(710 + nth as u64, SIZE));
    }
    let gate = gate(&origin, |_| ()).await;
    for (nth, target) in apart.iter().enumerate() {
        let object = Object::from(&Script::new(710 + nth as u64, SIZE));
        verify(&object, &gate.get(target).await);
    }
    let log = origin.settled().await;
    assert_eq!(targets(&log), apart, "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn spellings_of_one_host_are_one_object() {
    let (origin, object) = origin_with(720, &["/film"]).await;
    let gate = gate(&origin, |_| ()).await;
    for host in ["video.example", "VIDEO.example.:80", "video.example:"] {
        verify(
            &object,
            &gate.ask(Request::get("/film").header("Host", host)).await,
        );
    }
    let absolute = |host: &str| Request::get("http://VIDEO.example/film").header("Host", host);
    verify(&object, &gate.ask(absolute("VIDEO.example")).await);
    let torn = gate.ask(absolute("other.example")).await;
    assert_eq!(torn.status(), 400, "{torn}");
    assert_eq!(origin.settled().await.len(), 1);
    let other = Request::get("/film").header("Host", "other.example");
    verify(&object, &gate.ask(other).await);
    assert_eq!(origin.settled().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_share_objects_under_a_name_that_no_host_can_take() {
    let (origin, object) = origin_with(730, &["/film"]).await;
    let gate = Gate::with(&origin, |settings| {
        let all = settings.routes[0].clone();
        let mut shared = all.clone();
        let hosts = ["*.one.example", "two.example"];
        let pattern = |host| tidegate::domain::HostPattern::parse(host).unwrap();
        shared.hosts = hosts.map(pattern).to_vec();
        shared.key.host = Some("films".into());
        settings.routes = vec![shared, all];
    })
    .await;
    for host in ["a.one.example", "b.one.example", "two.example"] {
        verify(
            &object,
            &gate.ask(Request::get("/film").header("Host", host)).await,
        );
    }
    assert_eq!(origin.settled().await.len(), 1);
    verify(
        &object,
        &gate
            .ask(Request::get("/film").header("Host", "films"))
            .await,
    );
    assert_eq!(origin.settled().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_headers_and_cookies_tell_objects_apart() {
    let script = Script::new(740, SIZE).twisted(|seen, script| {
        let device = seen.header("x-device").unwrap_or_default();
        let cookie = seen.header("cookie").unwrap_or_default();
        script.content = crate::origin::variant(script.content, &format!("{device} {cookie}"));
    });
    let origin = Origin::with(script.clone()).await;
    let gate = gate(&origin, |route| {
        route.key = KeyRules {
            headers: vec!["x-device".parse().unwrap()],
            cookies: vec!["tier".into()],
            ..KeyRules::default()
        };
    })
    .await;
    let request = |device: &str, cookie: &str| {
        let request = Request::get("/film").header("X-Device", device);
        request.header("Cookie", cookie)
    };
    let object = |said: &str| {
        let mut object = Object::from(&script);
        object.content = crate::origin::variant(object.content, said);
        object
    };
    for _ in 0..2 {
        for (device, cookie, said) in [
            ("tv", "tier=gold; session=1", "tv tier=gold"),
            (" tv ", "session=2; tier=gold", "tv tier=gold"),
            ("phone", "tier=gold", "phone tier=gold"),
            ("tv", "tier=free", "tv tier=free"),
            ("tv", "session=3", "tv "),
        ] {
            let part = gate.ask(request(device, cookie).bytes(0, 9)).await;
            assert_eq!(part.status(), 206, "{part}");
            verify(&object(said), &gate.ask(request(device, cookie)).await);
        }
    }
    let sent: u64 = origin.settled().await.iter().map(|seen| seen.sent).sum();
    assert_eq!(sent, 4 * SIZE, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_key_can_be_made_of_is_passed_on() {
    let (origin, object) = origin_with(750, &["/film"]).await;
    let gate = gate(&origin, |route| {
        route.key.headers = vec!["x-device".parse().unwrap()];
        route.key.query.chosen = Chosen::None;
    })
    .await;
    for nth in 1..=2 {
        for value in ["tv\u{e9}".to_owned(), "x".repeat(2000)] {
            let answer = gate
                .ask(Request::get("/film?a").header("X-Device", value))
                .await;
            verify(&object, &answer);
            let status = answer.head.cache_status();
            assert_eq!(status.forward(), Some("bypass"), "{answer}");
            assert!(status.has("detail=key"), "{answer}");
        }
        assert_eq!(origin.settled().await.len(), 2 * nth);
    }
    let part = Request::get("/film")
        .bytes(5, 9)
        .header("X-Device", "x".repeat(2000));
    let part = gate.ask(part).await;
    assert_eq!((part.status(), part.body.len()), (206, 5), "{part}");
}
