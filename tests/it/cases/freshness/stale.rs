//! `freshness.stale_while_revalidate` and `stale_if_error`: what is given out past its freshness.

use super::{SLACK, route};
use crate::{
    cases::rfc9111::exchange::{Case, case, get, play_with},
    client::Answer,
    gate::Gate,
    model::{Expected, Object},
    origin::{Origin, Script},
    patience::within,
};

const WHILE_ASKING: &str = "freshness: {stale_while_revalidate: 1h}";

fn behind(name: &'static str, control: &'static str, past: u64) -> Case {
    let first = get().controls(control).tagged().aged(600 + past);
    let second = first.clone().once().validates("\"v1\"").gives(1);
    let second = second.contains("Cache-Status", "fwd=stale");
    case(name, [first.once().gives(1), second])
}

fn while_failing(control: &'static str, past: u64, status: u16) -> Case {
    let first = get().controls(control).tagged().aged(600 + past);
    let then = get().says(&[]).answers(503).of(2).status(status);
    let then = then.gives(if status == 200 { 1 } else { 2 });
    // And when it is back, it has the say.
    let back = first.clone().of(2).once().status(200).gives(2);
    case(control, [first.once().gives(1), then, back])
}

/// An object that is stale when it comes, before a route that gives it out all the same.
async fn scene(seed: u64) -> (Origin, Gate, Object) {
    let script = Script {
        cache_control: Some("max-age=600"),
        headers: vec![("Age", "700".into())],
        ..Script::new(seed, 300_000)
    };
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::with(&origin, route(WHILE_ASKING)).await;
    verify(&object, &gate.get("/film").await);
    origin.settled().await;
    (origin, gate, object)
}

fn verify(object: &Object, answer: &Answer) {
    let verdict = object.verify(&Expected::Whole, answer);
    verdict.unwrap_or_else(|wrong| panic!("{wrong}\n{answer}"));
}

fn age(answer: &Answer) -> u64 {
    let age = answer.head.header("age").and_then(|age| age.parse().ok());
    age.unwrap_or_else(|| panic!("no Age: {answer}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stale_is_given_out_while_the_origin_is_asked() {
    let (origin, gate, object) = scene(1).await;
    origin.change("/film", |script| script.headers.clear());
    let first = gate.get("/film").await;
    verify(&object, &first);
    assert!(first.head.cache_status().is_hit(), "{first}");
    assert!(age(&first) >= 700, "{first}");
    let renewed = async {
        loop {
            let answer = gate.get("/film").await;
            verify(&object, &answer);
            if age(&answer) < 700 {
                return answer;
            }
        }
    };
    let answer = within("the origin's word to count", renewed).await;
    assert!(answer.head.cache_status().is_hit(), "{answer}");
    let log = origin.settled().await;
    assert_eq!(
        (log.len(), log[1].status, log[1].sent),
        (2, 304, 0),
        "{log:#?}"
    );
    assert_eq!(log[1].header("if-none-match"), Some("\"v1\""), "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_changed_meanwhile_is_given_out_then() {
    let (origin, gate, object) = scene(2).await;
    origin.change("/film", |script| {
        script.headers.clear();
        script.content.version = 2;
    });
    let mut script = Script::new(2, object.size);
    script.content.version = 2;
    let new = Object::from(&script);
    let first = gate.get("/film").await;
    verify(&object, &first);
    assert!(first.head.cache_status().is_hit(), "{first}");
    let replaced = async {
        loop {
            let answer = gate.get("/film").await;
            if answer.head.header("etag") == Some("\"v2\"") {
                return answer;
            }
            verify(&object, &answer);
        }
    };
    verify(&new, &within("the new version", replaced).await);
    let last = gate.get("/film").await;
    verify(&new, &last);
    assert!(last.head.cache_status().is_hit(), "{last}");
    let log = origin.settled().await;
    let conditional = log.iter().filter(|seen| seen.is_conditional()).count();
    assert_eq!(conditional, 1, "{log:#?}");
    assert_eq!(origin.sent("/film"), 2 * object.size, "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_given_out_unasked_beyond_or_against_the_origins_word() {
    let forbidden = [
        "max-age=600, stale-while-revalidate=0",
        "max-age=600, must-revalidate",
        "max-age=600, proxy-revalidate",
        "s-maxage=600",
        "no-cache",
    ];
    let forbidden = forbidden.map(|said| behind(said, said, 100));
    let later = behind("beyond", "max-age=600", 3601);
    play_with(route(WHILE_ASKING), forbidden.into_iter().chain([later])).await;
    let default = behind("by default", "max-age=600", 1);
    play_with(|_| (), [default]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stale_stands_in_for_an_origin_that_fails() {
    let cases = [
        while_failing("max-age=600", 3600 - SLACK, 200),
        while_failing("max-age=600", 3601, 503),
        while_failing("max-age=600, stale-if-error=7200", 3601, 200),
        while_failing("max-age=600, stale-if-error=0", 100, 503),
        while_failing("max-age=600, must-revalidate", 100, 503),
        while_failing("max-age=600, proxy-revalidate", 100, 503),
        while_failing("s-maxage=600", 100, 503),
        while_failing("no-cache", 100, 503),
    ];
    for one in cases {
        // A gate for each, since a server that has failed too often is left alone.
        play_with(route("freshness: {stale_if_error: 1h}"), [one]).await;
    }
    let default = while_failing("max-age=600", 1, 503);
    play_with(|_| (), [default]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stale_stands_in_for_an_origin_that_is_gone() {
    for (past, expected) in [(3600 - SLACK, &[200][..]), (3601, &[502, 504])] {
        let script = Script {
            cache_control: Some("max-age=600"),
            headers: vec![("Age", (600 + past).to_string())],
            ..Script::new(3, 300_000)
        };
        let object = Object::from(&script);
        let origin = Origin::with(script).await;
        let gate = Gate::with(&origin, route("freshness: {stale_if_error: 1h}")).await;
        verify(&object, &gate.get("/film").await);
        origin.settled().await;
        drop(origin);
        let answer = gate.get("/film").await;
        assert!(expected.contains(&answer.status()), "{past}: {answer}");
        if answer.status() == 200 {
            verify(&object, &answer);
        }
    }
}
