//! The package on a machine that a real systemd runs: from its installation to its removal, as an
//! administrator goes about it.

use super::build;
use crate::{
    child::binary,
    client::{Answer, Client, Request},
    gate::CHUNK,
    machine::{Machine, SHARED, Seat},
    model::{Expected, Object},
    origin::{Origin, Script},
};
use std::{io::Write, net::SocketAddr, path::PathBuf};

const CONFIG: &str = "/etc/tidegate/tidegate.yaml";
/// Where only root reads it, and where systemd has it for the service.
const TOKEN: &str = "/root/tidegate.token";
const CREDENTIAL: &str = "token_file: /run/credentials/tidegate.service/token";
/// As the package configures it: the machine's network is its own.
const ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_has_it_from_install_to_purge() {
    if let Some(seat) = Seat::taken() {
        return Story::begin(seat).await.tell().await;
    }
    if let Some(lacking) = Machine::lacking() {
        // Past the test runner, which keeps what a case prints that passes.
        let said = format!("No machine for systemd here, so nothing is tried on it: {lacking}\n");
        return std::io::stderr().write_all(said.as_bytes()).unwrap();
    }
    let (_, room) = module_path!().split_once("::").unwrap();
    let case = format!("{room}::an_administrator_has_it_from_install_to_purge");
    Machine::boot().await.run(&case).await;
}

struct Story {
    seat: Seat,
    origin: Origin,
    film: Object,
}

impl Story {
    async fn begin(seat: Seat) -> Self {
        let script = Script::new(920, 64 * CHUNK);
        Self {
            seat,
            film: Object::from(&script),
            origin: Origin::with(script).await,
        }
    }

    async fn tell(self) {
        self.install("0.1.0");
        self.configure();
        self.start().await;
        self.purge().await;
        self.reload().await;
        self.upgrade().await;
        self.hang().await;
        self.socket().await;
        self.remove();
    }

    fn package(&self, version: &str) -> String {
        let package = build(&binary(), version, self.seat.folder());
        let name = package.file_name().unwrap().to_str().unwrap();
        format!("{SHARED}/{name}")
    }

    fn install(&self, version: &str) -> String {
        self.seat
            .run(&["dpkg", "--install", &self.package(version)])
    }

    /// Writes a drop-in for the unit.
    fn drop_in(&self, name: &str, text: &str) {
        let folder = "/etc/systemd/system/tidegate.service.d";
        std::fs::write(self.seat.folder().join("drop-in"), text).unwrap();
        self.seat.run(&["mkdir", "-p", folder]);
        let drop_in = format!("{folder}/{name}.conf");
        self.seat
            .run(&["cp", &format!("{SHARED}/drop-in"), &drop_in]);
        self.seat.run(&["systemctl", "daemon-reload"]);
    }

    /// The machine's file, read and written over the shared folder.
    fn edit(&self, path: &str, change: impl FnOnce(String) -> String) {
        let here: PathBuf = self.seat.folder().join("edited");
        let there = format!("{SHARED}/edited");
        self.seat.run(&["cp", path, &there]);
        let text = std::fs::read_to_string(&here).unwrap();
        std::fs::write(&here, change(text)).unwrap();
        self.seat.run(&["cp", &there, path]);
    }

    fn configure(&self) {
        // Nothing runs before its origin is named.
        assert_eq!(self.seat.property("ActiveState"), "inactive");
        let origin = format!("http://{}", self.origin.address());
        self.edit(CONFIG, |text| {
            let text = text.replace("http://127.0.0.1:8000", &origin);
            // Time for a viewer who waits until dpkg is done.
            let text = text.replace("# least_time: 3s", "least_time: 60s");
            let text = text.replace("#: token_file: admin.token", CREDENTIAL);
            text.replace("#: access:", "access: {}")
        });
        std::fs::write(self.seat.folder().join("token"), "one that nobody guesses").unwrap();
        self.seat
            .run(&["install", "-m", "600", &format!("{SHARED}/token"), TOKEN]);
        let load = format!("[Service]\nLoadCredential=token:{TOKEN}\n");
        self.drop_in("token", &load);
    }

    async fn ask(&self) -> Answer {
        let mut client = Client::connect(ADDRESS).await;
        let answer = client.ask(&Request::get("/film")).await;
        self.film.verify(&Expected::Whole, &answer).unwrap();
        answer
    }

    async fn hit(&self) {
        let answer = self.ask().await;
        assert!(answer.head.cache_status().is_hit(), "{answer}");
    }

    async fn start(&self) {
        self.seat.run(&["systemctl", "enable", "--now", "tidegate"]);
        // It serves at once: the unit was not started before it did.
        self.ask().await;
        self.origin.settled().await;
        self.hit().await;
        let process = self.seat.property("MainPID");
        let status = format!("/proc/{process}/status");
        let status = self.seat.run(&["cat", &status]);
        let value = |name: &str| {
            let mut lines = status.lines();
            let line = lines.find_map(|line| line.strip_prefix(name));
            line.unwrap().trim_start_matches(':').trim().to_owned()
        };
        assert_eq!(value("NoNewPrivs"), "1");
        // Filtered system calls; one capability, for ports below 1024.
        assert_eq!(value("Seccomp"), "2");
        assert_eq!(u64::from_str_radix(&value("CapBnd"), 16), Ok(1 << 10));
        assert!(!value("Uid").starts_with('0'), "{status}");
    }

    async fn purge(&self) {
        let url = ["--url", "http://media.test/film"];
        let purge = ["tidegate", "purge", "--token-file", TOKEN];
        let said = self.seat.run(&[&purge[..], &url].concat());
        assert!(said.starts_with("1 object purged"), "{said}");
        let again = self.ask().await;
        assert!(!again.head.cache_status().is_hit(), "{again}");
        self.origin.settled().await;
    }

    /// A wrong file changes nothing, and the journal says why.
    async fn reload(&self) {
        let process = self.seat.property("MainPID");
        self.edit(CONFIG, |text| text + "nonsense: true\n");
        self.seat.run(&["systemctl", "reload", "tidegate"]);
        self.seat.said("reload: nonsense: unknown key").await;
        self.hit().await;
        self.edit(CONFIG, |text| text.replace("nonsense: true\n", ""));
        self.seat.run(&["systemctl", "reload", "tidegate"]);
        self.seat
            .said("reload: all else is as configured now")
            .await;
        assert_eq!(self.seat.property("MainPID"), process);
    }

    async fn upgrade(&self) {
        let old = self.seat.property("MainPID");
        let mut viewer = Client::narrow(ADDRESS).await;
        viewer.send(&Request::get("/film")).await.unwrap();
        assert_eq!(viewer.head().await.unwrap().status, 200);
        let mut seen = viewer.at_least(1).await.unwrap();
        let said = self.install("0.1.1");
        assert!(!said.contains("name your origins"), "{said}");
        self.seat.until("MainPID", |now| now != old).await;
        let (rest, cut) = viewer.rest().await;
        assert!(cut.is_none(), "{cut:?}\n{}", self.seat.journal());
        seen.extend(rest);
        assert_eq!(seen.len() as u64, self.film.size);
        self.film.content.verify(0, &seen).unwrap();
        self.hit().await;
        assert_eq!(self.seat.property("NRestarts"), "0");
    }

    /// A process that does nothing any more is killed, and another started.
    async fn hang(&self) {
        self.drop_in("short", "[Service]\nWatchdogSec=1s\nRestartSec=0\n");
        self.seat.run(&["systemctl", "restart", "tidegate"]);
        self.hit().await;
        let process = self.seat.property("MainPID");
        self.seat.run(&["kill", "-s", "STOP", &process]);
        self.seat.until("NRestarts", |count| count == "1").await;
        self.seat
            .until("ActiveState", |state| state == "active")
            .await;
        self.hit().await;
    }

    /// With systemd listening, a restart refuses nobody.
    async fn socket(&self) {
        self.seat
            .run(&["systemctl", "disable", "--now", "tidegate"]);
        self.seat
            .run(&["systemctl", "enable", "--now", "tidegate.socket"]);
        assert_eq!(self.seat.property("ActiveState"), "inactive");
        self.hit().await;
        assert_eq!(self.seat.property("ActiveState"), "active");
        let seat = self.seat.clone();
        let restarts = tokio::task::spawn_blocking(move || {
            for _ in 0..5 {
                seat.run(&["systemctl", "restart", "tidegate"]);
            }
        });
        while !restarts.is_finished() {
            self.hit().await;
        }
        restarts.await.unwrap();
    }

    fn remove(&self) {
        self.seat.run(&["dpkg", "--remove", "tidegate"]);
        assert_eq!(self.seat.property("ActiveState"), "inactive");
        self.seat.run(&["test", "-e", CONFIG]);
        self.seat
            .run(&["test", "-e", "/var/cache/private/tidegate"]);
        self.seat.run(&["dpkg", "--purge", "tidegate"]);
        for path in [
            "/etc/tidegate",
            "/var/cache/private/tidegate",
            "/var/cache/tidegate",
            "/usr/bin/tidegate",
        ] {
            let (there, _) = self.seat.try_run(&["test", "-e", path]);
            assert!(!there, "{path} is left");
        }
    }
}
