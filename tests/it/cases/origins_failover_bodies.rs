//! A body that breaks goes on elsewhere, where that is safe, and nobody sees the seam.

use crate::{
    client::{Answer, H2, Request},
    dice::{self, Dice},
    failover::{SHORT, assert_served, cut_then_down, failures, gate, gate_of, layouts, sample},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Cut, End, Origin, Ranges, Script, Seen, State, Valve},
};
use tidegate::server::Settings;

const SIZE: u64 = 10 * CHUNK + 5;
const CUT: u64 = 6 * CHUNK + CHUNK / 2;
const ENDS: [End; 2] = [End::Close, End::Reset];

fn cut_once(script: Script, after: u64, how: End) -> Script {
    script.twisted(move |seen, script| {
        if seen.nth == 0 {
            script.cut = Some(Cut { after, how });
        }
    })
}

fn no_breaker(settings: &mut Settings) {
    settings.routes[0].features.breaker = false;
}

fn verify(object: &Object, range: Option<&str>, answer: &Answer) {
    let verdict = object.verify(&object.expected(range, None), answer);
    verdict.unwrap_or_else(|wrong| panic!("{range:?}: {wrong}\n{answer}"));
}

/// Where an answer was cut, what lacked from there on was asked for, of the same version. A reset
/// may swallow a few bytes that had been sent before.
fn assert_went_on(cut: &[Seen], after: u64, how: End, other: &[Seen]) {
    let cut = cut.iter().filter(|seen| seen.state == State::Cut);
    let cut: Vec<_> = cut
        .map(|seen| seen.window().unwrap_or((0, SIZE - 1)))
        .collect();
    assert!(!cut.is_empty(), "nothing was cut");
    for (first, last) in cut {
        let seam = first + after;
        let goes_on = other.iter().any(|seen| {
            let window = seen.window();
            seen.header("if-range") == Some("\"v1\"")
                && match how {
                    End::Close => window == Some((seam, last)),
                    End::Reset => {
                        window.is_some_and(|(f, l)| (first..=seam).contains(&f) && l == last)
                    }
                }
        });
        assert!(goes_on, "nobody asked for {seam}-{last}: {other:#?}");
    }
}

/// Where to cut so that it is in the middle: HTTP/2 clients' objects are fetched by windows, and
/// the first of them is a chunk.
fn middle(http2: bool) -> u64 {
    match http2 {
        true => CHUNK / 2 + 3,
        false => CUT,
    }
}

async fn ask(gate: &Gate, http2: bool, request: &Request) -> Answer {
    match http2 {
        true => {
            H2::connect(gate.address(), 1 << 20)
                .await
                .ask(request)
                .await
        }
        false => gate.ask(request.clone()).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_body_goes_on_elsewhere_where_it_broke() {
    for how in ENDS {
        for http2 in [false, true] {
            for second_origin in [false, true] {
                let script = Script::new(340, SIZE);
                let object = Object::from(&script);
                let after = middle(http2);
                let one = Origin::with(Script {
                    cut: Some(Cut { after, how }),
                    ..script.clone()
                })
                .await;
                let two = Origin::with(script).await;
                let layout = &layouts(one.address(), two.address())[usize::from(second_origin)];
                let gate = gate_of(layout, no_breaker).await;
                let answer = ask(&gate, http2, &Request::get("/film")).await;
                verify(&object, None, &answer);
                assert_went_on(&one.settled().await, after, how, &two.settled().await);
                // And it was stored as one.
                let asked = two.log().len();
                assert!(gate.get("/film").await.head.cache_status().is_hit());
                assert_served(&gate, &object).await;
                assert_eq!(two.log().len(), asked, "{:#?}", two.log());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_contact_is_one_request_to_each_server() {
    let script = Script::new(341, SIZE);
    let object = Object::from(&script);
    let one = Origin::with(cut_then_down(script.clone(), CUT, End::Close)).await;
    let two = Origin::with(script).await;
    let gate = gate(&[&[one.address(), two.address()]], |_| ()).await;
    assert_served(&gate, &object).await;
    let logs = (one.settled().await, two.settled().await);
    assert_eq!((logs.0.len(), logs.1.len()), (1, 1), "{logs:#?}");
    assert_went_on(&logs.0, CUT, End::Close, &logs.1);
    assert_eq!(two.sent("/film"), SIZE - CUT, "nothing is fetched twice");
    let resumed = sample(&gate, "tidegate_origin_retries_total", "\"resume\"").await;
    assert_eq!(resumed, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_goes_on_elsewhere_where_it_broke() {
    for how in ENDS {
        for http2 in [false, true] {
            let script = Script::new(341, SIZE);
            let object = Object::from(&script);
            let one = Origin::with(script.clone()).await;
            let two = Origin::with(script).await;
            let gate = gate(&[&[one.address(), two.address()]], no_breaker).await;
            let known = gate.bytes("/film", 0, 9).await;
            verify(&object, Some("bytes=0-9"), &known);
            one.settled().await;
            let after = CHUNK / 2 + 3;
            one.change("/film", |script| script.cut = Some(Cut { after, how }));
            let range = format!("bytes={}-{}", 3 * CHUNK + 5, 9 * CHUNK - 1);
            let request = Request::get("/film").range(range.clone());
            verify(&object, Some(&range), &ask(&gate, http2, &request).await);
            assert_went_on(&one.settled().await, after, how, &two.settled().await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_server_that_breaks_once_is_asked_for_the_rest() {
    for how in ENDS {
        for http2 in [false, true] {
            let script = Script::new(342, SIZE);
            let object = Object::from(&script);
            let after = middle(http2);
            let origin = Origin::with(cut_once(script, after, how)).await;
            let gate = gate(&[&[origin.address()]], |_| ()).await;
            let answer = ask(&gate, http2, &Request::get("/film")).await;
            verify(&object, None, &answer);
            let log = origin.settled().await;
            assert_went_on(&log[..1], after, how, &log[1..]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_already_is_passed_over_where_ranges_are_ignored() {
    for how in ENDS {
        let script = Script::new(343, SIZE);
        let object = Object::from(&script);
        let one = Origin::with(cut_then_down(script.clone(), CUT, how)).await;
        let two = Origin::with(Script {
            ranges: Ranges::Ignored,
            ..script
        })
        .await;
        let gate = gate(&[&[one.address(), two.address()]], |_| ()).await;
        assert_served(&gate, &object).await;
        assert_eq!(two.settled().await.len(), 1);
        assert_served(&gate, &object).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_it_breaks_the_seam_does_not_show() {
    let seed = dice::seed();
    println!("TIDEGATE_SEED={seed}");
    let mut dice = Dice::new(seed);
    let (one, two) = (Origin::start().await, Origin::start().await);
    let gate = gate(&[&[one.address(), two.address()]], no_breaker).await;
    for nth in 0..16 {
        let target = format!("/film/{nth}");
        let size = 1 + dice.below(SIZE);
        let script = Script::new(360 + nth, size);
        let object = Object::from(&script);
        let at = [dice.below(size), dice.below(size)];
        let how = [*dice.choose(&ENDS), *dice.choose(&ENDS)];
        one.put(&target, cut_once(script.clone(), at[0], how[0]));
        two.put(&target, cut_once(script, at[1], how[1]));
        let (a, b) = (dice.below(size), dice.below(size));
        let range = format!("bytes={}-{}", a.min(b), a.max(b));
        let range = Some(&*range).filter(|_| dice.percent(40));
        let mut request = Request::get(&target);
        request
            .headers
            .extend(range.map(|range| ("Range".to_owned(), range.to_owned())));
        let answer = ask(&gate, dice.percent(30), &request).await;
        let told = format!("{target} of {size}, {range:?}, cut at {at:?} by {how:?}");
        let verdict = object.verify(&object.expected(range, None), &answer);
        verdict.unwrap_or_else(|wrong| panic!("{told}: {wrong}\n{answer}"));
        let again = gate.get(&target).await;
        let verdict = object.verify(&Expected::Whole, &again);
        verdict.unwrap_or_else(|wrong| panic!("{told}, then whole: {wrong}\n{again}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stands_still_goes_on_elsewhere() {
    for http2 in [false, true] {
        let script = Script::new(381, SIZE);
        let object = Object::from(&script);
        let stuck = Origin::with(Script {
            valve: Some(Valve::at(middle(http2))),
            ..script.clone()
        })
        .await;
        let two = Origin::with(script).await;
        let gate = gate(&[&[stuck.address(), two.address()]], |settings| {
            no_breaker(settings);
            settings.origins[0].read_timeout = SHORT;
        })
        .await;
        let answer = ask(&gate, http2, &Request::get("/film")).await;
        verify(&object, None, &answer);
        assert!(failures(&gate, "timeout").await >= 1.0);
        stuck.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trickle_is_broken_off_and_goes_on_elsewhere() {
    let script = Script::new(380, SIZE);
    let object = Object::from(&script);
    let slow = Origin::with(Script {
        // Twenty seconds for the whole.
        rate: Some(32 << 10),
        ..script.clone()
    })
    .await;
    let fast = Origin::with(script).await;
    let gate = gate(&[&[slow.address(), fast.address()]], |settings| {
        settings.origins[0].min_rate = 1 << 20;
    })
    .await;
    assert_served(&gate, &object).await;
    assert_eq!(failures(&gate, "slow").await, 1.0);
    let log = fast.settled().await;
    let (first, last) = log[0].window().unwrap();
    assert!(first > 0 && last == SIZE - 1, "{log:#?}");
    slow.settled().await;
    assert!(slow.sent("/film") < SIZE / 2, "{:#?}", slow.log());
}

/// The second that was asked beside the first, and lost, is there for what lacks.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_goes_on_at_the_server_that_lost_the_race_for_its_head() {
    let script = Script::new(382, SIZE);
    let object = Object::from(&script);
    let (first, second) = (Valve::at(0), Valve::at(0));
    let held = first.clone();
    let one = Origin::with(script.clone().twisted(move |seen, script| match seen.nth {
        0 => {}
        1 => {
            (script.valve, script.holds_head) = (Some(held.clone()), true);
            let (after, how) = (CHUNK / 2, End::Close);
            script.cut = Some(Cut { after, how });
        }
        _ => (script.status, script.cache_control) = (503, None),
    }))
    .await;
    let held = second.clone();
    let two = Origin::with(script.twisted(move |seen, script| {
        if seen.nth == 0 {
            (script.valve, script.holds_head) = (Some(held.clone()), true);
        }
    }))
    .await;
    let gate = gate(&[&[one.address(), two.address()]], |settings| {
        no_breaker(settings);
        settings.routes[0].features.hedging = true;
        settings.fill.attempts = 1;
        settings.origins[0].retry.rounds = 0;
    })
    .await;
    // So many are needed before the first is known to be late.
    for _ in 0..20 {
        assert_eq!(gate.get("/nothing").await.status(), 404);
    }
    assert_eq!(gate.bytes("/film", 0, 9).await.status(), 206);
    let range = format!("bytes={}-{}", 5 * CHUNK, 6 * CHUNK - 1);
    let mut client = gate.client().await;
    let request = Request::get("/film").range(range.clone());
    client.send(&request).await.unwrap();
    two.wait_for("a second request", |log| log.len() == 1).await;
    first.open();
    let answer = client.answer().await.unwrap();
    verify(&object, Some(&range), &answer);
    let cut: Vec<_> = one.settled().await;
    assert_went_on(&cut, CHUNK / 2, End::Close, &two.settled().await);
}
