//! Health checks: who fails them is not asked.

use super::{server, until};
use crate::{
    gate::Gate,
    model::{Expected, Object},
    origin::{Origin, Script},
};
use std::time::Duration;
use tidegate::origin::Check;

const HEALTHY: &str = "tidegate_origin_healthy";

/// Two servers, the second of them well all the time.
async fn scene(status: u16) -> (Origin, Origin, Gate) {
    let (first, second) = (Origin::start().await, Origin::start().await);
    first.put("/health?deep=1", page(status));
    second.put("/health?deep=1", page(200));
    let servers = vec![server(&first, 1), server(&second, 1)];
    let gate = Gate::with(&first, |settings| {
        settings.origins[0].servers = servers;
        settings.origins[0].check = Some(Check {
            interval: Duration::from_millis(20),
            rise: 3,
            fall: 2,
            ..Check::of("/health?deep=1".into())
        });
    })
    .await;
    (first, second, gate)
}

fn page(status: u16) -> Script {
    Script {
        status,
        cache_control: None,
        ..Script::new(380, 20)
    }
}

fn named(origin: &Origin) -> String {
    format!("server=\"{}\"", origin.address())
}

/// Brings in ten new objects.
async fn ask_ten(first: &Origin, second: &Origin, gate: &Gate, from: u64) {
    for number in from..from + 10 {
        let (target, script) = (format!("/{number}"), Script::new(number, 1000));
        first.put(&target, script.clone());
        second.put(&target, script.clone());
        let answer = gate.get(&target).await;
        let verdict = Object::from(&script).verify(&Expected::Whole, &answer);
        verdict.unwrap();
    }
}

/// Requests but for the checks.
fn asked(origin: &Origin) -> usize {
    let log = origin.log();
    log.iter()
        .filter(|seen| !seen.target.starts_with("/health"))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_its_checks_is_not_asked_until_it_is_well_again() {
    let (first, second, gate) = scene(500).await;
    until(&gate, HEALTHY, &named(&first), 0.0).await;
    until(&gate, HEALTHY, &named(&second), 1.0).await;
    ask_ten(&first, &second, &gate, 0).await;
    assert_eq!((asked(&first), asked(&second)), (0, 10));

    first.change("/health?deep=1", |script| script.status = 200);
    until(&gate, HEALTHY, &named(&first), 1.0).await;
    let good = first.log().iter().filter(|seen| seen.status == 200).count();
    assert!(good >= 3, "well again after {good} good checks");
    ask_ten(&first, &second, &gate, 10).await;
    assert_eq!((asked(&first), asked(&second)), (5, 15));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_no_check_is_not_asked() {
    let (first, second, gate) = scene(200).await;
    until(&gate, HEALTHY, &named(&first), 1.0).await;
    drop(second);
    // Nobody is there any more: its name is all that is left of it.
    until(&gate, HEALTHY, "", 1.0).await;
    let before = asked(&first);
    ask_ten(&first, &first, &gate, 0).await;
    assert_eq!(asked(&first) - before, 10);
    let failed = super::sample(&gate, "tidegate_origin_failures_total", "").await;
    assert_eq!(failed, 0.0);
}

/// Where none is well, asking is better than not asking.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_all_fail_their_checks_are_asked() {
    let (first, second, gate) = scene(500).await;
    second.change("/health?deep=1", |script| script.status = 404);
    until(&gate, HEALTHY, "", 0.0).await;
    ask_ten(&first, &second, &gate, 0).await;
    assert_eq!((asked(&first), asked(&second)), (5, 5));
}
