//! What requests that change something put out of date (RFC 9111, section 4.4).

use super::exchange::{Case, Step, case, get, play, with};
use crate::{
    client::{Client, Head, Request},
    gate::{CHUNK, Gate},
    origin::{Origin, Script, Valve},
    patience::within,
};
use tokio::sync::watch;

const SIZE: u64 = 2 * CHUNK;

fn stored(place: &str) -> Step {
    get().at(place).controls("max-age=600").asks()
}

fn change(method: &str) -> Step {
    with(method).controls("no-cache").asks()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_puts_its_target_out_of_date() {
    play(
        ["POST", "PUT", "DELETE", "PATCH", "MKCOL", "UNHEARDOF"]
            .map(|method| case("a change", [stored("film"), change(method), get().asks()])),
    )
    .await;
    play([200, 201, 303].map(|status| {
        case(
            "any good answer",
            [stored("film"), change("POST").answers(status), get().asks()],
        )
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_and_failing_change_nothing() {
    let reads = ["OPTIONS", "HEAD"].map(|method| {
        case(
            "a read",
            [
                stored("film"),
                with(method).says(&[]).status(200),
                get().hits(),
            ],
        )
    });
    let fails = [400, 404, 409].map(|status| {
        case(
            "an error",
            [
                stored("film"),
                change("POST").answers(status).status(status),
                get().hits(),
            ],
        )
    });
    play(reads.into_iter().chain(fails)).await;
}

fn named(name: &'static str, field: &'static str, value: &str) -> [Step; 3] {
    let says = with("POST")
        .at(name)
        .says(&[(field, value)])
        .answers(201)
        .asks();
    [stored("named"), stored("named?a=1"), says]
}

fn by(name: &'static str, field: &'static str, value: &str, then: [Step; 2]) -> Case {
    let steps: Vec<_> = named("form", field, value)
        .into_iter()
        .chain(then)
        .collect();
    case(name, steps)
}

#[tokio::test(flavor = "multi_thread")]
async fn places_that_a_change_names_are_out_of_date() {
    let plain = || get().at("named");
    let query = || get().at("named?a=1");
    play(
        ["Location", "Content-Location"]
            .map(|field| by("relative", field, "named", [plain().asks(), query().hits()])),
    )
    .await;
    play([by(
        "with a query",
        "Location",
        "named?a=1",
        [plain().hits(), query().asks()],
    )])
    .await;
    play([by(
        "absolute",
        "Location",
        "http://media.test/0/named",
        [plain().asks(), query().hits()],
    )])
    .await;
    play([
        by(
            "on another host",
            "Location",
            "http://other.test/0/named",
            [plain().hits(), query().hits()],
        ),
        by(
            "not a place",
            "Content-Location",
            "http://[",
            [plain().hits(), query().hits()],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_variants_are_out_of_date() {
    let ask = |language: &str| get().field("X-Kind", language);
    let varied = [("Cache-Control", "max-age=600"), ("Vary", "X-Kind")];
    play([case(
        "variants",
        [
            ask("a").says(&varied).asks(),
            ask("b").asks(),
            ask("a").hits(),
            change("PUT"),
            ask("a").says(&varied).asks(),
            ask("b").asks(),
        ],
    )])
    .await;
}

/// Answers to GET that are held back where they are of the first version.
struct Held {
    origin: Origin,
    valve: Valve,
    /// How many have been held.
    count: watch::Receiver<usize>,
}

impl Held {
    async fn film(script: Script) -> Self {
        let (count, held) = watch::channel(0);
        let valve = Valve::at(0);
        let origin = Origin::start().await;
        let stop = valve.clone();
        let script = script.twisted(move |seen, script| match seen.method.as_str() {
            "GET" if script.content.version == 1 => {
                (script.valve, script.holds_head) = (Some(stop.clone()), true);
                count.send_modify(|count| *count += 1);
            }
            "GET" => {}
            _ => (script.status, script.cache_control) = (204, None),
        });
        origin.put("/film", script);
        Self {
            origin,
            valve,
            count: held,
        }
    }

    /// Asks for the film, and waits until it has been decided what is answered.
    async fn ask(&mut self, gate: &Gate) -> Client {
        let before = *self.count.borrow();
        let mut client = gate.client().await;
        client.send(&Request::get("/film")).await.unwrap();
        let asked = self.count.wait_for(|count| *count > before);
        within("the question", asked).await.unwrap();
        client
    }

    /// Lets the answer go; it is whole.
    async fn let_go(&self, mut client: Client) -> Head {
        self.valve.open();
        let head = client.head().await.unwrap();
        let (body, cut) = client.rest().await;
        assert_eq!((body.len() as u64, cut), (SIZE, None), "{head:?}");
        head
    }
}

/// Waits until all chunks of the film are on disk.
async fn film_is_stored(gate: &Gate) {
    let page = Request::get("/inspect?url=http%3A%2F%2Fmedia.test%2Ffilm");
    let mut client = Client::operator(gate.admin_address()).await;
    let stored = async {
        loop {
            let answer = client.ask(&page).await;
            let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            if told["objects"][0]["present"] == SIZE / CHUNK {
                return;
            }
        }
    };
    within("the film to be stored", stored).await;
}

/// Changes `/film`, by its own name or by one that names it.
async fn changed(gate: &Gate, origin: &Origin, by: &Request) {
    if by.target != "/film" {
        let names = Script {
            headers: vec![("Content-Location", "/film".into())],
            ..Script::new(1, 9)
        };
        origin.put(&by.target, names);
    }
    origin.change("/film", |script| script.content.version = 2);
    let answer = gate.ask(by.clone()).await;
    assert!((200..300).contains(&answer.status()), "{answer}");
}

/// The next request gets the second version, by way of the origin.
async fn is_asked_anew(gate: &Gate, origin: &Origin, by: &Request) {
    let before = origin.settled().await.len();
    let answer = gate.get("/film").await;
    assert_eq!(
        answer.head.header("etag"),
        Some("\"v2\""),
        "{by:?} {answer}"
    );
    assert_eq!(origin.settled().await.len(), before + 1, "{by:?}");
    let answer = gate.get("/film").await;
    assert!(answer.head.cache_status().is_hit(), "{by:?} {answer}");
}

fn changes() -> [Request; 4] {
    [
        Request::new("PUT", "/film"),
        Request::new("DELETE", "/film"),
        Request::new("POST", "/film"),
        Request::new("POST", "/form"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_before_a_change_is_not_kept() {
    for by in changes() {
        let mut held = Held::film(Script::new(700, SIZE)).await;
        let gate = Gate::before(&held.origin).await;
        let first = held.ask(&gate).await;
        changed(&gate, &held.origin, &by).await;
        let head = held.let_go(first).await;
        assert_eq!(head.header("etag"), Some("\"v1\""), "{by:?} {head:?}");
        is_asked_anew(&gate, &held.origin, &by).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_304_from_before_a_change_makes_nothing_fresh() {
    for by in changes() {
        let mut held = Held::film(Script {
            cache_control: Some("max-age=0"),
            ..Script::new(710, SIZE)
        })
        .await;
        let gate = Gate::before(&held.origin).await;
        let first = held.ask(&gate).await;
        held.let_go(first).await;
        // What lacks could be had in the new version only.
        film_is_stored(&gate).await;
        held.valve.close();
        held.origin.change("/film", |script| {
            script.cache_control = Some("max-age=3600");
        });
        let first = held.ask(&gate).await;
        changed(&gate, &held.origin, &by).await;
        let head = held.let_go(first).await;
        assert_eq!(head.header("etag"), Some("\"v1\""), "{by:?} {head:?}");
        let asked = held.origin.asked("/film");
        assert!(asked[1].is_conditional(), "{asked:#?}");
        is_asked_anew(&gate, &held.origin, &by).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_amid_a_body_leaves_its_reader_alone() {
    let valve = Valve::at(CHUNK);
    let origin = Origin::with(Script {
        valve: Some(valve.clone()),
        ..Script::new(720, SIZE)
    })
    .await;
    let gate = Gate::before(&origin).await;
    let mut first = gate.client().await;
    first.send(&Request::get("/film")).await.unwrap();
    assert_eq!(first.head().await.unwrap().status, 200);
    let by = Request::new("POST", "/form");
    changed(&gate, &origin, &by).await;
    origin.change("/film", |script| script.valve = None);
    valve.open();
    let (body, cut) = first.rest().await;
    assert_eq!((body.len() as u64, cut), (SIZE, None));
    is_asked_anew(&gate, &origin, &by).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_something_else_keeps_nothing_out() {
    let mut held = Held::film(Script::new(730, SIZE)).await;
    let gate = Gate::before(&held.origin).await;
    let first = held.ask(&gate).await;
    held.origin.put("/other", Script::new(731, 9));
    assert_eq!(gate.ask(Request::new("POST", "/other")).await.status(), 200);
    held.let_go(first).await;
    held.origin.settled().await;
    let answer = gate.get("/film").await;
    assert!(answer.head.cache_status().is_hit(), "{answer}");
}
