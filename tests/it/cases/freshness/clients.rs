//! `freshness.set_cookie` and `client_control`: what cookies and clients change.

use super::{lasts, route, unkept};
use crate::{
    cases::rfc9111::exchange::{Case, Step, case, get, play_with},
    client::{Client, Request},
    gate::Gate,
    model::{Expected, Object},
    origin::{Origin, Script, Valve},
    patience::within,
};
use tokio::task::JoinSet;

fn cookie(field: &'static str, value: &str) -> Step {
    let step = get().says(&[(field, value), ("Set-Cookie", "a=1")]);
    step.has("Set-Cookie", "a=1")
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_set_cookies_are_kept_where_they_are_for_everybody() {
    let control = "Cache-Control";
    for keys in ["", "freshness: {set_cookie: false}"] {
        let kept = [
            lasts("public", 600, cookie(control, "public, max-age=600")),
            lasts("s-maxage", 600, cookie(control, "s-maxage=600")),
            lasts("CDN", 600, cookie("CDN-Cache-Control", "max-age=600")),
        ];
        let own = unkept("max-age", cookie(control, "max-age=600"));
        play_with(route(keys), kept.into_iter().flatten().chain([own])).await;
    }
    let own = unkept("ttl", cookie("X-None", "1"));
    play_with(route("ttl: {ok: 5m}"), [own]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_set_cookies_are_kept_where_the_route_says_so() {
    let kept = [
        lasts("max-age", 600, cookie("Cache-Control", "max-age=600")),
        lasts("ttl", 300, cookie("X-None", "1")),
    ];
    let others = [
        unkept("private", cookie("Cache-Control", "private, max-age=600")),
        unkept("no-store", cookie("Cache-Control", "no-store")),
    ];
    let keys = "ttl: {ok: 5m}\nfreshness: {set_cookie: true}";
    play_with(route(keys), kept.into_iter().flatten().chain(others)).await;
}

/// A client that says something to what has half of its freshness left.
fn says(field: &str, value: &'static str, then: impl FnOnce(Step) -> Step) -> Case {
    let first = get().controls("max-age=3600").tagged().aged(1800);
    let second = then(first.clone().of(2).field(field, value));
    case(value, [first.once().gives(1), second])
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_have_a_say_where_the_route_leaves_it_to_them() {
    let new = |step: Step| step.once().validates("\"v1\"").gives(2);
    for keys in ["", "freshness: {client_control: true}"] {
        let insisting = ["no-cache", "max-age=0", "max-age=1000", "min-fresh=2000"];
        let mut cases = Vec::from(insisting.map(|said| says("Cache-Control", said, new)));
        cases.push(says("Pragma", "no-cache", new));
        cases.push(says("Cache-Control", "max-age=3000", |step| {
            step.hits().gives(1)
        }));
        let stale = get().controls("max-age=3600").tagged().aged(3700);
        let tolerant = stale.clone().of(2).field("Cache-Control", "max-stale");
        let tolerant = tolerant.hits().gives(1);
        cases.push(case("max-stale", [stale.once().gives(1), tolerant]));
        let unknown = get().says(&[]).field("Cache-Control", "only-if-cached");
        cases.push(case("only-if-cached", [unknown.hits().status(504)]));
        play_with(route(keys), cases).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_have_no_say_where_the_route_says_so() {
    let said = [
        ("Cache-Control", "no-cache"),
        ("Cache-Control", "no-store"),
        ("Cache-Control", "max-age=0"),
        ("Cache-Control", "max-age=1000"),
        ("Cache-Control", "min-fresh=2000"),
        ("Pragma", "no-cache"),
    ];
    let mut cases =
        Vec::from(said.map(|(field, said)| says(field, said, |step| step.hits().gives(1))));
    let first = get().controls("max-age=600").tagged();
    cases.push(case(
        "no-store at first",
        [
            first
                .clone()
                .field("Cache-Control", "no-store")
                .once()
                .gives(1),
            first.clone().of(2).hits().gives(1),
        ],
    ));
    let stale = first.clone().aged(700);
    let tolerant = stale.clone().of(2).field("Cache-Control", "max-stale");
    let tolerant = tolerant.once().validates("\"v1\"").gives(2);
    cases.push(case("max-stale", [stale.once().gives(1), tolerant]));
    let unknown = first.field("Cache-Control", "only-if-cached");
    cases.push(case(
        "only-if-cached",
        [unknown.once().status(200).gives(1)],
    ));
    play_with(route("freshness: {client_control: false}"), cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_insists_costs_one_conditional_request() {
    const CLIENTS: usize = 40;
    let script = Script::new(4, 300_000);
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::with(&origin, route("freshness: {client_control: true}")).await;
    gate.get("/film").await;
    origin.settled().await;
    let valve = Valve::at(0);
    origin.change("/film", |script| {
        script.valve = Some(valve.clone());
        script.holds_head = true;
    });
    let mut crowd = JoinSet::new();
    for _ in 0..CLIENTS {
        let address = gate.address();
        crowd.spawn(async move {
            let insists = Request::get("/film").header("Cache-Control", "no-cache");
            Client::connect(address).await.ask(&insists).await
        });
    }
    let arrived = async {
        while gate.metric("tidegate_requests_active").await < CLIENTS as f64 {
            tokio::task::yield_now().await;
        }
    };
    within("the crowd to arrive", arrived).await;
    origin.wait_for("a question", |log| log.len() > 1).await;
    valve.open();
    for answer in crowd.join_all().await {
        let verdict = object.verify(&Expected::Whole, &answer);
        verdict.unwrap_or_else(|wrong| panic!("{wrong}\n{answer}"));
    }
    let log = origin.settled().await;
    let questions: Vec<_> = log[1..]
        .iter()
        .map(|seen| (seen.status, seen.sent))
        .collect();
    assert_eq!(questions, [(304, 0)], "{log:#?}");
}
