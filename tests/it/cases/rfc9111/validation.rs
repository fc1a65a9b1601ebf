//! Asking whether what is stored is still current (RFC 9111, section 4.3).

use super::exchange::{Step, case, date, get, play, with};
use crate::origin::Tag;

fn stale() -> Step {
    get().controls("max-age=0")
}

const JANUARY_2: &str = "Thu, 02 Jan 2020 00:00:00 GMT";

#[tokio::test(flavor = "multi_thread")]
async fn the_origin_is_asked_by_what_it_gave() {
    play([
        case(
            "tag",
            [
                stale().tagged().asks(),
                get().validates("\"v1\"").status(200).gives(1),
            ],
        ),
        case(
            "weak tag",
            [
                stale().weak().asks(),
                get().validates("W/\"v1\"").status(200).gives(1),
            ],
        ),
        case(
            "date",
            [
                stale().dated().asks(),
                get()
                    .sends("If-Modified-Since", JANUARY_2)
                    .status(200)
                    .gives(1),
            ],
        ),
        case(
            "both",
            [
                stale().tagged().dated().asks(),
                get()
                    .validates("\"v1\"")
                    .sends("If-Modified-Since", JANUARY_2)
                    .gives(1),
            ],
        ),
        case(
            "neither",
            [
                stale().asks(),
                get()
                    .asks()
                    .sends_no("If-None-Match")
                    .sends_no("If-Modified-Since"),
            ],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_304_makes_what_is_stored_fresh() {
    let good = get()
        .controls("max-age=600")
        .tagged()
        .validates("\"v1\"")
        .gives(1);
    let weak = get()
        .controls("max-age=600")
        .weak()
        .validates("W/\"v1\"")
        .gives(1);
    play([
        case(
            "tag",
            [stale().tagged().asks(), good, get().hits().gives(1)],
        ),
        case(
            "weak tag",
            [stale().weak().asks(), weak, get().hits().gives(1)],
        ),
        case(
            "date",
            [
                stale().dated().asks(),
                get().controls("max-age=600").dated().asks().gives(1),
                get().hits().gives(1),
            ],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_answer_takes_the_place_of_what_is_stored() {
    let other = get()
        .controls("max-age=600")
        .tagged()
        .of(2)
        .validates("\"v1\"")
        .gives(2);
    play([
        case(
            "another version",
            [
                stale().tagged().asks(),
                other,
                get().hits().gives(2).has("ETag", "\"v2\""),
            ],
        ),
        case(
            "an error that is to be stored",
            [
                stale().tagged().asks(),
                get()
                    .controls("max-age=600")
                    .answers(404)
                    .asks()
                    .status(404),
                get().hits().status(404),
            ],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_does_not_pass_for_an_answer_of_the_object() {
    play([case(
        "503",
        [
            stale().tagged().asks(),
            get().controls("no-store").answers(503).asks().status(503),
            get().controls("max-age=600").tagged().asks().gives(1),
        ],
    )])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_304_of_another_version_it_is_asked_without_conditions() {
    // The origin says 304 whatever condition it is asked, and names another tag.
    let other = || {
        get()
            .says(&[("Cache-Control", "max-age=600"), ("ETag", "\"other\"")])
            .script(|script| {
                *script = script.clone().twisted(|seen, script| {
                    if seen.is_conditional() {
                        (script.status, script.size) = (304, 0);
                    } else {
                        script.content.version = 2;
                    }
                });
            })
    };
    play([
        case(
            "no condition",
            [
                stale().tagged().asks(),
                other().status(200).gives(2),
                get().hits().gives(2),
            ],
        ),
        case(
            "the client's",
            [
                stale().tagged().asks(),
                other()
                    .field("If-None-Match", "\"other\"")
                    .status(304)
                    .has("ETag", "\"other\""),
            ],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_304_that_nobody_has_asked_for_is_none() {
    let liar = || get().controls("max-age=600").tagged().answers(304);
    play([
        case("first contact", [liar().status(502)]),
        case(
            "of another version, and once more",
            [
                stale().tagged().asks(),
                liar()
                    .script(|script| {
                        script.etag = Tag::None;
                        script.headers.push(("ETag", "\"other\"".into()));
                    })
                    .status(502),
            ],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_are_evaluated_against_what_is_stored() {
    let first = || get().controls("max-age=600").tagged().dated().asks();
    let asked = |name: &str, value: &str| get().field(name, value).hits();
    let early = "Wed, 01 Jan 2020 00:00:00 GMT";
    play([
        case(
            "the same tag",
            [
                first(),
                asked("If-None-Match", "\"v1\"")
                    .status(304)
                    .has("ETag", "\"v1\"")
                    .lacks("Content-Length"),
            ],
        ),
        case(
            "weakly the same",
            [first(), asked("If-None-Match", "W/\"v1\"").status(304)],
        ),
        case(
            "in a list",
            [
                first(),
                asked("If-None-Match", "\"a,b\", \"v1\"").status(304),
            ],
        ),
        case("any", [first(), asked("If-None-Match", "*").status(304)]),
        case(
            "another",
            [
                first(),
                asked("If-None-Match", "\"v2\"").status(200).gives(1),
            ],
        ),
        case(
            "the tag before the date",
            [
                first(),
                asked("If-None-Match", "\"v2\"")
                    .field("If-Modified-Since", JANUARY_2)
                    .status(200)
                    .gives(1),
            ],
        ),
        case(
            "the same date",
            [first(), asked("If-Modified-Since", JANUARY_2).status(304)],
        ),
        case(
            "later",
            [first(), asked("If-Modified-Since", &date(0)).status(304)],
        ),
        case(
            "earlier",
            [
                first(),
                asked("If-Modified-Since", early).status(200).gives(1),
            ],
        ),
        case(
            "no date",
            [
                first(),
                asked("If-Modified-Since", "lately").status(200).gives(1),
            ],
        ),
        case(
            "If-Match",
            [first(), asked("If-Match", "\"v2\"").status(412)],
        ),
        case(
            "If-Match that holds",
            [first(), asked("If-Match", "\"v1\"").status(200).gives(1)],
        ),
        case(
            "If-Unmodified-Since",
            [first(), asked("If-Unmodified-Since", early).status(412)],
        ),
        case(
            "a stored error has no conditions",
            [
                get().controls("max-age=600").answers(404).asks(),
                asked("If-None-Match", "*").status(404),
            ],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_conditions_are_not_the_caches() {
    let first = stale().tagged().asks();
    let own = || get().field("If-None-Match", "\"mine\"");
    play([
        case(
            "validated for the cache",
            [first, own().validates("\"v1\"").status(200).gives(1)],
        ),
        case(
            "brought in whole",
            [
                own()
                    .controls("max-age=600")
                    .tagged()
                    .asks()
                    .status(200)
                    .gives(1),
                get().hits().gives(1),
            ],
        ),
        case(
            "brought in whole, though the client has it",
            [
                get()
                    .field("If-None-Match", "\"v1\"")
                    .controls("max-age=600")
                    .tagged()
                    .sends_no("If-None-Match")
                    .status(304),
                get().gives(1),
            ],
        ),
    ])
    .await;
}

/// A HEAD of what is stored is asked as a GET of the cache's own, of no more than its first bytes.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_agrees_makes_what_is_stored_fresh() {
    let said = [("Cache-Control", "max-age=600"), ("X-Own", "2")];
    let agreed = |head: Step| {
        let head = head.says(&said).tagged().validates("\"v1\"");
        [
            head.status(200).has("X-Own", "2").once(),
            get().hits().gives(1).has("X-Own", "2"),
        ]
    };
    let steps = |first: Step, head: Step| [vec![first], agreed(head).to_vec()].concat();
    let first = |control| get().controls(control).tagged().asks();
    play([
        case("stale", steps(first("max-age=0"), with("HEAD"))),
        case(
            "the client wants the origin's word",
            steps(
                first("max-age=600"),
                with("HEAD").field("Cache-Control", "no-cache"),
            ),
        ),
        // A 304 has said that it is not to be kept, and a HEAD says that it may be.
        case(
            "one that passes by",
            [
                first("max-age=0"),
                get().controls("no-store").tagged().validates("\"v1\""),
                with("HEAD").says(&said).tagged().once().sends_no("Range"),
                get().hits().gives(1).has("X-Own", "2"),
            ],
        ),
        case(
            "one that differs",
            [
                first("max-age=0"),
                with("HEAD")
                    .controls("max-age=600")
                    .tagged()
                    .of(2)
                    .validates("\"v1\"")
                    .has("ETag", "\"v2\""),
                get().gives(2),
            ],
        ),
        case(
            "nothing is stored of what the client does not want stored",
            [
                first("max-age=0"),
                with("HEAD")
                    .field("Cache-Control", "no-store")
                    .says(&said)
                    .tagged()
                    .asks(),
                get().says(&said).tagged().validates("\"v1\"").gives(1),
            ],
        ),
        case(
            "nor of a HEAD with a body, which might be another's",
            [
                first("max-age=0"),
                with("HEAD").body("x").says(&said).tagged().asks(),
                get().says(&said).tagged().validates("\"v1\"").gives(1),
            ],
        ),
    ])
    .await;
}

/// A HEAD that passes by tells that what is stored is not current.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_makes_what_it_contradicts_stale() {
    let first = || get().controls("max-age=600").tagged().asks();
    let head = || with("HEAD").field("Cache-Control", "no-store");
    play([
        case(
            "another tag",
            [
                first(),
                head().controls("max-age=600").tagged().of(2).asks(),
                get().validates("\"v1\"").gives(2),
            ],
        ),
        case(
            "the same",
            [
                first(),
                head().controls("max-age=600").tagged().asks(),
                get().hits().gives(1),
            ],
        ),
        case(
            "another length",
            [
                get().controls("max-age=600").asks(),
                head()
                    .controls("max-age=600")
                    .script(|script| script.size = 999)
                    .asks(),
                get().asks(),
            ],
        ),
        case(
            "an error says nothing",
            [
                first(),
                head().controls("max-age=600").answers(404).asks(),
                get().hits().gives(1),
            ],
        ),
    ])
    .await;
}
