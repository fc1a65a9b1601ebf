//! Preconditions, in the order of RFC 9110 §13.2.2, whatever the store knows.

use crate::{
    client::{Answer, Request},
    gate::{CHUNK, Gate},
    origin::{Origin, Script, date},
};

const SIZE: u64 = 2 * CHUNK + 50;

/// Header fields of a request, and the status that they deserve.
fn table() -> Vec<(Vec<(&'static str, String)>, u16)> {
    let text = |value: &str| value.to_owned();
    let range = || ("Range", "bytes=10-19".to_owned());
    vec![
        (vec![("If-None-Match", text("\"v1\""))], 304),
        (vec![("If-None-Match", text("W/\"v1\""))], 304),
        (vec![("If-None-Match", text("\"x\", \"v1\""))], 304),
        (vec![("If-None-Match", text("*"))], 304),
        (vec![("If-None-Match", text("\"x\""))], 200),
        (
            vec![
                ("If-None-Match", text("\"x\"")),
                ("If-Modified-Since", date(1)),
            ],
            200,
        ),
        (
            vec![
                ("If-None-Match", text("\"v1\"")),
                ("If-Modified-Since", date(0)),
            ],
            304,
        ),
        (vec![("If-Modified-Since", date(1))], 304),
        (vec![("If-Modified-Since", date(9))], 304),
        (vec![("If-Modified-Since", date(0))], 200),
        (vec![("If-Modified-Since", text("yesterday"))], 200),
        (vec![("If-Match", text("\"v1\""))], 200),
        (vec![("If-Match", text("\"x\", \"v1\""))], 200),
        (vec![("If-Match", text("*"))], 200),
        (vec![("If-Match", text("\"x\""))], 412),
        (vec![("If-Match", text("W/\"v1\""))], 412),
        (
            vec![
                ("If-Match", text("\"v1\"")),
                ("If-Unmodified-Since", date(0)),
            ],
            200,
        ),
        (vec![("If-Unmodified-Since", date(1))], 200),
        (vec![("If-Unmodified-Since", date(9))], 200),
        (vec![("If-Unmodified-Since", date(0))], 412),
        (vec![("If-Unmodified-Since", text("yesterday"))], 200),
        (
            vec![
                ("If-Match", text("\"v1\"")),
                ("If-None-Match", text("\"v1\"")),
            ],
            304,
        ),
        (vec![range(), ("If-None-Match", text("\"v1\""))], 304),
        (vec![range(), ("If-None-Match", text("\"x\""))], 206),
        (vec![range(), ("If-Match", text("\"x\""))], 412),
        (vec![range(), ("If-Match", text("\"v1\""))], 206),
        (vec![range(), ("If-Unmodified-Since", date(0))], 412),
        (vec![range(), ("If-Modified-Since", date(1))], 304),
    ]
}

fn wrong(answer: &Answer, status: u16) -> Option<String> {
    let script = Script::new(50, SIZE);
    if answer.status() != status || !answer.is_whole() {
        return Some(format!("expected {status}, found {answer}"));
    }
    match status {
        304 if answer.head.header("etag") != Some("\"v1\"") => Some(format!("no ETag: {answer}")),
        304 if !answer.body.is_empty() => Some(format!("a 304 with a body: {answer}")),
        206 => script.content.verify(10, &answer.body).err(),
        200 => match answer.body.len() as u64 {
            SIZE => script.content.verify(0, &answer.body).err(),
            _ => Some(format!("not the whole: {answer}")),
        },
        _ => None,
    }
}

async fn compare(warm: Option<Request>) {
    let origin = Origin::start().await;
    let gate = Gate::before(&origin).await;
    let mut report = Vec::new();
    for (nth, (fields, status)) in table().into_iter().enumerate() {
        let target = format!("/{nth}");
        origin.put(&target, Script::new(50, SIZE));
        if let Some(warm) = &warm {
            gate.ask(Request {
                target: target.clone(),
                ..warm.clone()
            })
            .await;
        }
        let mut request = Request::get(&target);
        request.headers = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let answer = gate.ask(request).await;
        report.extend(wrong(&answer, status).map(|wrong| format!("{fields:?}: {wrong}")));
    }
    assert!(
        report.is_empty(),
        "{} wrong:\n{}",
        report.len(),
        report.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn preconditions_hold_on_a_cold_object() {
    compare(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn preconditions_hold_on_a_partial_object() {
    compare(Some(Request::get("").bytes(CHUNK, CHUNK))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn preconditions_hold_on_a_full_object() {
    compare(Some(Request::get(""))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_304_costs_the_origin_no_body_once_the_object_is_known() {
    let origin = Origin::with(Script::new(51, SIZE)).await;
    let gate = Gate::before(&origin).await;
    gate.bytes("/film", 0, 9).await;
    origin.settled().await;
    let asked = origin.log().len();
    let answer = gate
        .ask(Request::get("/film").header("If-None-Match", "\"v1\""))
        .await;
    assert_eq!(answer.status(), 304);
    let head = gate
        .ask(Request::head("/film").header("If-None-Match", "\"v1\""))
        .await;
    assert_eq!(head.status(), 304, "{head}");
    assert_eq!(origin.log().len(), asked, "{:#?}", origin.log());
}
