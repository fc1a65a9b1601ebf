//! Inputs that are in no key don't choose what others get.

use super::{SIZE, gate, targets, verify};
use crate::{
    client::{H2, Request},
    gate::Gate,
    model::Object,
    origin::{Origin, Script, Seen, variant},
};
use tidegate::domain::Chosen;

/// An origin that lets itself be told what to answer by anything in a request.
fn gullible(seen: &Seen, script: &mut Script) {
    let mut told = String::new();
    for (name, value) in &seen.headers {
        let name = name.to_ascii_lowercase();
        if MISLEADING
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(&name))
        {
            told.push_str(value);
        }
    }
    let noise = seen
        .target
        .split(['?', '&'])
        .find(|p| p.starts_with("utm_"));
    told.push_str(noise.unwrap_or_default());
    if !told.is_empty() {
        script.content = variant(script.content, &told);
    }
}

const MISLEADING: [(&str, &str); 14] = [
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Scheme", "nothttps"),
    ("X-Forwarded-Proto", "gopher"),
    ("X-Forwarded-Port", "1"),
    ("X-Forwarded-Server", "evil.example"),
    ("X-Forwarded-Prefix", "/evil"),
    ("Forwarded", "for=10.0.0.1;host=evil.example"),
    ("X-Original-URL", "/evil"),
    ("X-Rewrite-URL", "/evil"),
    ("X-HTTP-Method-Override", "POST"),
    ("X-HTTP-Method", "POST"),
    ("X-Method-Override", "POST"),
    ("X-Host", "evil.example"),
    ("X-Original-Host", "evil.example"),
];

/// Both targets of the origin have what is honest as long as nobody is misled.
async fn scene(seed: u64) -> (Origin, Object) {
    let script = Script::new(seed, SIZE);
    let object = Object::from(&script);
    let origin = Origin::start().await;
    for target in ["/film", "/film?utm_source=evil"] {
        origin.put(target, script.clone().twisted(gullible));
    }
    (origin, object)
}

/// The attacker comes first, for a part, so that both first contact and a fill are misled.
async fn attack(gate: &Gate, attacker: &Request, object: &Object) {
    let part = gate.ask(attacker.clone().bytes(0, 9)).await;
    assert_eq!(part.status(), 206, "{part}");
    verify(object, &gate.ask(attacker.clone()).await);
    verify(object, &gate.get("/film").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_are_not_in_the_key_do_not_reach_the_origin() {
    for (name, value) in MISLEADING {
        let (origin, object) = scene(830).await;
        let gate = gate(&origin, |_| ()).await;
        let attacker = Request::get("/film").header(name, value);
        attack(
            &gate,
            &attacker.header("X-Forwarded-For", "10.0.0.1"),
            &object,
        )
        .await;
        for seen in origin.settled().await {
            assert_eq!(seen.header(name), None, "{seen:#?}");
            assert_eq!(
                seen.header("x-forwarded-for"),
                Some("10.0.0.1"),
                "{seen:#?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_are_not_in_the_key_do_not_reach_the_origin_over_http_2() {
    let (origin, object) = scene(840).await;
    let gate = gate(&origin, |_| ()).await;
    let client = H2::connect(gate.address(), 1 << 20).await;
    let mut attacker = Request::get("/film");
    for (name, value) in MISLEADING {
        attacker = attacker.header(&name.to_ascii_lowercase(), value);
    }
    verify(&object, &client.ask(&attacker).await);
    verify(&object, &gate.get("/film").await);
    origin.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_are_not_in_the_key_do_not_reach_the_origin() {
    for rule in 0..4 {
        let (origin, object) = scene(850 + rule).await;
        let gate = gate(&origin, |route| {
            let query = &mut route.key.query;
            match rule {
                0 => query.chosen = Chosen::None,
                1 => query.chosen = Chosen::Only(vec!["v".into()]),
                2 => query.ignores_tracking = true,
                _ => query.ignored = vec!["utm_source".into()],
            }
        })
        .await;
        attack(&gate, &Request::get("/film?utm_sourc%65=evil"), &object).await;
        let log = origin.settled().await;
        assert!(
            targets(&log).iter().all(|target| *target == "/film"),
            "{log:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_in_the_key_misleads_only_those_who_send_it() {
    let (origin, object) = scene(860).await;
    let gate = gate(&origin, |route| {
        route.key.headers = vec!["x-forwarded-host".parse().unwrap()];
    })
    .await;
    let mut other = object.clone();
    other.content = variant(object.content, "b.example");
    let request = Request::get("/film").header("X-Forwarded-Host", "b.example");
    for _ in 0..2 {
        verify(&other, &gate.ask(request.clone()).await);
        verify(&object, &gate.get("/film").await);
    }
    assert_eq!(origin.settled().await.len(), 2, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_origin_says_of_one_signature_is_not_said_to_others() {
    let script = Script::new(870, SIZE);
    let object = Object::from(&script);
    let origin = Origin::start().await;
    origin.put("/film?X-Amz-Signature=good", script.clone());
    let refusal = Script {
        status: 403,
        ..script
    };
    origin.put("/film?X-Amz-Signature=bad", refusal);
    let gate = gate(&origin, |route| route.key.query.ignores_signatures = true).await;
    let refused = gate.get("/film?X-Amz-Signature=bad").await;
    assert_eq!(refused.status(), 403, "{refused}");
    assert!(!refused.head.cache_status().has("stored"), "{refused}");
    verify(&object, &gate.get("/film?X-Amz-Signature=good").await);
    let hit = gate.get("/film?X-Amz-Signature=bad").await;
    verify(&object, &hit);
}
