//! Use of what is not fresh any more (RFC 9111, section 4.2.4; RFC 5861).

use super::exchange::{Case, case, get, play, play_with};
use crate::{
    client::Request,
    failover,
    gate::Gate,
    origin::{Origin, Script},
};
use std::time::Duration;

const SIZE: u64 = 1000;

/// What becomes of a stale answer while the origin fails.
fn failing(control: &'static str, status: u16) -> Case {
    let first = get()
        .says(&[("Cache-Control", control), ("Age", "700")])
        .tagged()
        .asks();
    let then = get().says(&[]).answers(503).status(status);
    case(
        control,
        [first, if status == 200 { then.gives(1) } else { then }],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_if_error_helps_within_its_time() {
    play([
        failing("max-age=600, stale-if-error=3600", 200),
        failing("max-age=600, stale-if-error=50", 503),
        failing("max-age=600", 503),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stale_is_used_where_that_is_forbidden() {
    let forbidden = [
        "max-age=600, stale-if-error=3600, must-revalidate",
        "max-age=600, stale-if-error=3600, proxy-revalidate",
        "s-maxage=600, stale-if-error=3600",
        "no-cache, stale-if-error=3600",
    ];
    for control in forbidden {
        play([failing(control, 503)]).await;
    }
    let generous = |settings: &mut tidegate::server::Settings| {
        let rules = &mut settings.routes[0].freshness;
        rules.stale_if_error = Duration::from_secs(3600);
        rules.stale_while_revalidate = Duration::from_secs(3600);
    };
    play_with(
        generous,
        [
            failing("max-age=600, must-revalidate", 503),
            failing("max-age=600", 200),
        ],
    )
    .await;
}

fn stale(control: &'static str) -> Script {
    Script {
        cache_control: Some(control),
        headers: vec![("Age", "700".into())],
        ..Script::new(1, SIZE)
    }
}

/// What becomes of each of these where the origin is gone.
const CUT_OFF: [(&str, u16); 7] = [
    ("max-age=600, must-revalidate, stale-if-error=3600", 504),
    ("max-age=600, proxy-revalidate", 504),
    ("s-maxage=600", 504),
    ("no-cache, max-age=600", 504),
    ("max-age=600, stale-if-error=3600", 200),
    ("max-age=600, stale-if-error=50", 502),
    ("max-age=600", 502),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_is_gone_is_a_gateway_timeout() {
    for (control, expected) in CUT_OFF {
        let origin = Origin::with(stale(control)).await;
        let gate = Gate::before(&origin).await;
        gate.get("/film").await;
        origin.settled().await;
        drop(origin);
        let answer = gate.get("/film").await;
        assert_eq!(answer.status(), expected, "{control}: {answer}");
        assert_eq!(gate.get("/other").await.status(), 502, "{control}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_is_left_alone_is_a_gateway_timeout() {
    for (control, expected) in CUT_OFF {
        let origin = Origin::with(stale(control)).await;
        origin.put("/broken", failover::failing(500));
        let gate = Gate::with(&origin, |settings| {
            failover::no_repetition(settings);
            let breaker = &mut settings.origins[0].breaker;
            (breaker.failures, breaker.open) = (1, Duration::from_secs(60));
        })
        .await;
        gate.get("/film").await;
        gate.get("/broken").await;
        let before = origin.settled().await.len();
        let answer = gate.get("/film").await;
        let expected = if expected == 502 { 503 } else { expected };
        assert_eq!(answer.status(), expected, "{control}: {answer}");
        let after = answer.head.header("retry-after");
        assert_eq!(after.is_some(), expected != 200, "{control}: {answer}");
        assert_eq!(gate.get("/other").await.status(), 503, "{control}");
        assert_eq!(origin.settled().await.len(), before, "{control}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_while_revalidate_asks_behind_the_answer() {
    let origin = Origin::with(stale("max-age=600, stale-while-revalidate=3600")).await;
    let gate = Gate::before(&origin).await;
    gate.get("/film").await;
    origin.settled().await;
    origin.change("/film", |script| {
        script.cache_control = Some("max-age=600");
        script.headers.clear();
    });
    let answer = gate.get("/film").await;
    assert!(answer.head.cache_status().is_hit(), "{answer}");
    let age: u64 = answer.head.header("age").unwrap().parse().unwrap();
    assert!(age >= 700, "{answer}");
    let log = origin.wait_for("a question", |log| log.len() == 2).await;
    assert_eq!(log[1].header("if-none-match"), Some("\"v1\""), "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_while_revalidate_ends() {
    let ended = "max-age=600, stale-while-revalidate=50";
    let forbidden = "max-age=600, stale-while-revalidate=3600, must-revalidate";
    for control in [
        ended,
        forbidden,
        "s-maxage=600, stale-while-revalidate=3600",
    ] {
        let origin = Origin::with(stale(control)).await;
        let gate = Gate::before(&origin).await;
        gate.get("/film").await;
        origin.settled().await;
        let answer = gate.ask(Request::get("/film")).await;
        assert!(!answer.head.cache_status().is_hit(), "{control}: {answer}");
        assert_eq!(origin.settled().await.len(), 2, "{control}");
    }
}
