//! What broke goes on only in the same version: nobody is ever given bytes of two.

use crate::{
    client::Request,
    failover::{assert_served, cut_then_down, gate_of, layouts},
    gate::CHUNK,
    model::Object,
    origin::{End, Origin, Ranges, Script, Tag},
};

const SIZE: u64 = 10 * CHUNK + 5;
const CUT: u64 = 6 * CHUNK + CHUNK / 2;
const ENDS: [End; 2] = [End::Close, End::Reset];

/// A cut at one server, and another that has something else: the client sees an abort, and what
/// it is given later is of one version.
async fn assert_never_mixed(one: Script, two: Script) {
    for how in ENDS {
        for second_origin in [false, true] {
            let (first, other) = (Object::from(&one), Object::from(&two));
            let a = Origin::with(cut_then_down(one.clone(), CUT, how)).await;
            let b = Origin::with(two.clone()).await;
            let layout = &layouts(a.address(), b.address())[usize::from(second_origin)];
            let gate = gate_of(layout, |_| ()).await;
            let answer = gate.get("/film").await;
            assert_eq!(answer.status(), 200, "{answer}");
            assert!(!answer.is_whole(), "nothing could complete it: {answer}");
            first.content.verify(0, &answer.body).unwrap();
            a.settled().await;
            b.settled().await;
            for range in [None, Some("bytes=10-300000"), Some("bytes=-300000"), None] {
                let mut request = Request::get("/film");
                request
                    .headers
                    .extend(range.map(|range| ("Range".to_owned(), range.to_owned())));
                let later = gate.ask(request).await;
                if later.status() >= 500 {
                    continue;
                }
                let wrong = [&first, &other]
                    .map(|object| object.verify(&object.expected(range, None), &later));
                if later.is_whole() {
                    assert!(wrong.iter().any(Result::is_ok), "{wrong:?} {later}");
                } else {
                    let start = if range.is_some_and(|r| r.contains("10-")) {
                        10
                    } else {
                        0
                    };
                    let of_one =
                        [&first, &other].map(|object| object.content.verify(start, &later.body));
                    assert!(of_one.iter().any(Result::is_ok), "{of_one:?} {later}");
                }
            }
            // By now it has learnt what there is.
            assert_served(&gate, &other).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weak_validator_goes_on_nowhere() {
    let script = Script {
        etag: Tag::Weak,
        ..Script::new(344, SIZE)
    };
    let mut other = script.clone();
    other.content.seed = 345;
    assert_never_mixed(script, other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_validator_goes_on_nowhere() {
    let script = Script {
        etag: Tag::None,
        last_modified: false,
        ..Script::new(346, SIZE)
    };
    let mut other = script.clone();
    other.content.seed = 347;
    assert_never_mixed(script, other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_is_no_continuation() {
    for ranges in [Ranges::Honoured, Ranges::Ignored] {
        let script = Script::new(348, SIZE);
        let mut other = Script {
            ranges,
            ..script.clone()
        };
        other.content.version = 2;
        assert_never_mixed(script, other).await;
    }
}

/// The tag lies, but the length does not.
#[tokio::test(flavor = "multi_thread")]
async fn another_length_is_no_continuation() {
    for ranges in [Ranges::Honoured, Ranges::Ignored] {
        let script = Script::new(349, SIZE);
        let mut other = Script {
            ranges,
            size: SIZE + CHUNK,
            ..script.clone()
        };
        other.content.seed = 350;
        assert_never_mixed(script, other).await;
    }
}
