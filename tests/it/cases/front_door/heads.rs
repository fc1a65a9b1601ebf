//! Heads of requests: those that two servers might read differently are refused, those that are
//! too large or too slow are not waited for.

use crate::{
    client::{Client, H2, Request},
    gate::Gate,
    model::{Expected, Object},
    origin::{Origin, Script},
    patience::{let_time_pass, within},
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What comes back until the connection is closed.
async fn exchange(gate: &Gate, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(gate.address()).await.unwrap();
    // It may be refused before all of it is read.
    let _ = stream.write_all(sent).await;
    let mut came = Vec::new();
    let _ = within("the connection to be closed", stream.read_to_end(&mut came)).await;
    String::from_utf8_lossy(&came).into_owned()
}

async fn scene() -> (Origin, Gate) {
    let origin = Origin::with(Script::new(900, 1000)).await;
    let gate = Gate::before(&origin).await;
    (origin, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_be_read_in_two_ways_is_refused_and_never_forwarded() {
    let (origin, gate) = scene().await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: media.test\r\n\r\n";
    for (fields, status) in [
        ("", "400"),
        ("Host: a\r\nHost: a\r\n", "400"),
        ("Host: a\r\nHost: b\r\n", "400"),
        ("Host: a b\r\n", "400"),
        ("Host: a/b\r\n", "400"),
        ("Host: user@a\r\n", "400"),
        ("Host: media.test\nX: a\r\n", "400"),
        ("Host: media.test\r\nX: a\rY: b\r\n", "400"),
        ("Host: media.test\r\nX: a\r\n b\r\n", "400"),
        ("Host: media.test\r\nX : a\r\n", "400"),
        ("Host: media.test\r\nX: a\0\r\n", "400"),
        (
            "Host: media.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "400",
        ),
        (
            "Host: media.test\r\nContent-Length: 0\r\nContent-Length: 0\r\n",
            "400",
        ),
        ("Host: media.test\r\nContent-Length: +0\r\n", "400"),
        ("Host: media.test\r\nTransfer-Encoding: xchunked\r\n", "400"),
        (
            "Host: media.test\r\nTransfer-Encoding: gzip, chunked\r\n",
            "501",
        ),
    ] {
        for method in ["GET", "POST"] {
            let request = format!("{method} /film HTTP/1.1\r\n{fields}\r\n{smuggled}");
            let answer = exchange(&gate, request.as_bytes()).await;
            let expected = format!("HTTP/1.1 {status} ");
            assert!(answer.starts_with(&expected), "{request:?}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        }
    }
    // Also where the target names one.
    let unnamed = b"GET http://media.test/film HTTP/1.1\r\n\r\n";
    let answer = exchange(&gate, unnamed).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(origin.log().is_empty(), "{:#?}", origin.log());
    assert_eq!(gate.get("/film").await.status(), 200);
}

/// The lines of chunks end where those of heads do (RFC 9112, section 7.1): who ends them elsewhere sees
/// another body, and another request behind it.
#[tokio::test(flavor = "multi_thread")]
async fn chunks_that_could_be_read_in_two_ways_are_refused() {
    let (origin, gate) = scene().await;
    let post = |body: &str| {
        let head = "POST /film HTTP/1.1\r\nHost: media.test\r\nTransfer-Encoding: chunked\r\n\r\n";
        format!("{head}{body}")
    };
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: media.test\r\n\r\n";
    for body in [
        "3;a\nabc\r\n0\r\n\r\n",
        "3;a=\"\nabc\r\n0\r\n\r\n",
        "2;\n02\r\n31\r\n0\r\n\r\n",
        "3;a\0\r\nabc\r\n0\r\n\r\n",
        "3;a\rb\r\nabc\r\n0\r\n\r\n",
        "3\nabc\n0\n\n",
        "3\r\nabc\r\n0;a\n\r\n\r\n",
    ] {
        let request = post(&format!("{body}{smuggled}"));
        let answer = exchange(&gate, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{body:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{body:?}: {answer}");
    }
    let behind = origin.log().into_iter().find(|seen| seen.method == "GET");
    assert!(behind.is_none(), "{behind:#?}");
    // What extensions may be, and what is behind the end, are nobody else's matter.
    let good = post("3;a=\"b c\";d\r\na\nc\r\n0\r\nX: y\r\n\r\n");
    let next = "GET /film HTTP/1.1\r\nHost: media.test\r\nConnection: close\r\n\r\n";
    let answers = exchange(&gate, format!("{good}{good}{next}").as_bytes()).await;
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 3, "{answers}");
}

/// A target ends at the first space (RFC 9112, section 3.2): what is behind it belongs to no request, and
/// is not to be guessed at.
#[tokio::test(flavor = "multi_thread")]
async fn request_lines_that_are_none_are_refused_and_never_forwarded() {
    let (origin, gate) = scene().await;
    let good = "GET /film HTTP/1.1\r\nHost: media.test\r\n\r\n";
    for line in [
        "GET /fi lm HTTP/1.1",
        "GET /film HTTP/1.1 HTTP/1.1",
        "GET  /film HTTP/1.1",
        "GET /film  HTTP/1.1",
        "GET /film HTTP/1.1 ",
        "GET\t/film HTTP/1.1",
        "GET /fi\tlm HTTP/1.1",
        "GET /fi\0lm HTTP/1.1",
        "GET /fi\x7flm HTTP/1.1",
        "GET /fi\rlm HTTP/1.1",
    ] {
        let request = format!("{line}\r\nHost: media.test\r\n\r\n");
        let answer = exchange(&gate, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{line:?}: {answer}");
        // Also behind another, in one piece with it.
        let answer = exchange(&gate, format!("{good}{request}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{line:?}: {answer}");
        assert!(answer.contains("HTTP/1.1 400 "), "{line:?}: {answer}");
    }
    assert_eq!(origin.log().len(), 1, "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_large_are_refused() {
    let (origin, gate) = scene().await;
    let long = "x".repeat(33 << 10);
    let many = |number| "X: a\r\n".repeat(number);
    // Pingora parses no more than 256.
    for fields in [
        format!("X-Long: {long}\r\n"),
        many(101),
        many(257),
        many(5000),
    ] {
        let request = format!("GET /film HTTP/1.1\r\nHost: media.test\r\n{fields}\r\n");
        let answer = exchange(&gate, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    // One that has no end.
    let endless = format!("GET /film HTTP/1.1\r\nX-Long: {}", "x".repeat(1 << 20));
    let answer = exchange(&gate, endless.as_bytes()).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );

    let client = H2::connect(gate.address(), 1 << 20).await;
    let mut request = Request::get("/film");
    for _ in 0..101 {
        request = request.header("x", "a");
    }
    assert_eq!(client.ask(&request).await.status(), 431);
    assert!(origin.log().is_empty(), "{:#?}", origin.log());
}

/// Requests that come in one piece are answered one after the other (RFC 9112, section 9.3.2), also
/// where each has to wait for the origin.
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_together_are_answered_in_order() {
    let origin = Origin::start().await;
    let objects: Vec<_> = (0..4).map(|nth| Script::new(910 + nth, 1000)).collect();
    let mut text = String::new();
    for (nth, script) in objects.iter().enumerate() {
        let target = format!("/{nth}");
        text += &format!("GET {target} HTTP/1.1\r\nHost: media.test\r\n\r\n");
        origin.put(&target, script.clone());
    }
    let gate = Gate::before(&origin).await;
    let mut client = Client::connect(gate.address()).await;
    client.send_raw("GET", &text).await;
    for (nth, script) in objects.iter().enumerate() {
        if nth > 0 {
            // It has been sent already.
            client.send_raw("GET", "").await;
        }
        let answer = client.answer().await.unwrap();
        let object = Object::from(script);
        object.verify(&Expected::Whole, &answer).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_byte_by_byte_is_not_waited_for() {
    let origin = Origin::with(Script::new(901, 1000)).await;
    let gate = Gate::with(&origin, |settings| {
        settings.clients.header_timeout = Duration::from_millis(300);
    })
    .await;
    for first in [0, 1] {
        let mut stream = TcpStream::connect(gate.address()).await.unwrap();
        let mut client = Vec::new();
        if first == 1 {
            // A connection that has been good for one request is no better.
            let request = b"GET /film HTTP/1.1\r\nHost: media.test\r\n\r\n";
            stream.write_all(request).await.unwrap();
            client.resize(1000, 0);
            stream.read_exact(&mut client).await.unwrap();
        }
        let (mut reading, mut writing) = stream.into_split();
        let trickle = tokio::spawn(async move {
            let head = b"GET /film HTTP/1.1\r\nHost: media.test\r\nX: ".iter();
            for byte in head.chain(std::iter::repeat(&b'a')) {
                if writing.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let mut came = Vec::new();
        let closed = reading.read_to_end(&mut came);
        let _ = within("a trickling client to be closed", closed).await;
        let came = String::from_utf8_lossy(&came);
        assert!(came.contains("HTTP/1.1 408 "), "{came}");
        trickle.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_head_is_answered_where_http_2_may_come_as_well() {
    let (_origin, gate) = scene().await;
    // Shorter than what HTTP/2 begins with.
    let answer = exchange(&gate, b"GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1."), "{answer}");
    let mut client = Client::connect(gate.address()).await;
    client.send_raw("GET", "P").await;
    let rest = "RI /film HTTP/1.1\r\nHost: media.test\r\n\r\n";
    client.send_raw("GET", rest).await;
    assert!(client.head().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_closed_client_gets_its_answer() {
    let (_origin, gate) = scene().await;
    for _ in 0..2 {
        let mut stream = TcpStream::connect(gate.address()).await.unwrap();
        let request = b"GET /film HTTP/1.1\r\nHost: media.test\r\n\r\n";
        stream.write_all(request).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut came = Vec::new();
        within("the answer", stream.read_to_end(&mut came))
            .await
            .unwrap();
        assert!(came.starts_with(b"HTTP/1.1 200 ") && came.len() > 1000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_head_has_its_own_time() {
    let origin = Origin::with(Script::new(902, 1000)).await;
    let gate = Gate::with(&origin, |settings| {
        settings.clients.header_timeout = Duration::from_millis(300);
    })
    .await;
    let mut client = gate.client().await;
    for _ in 0..4 {
        // Nothing is read between hits: the time of one head must not go on in the next.
        assert_eq!(client.ask(&Request::get("/film")).await.status(), 200);
        let_time_pass(Duration::from_millis(200)).await;
    }
}
