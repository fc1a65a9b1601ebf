//! The origin fails in the middle: nobody takes a part for the whole, and whole chunks stay.

use crate::{
    client::{Answer, Request},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Cut, End, Framing, Origin, Script, State, Tag},
};

const SIZE: u64 = 10 * CHUNK + 5;
const CUT: u64 = 6 * CHUNK + CHUNK / 2;

async fn scene(script: Script) -> (Origin, Gate, Object) {
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::before(&origin).await;
    (origin, gate, object)
}

/// The first answer is cut; whatever is asked then fails, until the script is changed.
fn cut_then_down(seed: u64, how: End, framing: Framing) -> Script {
    let script = Script {
        framing,
        ..Script::new(seed, SIZE)
    };
    script.twisted(move |seen, script| match seen.nth {
        0 => script.cut = Some(Cut { after: CUT, how }),
        _ => script.status = 503,
    })
}

fn assert_aborted(object: &Object, answer: &Answer) {
    assert!(
        answer.status() == 200 && !answer.is_whole(),
        "a part passed as the whole: {answer}"
    );
    object.content.verify(0, &answer.body).unwrap();
}

/// A client that was not told would send its next request into a connection that is being closed.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_ends_its_connection_says_so() {
    let origin = Origin::start().await;
    let gate = Gate::before(&origin).await;
    drop(origin);
    let answer = gate.get("/film").await;
    assert_eq!(answer.status(), 502, "{answer}");
    assert_eq!(answer.head.header("connection"), Some("close"), "{answer}");
}

/// Some clients take a stream that is reset behind its head for no answer at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_a_whole_answer_over_http_2_too() {
    let origin = Origin::start().await;
    let gate = Gate::before(&origin).await;
    drop(origin);
    let client = crate::client::H2::connect(gate.address(), 1 << 20).await;
    for request in [
        Request::get("/film"),
        Request::get("/film").bytes(5, 9),
        Request::head("/film"),
        Request::new("DELETE", "/film"),
    ] {
        let answer = client.ask(&request).await;
        // The breaker may have opened by now.
        let has_failed = [502, 503].contains(&answer.status());
        assert!(has_failed && answer.is_whole(), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_body_is_an_aborted_answer_and_its_whole_chunks_stay() {
    let (origin, gate, object) = scene(cut_then_down(90, End::Close, Framing::Length)).await;
    let answer = gate.get("/film").await;
    assert_aborted(&object, &answer);
    let down = origin.settled().await.len();

    // What came whole is served while the origin is down.
    let part = gate.bytes("/film", CHUNK, 5 * CHUNK).await;
    assert_eq!(part.status(), 206, "{part}");
    object.content.verify(CHUNK, &part.body).unwrap();

    origin.change("/film", |script| script.twist = None);
    object
        .verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
    let log = origin.settled().await;
    for seen in &log[down..] {
        let window = seen.window();
        assert!(
            window.is_some_and(|(first, _)| first >= 6 * CHUNK),
            "{log:#?}"
        );
    }
    assert!(
        origin.log()[down..]
            .iter()
            .map(|seen| seen.sent)
            .sum::<u64>()
            <= SIZE - 6 * CHUNK
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_amid_the_body_is_an_aborted_answer() {
    let (origin, gate, object) = scene(cut_then_down(91, End::Reset, Framing::Length)).await;
    assert_aborted(&object, &gate.get("/film").await);
    origin.change("/film", |script| script.twist = None);
    object
        .verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_chunked_body_is_aborted_and_no_object() {
    for how in [End::Close, End::Reset] {
        let (origin, gate, object) = scene(cut_then_down(92, how, Framing::Chunked)).await;
        assert_aborted(&object, &gate.get("/film").await);
        let asked = origin.settled().await.len();
        origin.change("/film", |script| script.twist = None);
        object
            .verify(&Expected::Whole, &gate.get("/film").await)
            .unwrap();
        assert!(origin.log().len() > asked, "{:#?}", origin.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_2_client_sees_the_abort_too() {
    let (_origin, gate, object) = scene(cut_then_down(93, End::Close, Framing::Length)).await;
    let client = crate::client::H2::connect(gate.address(), 1 << 20).await;
    assert_aborted(&object, &client.ask(&Request::get("/film")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_cut_is_mended_or_shown_never_hidden() {
    for how in [End::Close, End::Reset] {
        for range in [None, Some("bytes=1000-")] {
            let script = Script::new(94, SIZE).twisted(move |seen, script| {
                if seen.nth == 0 {
                    script.cut = Some(Cut {
                        after: CHUNK / 2,
                        how,
                    });
                }
            });
            let (origin, gate, object) = scene(script).await;
            let mut request = Request::get("/film");
            request
                .headers
                .extend(range.map(|range| ("Range".into(), range.into())));
            let answer = gate.ask(request.clone()).await;
            let expected = object.expected(range, None);
            if answer.is_whole() && answer.status() < 500 {
                object.verify(&expected, &answer).unwrap();
            }
            origin.settled().await;
            object.verify(&expected, &gate.ask(request).await).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_that_can_not_be_filled_cuts_the_answer() {
    let (origin, gate, object) = scene(Script::new(95, SIZE)).await;
    gate.bytes("/film", 0, 2 * CHUNK - 1).await;
    origin.settled().await;
    origin.change("/film", |script| script.status = 500);
    let answer = gate.get("/film").await;
    assert!(answer.status() >= 500 || !answer.is_whole(), "{answer}");
    if answer.status() == 200 {
        object.content.verify(0, &answer.body).unwrap();
    }
    let part = gate.bytes("/film", 0, CHUNK).await;
    assert_eq!(part.status(), 206, "{part}");
    origin.change("/film", |script| script.status = 200);
    object
        .verify(&Expected::Whole, &gate.get("/film").await)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_who_follows_a_cut_fill_sees_the_cut() {
    let valve = crate::origin::Valve::at(CHUNK);
    let mut script = cut_then_down(96, End::Close, Framing::Length);
    script.valve = Some(valve.clone());
    let (origin, gate, object) = scene(script).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = gate.client().await;
        client.send(&Request::get("/film")).await.unwrap();
        let head = client.head().await.unwrap();
        assert_eq!(head.length(), Some(SIZE));
        clients.push(client);
    }
    valve.open();
    for mut client in clients {
        let (body, cut) = client.rest().await;
        assert!(cut.is_some() && (body.len() as u64) < SIZE);
        object.content.verify(0, &body).unwrap();
    }
    assert!(
        origin
            .settled()
            .await
            .iter()
            .any(|seen| seen.state == State::Cut)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_is_not_there_is_a_502() {
    let (origin, gate, _) = scene(Script::new(97, SIZE)).await;
    drop(origin);
    // The listener closes as soon as its task is dropped: until then a connection may be reset.
    for request in [
        Request::get("/film"),
        Request::get("/film").bytes(0, 9),
        Request::head("/film"),
    ] {
        let answer = gate.ask(request).await;
        assert!(matches!(answer.status(), 502 | 504), "{answer}");
        assert_eq!(answer.head.cache_status().cache, "tidegate", "{answer}");
    }
}

/// Nothing could complete it later: what has no validator can only be fetched as a whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_body_without_a_validator_is_no_object() {
    for etag in [Tag::None, Tag::Weak] {
        let mut script = cut_then_down(98, End::Close, Framing::Length);
        (script.etag, script.last_modified) = (etag, false);
        let (origin, gate, object) = scene(script).await;
        assert_aborted(&object, &gate.get("/film").await);
        origin.settled().await;
        origin.change("/film", |script| script.twist = None);
        object
            .verify(&Expected::Whole, &gate.get("/film").await)
            .unwrap();
    }
}
