//! What systemd is told and gives, and what it thinks of the units. They come with Debian's package
//! `systemd`; no systemd need run.

use crate::{
    child::{Tidegate, binary, command},
    client::{Client, Request},
    gate::CHUNK,
    model::{Expected, Object},
    origin::{Origin, Script},
    patience::within,
};
use std::{
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};
use tempfile::TempDir;
use tokio::{net::UnixDatagram, process::Command};

const UNITS: [&str; 2] = ["tidegate.service", "tidegate.socket"];

/// The units, with the binary where it is here.
fn units() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in UNITS {
        let unit = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("systemd")
            .join(name);
        let unit = std::fs::read_to_string(unit).unwrap();
        let unit = unit.replace("/usr/bin/tidegate", binary().to_str().unwrap());
        std::fs::write(directory.path().join(name), unit).unwrap();
    }
    directory
}

async fn analyze(arguments: &[&str], units: &[PathBuf]) -> Output {
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .args(units)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = within("systemd-analyze", output).await;
    output.expect("systemd-analyze is there: it comes with Debian's package systemd")
}

#[tokio::test]
async fn systemd_finds_nothing_wrong_with_the_units() {
    let directory = units();
    let units = UNITS.map(|name| directory.path().join(name));
    let output = analyze(&["verify", "--man=no"], &units).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[tokio::test]
async fn the_service_can_do_little_harm() {
    let directory = units();
    let unit = directory.path().join("tidegate.service");
    let output = analyze(&["security", "--offline=true", "--no-pager"], &[unit]).await;
    let said = String::from_utf8_lossy(&output.stdout);
    let (_, level) = said.rsplit_once("Overall exposure level").expect(&said);
    let (_, level) = level.split_once(": ").unwrap();
    let level: f64 = level.split(' ').next().unwrap().parse().unwrap();
    assert!(level <= 1.5, "{said}");
}

/// An origin with a film, and a configuration before it.
async fn scene(listen: &str) -> (Origin, Object, TempDir, PathBuf) {
    let script = Script::new(900, 4 * CHUNK);
    let film = Object::from(&script);
    let origin = Origin::with(script).await;
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("tidegate.yaml");
    let text = format!(
        "listen:\n  - address: {listen}\n\
         admin:\n  address: 127.0.0.1:0\n\
         cache:\n  directory: cache\n  chunk_size: 64KiB\n\
         origins:\n  media:\n    servers:\n      - url: http://{}\n\
         routes:\n  - path: /\n    origins: [media]\n",
        origin.address(),
    );
    std::fs::write(&config, text).unwrap();
    (origin, film, directory, config)
}

/// The next that is told, but for signs of life.
async fn told(manager: &UnixDatagram) -> String {
    loop {
        let mut buffer = [0; 500];
        let length = within("word to systemd", manager.recv(&mut buffer)).await;
        let said = String::from_utf8_lossy(&buffer[..length.unwrap()]).into_owned();
        if said != "WATCHDOG=1" {
            return said;
        }
    }
}

/// Waits for a process to be ready, and to have read its directory, which may be so by then.
async fn until_ready(manager: &UnixDatagram) {
    let ready = told(manager).await;
    assert!(ready.starts_with("READY=1\nSTATUS=serving"), "{ready}");
    if ready.contains("reading the cache directory") {
        assert_eq!(told(manager).await, "STATUS=serving");
    }
}

async fn lives(manager: &UnixDatagram) {
    let mut buffer = [0; 500];
    let sign = async { while manager.recv(&mut buffer).await.unwrap() != "WATCHDOG=1".len() {} };
    within("a sign of life", sign).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manager_is_told_of_every_state() {
    let (_origin, film, directory, config) = scene("127.0.0.1:0").await;
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let mut start = command(&binary(), &config);
    start
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "100000");
    let mut tidegate = Tidegate::start(start).await;
    until_ready(&manager).await;
    lives(&manager).await;
    lives(&manager).await;

    tidegate.signal(tidegate.current(), "HUP");
    let reloading = told(&manager).await;
    let (state, time) = reloading.split_once('\n').unwrap();
    assert_eq!(state, "RELOADING=1");
    let time: u64 = time
        .strip_prefix("MONOTONIC_USEC=")
        .unwrap()
        .parse()
        .unwrap();
    assert!(time > 0);
    assert_eq!(told(&manager).await, "READY=1\nSTATUS=serving");

    // Whoever has ordered what came to nothing finds why (`systemctl status`).
    let good = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, "listen: nowhere\n").unwrap();
    tidegate.signal(tidegate.current(), "HUP");
    told(&manager).await;
    let refused = told(&manager).await;
    assert!(refused.starts_with("READY=1\nSTATUS=serving; the last reload was refused"));
    tidegate.signal(tidegate.current(), "USR2");
    let failed = told(&manager).await;
    let words = "STATUS=serving; the last upgrade failed: the new process can't: ";
    assert!(failed.starts_with(words), "{failed}");
    std::fs::write(&config, good).unwrap();

    tidegate.upgrade().await;
    let main = format!("MAINPID={}", tidegate.current());
    assert_eq!(told(&manager).await, main);
    until_ready(&manager).await;
    tidegate.first_ended().await;
    lives(&manager).await;
    let answer = tidegate.ask(Request::get("/film")).await;
    film.verify(&Expected::Whole, &answer).unwrap();

    tidegate.signal(tidegate.current(), "TERM");
    let stopping = told(&manager).await;
    assert!(stopping.starts_with("STOPPING=1\n"), "{stopping}");
}

/// Starts the binary as systemd does that has a socket for it.
fn activated(config: &Path, socket: TcpListener) -> Command {
    let mut start = Command::new("sh");
    start
        .args(["-c", ACTIVATE, "sh"])
        .arg(binary())
        .args(["run", "--config"])
        .arg(config)
        .stdin(OwnedFd::from(socket))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    start
}

const ACTIVATE: &str = "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$@\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_of_systemds_is_served_with_all_that_waits_there() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (_origin, film, _directory, config) = scene(&address.to_string()).await;
    // Before there is a process.
    let mut early = Client::connect(address).await;
    early.send(&Request::get("/film")).await.unwrap();
    let mut tidegate = Tidegate::start(activated(&config, socket)).await;
    assert_eq!(tidegate.address, address);
    assert_eq!(early.head().await.unwrap().status, 200);
    let (body, cut) = early.rest().await;
    assert!(cut.is_none(), "{cut:?}");
    film.content.verify(0, &body).unwrap();
    // And it can be handed over like any other.
    tidegate.upgrade().await;
    tidegate.first_ended().await;
    let answer = tidegate.ask(Request::get("/film")).await;
    film.verify(&Expected::Whole, &answer).unwrap();
    assert!(answer.head.cache_status().is_hit(), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_nobody_asked_for_is_named() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = socket.local_addr().unwrap();
    let (_origin, _film, _directory, config) = scene("127.0.0.2:0").await;
    let output = within("it to end", activated(&config, socket).output()).await;
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let words = format!("systemd passed a socket for {address}, but");
    assert!(said.contains(&words), "{said}");
}
