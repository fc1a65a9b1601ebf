//! Interim (1xx) answers of an origin.

use crate::{
    client::{H2, Head, Request},
    front::{Front, Style},
    gate::{CHUNK, Gate},
    origin::{Origin, Script, Valve},
    patience::within,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const HINTS: &str =
    "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nX-Hint: yes\r\n\r\n";
const MANY: &str = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX-Hint: 1\r\n\r\n\
                    HTTP/1.1 103 Early Hints\r\nX-Hint: 2\r\nCache-Control: no-store\r\n\r\n";
const SIZE: u64 = 2 * CHUNK;

async fn scene(script: Script) -> (Origin, Gate) {
    let origin = Origin::with(script).await;
    let gate = Gate::before(&origin).await;
    (origin, gate)
}

/// A final head with nothing of the interim ones.
fn is_clean(head: &Head) {
    is_clean_of_hints(head);
    assert_ne!(head.header("cache-control"), Some("no-store"), "{head:?}");
}

fn is_clean_of_hints(head: &Head) {
    for name in ["x-hint", "link"] {
        assert_eq!(head.header(name), None, "{head:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_reach_the_client_before_the_origin_has_its_answer() {
    for cache_control in ["max-age=60", "no-store"] {
        for request in [
            Request::get("/film"),
            Request::get("/film").bytes(5, 9),
            Request::get("/film").header("If-None-Match", "\"other\""),
        ] {
            let valve = Valve::at(0);
            let (_origin, gate) = scene(Script {
                interim: HINTS,
                valve: Some(valve.clone()),
                holds_head: true,
                cache_control: Some(cache_control),
                ..Script::new(400, SIZE)
            })
            .await;
            let mut client = gate.client().await;
            client.send(&request).await.unwrap();
            let hints = client.interim().await.unwrap();
            assert_eq!(hints.status, 103);
            assert_eq!(hints.header("x-hint"), Some("yes"), "{hints:?}");
            valve.open();
            let head = client.head().await.unwrap();
            assert!(matches!(head.status, 200 | 206), "{head:?}");
            assert_eq!(head.header("x-hint"), None, "{head:?}");
            let (body, cut) = client.rest().await;
            assert_eq!((Some(body.len() as u64), cut), (head.length(), None));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_come_with_the_final_head_reach_the_client_and_not_the_store() {
    let (origin, gate) = scene(Script {
        interim: MANY,
        ..Script::new(401, SIZE)
    })
    .await;
    let mut client = gate.client().await;
    client.send(&Request::get("/film")).await.unwrap();
    for (status, hint) in [(102, "1"), (103, "2")] {
        let head = client.interim().await.unwrap();
        assert_eq!((head.status, head.header("x-hint")), (status, Some(hint)));
    }
    let head = client.head().await.unwrap();
    is_clean(&head);
    assert_eq!(client.rest().await.0.len() as u64, SIZE);
    origin.settled().await;

    client.send(&Request::get("/film")).await.unwrap();
    // `head` would pass over interim ones; this does not.
    assert!(client.next_status().await.unwrap() == 200);
    let head = client.head().await.unwrap();
    assert!(head.cache_status().is_hit(), "{head:?}");
    is_clean(&head);
    assert_eq!(client.rest().await.0.len() as u64, SIZE);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_can_not_have_them_get_the_answer_alone() {
    let (origin, gate) = scene(Script {
        interim: MANY,
        ..Script::new(402, SIZE)
    })
    .await;
    origin.put(
        "/page",
        Script {
            interim: MANY,
            cache_control: Some("no-store"),
            ..Script::new(403, 10)
        },
    );
    for target in ["/film", "/page"] {
        let mut old = gate.client().await;
        let text =
            format!("GET {target} HTTP/1.0\r\nHost: media.test\r\nExpect: 100-continue\r\n\r\n");
        old.send_raw("GET", &text).await;
        assert_eq!(old.next_status().await.unwrap(), 200);
        let head = old.head().await.unwrap();
        assert_eq!(head.header("x-hint"), None, "{head:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_they_reach_the_client_as_they_come() {
    for cache_control in ["max-age=60", "no-store"] {
        let valve = Valve::at(0);
        let (origin, gate) = scene(Script {
            interim: MANY,
            valve: Some(valve.clone()),
            holds_head: true,
            cache_control: Some(cache_control),
            ..Script::new(404, SIZE)
        })
        .await;
        let client = H2::connect(gate.address(), 1 << 20).await;
        let mut asked = client.begin(&Request::get("/film"), true).await;
        for (status, hint) in [(102, "1"), (103, "2")] {
            let head = asked.interim().await;
            assert_eq!((head.status, head.header("x-hint")), (status, Some(hint)));
        }
        valve.open();
        let answer = asked.head().await.unwrap().whole().await;
        assert_eq!((answer.status(), answer.body.len() as u64), (200, SIZE));
        assert_eq!(answer.head.header("x-hint"), None, "{answer}");
        origin.settled().await;
        if cache_control != "no-store" {
            let again = client.ask(&Request::get("/film")).await;
            assert!(again.head.cache_status().is_hit(), "{again}");
            is_clean(&again.head);
        }
    }
}

/// Reads until what came ends so.
async fn read_up_to(stream: &mut TcpStream, end: &[u8]) {
    let mut came = Vec::new();
    while !came.ends_with(end) {
        assert!(stream.read_buf(&mut came).await.unwrap() > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_whether_to_send_its_body_is_told_over_http_2() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gate = Gate::at(listener.local_addr().unwrap(), |_| ()).await;
    let origin = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_up_to(&mut stream, b"\r\n\r\n").await;
        let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
        stream.write_all(go_on).await.unwrap();
        read_up_to(&mut stream, b"\r\n0\r\n\r\n").await;
        let done = b"HTTP/1.1 204 No Content\r\n\r\n";
        stream.write_all(done).await.unwrap();
    });
    let client = H2::connect(gate.address(), 1 << 20).await;
    let request = Request::new("POST", "/film").header("Expect", "100-continue");
    let mut asked = client.begin(&request, false).await;
    assert_eq!(asked.interim().await.status, 100);
    asked.end(b"the body");
    assert_eq!(asked.head().await.unwrap().head.status, 204);
    within("the origin", origin).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn those_of_an_origin_over_http_2_reach_the_client_and_not_the_store() {
    for cache_control in ["max-age=60", "no-store"] {
        let origin = Origin::with(Script {
            cache_control: Some(cache_control),
            ..Script::new(406, SIZE)
        })
        .await;
        let style = Style {
            http2: true,
            hints: &[("link", "</style.css>; rel=preload"), ("x-hint", "1")],
            ..Style::default()
        };
        let front = Front::before(&origin, style).await;
        let gate = Gate::at(front.address(), |settings| {
            settings.origins[0].http2 = true;
        })
        .await;
        let mut client = gate.client().await;
        client.send(&Request::get("/film")).await.unwrap();
        let hints = client.interim().await.unwrap();
        assert_eq!((hints.status, hints.header("x-hint")), (103, Some("1")));
        let head = client.head().await.unwrap();
        assert_eq!(head.status, 200, "{head:?}");
        is_clean_of_hints(&head);
        assert_eq!(client.rest().await.0.len() as u64, SIZE);

        let client = H2::connect(gate.address(), 1 << 20).await;
        let mut asked = client.begin(&Request::get("/film"), true).await;
        if cache_control == "no-store" {
            let hints = asked.interim().await;
            assert_eq!((hints.status, hints.header("x-hint")), (103, Some("1")));
        }
        let answer = asked.head().await.unwrap().whole().await;
        assert_eq!((answer.status(), answer.body.len() as u64), (200, SIZE));
        is_clean_of_hints(&answer.head);
        assert_eq!(front.taken().len(), 1, "one connection is enough");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_switches_protocols_unasked_has_failed() {
    let (_origin, gate) = scene(Script {
        interim: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        ..Script::new(405, SIZE)
    })
    .await;
    let answer = gate.get("/film").await;
    assert_eq!(answer.status(), 502, "{answer}");
}
