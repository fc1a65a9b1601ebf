//! What the commands say where something is wrong: the real binary, and what was expected of whom.

use crate::{
    child::{Tidegate, binary, outcome},
    client::{Client, Request},
    front::Authority,
    gate::{CHUNK, Gate},
    origin::{Origin, Script},
};
use std::{ffi::OsStr, path::Path};

/// A configuration that nobody runs: without a tier, and without an admin address.
const SETTINGS: &str = "listen: [{address: 127.0.0.1:1}]\ncache: {directory: /nowhere}\n\
                        origins: {media: {servers: [{url: \"http://x\"}]}}\n\
                        routes: [{path: /, origins: [media]}]\n";

/// What `tidegate` with these arguments says on its standard error, where it fails.
async fn complaint(arguments: &[&str]) -> String {
    let output = outcome(arguments).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    assert_eq!(output.stdout, b"", "{arguments:?}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_address_over_tls_is_refused() {
    let admin = ["--admin", "https://127.0.0.1:9090"];
    let commands = [
        &["purge", "--all"][..],
        &["inspect", "http://media.test/film"],
        &["explain", "http://media.test/film"],
    ];
    for command in commands {
        let said = complaint(&[command, &admin].concat()).await;
        for words in ["https://127.0.0.1:9090", "expected http://", "no TLS"] {
            assert!(said.contains(words), "{command:?}: {said}");
        }
    }
}

/// What a check warns of that finds no mistake.
async fn warned(check: &[&str], file: &Path) -> String {
    let check = check.iter().map(OsStr::new);
    let output = outcome(check.chain(["--config".as_ref(), file.as_os_str()])).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Nobody's disk has a pebibyte.
#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_is_larger_than_its_disk_is_told() {
    let origin = Origin::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tidegate.yaml");
    let write = |size: &str| {
        let text = format!(
            "listen: [{{address: 127.0.0.1:0}}]\nadmin: {{address: 127.0.0.1:0}}\n\
             cache: {{directory: cache, max_size: {size}}}\n\
             origins: {{o: {{servers: [{{url: \"http://{}\"}}]}}}}\n\
             routes: [{{path: /, origins: [o]}}]\n",
            origin.address()
        );
        std::fs::write(&file, text).unwrap();
    };
    write("64MiB");
    assert_eq!(warned(&["check", "--online"], &file).await, "");
    write("1024TiB");
    const WORDS: &str = "cache.max_size 1.0 PiB does not fit: ";
    assert_eq!(warned(&["check"], &file).await, "");
    let said = warned(&["check", "--online"], &file).await;
    assert!(said.contains(WORDS), "{said}");
    let mut tidegate = Tidegate::run(&binary(), &file).await;
    tidegate.said(WORDS, 1).await;
}

/// A start would find all of it, one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_tls_that_are_of_no_use_are_all_told_by_a_check() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let place = |name: &str| {
        let place = directory.path().join(name);
        std::fs::create_dir(&place).unwrap();
        place
    };
    let (one, one_key) = authority.write_identity(&place("one"), "one.test");
    let (_, other_key) = authority.write_identity(&place("other"), "other.test");
    let file = directory.path().join("tidegate.yaml");
    let write = |key: &Path, ca: &str| {
        let text = format!(
            "listen: [{{address: 127.0.0.1:1, tls: {{certificate: {}, key: {}}}}}]\n\
             cache: {{directory: cache}}\n\
             origins: {{o: {{servers: [{{url: \"https://x\"}}], tls: {{ca: {ca}}}}}}}\n\
             routes: [{{path: /, origins: [o]}}]\n",
            one.display(),
            key.display()
        );
        std::fs::write(&file, text).unwrap();
    };
    write(&one_key, one.to_str().unwrap());
    assert_eq!(warned(&["check"], &file).await, "");
    write(&other_key, one_key.to_str().unwrap());
    let said = complaint(&["check", "--config", file.to_str().unwrap()]).await;
    let expected = [
        "listen[0].tls: ",
        "its private key is not the one of the certificate in",
        "origins.o.tls: ",
        "has no certificate in PEM",
    ];
    for words in expected {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_file_of_two_lines_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "old\nnew\n").unwrap();
    let file = file.to_str().unwrap();
    let said = complaint(&["purge", "--all", "--token-file", file]).await;
    assert!(
        said.contains(file) && said.contains("has 2 lines"),
        "{said}"
    );
}

/// A secret that is not there, as when a volume is mounted late, is no reason to serve nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_file_that_is_not_there_is_told_and_clients_are_served() {
    let origin = Origin::with(Script::new(185, CHUNK)).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tidegate.yaml");
    let text = format!(
        "listen: [{{address: 127.0.0.1:0}}]\nadmin: {{address: 127.0.0.1:0, token_file: token}}\n\
         cache: {{directory: cache}}\norigins: {{o: {{servers: [{{url: \"http://{}\"}}]}}}}\n\
         routes: [{{path: /, origins: [o]}}]\n",
        origin.address()
    );
    std::fs::write(&file, text).unwrap();
    let warning = warned(&["check"], &file).await;
    let words = "token can't be read (there is no such file)";
    assert!(warning.contains(words), "{warning}");

    let mut tidegate = Tidegate::run(&binary(), &file).await;
    tidegate.said(words, 1).await;
    assert_eq!(tidegate.ask(Request::get("/film")).await.status(), 200);
    let mut operator = Client::operator(tidegate.admin).await;
    let metrics = operator.ask(&Request::get("/metrics")).await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(
        metrics.contains("\ntidegate_admin_token_unusable 1\n"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_without_a_scheme_is_said_to_be_none() {
    let origin = Origin::start().await;
    let gate = Gate::before(&origin).await;
    let admin = format!("http://{}", gate.admin_address());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tidegate.yaml");
    std::fs::write(&file, SETTINGS).unwrap();
    let whom = [
        ["--admin", admin.as_str()],
        ["--config", file.to_str().unwrap()],
    ];
    for url in ["media.test/film", "media.test:80", "/film", "film"] {
        let asked = whom
            .iter()
            .map(|whom| [&["explain", url][..], whom].concat());
        let others = [
            ["inspect", url, "--admin", &admin].to_vec(),
            ["purge", "--url", url, "--admin", &admin].to_vec(),
        ];
        for command in asked.chain(others) {
            let said = complaint(&command).await;
            let expected = format!("{url:?} is not a URL: give it as clients do, with its scheme");
            assert!(said.contains(&expected), "{command:?}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_tier_to_erase_from_purges_nothing() {
    let origin = Origin::with(Script::new(165, CHUNK)).await;
    let gate = Gate::before(&origin).await;
    gate.get("/film").await;
    gate.until_stored(CHUNK).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tidegate.yaml");
    std::fs::write(&file, SETTINGS).unwrap();
    let admin = format!("http://{}", gate.admin_address());
    let file = file.to_str().unwrap();
    let purge = [
        "purge", "--erase", "--all", "--config", file, "--admin", &admin,
    ];
    let said = complaint(&purge).await;
    assert!(
        said.contains("no section tier") && said.contains("nothing was purged"),
        "{said}"
    );
    assert!(gate.get("/film").await.head.cache_status().is_hit());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lacks_the_token_hears_where_it_is_given() {
    let origin = Origin::start().await;
    let gate = Gate::guarded(&origin, "secret").await;
    let admin = format!("http://{}", gate.admin_address());
    let directory = tempfile::tempdir().unwrap();
    let [guess, missing] = ["guess", "missing"].map(|name| directory.path().join(name));
    std::fs::write(&guess, "guess").unwrap();
    let table = [
        (None, "wants the token of its admin.token_file"),
        (Some(&guess), "wrong token"),
        (Some(&missing), "there is no such file"),
    ];
    for (file, words) in table {
        let mut purge = vec!["purge", "--all", "--admin", &admin];
        if let Some(file) = file {
            purge.extend(["--token-file", file.to_str().unwrap()]);
        }
        let said = complaint(&purge).await;
        assert!(said.contains(words), "{said}");
        let hint = said.contains("--token-file") && said.contains("--config");
        assert_eq!(hint, file != Some(&missing), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_at_another_port_hears_what_is_there() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = taken.local_addr().unwrap();
    drop(taken);
    let said = complaint(&["stats", "--admin", &format!("http://{nobody}")]).await;
    assert!(said.contains("does not answer: "), "{said}");
    assert_eq!(said.to_lowercase().matches("refused").count(), 1, "{said}");

    let origin = Origin::start().await;
    let address = origin.address();
    let said = complaint(&["stats", "--admin", &format!("http://{address}")]).await;
    assert!(
        said.contains("answers, but not as an admin address"),
        "{said}"
    );
}

/// What `tidegate` with these arguments prints, where it succeeds.
async fn printed(arguments: &[&str]) -> String {
    let output = outcome(arguments).await;
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_object_is_one_object() {
    let origin = Origin::with(Script::new(954, CHUNK)).await;
    let gate = Gate::before(&origin).await;
    gate.get("/film").await;
    gate.until_stored(CHUNK).await;
    let admin = format!("http://{}", gate.admin_address());
    let said = printed(&["stats", "--admin", &admin]).await;
    assert!(said.contains(", 1 object\n"), "{said}");
    let said = printed(&["purge", "--all", "--admin", &admin]).await;
    assert!(said.starts_with("1 object purged, "), "{said}");
}

/// Each page on its own says what a command takes, and which version it is of.
#[tokio::test(flavor = "multi_thread")]
async fn manual_pages_say_what_options_take() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    printed(&["generate", "man", at.to_str().unwrap()]).await;
    let page = |name: &str| {
        let page = std::fs::read_to_string(at.join(name)).unwrap();
        page.replace('\\', "")
    };
    for (name, usage) in [
        ("tidegate.1", "fBtidegatefR <COMMAND>"),
        ("tidegate-run.1", "fBtidegate runfR --config <FILE>"),
        (
            "tidegate-purge.1",
            "fBtidegate purgefR [OPTIONS] <--url <URL>|--prefix <URL>|--tag <TAG>|--all>",
        ),
        (
            "tidegate-tier-gc.1",
            "fBtidegate tier gcfR [OPTIONS] --config <FILE>",
        ),
    ] {
        let page = page(name);
        assert!(page.contains(usage), "{name}: {page}");
        let version = concat!("tidegate ", env!("CARGO_PKG_VERSION"));
        let title = page.lines().find(|line| line.starts_with(".TH"));
        assert!(title.unwrap().contains(version), "{name}: {title:?}");
        assert_eq!(page.matches("SH SYNOPSIS").count(), 1);
    }
    assert!(!at.join("tidegate-generate.1").exists());
}
