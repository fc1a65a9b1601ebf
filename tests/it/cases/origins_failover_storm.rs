//! Servers go and come while many clients ask: nobody sees it.

use crate::{
    client::{Answer, Client, H2, Request},
    dice::{self, Dice},
    failover::gate,
    gate::{CHUNK, Gate},
    model::Object,
    origin::{Cut, End, Origin, Script},
};
use std::sync::Arc;
use tidegate::server::Settings;
use tokio::task::JoinSet;

const CLIENTS: u64 = 200;
const OBJECTS: u64 = 40;
const REQUESTS: usize = 4;

/// What all servers have.
struct Shelf(Vec<(String, Script)>);

impl Shelf {
    fn new(dice: &mut Dice) -> Self {
        let object = |nth| {
            let size = 1 + dice.below(12 * CHUNK);
            let script = Script {
                // Slow enough for answers to be under way whenever a server goes.
                rate: Some(8 << 20),
                ..Script::new(400 + nth, size)
            };
            (format!("/film/{nth}"), script)
        };
        Self((0..OBJECTS).map(object).collect())
    }

    fn fill(&self, origin: &Origin) {
        for (target, script) in &self.0 {
            origin.put(target, script.clone());
        }
    }

    /// Every fifth answer is cut, and every fifth an error.
    fn fill_badly(&self, origin: &Origin) {
        for (target, script) in &self.0 {
            let script = script.clone();
            origin.put(
                target,
                script.twisted(|seen, script| match seen.nth % 5 {
                    0 => {
                        let (after, how) = (script.size / 3, End::Reset);
                        script.cut = Some(Cut { after, how });
                    }
                    1 => (script.status, script.cache_control) = (503, None),
                    _ => {}
                }),
            );
        }
    }
}

fn roomy(settings: &mut Settings) {
    for origin in &mut settings.origins {
        for server in &mut origin.servers {
            server.weight = 1;
        }
        origin.limit.requests = 400;
        origin.limit.queue = 400;
    }
}

/// Everybody asks for something, all at once; each answer is verified.
fn crowd(gate: &Gate, shelf: &Arc<Shelf>, dice: &mut Dice) -> JoinSet<()> {
    let address = gate.address();
    let mut clients = JoinSet::new();
    for nth in 0..CLIENTS {
        let shelf = shelf.clone();
        let mut dice = Dice::new(dice.next());
        clients.spawn(async move {
            let mut one = Client::connect(address).await;
            let two = match nth % 4 {
                0 => Some(H2::connect(address, 1 << 20).await),
                _ => None,
            };
            for _ in 0..REQUESTS {
                let (target, script) = dice.choose(&shelf.0).clone();
                let (a, b) = (dice.below(script.size), dice.below(script.size));
                let range = format!("bytes={}-{}", a.min(b), a.max(b));
                let range = Some(range).filter(|_| dice.percent(60));
                let mut request = Request::get(&target);
                let field = range.iter().map(|range| ("Range".into(), range.clone()));
                request.headers.extend(field);
                let answer = match &two {
                    Some(two) => two.ask(&request).await,
                    None => one.ask(&request).await,
                };
                verify(&target, &script, range.as_deref(), &answer);
            }
        });
    }
    clients
}

fn verify(target: &str, script: &Script, range: Option<&str>, answer: &Answer) {
    let object = Object::from(script);
    let verdict = object.verify(&object.expected(range, None), answer);
    verdict.unwrap_or_else(|wrong| panic!("{target} {range:?}: {wrong}\n{answer}"));
}

async fn all_served(mut clients: JoinSet<()>) {
    let mut failed = 0;
    while let Some(done) = clients.join_next().await {
        failed += usize::from(done.is_err());
    }
    assert_eq!(failed, 0, "so many of {CLIENTS} clients saw a failure");
}

async fn has_been_asked(origin: &Origin, times: usize) {
    let asked = |log: &[_]| log.len() >= times;
    origin.wait_for("requests to a server", asked).await;
}

fn dice() -> Dice {
    let seed = dice::seed();
    println!("TIDEGATE_SEED={seed}");
    Dice::new(seed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_and_comes_again_is_not_noticed() {
    let mut dice = dice();
    let shelf = Arc::new(Shelf::new(&mut dice));
    let (one, two, three) = (
        Origin::start().await,
        Origin::start().await,
        Origin::start().await,
    );
    for origin in [&one, &two, &three] {
        shelf.fill(origin);
    }
    let gate = gate(&[&[one.address(), two.address(), three.address()]], roomy).await;
    let clients = crowd(&gate, &shelf, &mut dice);
    has_been_asked(&one, 5).await;
    let place = one.address();
    drop(one);
    has_been_asked(&two, two.log().len() + 5).await;
    let again = Origin::start_at(place).await;
    shelf.fill(&again);
    all_served(clients).await;
    let failures = gate.metric("tidegate_origin_failures_total").await;
    assert!(failures > 0.0, "nobody met the server that was gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_now_and_then_is_not_noticed() {
    let mut dice = dice();
    let shelf = Arc::new(Shelf::new(&mut dice));
    let (bad, two, three) = (
        Origin::start().await,
        Origin::start().await,
        Origin::start().await,
    );
    shelf.fill_badly(&bad);
    shelf.fill(&two);
    shelf.fill(&three);
    let gate = gate(&[&[bad.address(), two.address(), three.address()]], roomy).await;
    all_served(crowd(&gate, &shelf, &mut dice)).await;
    let failures = gate.metric("tidegate_origin_failures_total").await;
    assert!(failures > 0.0, "nobody met the bad server");
}
