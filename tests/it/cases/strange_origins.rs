//! Origins that do what origins do: the client is right in any case, and nothing is stored wrongly.

use crate::{
    client::{Answer, Request, parts},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Framing, Lie, Origin, Ranges, Script, Tag},
};
use std::time::Duration;

const SIZE: u64 = 5 * CHUNK + 777;
const RANGE: &str = "bytes=70000-199999";

async fn scene(script: Script) -> (Origin, Gate, Object) {
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::before(&origin).await;
    (origin, gate, object)
}

async fn check(gate: &Gate, object: &Object, range: Option<&str>) -> Answer {
    let mut request = Request::get("/film");
    request
        .headers
        .extend(range.map(|range| ("Range".into(), range.into())));
    let answer = gate.ask(request).await;
    let verdict = object.verify(&object.expected(range, None), &answer);
    verdict.unwrap_or_else(|wrong| panic!("{range:?}: {wrong}\n{answer}"));
    answer
}

/// Asks again for the whole and for a range; returns how often the origin was asked for that.
async fn asked_again(origin: &Origin, gate: &Gate, object: &Object) -> usize {
    origin.settled().await;
    let before = origin.log().len();
    check(gate, object, None).await;
    check(gate, object, Some(RANGE)).await;
    origin.settled().await;
    origin.log().len() - before
}

/// What is coded for the way is not the content, and where it ends can't be told.
#[tokio::test(flavor = "multi_thread")]
async fn codings_that_are_not_spoken_here_are_neither_given_out_nor_kept() {
    let framings = [
        ("gzip", Framing::UntilClose),
        ("identity", Framing::UntilClose),
        ("chunked, gzip", Framing::UntilClose),
        ("xchunked", Framing::Length),
    ];
    for (coding, framing) in framings {
        let script = Script::new(21, SIZE);
        let (origin, gate, object) = scene(Script {
            framing,
            headers: vec![("Transfer-Encoding", coding.into())],
            ..script.clone()
        })
        .await;
        assert_eq!(gate.get("/film").await.status(), 502, "{coding}");
        origin.put("/film", script);
        check(&gate, &object, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_ignores_ranges_still_serves_ranges() {
    let (origin, gate, object) = scene(Script {
        ranges: Ranges::Ignored,
        ..Script::new(20, SIZE)
    })
    .await;
    check(&gate, &object, Some(RANGE)).await;
    assert_eq!(origin.settled().await.len(), 1);
    check(&gate, &object, None).await;
    assert_eq!(
        asked_again(&origin, &gate, &object).await,
        0,
        "{:#?}",
        origin.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_that_ends_properly_is_an_object() {
    let (origin, gate, object) = scene(Script {
        framing: Framing::Chunked,
        ranges: Ranges::Ignored,
        ..Script::new(21, SIZE)
    })
    .await;
    check(&gate, &object, None).await;
    assert_eq!(
        asked_again(&origin, &gate, &object).await,
        0,
        "{:#?}",
        origin.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_range_of_a_chunked_body_is_answered_with_the_right_bytes() {
    for ranges in [Ranges::Honoured, Ranges::Ignored] {
        let (origin, gate, object) = scene(Script {
            framing: Framing::Chunked,
            ranges,
            ..Script::new(22, SIZE)
        })
        .await;
        let answer = gate.ask(Request::get("/film").range(RANGE)).await;
        // Without a length in sight the whole is a right answer too.
        let whole = answer.status() == 200 && ranges == Ranges::Ignored;
        let expected = object.expected((!whole).then_some(RANGE), None);
        object
            .verify(&expected, &answer)
            .unwrap_or_else(|wrong| panic!("{wrong}\n{answer}"));
        check(&gate, &object, None).await;
        assert_eq!(
            asked_again(&origin, &gate, &object).await,
            0,
            "{:#?}",
            origin.log()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_delimited_body_is_streamed_and_not_stored() {
    let (origin, gate, object) = scene(Script {
        framing: Framing::UntilClose,
        ranges: Ranges::Ignored,
        ..Script::new(23, SIZE)
    })
    .await;
    for nth in 1..=2 {
        let answer = check(&gate, &object, None).await;
        assert!(!answer.head.cache_status().is_hit(), "{answer}");
        assert_eq!(
            origin.settled().await.len(),
            nth,
            "its end can't be told from a cut"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coded_body_keeps_its_coding_and_its_bytes() {
    let (origin, gate, object) = scene(Script {
        headers: vec![("Content-Encoding", "gzip".into())],
        ..Script::new(24, SIZE)
    })
    .await;
    for range in [Some(RANGE), None, Some("bytes=-10")] {
        let answer = check(&gate, &object, range).await;
        assert_eq!(
            answer.head.header("content-encoding"),
            Some("gzip"),
            "{answer}"
        );
    }
    origin.settled().await;
    let answer = check(&gate, &object, None).await;
    assert_eq!(
        answer.head.header("content-encoding"),
        Some("gzip"),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_modified_alone_is_enough_for_windows() {
    let (origin, gate, object) = scene(Script {
        etag: Tag::None,
        ..Script::new(25, SIZE)
    })
    .await;
    check(&gate, &object, Some(RANGE)).await;
    origin.settled().await;
    assert_eq!(origin.sent("/film"), 3 * CHUNK, "{:#?}", origin.log());
    let asked = origin.log().len();
    check(&gate, &object, Some(RANGE)).await;
    assert_eq!(origin.log().len(), asked, "{:#?}", origin.log());
    check(&gate, &object, None).await;
    assert_eq!(
        asked_again(&origin, &gate, &object).await,
        0,
        "{:#?}",
        origin.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_strong_validator_a_whole_body_is_stored() {
    for etag in [Tag::None, Tag::Weak] {
        let (origin, gate, object) = scene(Script {
            etag,
            last_modified: false,
            ..Script::new(26, SIZE)
        })
        .await;
        check(&gate, &object, None).await;
        assert_eq!(
            asked_again(&origin, &gate, &object).await,
            0,
            "{:#?}",
            origin.log()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_strong_validator_two_versions_never_mix() {
    for etag in [Tag::None, Tag::Weak] {
        let script = Script {
            etag,
            last_modified: false,
            ..Script::new(27, SIZE)
        };
        let (origin, gate, old) = scene(script.clone()).await;
        check(&gate, &old, Some(RANGE)).await;
        origin.settled().await;
        origin.change("/film", |script| script.content.version = 2);
        let mut new = script;
        new.content.version = 2;
        let new = Object::from(&new);
        for range in [None, Some("bytes=0-199999"), Some(RANGE), None] {
            let mut request = Request::get("/film");
            request
                .headers
                .extend(range.map(|range| ("Range".into(), range.into())));
            let answer = gate.ask(request).await;
            let versions =
                [&old, &new].map(|version| version.verify(&version.expected(range, None), &answer));
            assert!(
                versions.iter().any(Result::is_ok),
                "{range:?}: {versions:?}\n{answer}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_206_that_lies_once_does_not_harm() {
    for lie in [
        Lie::Unnamed,
        Lie::UnknownTotal,
        Lie::Shifted,
        Lie::Short,
        Lie::Garbage,
    ] {
        let script = Script::new(28, SIZE).twisted(move |seen, script| {
            if seen.nth == 0 {
                script.ranges = Ranges::Lie(lie);
            }
        });
        let (origin, gate, object) = scene(script).await;
        let answer = gate.ask(Request::get("/film").range(RANGE)).await;
        assert_right(&object, &answer, &format!("{lie:?}"));
        origin.settled().await;
        check(&gate, &object, None).await;
        check(&gate, &object, Some(RANGE)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_206_that_always_lies_is_never_believed() {
    for lie in [
        Lie::Unnamed,
        Lie::UnknownTotal,
        Lie::Shifted,
        Lie::Short,
        Lie::Garbage,
    ] {
        let (origin, gate, object) = scene(Script {
            ranges: Ranges::Lie(lie),
            ..Script::new(29, SIZE)
        })
        .await;
        for _ in 0..2 {
            let answer = gate.ask(Request::get("/film").range(RANGE)).await;
            assert_right(&object, &answer, &format!("{lie:?}"));
            let honest_whole = origin.log().iter().any(|seen| seen.range().is_none());
            let is_hit = answer.head.cache_status().is_hit();
            assert!(!is_hit || honest_whole, "{lie:?}: {answer}");
        }
        check(&gate, &object, None).await;
        assert_eq!(
            asked_again(&origin, &gate, &object).await,
            0,
            "{lie:?}: {:#?}",
            origin.log()
        );
    }
}

/// A total of `*` is no lie: it can't be stored, but the client gets its range.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_total_is_passed_on_as_a_right_range() {
    let (_origin, gate, object) = scene(Script {
        ranges: Ranges::Lie(Lie::UnknownTotal),
        ..Script::new(30, SIZE)
    })
    .await;
    for _ in 0..2 {
        let answer = gate.ask(Request::get("/film").bytes(70_000, 199_999)).await;
        assert_eq!(answer.status(), 206, "{answer}");
        let named = answer.head.header("content-range").unwrap_or_default();
        assert!(named.starts_with("bytes 70000-199999/"), "{answer}");
        assert_eq!(answer.body.len(), 130_000, "{answer}");
        object.content.verify(70_000, &answer.body).unwrap();
    }
}

/// What a later window says about the total must agree with the first.
#[tokio::test(flavor = "multi_thread")]
async fn a_total_that_changes_between_windows_is_another_version() {
    let script = Script::new(31, SIZE).twisted(|seen, script| {
        if seen.nth == 1 {
            script.ranges = Ranges::Lie(Lie::OtherTotal);
        }
    });
    let (origin, gate, object) = scene(script).await;
    check(&gate, &object, Some("bytes=0-9")).await;
    let answer = gate.ask(Request::get("/film").range(RANGE)).await;
    let wrong = object.verify(&object.expected(Some(RANGE), None), &answer);
    assert!(
        wrong.is_ok() || !answer.is_whole() || answer.status() >= 500,
        "{wrong:?}\n{answer}"
    );
    origin.settled().await;
    check(&gate, &object, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_416_of_the_origin_tells_the_length() {
    let (origin, gate, object) = scene(Script::new(32, SIZE)).await;
    for range in [
        "bytes=99999999-",
        "bytes=10000000-10000001",
        "bytes=99999999999-",
    ] {
        let answer = check(&gate, &object, Some(range)).await;
        assert_eq!(answer.status(), 416);
    }
    check(&gate, &object, None).await;
    assert_eq!(
        asked_again(&origin, &gate, &object).await,
        0,
        "{:#?}",
        origin.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_object_is_an_object() {
    for framing in [Framing::Length, Framing::Chunked] {
        let (origin, gate, object) = scene(Script {
            framing,
            ..Script::new(33, 0)
        })
        .await;
        if framing == Framing::Chunked {
            // Cold, its length is not known when the header goes out: the whole is right too.
            check(&gate, &object, None).await;
        }
        for range in [
            Some("bytes=0-"),
            Some("bytes=-5"),
            Some("bytes=-0"),
            None,
            Some("bytes=0-"),
        ] {
            check(&gate, &object, range).await;
        }
        origin.settled().await;
        let asked = origin.log().len();
        check(&gate, &object, None).await;
        for range in ["bytes=0-", "bytes=-5", "bytes=1-2"] {
            check(&gate, &object, Some(range)).await;
        }
        assert_eq!(origin.log().len(), asked, "{:#?}", origin.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_around_the_grid_come_whole_and_in_parts() {
    let origin = Origin::start().await;
    let gate = Gate::before(&origin).await;
    for size in [
        1,
        1000,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        2 * CHUNK,
        3 * CHUNK - 1,
    ] {
        for cold in [
            None,
            Some("bytes=0-0"),
            Some("bytes=-1"),
            Some("bytes=0-"),
            Some("bytes=65535-"),
        ] {
            let target = format!("/{size}/{}", cold.unwrap_or("whole"));
            let script = Script::new(size, size);
            let object = Object::from(&script);
            origin.put(&target, script);
            for range in [
                cold,
                None,
                Some("bytes=-1"),
                Some("bytes=65535-65536"),
                Some("bytes=65536-"),
            ] {
                let mut request = Request::get(&target);
                request
                    .headers
                    .extend(range.map(|range| ("Range".into(), range.into())));
                let answer = gate.ask(request).await;
                let verdict = object.verify(&object.expected(range, None), &answer);
                verdict.unwrap_or_else(|wrong| panic!("{target} {range:?}: {wrong}\n{answer}"));
            }
            origin.settled().await;
            // A suffix learns the total from the first chunk, which is then there.
            assert_eq!(
                origin.sent(&target),
                size,
                "{target}: {:#?}",
                origin.asked(&target)
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_the_origin_pass_and_are_not_stored() {
    for status in [404, 500, 503] {
        let (origin, gate, object) = scene(Script {
            status,
            cache_control: None,
            ..Script::new(34, 100)
        })
        .await;
        for range in [Some(RANGE), None] {
            let mut request = Request::get("/film");
            request
                .headers
                .extend(range.map(|range| ("Range".into(), range.into())));
            let answer = gate.ask(request).await;
            assert_eq!(
                (answer.status(), answer.body.len()),
                (status, 100),
                "{answer}"
            );
            object.content.verify(0, &answer.body).unwrap();
        }
        let asked = origin.log().len();
        origin.change("/film", |script| {
            script.status = 200;
            script.size = SIZE;
            script.cache_control = Some("max-age=60");
        });
        let object = Object {
            size: SIZE,
            ..object
        };
        check(&gate, &object, Some(RANGE)).await;
        check(&gate, &object, None).await;
        assert!(origin.log().len() > asked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_gives_freshness_where_the_origin_gives_none() {
    let origin = Origin::with(Script {
        cache_control: None,
        last_modified: false,
        ..Script::new(35, SIZE)
    })
    .await;
    origin.put(
        "/gone",
        Script {
            status: 404,
            cache_control: None,
            ..Script::new(36, 100)
        },
    );
    let gate = Gate::with(&origin, |settings| {
        settings.routes[0].freshness.ttl.ok = Some(Duration::from_secs(60));
        settings.routes[0].freshness.ttl.client_error = Some(Duration::from_secs(60));
    })
    .await;
    for _ in 0..2 {
        assert_eq!(gate.get("/film").await.status(), 200);
        assert_eq!(gate.get("/gone").await.status(), 404);
        origin.settled().await;
    }
    assert_eq!(origin.asked("/film").len(), 1, "{:#?}", origin.log());
    assert_eq!(origin.asked("/gone").len(), 1, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_stored_passes_each_time() {
    for cache_control in [
        None,
        Some("private"),
        Some("no-store"),
        Some("private, max-age=60"),
    ] {
        let (origin, gate, object) = scene(Script {
            cache_control,
            last_modified: false,
            ..Script::new(37, SIZE)
        })
        .await;
        for range in [Some(RANGE), Some(RANGE), None, None, Some("bytes=-77")] {
            let before = origin.settled().await.len();
            let answer = check(&gate, &object, range).await;
            let status = answer.head.cache_status();
            assert!(
                !status.is_hit() && !status.has("stored"),
                "{cache_control:?}: {answer}"
            );
            assert!(
                origin.log().len() > before,
                "{cache_control:?} {range:?} was stored"
            );
        }
        // Several ranges of what passes: in parts or whole, as the origin likes.
        let answer = gate
            .ask(Request::get("/film").range("bytes=0-9,100-109"))
            .await;
        match answer.status() {
            200 => object.verify(&Expected::Whole, &answer).unwrap(),
            _ => assert_eq!(parts(&answer).unwrap().len(), 2, "{answer}"),
        }
    }
}

/// What one client asked for in vain says nothing about the object.
#[tokio::test(flavor = "multi_thread")]
async fn an_unsatisfiable_range_does_not_keep_the_object_from_being_stored() {
    let (origin, gate, object) = scene(Script::new(140, SIZE)).await;
    check(&gate, &object, Some("bytes=99999999-")).await;
    check(&gate, &object, Some(RANGE)).await;
    let log = origin.settled().await;
    let hit = check(&gate, &object, Some(RANGE)).await;
    assert!(hit.head.cache_status().is_hit(), "{hit}");
    assert_eq!(origin.log().len(), log.len(), "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_failure_does_not_keep_the_object_from_being_stored() {
    for status in [404, 500, 503] {
        let script = Script::new(141, SIZE).twisted(move |seen, script| {
            if seen.nth == 0 {
                script.status = status;
                script.cache_control = None;
            }
        });
        let (origin, gate, object) = scene(script).await;
        assert_eq!(gate.bytes("/film", 70_000, 199_999).await.status(), status);
        check(&gate, &object, Some(RANGE)).await;
        let log = origin.settled().await;
        let hit = check(&gate, &object, Some(RANGE)).await;
        assert!(hit.head.cache_status().is_hit(), "{hit}");
        assert_eq!(origin.log().len(), log.len(), "{log:#?}");
    }
}

/// Whatever claims to be right is right; a failure is a failure.
fn assert_right(object: &Object, answer: &Answer, what: &str) {
    if answer.status() >= 500 || !answer.is_whole() {
        return;
    }
    if answer.status() == 206 {
        let named = answer.head.header("content-range").unwrap_or_default();
        if named.starts_with("bytes 70000-199999/") {
            assert_eq!(answer.body.len(), 130_000, "{what}: {answer}");
            let verdict = object.content.verify(70_000, &answer.body);
            return verdict.unwrap_or_else(|wrong| panic!("{what}: {wrong}\n{answer}"));
        }
    }
    let expected = match answer.status() {
        200 => Expected::Whole,
        _ => object.expected(Some(RANGE), None),
    };
    let verdict = object.verify(&expected, answer);
    verdict.unwrap_or_else(|wrong| panic!("{what}: {wrong}\n{answer}"));
}
