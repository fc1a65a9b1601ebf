//! Trailers (RFC 9110, section 6.5; RFC 9111, section 3.1): they are dropped, and what they say is
//! not taken for what the head says.

use crate::{
    client::{Answer, H2, Head, Request},
    front::{Front, Style},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Framing, Origin, Script},
};

const SIZE: u64 = 2 * CHUNK + 77;

/// What would do harm in a head.
const TRAILERS: &str = "X-End: 1\r\nETag: \"v2\"\r\nContent-Length: 5\r\n\
                        Cache-Control: no-store\r\nSet-Cookie: a=1\r\nVary: *\r\n";

fn script(cache_control: &'static str) -> Script {
    Script {
        framing: Framing::Chunked,
        trailers: TRAILERS,
        cache_control: Some(cache_control),
        headers: vec![("Trailer", "X-End, ETag, Vary".into())],
        ..Script::new(800, SIZE)
    }
}

/// The head is that of the origin, without anything of its trailers and without their names.
fn is_clean(head: &Head) {
    for name in ["x-end", "set-cookie", "vary", "trailer"] {
        assert_eq!(head.header(name), None, "{head:?}");
    }
    let own: Vec<_> = head.all("etag").collect();
    assert_eq!(own, ["\"v1\""], "{head:?}");
    assert_ne!(head.header("content-length"), Some("5"), "{head:?}");
}

fn verify(object: &Object, answer: &Answer, control: &str) {
    object
        .verify(&Expected::Whole, answer)
        .unwrap_or_else(|wrong| panic!("{wrong}\n{answer}"));
    is_clean(&answer.head);
    let said: Vec<_> = answer.head.all("cache-control").collect();
    assert_eq!(said, [control], "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_with_trailers_is_stored_and_served_without_them() {
    for (control, stored) in [("max-age=600", true), ("no-store", false)] {
        let origin = Origin::start().await;
        for target in ["/1", "/2"] {
            origin.put(target, script(control));
        }
        let object = Object::from(&script(control));
        let mut gate = Gate::before(&origin).await;
        let mut client = gate.client().await;
        for nth in 0..2 {
            // Over one connection: what follows the body does not spill into the next answer.
            let answer = client.ask(&Request::get("/1")).await;
            verify(&object, &answer, control);
            let is_hit = answer.head.cache_status().is_hit();
            assert_eq!(is_hit, stored && nth > 0, "{answer}");
            origin.settled().await;
        }
        let client = H2::connect(gate.address(), 1 << 20).await;
        for nth in 0..2 {
            let answer = client.ask(&Request::get("/2")).await;
            verify(&object, &answer, control);
            let is_hit = answer.head.cache_status().is_hit();
            assert_eq!(is_hit, stored && nth > 0, "{answer}");
            origin.settled().await;
        }
        if stored {
            let asked = origin.log().len();
            gate.restart().await;
            verify(&object, &gate.get("/1").await, control);
            let part = gate.bytes("/1", SIZE - 10, SIZE - 1).await;
            assert_eq!((part.status(), part.body.len()), (206, 10), "{part}");
            is_clean(&part.head);
            assert_eq!(origin.log().len(), asked);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_over_http_2_are_dropped_as_well() {
    for control in ["max-age=600", "no-store"] {
        let script = || Script {
            cache_control: Some(control),
            ..Script::new(801, SIZE)
        };
        let object = Object::from(&script());
        let origin = Origin::with(script()).await;
        let style = Style {
            http2: true,
            trailers: &[("x-end", "1"), ("etag", "\"v2\""), ("vary", "*")],
            ..Style::default()
        };
        let front = Front::before(&origin, style).await;
        let gate = Gate::at(front.address(), |settings| {
            settings.origins[0].http2 = true;
        })
        .await;
        for nth in 0..2 {
            let answer = gate.get("/film").await;
            verify(&object, &answer, control);
            let is_hit = answer.head.cache_status().is_hit();
            assert_eq!(is_hit, control != "no-store" && nth > 0, "{answer}");
            origin.settled().await;
        }
        let client = H2::connect(gate.address(), 1 << 20).await;
        verify(&object, &client.ask(&Request::get("/film")).await, control);
    }
}

/// Whoever would take trailers is not promised any.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_for_trailers() {
    for control in ["max-age=600", "no-store"] {
        let origin = Origin::with(script(control)).await;
        let gate = Gate::before(&origin).await;
        let request = Request::get("/film")
            .header("TE", "trailers")
            .header("Trailer", "X-Mine");
        is_clean(&gate.ask(request.clone()).await.head);
        let client = H2::connect(gate.address(), 1 << 20).await;
        is_clean(&client.ask(&request).await.head);
        for seen in origin.settled().await {
            assert_eq!(seen.header("te"), None, "{seen:?}");
            assert_eq!(seen.header("trailer"), None, "{seen:?}");
        }
    }
}
