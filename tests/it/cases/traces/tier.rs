//! What is told of a tier: whether it was asked, and what came from it.

use super::telling;
use crate::{
    cases::tier::Fleet,
    client::Request,
    collector::{CLIENT, Collector, Span},
    gate::{CHUNK, Gate},
    s3::Fault,
};

/// Another edge of the fleet, that tells everything.
async fn edge(fleet: &Fleet, collector: &Collector) -> Gate {
    let config = fleet.config();
    telling(collector, &fleet.origin, |settings| {
        settings.tier = Some(config);
    })
    .await
}

fn bytes(step: &Span) -> u64 {
    step.says("tidegate.bytes").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_from_the_tier_is_told_and_whom_nobody_asked_is_not() {
    let fleet = Fleet::new().await;
    let (collector, _first) = (Collector::start().await, fleet.filled().await);
    let second = edge(&fleet, &collector).await;
    let (from, last) = (5 * CHUNK + 7, 9 * CHUNK);
    fleet.part(&second, from, last).await;
    let request = &collector.requests(1).await[0];
    let [looked] = &collector.steps(request, "tier_lookup", 1).await[..] else {
        unreachable!()
    };
    assert_eq!(looked.says("tidegate.outcome"), "found");
    assert_eq!((looked.kind, looked.has_failed), (CLIENT, false));
    // A run is four chunks, and two are read at a time; what is read ahead comes on top.
    let told = |steps: &[Span]| {
        let reads = steps.iter().filter(|step| step.name == "tier_read");
        reads.map(bytes).sum::<u64>()
    };
    let wanted = last + 1 - from;
    let id = request.id.clone();
    let is_told = |seen: &crate::collector::Seen| {
        let mut steps = seen.spans.clone();
        steps.retain(|span| span.parent.as_ref() == Some(&id));
        told(&steps) >= wanted
    };
    collector.until("the reads to be told of", is_told).await;
    let steps = collector.steps_of(request);
    let reads = steps.iter().filter(|step| step.name == "tier_read");
    for read in reads {
        assert_eq!((read.kind, read.has_failed), (CLIENT, false), "{read:#?}");
        let outcome = read.says("tidegate.outcome");
        assert!(["ok", "abandoned"].contains(&outcome), "{read:#?}");
        assert!(outcome != "ok" || bytes(read) > 0, "{read:#?}");
    }
    assert!(steps.iter().all(|step| step.name != "origin"), "{steps:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_tier_lacks_or_spoils_is_told() {
    let fleet = Fleet::new().await;
    let (collector, _first) = (Collector::start().await, fleet.filled().await);
    let second = edge(&fleet, &collector).await;
    second.ask(Request::get("/nowhere")).await;
    let request = &collector.requests(1).await[0];
    let lookups = collector.steps(request, "tier_lookup", 1).await;
    assert_eq!(lookups[0].says("tidegate.outcome"), "absent");
    assert_eq!(collector.steps(request, "origin", 1).await.len(), 1);

    fleet.s3.fail(Fault::Corrupt, "-");
    fleet.part(&second, 2 * CHUNK, 2 * CHUNK + 9).await;
    let request = &collector.requests(2).await[1];
    let id = request.id.clone();
    let is_spoiled = |span: &Span| {
        let is_its = span.parent.as_ref() == Some(&id) && span.name == "tier_read";
        is_its && span.says("error.type") == "corrupt"
    };
    let seen = collector
        .until("the damage to be told of", |seen| {
            seen.spans.iter().any(is_spoiled)
        })
        .await;
    let read = seen.spans.iter().find(|span| is_spoiled(span)).unwrap();
    assert!(read.has_failed && bytes(read) > 0, "{read:#?}");
    assert_eq!(read.says("tidegate.outcome"), "corrupt");

    fleet.s3.fail(Fault::Fail, "manifest");
    second.ask(Request::get("/elsewhere")).await;
    let request = &collector.requests(3).await[2];
    let lookups = collector.steps(request, "tier_lookup", 1).await;
    assert_eq!(lookups[0].says("error.type"), "failed");
    assert!(lookups[0].has_failed, "{lookups:#?}");
}
