//! `kill -9` at any moment: what is served afterwards is right, and what was whole is still there.
//!
//! The real binary, with a configuration file, killed amid fills and evictions and started again
//! on the same directory, `TIDEGATE_KILLS` times.

mod purges;

use crate::{
    client::{Answer, Client, Request},
    dice::{self, Dice},
    gate::CHUNK,
    model::{Expected, Object},
    origin::{Origin, Script},
    patience::within,
};
use std::{net::SocketAddr, path::Path, process::Stdio, sync::Arc};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    task::{JoinHandle, JoinSet},
};

const OBJECTS: u64 = 12;
const SIZE: u64 = 32 * CHUNK + 99;
const READERS: u64 = 6;

/// A child process that serves.
struct Tidegate {
    child: Child,
    address: SocketAddr,
    admin: SocketAddr,
    // Keeps reading, so that the child never waits for its log to be read.
    log: JoinHandle<()>,
}

impl Tidegate {
    async fn run(config: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["run", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut before = String::new();
        let mut address = None;
        let admin = loop {
            let line = within("the line that names the address", lines.next_line())
                .await
                .unwrap();
            let Some(line) = line else {
                panic!("it ended before it listened:\n{before}");
            };
            address = address.or_else(|| address_after("listening on http://", &line));
            // The last of them that is named.
            if let Some(admin) = address_after("admin on http://", &line) {
                break admin;
            }
            before += &line;
            before.push('\n');
        };
        let log = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                assert!(!line.contains("panicked"), "{line}");
            }
        });
        Self {
            child,
            address: address.expect("it says where it listens"),
            admin,
            log,
        }
    }

    async fn kill(mut self) {
        within("the child to die", self.child.kill()).await.unwrap();
        within("the end of its log", self.log).await.unwrap();
    }
}

fn address_after(words: &str, line: &str) -> Option<SocketAddr> {
    let (_, address) = line.split_once(words)?;
    address.trim().trim_end_matches('/').parse().ok()
}

/// A configuration of the least there is, on ports that the system chooses.
fn configuration(origin: &Origin, directory: &Path, max_size: &str) -> String {
    format!(
        "listen:\n  - address: 127.0.0.1:0\n\
         admin:\n  address: 127.0.0.1:0\n\
         cache:\n  directory: {}\n  max_size: {max_size}\n  chunk_size: 64KiB\n\
         origins:\n  media:\n    servers:\n      - url: http://{}\n\
         routes:\n  - path: /\n    origins: [media]\n",
        directory.join("cache").display(),
        origin.address(),
    )
}

/// An origin with some films, and a directory with a configuration in front of it.
struct Scene {
    origin: Origin,
    objects: Arc<Vec<(String, Object)>>,
    directory: TempDir,
}

impl Scene {
    async fn new(max_size: &str) -> Self {
        let origin = Origin::start().await;
        let objects = (0..OBJECTS).map(|nth| {
            let script = Script::new(400 + nth, SIZE + nth);
            let object = Object::from(&script);
            let target = format!("/{nth}.mp4");
            origin.put(&target, script);
            (target, object)
        });
        let objects = Arc::new(Vec::from_iter(objects));
        let directory = tempfile::tempdir().unwrap();
        let config = configuration(&origin, directory.path(), max_size);
        std::fs::write(directory.path().join("tidegate.yaml"), config).unwrap();
        Self {
            origin,
            objects,
            directory,
        }
    }

    async fn run(&self) -> Tidegate {
        Tidegate::run(&self.directory.path().join("tidegate.yaml")).await
    }

    fn sent(&self) -> u64 {
        self.origin.log().iter().map(|seen| seen.sent).sum()
    }

    /// Reads at random until Tidegate dies of it, after so many bytes from the origin.
    async fn disturb(&self, tidegate: Tidegate, dice: &mut Dice) {
        let mut readers = JoinSet::new();
        for _ in 0..READERS {
            let (address, objects) = (tidegate.address, self.objects.clone());
            let mut dice = Dice::new(dice.next());
            readers.spawn(async move {
                loop {
                    let (target, object) = dice.choose(&objects);
                    let (request, expected) = random_request(&mut dice, target, object);
                    let Some(answer) = ask(address, &request).await else {
                        break;
                    };
                    assert_right(object, &request, &expected, &answer);
                }
            });
        }
        // With everything in the store the origin is no longer asked: then it is time as well.
        let limit = self.sent() + dice.below(8 << 20);
        let patience = std::time::Duration::from_millis(50 + dice.below(500));
        let enough = self.origin.wait_for("bytes to be sent", |log| {
            log.iter().map(|seen| seen.sent).sum::<u64>() > limit
        });
        let _ = tokio::time::timeout(patience, enough).await;
        tidegate.kill().await;
        while let Some(reader) = within("the readers to notice", readers.join_next()).await {
            reader.unwrap();
        }
    }

    async fn compare_all(&self, tidegate: &Tidegate) {
        for (target, object) in self.objects.iter() {
            let answer = Client::connect(tidegate.address)
                .await
                .ask(&Request::get(target))
                .await;
            let verdict = object.verify(&Expected::Whole, &answer);
            verdict.unwrap_or_else(|wrong| panic!("{target}: {wrong}\n{answer}"));
        }
        self.origin.settled().await;
    }
}

fn random_request(dice: &mut Dice, target: &str, object: &Object) -> (Request, Expected) {
    if dice.percent(40) {
        return (Request::get(target), Expected::Whole);
    }
    let first = dice.below(object.size);
    let range = format!("bytes={first}-{}", first + dice.below(4 * CHUNK));
    let expected = object.expected(Some(&range), None);
    (Request::get(target).range(range), expected)
}

/// An answer, or what came of it; nothing when nobody listens any more.
async fn ask(address: SocketAddr, request: &Request) -> Option<Answer> {
    let mut client = Client::try_connect(address).await?;
    client.try_ask(request).await.ok()
}

fn assert_right(object: &Object, request: &Request, expected: &Expected, answer: &Answer) {
    let verdict = match (&answer.cut, expected) {
        (None, _) => object.verify(expected, answer),
        (Some(_), Expected::Parts(parts)) => object.content.verify(parts[0].start, &answer.body),
        (Some(_), _) => object.content.verify(0, &answer.body),
    };
    verdict.unwrap_or_else(|wrong| panic!("{request:?}: {wrong}\n{answer}"));
}

fn kills() -> u64 {
    dice::number("TIDEGATE_KILLS").unwrap_or(5)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_any_kill_every_byte_is_right() {
    let seed = dice::seed();
    println!("TIDEGATE_SEED={seed}");
    let mut dice = Dice::new(seed);
    // 24 MiB of films in 12 MiB: fills and evictions all the time.
    let scene = Scene::new("12MiB").await;
    for round in 1..=kills() {
        scene.disturb(scene.run().await, &mut dice).await;
        let tidegate = scene.run().await;
        let before = scene.sent();
        scene.compare_all(&tidegate).await;
        println!(
            "round {round}: {} bytes fetched again",
            scene.sent() - before
        );
        tidegate.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_whole_before_a_kill_is_not_fetched_again() {
    let seed = dice::seed();
    println!("TIDEGATE_SEED={seed}");
    let mut dice = Dice::new(seed);
    let all = (0..OBJECTS).map(|nth| SIZE + nth).sum::<u64>();
    let mut fetched_again = 0;
    for round in 1..=kills() {
        let scene = Scene::new("1GiB").await;
        scene.disturb(scene.run().await, &mut dice).await;
        let tidegate = scene.run().await;
        scene.compare_all(&tidegate).await;
        let again = scene.sent().saturating_sub(all);
        println!(
            "round {round}: {again} of {} bytes fetched again",
            scene.sent()
        );
        fetched_again += again;
        tidegate.kill().await;
        // Everything was whole when that came.
        let before = scene.sent();
        let tidegate = scene.run().await;
        scene.compare_all(&tidegate).await;
        let lost = scene.sent() - before;
        assert!(
            lost <= 2 * READERS * CHUNK,
            "{lost} bytes of whole objects were lost"
        );
        tidegate.kill().await;
    }
    // A chunk in hand for each fill, and what the sockets held.
    let share = fetched_again as f64 / (kills() * all) as f64;
    println!("{:.2} % fetched again", share * 100.0);
    assert!(share < 0.25, "{share} of all bytes were fetched again");
}
