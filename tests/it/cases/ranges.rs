//! One table of range requests, the same answers in every state of the object.

use crate::{
    client::{Answer, Client, Request},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Origin, Script, Valve, date},
};

const SIZE: u64 = 3 * CHUNK + 1000;

/// What the store knows when the request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Cold,
    /// A plain GET is under way, and stalled.
    Filling,
    /// The second chunk is there.
    Partial,
    Full,
}

const RANGES: &[&str] = &[
    "bytes=0-0",
    "bytes=0-",
    "bytes=0-99",
    "bytes=1000-1999",
    "bytes=65535-65536",
    "bytes=65536-131071",
    "bytes=131072-",
    "bytes=196608-196609",
    "bytes=197607-197607",
    "bytes=0-197607",
    "bytes=0-999999999",
    "bytes=-1",
    "bytes=-1000",
    "bytes=-100000",
    "bytes=-197608",
    "bytes=-999999999",
    // Several.
    "bytes=0-0,-1",
    "bytes=100-199,300-399,70000-70009",
    "bytes=300-399,100-199",
    "bytes=0-9,5-19",
    "bytes=10-19,0-9",
    "bytes=0-9,11-19",
    "bytes=0-,5-9",
    "bytes=0-9,9999999-",
    "bytes=9999999-,0-9,100-109",
    "bytes=,0-9,,20-29,",
    "bytes=0-9 , 20-29",
    "bytes=0-9,\t20-29",
    // Unsatisfiable.
    "bytes=197608-",
    "bytes=197608-197609",
    "bytes=9999999-",
    "bytes=-0",
    "bytes=-0,9999999-",
    // Beyond 64 bits.
    "bytes=99999999999999999999-",
    "bytes=99999999999999999999-99999999999999999999",
    "bytes=0-99999999999999999999",
    "bytes=18446744073709551615-",
    "bytes=0-18446744073709551615",
    "bytes=0-18446744073709551616",
    "bytes=-18446744073709551615",
    "bytes=-99999999999999999999",
    "bytes=99999999999999999999-5",
    // Malformed or of another unit: as if not there.
    "bytes=5-4",
    "bytes=a-b",
    "bytes=",
    "bytes=,",
    "bytes=-",
    "bytes=1",
    "bytes=--5",
    "bytes=1-2-3",
    "bytes=+1-2",
    "bytes=0x0-1",
    "bytes=0-1,x",
    "bytes=0-9,5-4",
    "0-1",
    "bytes",
    "items=0-1",
    "BYTES=0-9",
    "Bytes=-9",
];

/// `If-Range` beside `bytes=1000-1999`.
fn validators() -> Vec<String> {
    let mut validators: Vec<_> = ["\"v1\"", "\"v2\"", "W/\"v1\"", "v1", "*", "yesterday"]
        .map(str::to_owned)
        .into();
    validators.extend([date(1), date(2), date(0)]);
    validators
}

fn requests() -> Vec<(Option<String>, Option<String>)> {
    let many = |count: u64| {
        let ranges = (0..count).map(|nth| format!("{}-{}", nth * 3000, nth * 3000 + 9));
        format!("bytes={}", ranges.collect::<Vec<_>>().join(","))
    };
    let mut requests: Vec<_> = RANGES
        .iter()
        .map(|&range| (Some(range.to_owned()), None))
        .collect();
    requests.extend([(Some(many(32)), None), (Some(many(33)), None), (None, None)]);
    for validator in validators() {
        requests.push((Some("bytes=1000-1999".into()), Some(validator)));
    }
    requests.push((Some("bytes=9999999-".into()), Some("\"v2\"".into())));
    requests.push((None, Some("\"v2\"".into())));
    requests
}

/// The answer as far as it must be the same in every state.
fn essence(answer: &Answer) -> Vec<(String, Option<String>)> {
    let fields = [
        "content-range",
        "content-length",
        "content-type",
        "etag",
        "last-modified",
        "accept-ranges",
        "cache-control",
    ];
    let mut essence = vec![("status".to_owned(), Some(answer.status().to_string()))];
    for field in fields {
        let value = answer
            .head
            .header(field)
            .map(|value| match value.split_once("boundary=") {
                Some((kind, _)) => kind.to_owned(),
                None => value.to_owned(),
            });
        essence.push((field.to_owned(), value));
    }
    essence
}

/// Brings an object into a state, then asks; what held the fill back is let go once asked.
async fn ask_in(
    state: State,
    origin: &Origin,
    gate: &Gate,
    target: &str,
    request: &Request,
) -> Answer {
    let valve = Valve::at(CHUNK + CHUNK / 2);
    let script = Script {
        valve: (state == State::Filling).then(|| valve.clone()),
        headers: vec![("Content-Type", "video/mp4".into())],
        ..Script::new(40, SIZE)
    };
    origin.put(
        target,
        script.twisted(|seen, script| {
            if seen.range().is_some() {
                script.valve = None;
            }
        }),
    );
    let mut first = Client::connect(gate.address()).await;
    match state {
        State::Cold => (),
        State::Filling => {
            first.send(&Request::get(target)).await.unwrap();
            first.head().await.unwrap();
            first.at_least(CHUNK as usize).await.unwrap();
        }
        State::Partial => {
            first
                .ask(&Request::get(target).bytes(CHUNK, CHUNK + 9))
                .await;
        }
        State::Full => {
            first.ask(&Request::get(target)).await;
        }
    }
    let mut client = gate.client().await;
    client.send(request).await.unwrap();
    valve.open();
    let head = client.head().await.unwrap();
    let (body, cut) = client.rest().await;
    if state == State::Filling {
        assert_eq!(
            first.rest().await.1,
            None,
            "the first client gets its whole body"
        );
    }
    Answer { head, body, cut }
}

async fn answers_in(state: State) -> Vec<(Request, Answer)> {
    let origin = Origin::start().await;
    let gate = Gate::before(&origin).await;
    let object = Object::from(&Script::new(40, SIZE));
    let mut answers = Vec::new();
    let mut wrong = Vec::new();
    for (nth, (range, if_range)) in requests().into_iter().enumerate() {
        let target = format!("/{state:?}/{nth}");
        let mut request = Request::get(&target);
        request
            .headers
            .extend(range.iter().map(|range| ("Range".into(), range.clone())));
        request
            .headers
            .extend(if_range.iter().map(|tag| ("If-Range".into(), tag.clone())));
        let answer = ask_in(state, &origin, &gate, &target, &request).await;
        let expected = object.expected(range.as_deref(), if_range.as_deref());
        if let Err(error) = object.verify(&expected, &answer) {
            wrong.push(format!("{range:?} {if_range:?}: {error}\n  {answer}"));
        }
        answers.push((request, answer));
    }
    assert!(
        wrong.is_empty(),
        "{} wrong answers:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_object_answers_every_range() {
    answers_in(State::Cold).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_being_filled_answers_every_range() {
    answers_in(State::Filling).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_object_answers_every_range() {
    answers_in(State::Partial).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_object_answers_every_range() {
    answers_in(State::Full).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_does_not_tell_the_state() {
    let reference = answers_in(State::Full).await;
    for state in [State::Cold, State::Filling, State::Partial] {
        for ((request, answer), (_, full)) in answers_in(state).await.iter().zip(&reference) {
            assert_eq!(
                essence(answer),
                essence(full),
                "{state:?}: {:?}",
                request.headers
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_does_not_know_ranges() {
    let origin = Origin::start().await;
    let gate = Gate::before(&origin).await;
    for state in [State::Cold, State::Filling, State::Partial, State::Full] {
        for range in [
            "bytes=0-9",
            "bytes=-5",
            "bytes=0-9,20-29",
            "bytes=9999999-",
            "bytes=5-4",
        ] {
            let target = format!("/{state:?}/{range}");
            let request = Request::head(&target).range(range);
            let answer = ask_in(state, &origin, &gate, &target, &request).await;
            let found = (
                answer.status(),
                answer.head.length(),
                answer.head.header("content-range"),
            );
            assert_eq!(
                found,
                (200, Some(SIZE), None),
                "{state:?} {range}: {answer}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_come_over_http_2_as_well() {
    let script = Script::new(41, SIZE);
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::before(&origin).await;
    let client = crate::client::H2::connect(gate.address(), 1 << 20).await;
    for range in [
        "bytes=70000-70009",
        "bytes=-5",
        "bytes=0-9,20-29",
        "bytes=9999999-",
        "bytes=0-",
    ] {
        let answer = client.ask(&Request::get("/film").range(range)).await;
        let verdict = object.verify(&object.expected(Some(range), None), &answer);
        verdict.unwrap_or_else(|wrong| panic!("{range}: {wrong}\n{answer}"));
    }
    object
        .verify(&Expected::Whole, &client.ask(&Request::get("/film")).await)
        .unwrap();
    let head = client.ask(&Request::head("/film")).await;
    assert_eq!(
        (head.status(), head.head.length()),
        (200, Some(SIZE)),
        "{head}"
    );
}

/// An object that ends within the first window, and one that is not there at all.
#[tokio::test(flavor = "multi_thread")]
async fn small_cold_objects_answer_every_range() {
    let origin = Origin::start().await;
    let gate = Gate::before(&origin).await;
    let mut wrong = Vec::new();
    for size in [0, 1, 1000, CHUNK, CHUNK + 1] {
        for (nth, (range, if_range)) in requests().into_iter().enumerate() {
            let target = format!("/{size}/{nth}");
            let script = Script::new(42, size);
            let object = Object::from(&script);
            origin.put(&target, script);
            let mut request = Request::get(&target);
            request
                .headers
                .extend(range.iter().map(|range| ("Range".into(), range.clone())));
            request
                .headers
                .extend(if_range.iter().map(|tag| ("If-Range".into(), tag.clone())));
            let expected = object.expected(range.as_deref(), if_range.as_deref());
            for _ in 0..2 {
                let answer = gate.ask(request.clone()).await;
                if let Err(error) = object.verify(&expected, &answer) {
                    wrong.push(format!("{size}: {range:?} {if_range:?}: {error}\n{answer}"));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong answers:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
