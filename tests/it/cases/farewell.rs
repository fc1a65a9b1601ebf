//! A connection that Tidegate closes still brings its last answer, though the client has not
//! stopped writing: a socket that is closed over unread bytes is reset, and what it had to send is
//! lost.

use crate::{
    client::{Client, H2, Request},
    gate::Gate,
    model::{Expected, Object},
    origin::{Origin, Script},
    patience::within,
};

async fn stored(seed: u64) -> (Origin, Gate, Object) {
    let script = Script::new(seed, 512 << 10);
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::before(&origin).await;
    gate.get("/film").await;
    (origin, gate, object)
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_while_the_client_widens_its_window() {
    let (_origin, mut gate, object) = stored(900).await;
    // It says that it has room for more while the last of the answer is still on its way.
    let connection = H2::narrow(gate.address(), 64 << 10).await;
    let asked = connection.open(&Request::get("/film")).await;
    let (answer, ()) = tokio::join!(asked.whole(), gate.stop());
    object.verify(&Expected::Whole, &answer).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http1_while_the_client_sends_what_nobody_wants() {
    let (_origin, gate, _) = stored(901).await;
    let mut client = Client::connect(gate.address()).await;
    let mut request = Request::new("POST", "/film")
        .header("Host", "one")
        .header("Host", "two");
    request.body = vec![7; 8 << 20];
    let answer = client.ask(&request).await;
    assert_eq!(answer.status(), 400, "{answer}");
    assert!(answer.is_whole(), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_close_its_side_is_not_waited_for_long() {
    let (_origin, gate, object) = stored(902).await;
    let mut client = Client::connect(gate.address()).await;
    let request = Request::get("/film").header("Connection", "close");
    let answer = client.ask(&request).await;
    object.verify(&Expected::Whole, &answer).unwrap();
    let gone = async {
        while gate.metric("tidegate_connections_active").await > 0.0 {
            tokio::task::yield_now().await;
        }
    };
    within("the connection to be given up", gone).await;
}
