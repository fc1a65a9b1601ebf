//! Where a request stands in a trace: whose word counts, what origins are told, and that nothing
//! is stored by it.

use super::{all, telling};
use crate::{
    client::{H2, Request},
    collector::{Collector, SERVER},
    gate::{CHUNK, Gate},
    origin::{Origin, Script, Seen},
};
use tidegate::{
    domain::Trust,
    origin::Redirects,
    server::Settings,
    traces::{Config, Rules},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// A request that says where it stands.
fn standing(target: &str, flags: &str) -> Request {
    Request::get(target)
        .header("traceparent", format!("00-{TRACE}-{SPAN}-{flags}"))
        .header("tracestate", "a=1")
        .header("tracestate", "b=2")
}

fn believing(collector: &Collector, sample: f64) -> Config {
    Config {
        rules: Rules {
            sample,
            trust: Trust::Everybody,
        },
        ..all(collector)
    }
}

/// The parts of a request's `traceparent`: trace, span and flags.
fn parts(seen: &Seen) -> [String; 3] {
    let line = seen.header("traceparent").expect("where it stands");
    let parts: Vec<_> = line.split('-').map(str::to_owned).collect();
    let [version, trace, span, flags] = &parts[..] else {
        panic!("{line}")
    };
    assert_eq!((version.as_str(), trace.len(), span.len()), ("00", 32, 16));
    [trace, span, flags].map(Clone::clone)
}

fn count(seen: &Seen, name: &str) -> usize {
    let named = |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
    seen.headers.iter().filter(named).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_is_believed_goes_on() {
    let collector = Collector::start().await;
    let origin = Origin::with(Script::new(1220, 1000)).await;
    // Chance would record nothing.
    let change = |settings: &mut Settings| settings.traces = Some(believing(&collector, 0.0));
    let gate = telling(&collector, &origin, change).await;
    gate.ask(standing("/film", "01")).await;
    let request = &collector.requests(1).await[0];
    assert_eq!(
        (&*request.trace, request.parent.as_deref()),
        (TRACE, Some(SPAN))
    );
    assert_eq!(request.state, "a=1,b=2");
    let [asked] = &collector.steps(request, "origin", 1).await[..] else {
        unreachable!()
    };
    let seen = &origin.log()[0];
    assert_eq!(parts(seen), [TRACE, &asked.id, "01"]);
    assert_eq!(seen.header("tracestate"), Some("a=1,b=2"));
    assert_eq!(
        (count(seen, "traceparent"), count(seen, "tracestate")),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_not_believed() {
    let collector = Collector::start().await;
    let origin = Origin::with(Script::new(1221, 1000)).await;
    let gate = telling(&collector, &origin, |_| ()).await;
    gate.ask(standing("/film", "00")).await;
    let request = &collector.requests(1).await[0];
    assert_ne!(request.trace, TRACE);
    assert_eq!((&request.parent, request.state.as_str()), (&None, ""));
    let seen = &origin.log()[0];
    assert_eq!(parts(seen)[0], request.trace);
    assert_eq!(count(seen, "tracestate"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_is_believed() {
    let collector = Collector::start().await;
    let origin = Origin::with(Script::new(1222, 1000)).await;
    let gate = telling(&collector, &origin, |settings| {
        settings.clients.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    gate.ask(standing("/film", "01")).await;
    assert_eq!(collector.requests(1).await[0].trace, TRACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_asked_behind_hears_that_nothing_is_recorded() {
    let collector = Collector::start().await;
    let origin = Origin::with(Script::new(1223, 1000)).await;
    origin.put("/other", Script::new(1224, 1000));
    let change = |settings: &mut Settings| settings.traces = Some(believing(&collector, 0.0));
    let gate = telling(&collector, &origin, change).await;
    gate.ask(standing("/film", "00")).await;
    gate.get("/other").await;
    // Recorded, so that something is to be waited for.
    gate.ask(standing("/film", "01")).await;
    assert_eq!(collector.requests(1).await.len(), 1);
    let seen = collector.seen().spans;
    assert_eq!(seen.iter().filter(|span| span.kind == SERVER).count(), 1);
    let [passed, own] = &origin.log()[..] else {
        panic!("{:#?}", origin.log())
    };
    assert_eq!(
        parts(passed),
        [TRACE, SPAN, "00"],
        "nothing of ours is between"
    );
    assert_eq!(passed.header("tracestate"), Some("a=1,b=2"));
    assert_eq!(parts(own)[2], "00");
    assert_ne!(parts(own)[0], TRACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_not_passed_on() {
    let collector = Collector::start().await;
    let origin = Origin::with(Script::new(1225, 1000)).await;
    let change = |settings: &mut Settings| settings.traces = Some(believing(&collector, 1.0));
    let gate = telling(&collector, &origin, change).await;
    let nonsense = Request::get("/film")
        .header("traceparent", "00-nonsense")
        .header("tracestate", "a=1");
    gate.ask(nonsense).await;
    let request = &collector.requests(1).await[0];
    assert_eq!(parts(&origin.log()[0])[0], request.trace);
    assert_eq!(count(&origin.log()[0], "tracestate"), 0);
}

/// What is another for each request must not make another object of each.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_not_told_by_its_trace_nor_does_it_keep_one() {
    let collector = Collector::start().await;
    let script = Script {
        headers: vec![
            ("Vary", "traceparent, Accept-Language, TraceState".into()),
            ("traceresponse", format!("00-{TRACE}-{SPAN}-01")),
            ("traceparent", format!("00-{TRACE}-{SPAN}-01")),
        ],
        ..Script::new(1226, 1000)
    };
    for is_on in [true, false] {
        let origin = Origin::with(script.clone()).await;
        let gate = Gate::with(&origin, |settings| {
            settings.traces = is_on.then(|| believing(&collector, 1.0));
        })
        .await;
        gate.ask(standing("/film", "01")).await;
        let hit = gate.get("/film").await;
        assert!(hit.head.cache_status().is_hit(), "{hit}");
        for name in ["traceresponse", "traceparent", "tracestate"] {
            assert_eq!(hit.head.header(name), None, "{name} of {hit}");
        }
        let seen = &origin.log()[0];
        assert_eq!(parts(seen)[0], TRACE, "also where traces are off");
        assert_eq!(parts(seen)[1] == SPAN, !is_on);
        assert_eq!(origin.log().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fills_say_whose_they_are() {
    let collector = Collector::start().await;
    let origin = Origin::with(Script::new(1227, 20 * CHUNK)).await;
    let change = |settings: &mut Settings| settings.traces = Some(believing(&collector, 0.0));
    let gate = telling(&collector, &origin, change).await;
    gate.bytes("/film", 0, 9).await;
    let first = origin.settled().await.len();
    let asked = standing("/film", "01").bytes(10 * CHUNK, 11 * CHUNK);
    gate.ask(asked).await;
    let log = origin.settled().await;
    let request = &collector.requests(1).await[0];
    let fills = &log[first..];
    assert!(!fills.is_empty());
    let steps = collector.steps(request, "origin", fills.len()).await;
    for seen in fills {
        let [trace, span, _] = parts(seen);
        assert_eq!(trace, TRACE);
        let step = steps.iter().find(|step| step.id == span).unwrap();
        assert_eq!(step.says("tidegate.purpose"), "fill");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_elsewhere_is_told_nothing() {
    let collector = Collector::start().await;
    let origin = Origin::start().await;
    let to = |location: String| Script {
        status: 302,
        cache_control: None,
        headers: vec![("Location", location)],
        ..Script::new(0, 0)
    };
    origin.put("/film", to("/here".into()));
    let port = origin.address().port();
    origin.put("/here", to(format!("http://localhost:{port}/there")));
    origin.put("/there", Script::new(1228, 1000));
    let gate = telling(&collector, &origin, |settings| {
        settings.origins[0].redirects = Redirects {
            limit: 2,
            hosts: vec![tidegate::domain::HostPattern::parse("localhost").unwrap()],
        };
    })
    .await;
    assert_eq!(gate.get("/film").await.status(), 200);
    let log = origin.log();
    let [film, here, there] = &log[..] else {
        panic!("{log:#?}")
    };
    assert_eq!(parts(film), parts(here));
    assert_eq!(
        (count(there, "traceparent"), count(there, "tracestate")),
        (0, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_the_same_over_http2() {
    let collector = Collector::start().await;
    let origin = Origin::with(Script::new(1229, 1000)).await;
    let change = |settings: &mut Settings| settings.traces = Some(believing(&collector, 0.0));
    let gate = telling(&collector, &origin, change).await;
    let client = H2::connect(gate.address(), 1 << 20).await;
    assert_eq!(client.ask(&standing("/film", "01")).await.status(), 200);
    let request = &collector.requests(1).await[0];
    assert_eq!(request.says("network.protocol.version"), "2");
    assert_eq!(request.says("server.address"), "media.test");
    assert_eq!(
        (&*request.trace, request.parent.as_deref()),
        (TRACE, Some(SPAN))
    );
    let seen = &origin.log()[0];
    assert_eq!(parts(seen)[0], TRACE);
    assert_eq!(
        (count(seen, "traceparent"), count(seen, "tracestate")),
        (1, 1)
    );
}
