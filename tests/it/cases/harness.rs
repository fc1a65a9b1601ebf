//! The harness against itself: the clients and the origin understand each other without a proxy
//! between them, and what they count is what was sent.

use crate::{
    client::{self, Client, Request},
    model::{self, Object},
    origin::{Cut, End, Framing, Lie, Origin, Ranges, Script, State, Tag, Valve, date},
};

const SIZE: u64 = 300_000;

async fn ask(origin: &Origin, request: Request) -> client::Answer {
    Client::connect(origin.address()).await.ask(&request).await
}

#[tokio::test]
async fn a_plain_get_brings_the_object_in_every_framing() {
    for framing in [Framing::Length, Framing::Chunked, Framing::UntilClose] {
        let script = Script {
            framing,
            ..Script::new(1, SIZE)
        };
        let object = Object::from(&script);
        let origin = Origin::with(script).await;
        let answer = ask(&origin, Request::get("/film")).await;
        object.verify(&model::Expected::Whole, &answer).unwrap();
        let log = origin.settled().await;
        assert_eq!(
            (log.len(), log[0].sent, log[0].state),
            (1, SIZE, State::Complete)
        );
    }
}

#[tokio::test]
async fn the_origin_answers_ranges_as_the_model_expects() {
    let script = Script::new(2, SIZE);
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let mut client = Client::connect(origin.address()).await;
    for range in [
        "bytes=0-0",
        "bytes=100-",
        "bytes=-100",
        "bytes=299999-400000",
        "bytes=300000-",
    ] {
        let answer = client.ask(&Request::get("/film").range(range)).await;
        let expected = object.expected(Some(range), None);
        object
            .verify(&expected, &answer)
            .unwrap_or_else(|wrong| panic!("{range}: {wrong}"));
    }
    let sent: Vec<_> = origin.log().iter().map(|seen| seen.sent).collect();
    assert_eq!(sent, [1, 299_900, 100, 1, 0]);
}

#[tokio::test]
async fn a_cut_body_is_seen_as_cut_in_every_framing_that_can_tell() {
    for framing in [Framing::Length, Framing::Chunked] {
        for how in [End::Reset, End::Close] {
            let origin = Origin::with(Script {
                framing,
                cut: Some(Cut {
                    after: 100_000,
                    how,
                }),
                ..Script::new(3, SIZE)
            })
            .await;
            let answer = ask(&origin, Request::get("/film")).await;
            assert!(
                !answer.is_whole() && answer.body.len() <= 100_000,
                "{answer}"
            );
            assert_eq!(origin.settled().await[0].state, State::Cut);
        }
    }
}

#[tokio::test]
async fn a_valve_holds_the_body_until_it_is_opened() {
    let valve = Valve::at(50_000);
    let script = Script {
        valve: Some(valve.clone()),
        ..Script::new(4, SIZE)
    };
    let origin = Origin::with(script).await;
    let mut client = Client::connect(origin.address()).await;
    client.send(&Request::get("/film")).await.unwrap();
    assert_eq!(client.head().await.unwrap().length(), Some(SIZE));
    let mut body = client.at_least(50_000).await.unwrap();
    assert_eq!(body.len(), 50_000);
    assert_eq!(origin.log()[0].sent, 50_000);
    valve.open();
    body.extend(client.rest().await.0);
    assert_eq!(body, Script::new(4, SIZE).content.bytes(0..SIZE));
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_while_the_valve_is_shut() {
    let script = Script {
        valve: Some(Valve::at(10)),
        ..Script::new(5, SIZE)
    };
    let origin = Origin::with(script).await;
    let mut client = Client::connect(origin.address()).await;
    client.send(&Request::get("/film")).await.unwrap();
    client.head().await.unwrap();
    drop(client);
    let log = origin.settled().await;
    assert_eq!((log[0].state, log[0].sent), (State::Left, 10));
}

#[tokio::test]
async fn validators_conditions_and_lies_are_as_scripted() {
    let origin = Origin::with(Script::new(6, SIZE)).await;
    let unchanged = ask(
        &origin,
        Request::get("/film").header("If-None-Match", "\"v1\""),
    )
    .await;
    assert_eq!(unchanged.status(), 304);
    origin.change("/film", |script| script.content.version = 2);
    let changed = ask(
        &origin,
        Request::get("/film").header("If-None-Match", "\"v1\""),
    )
    .await;
    assert_eq!(changed.head.header("last-modified"), Some(&*date(2)));
    assert_eq!(changed.status(), 200);
    let stale = Request::get("/film")
        .bytes(0, 9)
        .header("If-Range", "\"v1\"");
    assert_eq!(ask(&origin, stale).await.status(), 200);
    let current = Request::get("/film")
        .bytes(0, 9)
        .header("If-Range", "\"v2\"");
    assert_eq!(ask(&origin, current).await.status(), 206);

    for (lie, content_range) in [
        (Lie::Unnamed, None),
        (Lie::UnknownTotal, Some("bytes 10-19/*")),
        (Lie::Shifted, Some("bytes 11-20/300000")),
        (Lie::OtherTotal, Some("bytes 10-19/300001")),
        (Lie::Short, Some("bytes 10-19/300000")),
    ] {
        origin.change("/film", |script| {
            script.ranges = Ranges::Lie(lie);
            script.etag = Tag::None;
        });
        let answer = ask(&origin, Request::get("/film").bytes(10, 19)).await;
        assert_eq!(answer.head.header("content-range"), content_range);
        assert_eq!(answer.body.len(), if lie == Lie::Short { 5 } else { 10 });
    }
}

#[tokio::test]
async fn twists_and_variants_choose_per_request() {
    let script = Script {
        vary_by: Some("Accept-Language"),
        ..Script::new(7, 100)
    };
    let origin = Origin::with(script.twisted(|seen, script| {
        if seen.nth == 0 {
            script.status = 503;
        }
    }))
    .await;
    let welsh = Request::get("/film").header("Accept-Language", "cy");
    assert_eq!(ask(&origin, welsh.clone()).await.status(), 503);
    let welsh = ask(&origin, welsh).await;
    let irish = ask(
        &origin,
        Request::get("/film").header("Accept-Language", "ga"),
    )
    .await;
    assert_eq!((welsh.status(), irish.status()), (200, 200));
    assert_ne!(welsh.body, irish.body);
}

#[tokio::test]
async fn request_bodies_are_read_and_unknown_targets_are_not_found() {
    let origin = Origin::with(Script::new(8, 10)).await;
    let mut post = Request::new("POST", "/film");
    post.body = vec![1; 5000];
    let mut client = Client::connect(origin.address()).await;
    assert_eq!(client.ask(&post).await.status(), 200);
    assert_eq!(
        client.ask(&Request::head("/film")).await.head.length(),
        Some(10)
    );
    assert_eq!(client.ask(&Request::get("/other")).await.status(), 404);
    assert_eq!(origin.log()[0].received, 5000);
}

#[test]
fn a_multipart_body_is_taken_apart() {
    let body = "--x\r\nContent-Type: video/mp4\r\nContent-Range: bytes 0-1/9\r\n\r\nab\r\n\
                --x\r\nContent-Range: bytes 4-6/9\r\n\r\ncde\r\n--x--\r\n";
    let answer = client::Answer {
        head: client::Head {
            status: 206,
            headers: vec![(
                "Content-Type".into(),
                "multipart/byteranges; boundary=x".into(),
            )],
        },
        body: body.into(),
        cut: None,
    };
    let parts = client::parts(&answer).unwrap();
    assert_eq!(
        (parts[0].range.clone(), &parts[0].body[..]),
        (0..2, &b"ab"[..])
    );
    assert_eq!((parts[1].range.clone(), parts[1].total), (4..7, 9));
    assert_eq!(parts[0].content_type.as_deref(), Some("video/mp4"));
}

/// Sends a body over HTTP/2 as far as the client's windows let it, and tells how far that is.
async fn serve_h2(listener: tokio::net::TcpListener, sent: tokio::sync::watch::Sender<u64>) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let mut body = respond
            .send_response(http::Response::new(()), false)
            .unwrap();
        let sent = sent.clone();
        tokio::spawn(async move {
            let content = Script::new(9, SIZE).content;
            let mut at = 0;
            while at < SIZE {
                body.reserve_capacity((SIZE - at) as usize);
                let room = std::future::poll_fn(|context| body.poll_capacity(context)).await;
                let room = room.unwrap().unwrap() as u64;
                let piece = content.bytes(at..(at + room).min(SIZE));
                at += piece.len() as u64;
                body.send_data(piece.into(), at == SIZE).unwrap();
                sent.send_modify(|sent| *sent += room);
            }
        });
    }
}

#[tokio::test]
async fn an_http_2_client_can_withhold_its_window() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sent = tokio::sync::watch::Sender::new(0);
    let server = tokio::spawn(serve_h2(listener, sent.clone()));
    let client = client::H2::connect(address, 20_000).await;
    let mut stalled = client.open(&Request::get("/film")).await;
    let mut body = Vec::new();
    while body.len() < 20_000 {
        body.extend(stalled.some_withheld().await.unwrap());
    }
    // A whole body on another stream later, the first one still has no more than its window.
    let other = client.ask(&Request::get("/film")).await;
    assert_eq!(other.body.len() as u64, SIZE);
    assert_eq!((body.len(), *sent.borrow()), (20_000, SIZE + 20_000));
    body.extend(stalled.whole().await.body);
    Script::new(9, SIZE).content.verify(0, &body).unwrap();
    assert_eq!(body.len() as u64, SIZE);
    server.abort();
}
