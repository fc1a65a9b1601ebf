//! What is wrong around a process: somebody has its port or its directory, a token is everybody's.

use super::upgrade::{Scene, check_hit};
use crate::{
    child::{Tidegate, binary, command},
    client::{Client, Request},
    patience::within,
};
use std::{net::TcpListener, os::unix::fs::PermissionsExt, path::Path};

/// What a process says that is not to start.
async fn refusal(config: &Path) -> String {
    let output = command(&binary(), config).output();
    let output = within("it to refuse", output).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

async fn exposed(tidegate: &Tidegate) -> bool {
    let mut operator = Client::connect(tidegate.admin).await;
    let page = operator.ask(&Request::get("/metrics")).await;
    let page = String::from_utf8(page.body).unwrap();
    page.contains("\ntidegate_admin_token_exposed 1\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_another_process_is_left_alone_and_its_owner_named() {
    let (scene, film, mut tidegate) = Scene::with_film(960).await;
    for _ in 0..2 {
        let said = refusal(&scene.config()).await;
        let owner = format!("is in use by process {};", tidegate.current());
        assert!(said.contains(&owner), "{said}");
        assert!(said.contains("a directory of its own"), "{said}");
        check_hit(&tidegate, "/film", &film).await;
        // Who has taken over is named from then on.
        tidegate.upgrade().await;
        tidegate.first_ended().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named_before_anything_is_touched() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let scene = Scene::new("1GiB").await;
    let own = scene.configuration("1GiB");
    scene.configure(&own.replacen("127.0.0.1:0", &address.to_string(), 1));
    let said = refusal(&scene.config()).await;
    let expected = format!("cannot listen on {address}: the port is taken");
    assert!(said.contains(&expected), "{said}");
    assert!(!scene.cache().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_everybody_can_read_is_told_until_it_is_not() {
    let scene = Scene::new("1GiB").await;
    let own = scene.configuration("1GiB");
    let with_token = own.replace("admin:\n", "admin:\n  token_file: token\n");
    scene.configure(&with_token);
    let token = scene.config().with_file_name("token");
    std::fs::write(&token, "secret\n").unwrap();
    std::fs::set_permissions(&token, PermissionsExt::from_mode(0o644)).unwrap();
    let mut tidegate = scene.run().await;
    let line = tidegate.said("can be read by every user", 1).await;
    assert!(line.contains(token.to_str().unwrap()), "{line}");
    assert!(exposed(&tidegate).await);
    std::fs::set_permissions(&token, PermissionsExt::from_mode(0o600)).unwrap();
    // Nobody need tell it.
    tidegate
        .said("admin.token_file is as it should be", 1)
        .await;
    assert!(!exposed(&tidegate).await);
}
