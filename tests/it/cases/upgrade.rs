//! A new process takes over while clients are served: no connection is refused, no answer breaks,
//! no object is lost, and no byte is wrong.

mod heads;
mod operator;

use crate::{
    child::{Tidegate, binary},
    client::{Answer, Client, H2, Request},
    dice::{self, Dice},
    gate::{CHUNK, allocated},
    model::{Expected, Object},
    origin::{Origin, Script, Tag, Valve},
    patience::{let_time_pass, within},
};
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::task::JoinSet;

const UPGRADES: usize = 10;

/// An origin, and a directory with a configuration and a program before it.
pub(super) struct Scene {
    pub origin: Origin,
    directory: TempDir,
}

impl Scene {
    pub async fn new(max_size: &str) -> Self {
        let scene = Self {
            origin: Origin::start().await,
            directory: tempfile::tempdir().unwrap(),
        };
        scene.configure(&scene.configuration(max_size));
        scene.install(&binary());
        scene
    }

    /// One that runs and has a film stored.
    pub async fn with_film(seed: u64) -> (Self, Object, Tidegate) {
        let scene = Self::new("1GiB").await;
        let film = scene.put("/film", seed, 4 * CHUNK);
        let tidegate = scene.run().await;
        check(&tidegate, "/film", &film).await;
        scene.origin.settled().await;
        (scene, film, tidegate)
    }

    pub fn configuration(&self, max_size: &str) -> String {
        format!(
            "listen:\n  - address: 127.0.0.1:0\n    h2c: true\n\
             admin:\n  address: 127.0.0.1:0\n\
             cache:\n  directory: cache\n  max_size: {max_size}\n  chunk_size: 64KiB\n\
             origins:\n  media:\n    servers:\n      - url: http://{}\n\
             routes:\n  - path: /\n    origins: [media]\n    \
             delivery: {{whole: {{least_time: 60s}}}}\n",
            self.origin.address(),
        )
    }

    pub fn configure(&self, text: &str) {
        std::fs::write(self.config(), text).unwrap();
    }

    pub fn config(&self) -> PathBuf {
        self.directory.path().join("tidegate.yaml")
    }

    pub fn cache(&self) -> PathBuf {
        self.directory.path().join("cache")
    }

    /// Where the program is that is started: a link, as of a package that is replaced.
    fn program(&self) -> PathBuf {
        self.directory.path().join("tidegate")
    }

    fn install(&self, program: &Path) {
        let _ = std::fs::remove_file(self.program());
        std::os::unix::fs::symlink(program, self.program()).unwrap();
    }

    /// A program that is none of ours.
    fn install_script(&self, text: &str) {
        let script = self.directory.path().join("script");
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        self.install(&script);
    }

    pub async fn run(&self) -> Tidegate {
        Tidegate::run(&self.program(), &self.config()).await
    }

    pub fn put(&self, target: &str, seed: u64, size: u64) -> Object {
        let script = Script::new(seed, size);
        let object = Object::from(&script);
        self.origin.put(target, script);
        object
    }
}

pub(super) async fn check(tidegate: &Tidegate, target: &str, object: &Object) -> Answer {
    let answer = tidegate.ask(Request::get(target)).await;
    let verdict = object.verify(&Expected::Whole, &answer);
    verdict.unwrap_or_else(|wrong| panic!("{target}: {wrong}\n{answer}"));
    answer
}

pub(super) async fn check_hit(tidegate: &Tidegate, target: &str, object: &Object) {
    let answer = check(tidegate, target, object).await;
    assert!(answer.head.cache_status().is_hit(), "{target}: {answer}");
}

/// Asks for this and that, each time over a new connection, until told to stop.
async fn load(
    address: std::net::SocketAddr,
    objects: Arc<Vec<(String, Object)>>,
    mut dice: Dice,
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
) {
    while !stop.load(Relaxed) {
        let (target, object) = dice.choose(&objects);
        let (request, expected) = match dice.percent(50) {
            true => (Request::get(target), Expected::Whole),
            false => {
                let first = dice.below(object.size);
                let range = format!("bytes={first}-{}", first + dice.below(4 * CHUNK));
                let expected = object.expected(Some(&range), None);
                (Request::get(target).range(range), expected)
            }
        };
        let answer = match dice.percent(20) {
            true => H2::connect(address, 1 << 20).await.ask(&request).await,
            false => Client::connect(address).await.ask(&request).await,
        };
        let verdict = object.verify(&expected, &answer);
        verdict.unwrap_or_else(|wrong| panic!("{request:?}: {wrong}\n{answer}"));
        asked.fetch_add(1, Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_upgrades_under_load_break_nothing() {
    let seed = dice::seed();
    println!("TIDEGATE_SEED={seed}");
    let mut dice = Dice::new(seed);
    let scene = Scene::new("1GiB").await;
    let mut objects = Vec::new();
    for nth in 0..60 {
        let target = format!("/{nth}.mp4");
        let object = scene.put(&target, 700 + nth, 8 * CHUNK + nth);
        objects.push((target, object));
    }
    let mut tidegate = scene.run().await;
    // A third is there from the beginning and stays.
    let (stored, objects) = (&objects[..20].to_vec(), Arc::new(objects));
    for (target, object) in stored {
        check(&tidegate, target, object).await;
    }
    scene.origin.settled().await;

    let (stop, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut clients = JoinSet::new();
    for _ in 0..6 {
        let dice = Dice::new(dice.next());
        let (stop, asked) = (stop.clone(), asked.clone());
        clients.spawn(load(tidegate.address, objects.clone(), dice, stop, asked));
    }
    // One long answer for each process, which no process can end before the valve is opened.
    let (valve, long) = (Valve::at(2 * CHUNK), 40 * CHUNK + 7);
    let mut streams = Vec::new();
    for nth in 0..UPGRADES as u64 {
        let target = format!("/long-{nth}.mp4");
        let script = Script {
            valve: Some(valve.clone()),
            ..Script::new(800 + nth, long)
        };
        let object = Object::from(&script);
        scene.origin.put(&target, script);
        let mut client = Client::connect(tidegate.address).await;
        client.send(&Request::get(&target)).await.unwrap();
        assert_eq!(client.head().await.unwrap().status, 200);
        let body = client.at_least(CHUNK as usize).await.unwrap();
        streams.push((client, body, object));
        let before = asked.load(Relaxed);
        tidegate.upgrade().await;
        let served = async {
            while asked.load(Relaxed) < before + 20 {
                tokio::task::yield_now().await;
            }
        };
        within("the load to go on", served).await;
    }
    // Nine of them are draining, and none of those tells the operator so.
    for _ in 0..20 {
        let mut operator = Client::connect(tidegate.admin).await;
        let answer = operator.ask(&Request::get("/readyz")).await;
        assert_eq!(answer.status(), 200, "{answer}");
    }
    valve.open();
    for (mut client, mut body, object) in streams {
        let (rest, cut) = within("the rest of a long answer", client.rest()).await;
        body.extend(rest);
        assert!(cut.is_none(), "{cut:?} after {} bytes", body.len());
        assert_eq!(body.len() as u64, long);
        object.content.verify(0, &body).unwrap();
    }
    stop.store(true, Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    tidegate.first_ended().await;
    println!("{} requests", asked.load(Relaxed));

    let stored_once = |target: &str| scene.origin.asked(target).len();
    for (target, object) in stored {
        check_hit(&tidegate, target, object).await;
        assert_eq!(stored_once(target), 1, "{target} was fetched again");
    }
    // What was coming in while a store was given away may lack chunks, and nothing else.
    for _ in 0..2 {
        for (target, object) in objects.iter() {
            check(&tidegate, target, object).await;
        }
        scene.origin.settled().await;
    }
    for (target, object) in objects.iter() {
        check_hit(&tidegate, target, object).await;
    }
}

/// A client that has just been answered asks on, on the connection that it has: at once, and later.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_request_on_an_idle_connection_is_answered() {
    let (scene, film, mut tidegate) = Scene::with_film(790).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect(tidegate.address).await;
        let answer = client.ask(&Request::get("/film")).await;
        assert_eq!(answer.head.header("connection"), Some("keep-alive"));
        clients.push(client);
    }
    tidegate.upgrade().await;
    let asked = scene.origin.log().len();
    for (nth, mut client) in clients.into_iter().enumerate() {
        // The old process has long stopped to accept when the second one asks.
        let_time_pass(Duration::from_millis(700 * nth as u64)).await;
        let answer = client.ask(&Request::get("/film")).await;
        film.verify(&Expected::Whole, &answer).unwrap();
        assert_eq!(answer.head.header("connection"), Some("close"), "{answer}");
    }
    assert_eq!(scene.origin.log().len(), asked);
    tidegate.first_ended().await;
}

/// An idle connection does not hold the old process for long.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_nothing_more_is_not_waited_for_long() {
    let (_scene, _film, mut tidegate) = Scene::with_film(791).await;
    let mut client = Client::connect(tidegate.address).await;
    client.ask(&Request::get("/film")).await;
    tidegate.upgrade().await;
    tidegate.first_ended().await;
    client.send_raw("GET", "").await;
    assert!(client.head().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_new_process_evicts_is_never_missed_by_a_byte_in_the_old_ones_answers() {
    const BUDGET: u64 = 24 << 20;
    let scene = Scene::new("24MiB").await;
    let film = scene.put("/film", 750, 16 << 20);
    let mut tidegate = scene.run().await;
    check(&tidegate, "/film", &film).await;
    scene.origin.settled().await;
    // It takes a little and no more than its own socket holds.
    let mut slow = Client::narrow(tidegate.address).await;
    slow.send(&Request::get("/film")).await.unwrap();
    assert!(slow.head().await.unwrap().cache_status().is_hit());
    let mut body = slow.at_least(CHUNK as usize).await.unwrap();
    tidegate.upgrade().await;
    for nth in 0..12 {
        let target = format!("/other-{nth}");
        let other = scene.put(&target, 760 + nth, 4 << 20);
        for _ in 0..2 {
            check(&tidegate, &target, &other).await;
        }
        let taken = allocated(&scene.cache());
        assert!(taken <= BUDGET, "{taken} bytes on disk, {BUDGET} allowed");
    }
    let (rest, cut) = within("the rest of the film", slow.rest()).await;
    body.extend(rest);
    assert!(cut.is_none(), "{cut:?} after {} bytes", body.len());
    assert_eq!(body.len() as u64, film.size);
    film.content.verify(0, &body).unwrap();
    let again = scene.origin.sent("/film");
    assert!(again > film.size, "nothing was evicted under the reader");
    tidegate.first_ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_for_again_reaches_whoever_is_far_behind() {
    // More than what may be in flight, fill.in_flight.
    const SIZE: u64 = 48 << 20;
    let scene = Scene::new("1GiB").await;
    let mut script = Script::new(790, SIZE);
    (script.etag, script.last_modified) = (Tag::None, false);
    // It comes in before, while and after the store passes on.
    script.rate = Some(24 << 20);
    let film = Object::from(&script);
    scene.origin.put("/film", script);
    let mut tidegate = scene.run().await;
    let mut readers = Vec::new();
    for _ in 0..2 {
        let mut slow = Client::narrow(tidegate.address).await;
        slow.send(&Request::get("/film")).await.unwrap();
        assert_eq!(slow.head().await.unwrap().status, 200);
        let body = slow.at_least(1).await.unwrap();
        readers.push((slow, body));
    }
    tidegate.upgrade().await;
    scene.origin.settled().await;
    for (mut slow, mut body) in readers {
        let (rest, cut) = within("the rest of the film", slow.rest()).await;
        body.extend(rest);
        assert!(cut.is_none(), "{cut:?} after {} bytes", body.len());
        assert_eq!(body.len() as u64, SIZE);
        film.content.verify(0, &body).unwrap();
    }
    tidegate.first_ended().await;
    assert_eq!(scene.origin.asked("/film").len(), 1);
    // Neither process has left anything of it.
    let left = allocated(&scene.cache());
    assert!(left < CHUNK, "{left} bytes");
}

/// Says that it is prepared, and ends when it has been given the store.
const ENDS_WITH_THE_STORE: &str = "#!/bin/sh
dd bs=65536 count=4 of=/dev/null 2>/dev/null
printf prepared >&0
dd bs=65536 count=1 of=/dev/null 2>/dev/null
exit 3
";

/// Takes its time between being given the store and serving, then says whether it is to go on.
const SERVES_WHEN_LET: &str = "#!/bin/sh
dd bs=65536 count=4 of=/dev/null 2>/dev/null
printf prepared >&0
dd bs=65536 count=1 of=/dev/null 2>/dev/null
echo script: has the store >&2
for _ in $(seq 400); do [ -e ${0%/*}/serve ] && break; sleep 0.05; done
printf serving >&0
echo script: heard $(dd bs=65536 count=1 2>/dev/null) >&2
";

#[tokio::test(flavor = "multi_thread")]
async fn an_order_to_stop_calls_off_an_upgrade() {
    let (scene, _film, mut tidegate) = Scene::with_film(798).await;
    let valve = Valve::at(2 * CHUNK);
    let script = Script {
        valve: Some(valve.clone()),
        ..Script::new(799, 4 * CHUNK)
    };
    scene.origin.put("/long", script);
    let mut client = Client::connect(tidegate.address).await;
    client.send(&Request::get("/long")).await.unwrap();
    assert_eq!(client.head().await.unwrap().status, 200);
    scene.install_script(SERVES_WHEN_LET);
    tidegate.signal(tidegate.current(), "USR2");
    let new = tidegate.heir().await;
    let new = Path::new("/proc").join(new.to_string());
    tidegate.said("script: has the store", 1).await;
    tidegate.signal(tidegate.current(), "TERM");
    tidegate.said("stopping: ", 1).await;
    std::fs::write(scene.directory.path().join("serve"), "").unwrap();
    let ended = async {
        while new.exists() {
            let log = tidegate.log();
            let goes_on = log.iter().any(|line| line.contains("script: heard go"));
            assert!(!goes_on, "{}", log.join("\n"));
            tokio::task::yield_now().await;
        }
    };
    within("the new process to end", ended).await;
    valve.open();
    let (_, cut) = within("the rest of the answer", client.rest()).await;
    assert!(cut.is_none(), "{cut:?}");
    tidegate.first_ended().await;
}

/// One that hangs would keep the sockets: clients would be accepted by nobody, and nobody could listen.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_amid_an_upgrade_leaves_no_process_behind_that_hangs() {
    let (scene, _film, mut tidegate) = Scene::with_film(801).await;
    scene.install_script("#!/bin/sh\nexec sleep 600\n");
    tidegate.signal(tidegate.current(), "USR2");
    let new = tidegate.heir().await;
    tidegate.signal(tidegate.current(), "TERM");
    tidegate.first_ended().await;
    let new = Path::new("/proc").join(new.to_string());
    let ended = async {
        while std::fs::read(new.join("cmdline")).is_ok_and(|line| !line.is_empty()) {
            tokio::task::yield_now().await;
        }
    };
    within("the new process to end", ended).await;
    assert!(Client::try_connect(tidegate.address).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_new_process_fails_the_old_one_goes_on_and_keeps_its_store() {
    let scene = Scene::new("1GiB").await;
    let good = scene.configuration("1GiB");
    let film = scene.put("/film", 770, 8 * CHUNK);
    let mut tidegate = scene.run().await;
    check(&tidegate, "/film", &film).await;
    scene.origin.settled().await;
    let nothing = scene.directory.path().join("nothing");
    type Break<'a> = Box<dyn Fn() + 'a>;
    let cases: [(&str, Break, &str); 6] = [
        (
            "another version",
            Box::new(|| scene.install_script("#!/bin/sh\nexit 1\n")),
            "exit status: 1",
        ),
        (
            "a program that is gone",
            Box::new(|| scene.install(&nothing)),
            "can't be started",
        ),
        (
            "a crash with the store in its hands",
            Box::new(|| scene.install_script(ENDS_WITH_THE_STORE)),
            "exit status: 3",
        ),
        (
            "strange words",
            Box::new(|| scene.install_script("#!/bin/sh\nprintf hello >&0\nsleep 60 <&-\n")),
            "\"hello\" came",
        ),
        (
            "a wrong configuration",
            Box::new(|| {
                scene.install(&binary());
                scene.configure("listen: nowhere\n");
            }),
            "the new process can't: ",
        ),
        (
            "a secret that is not there",
            Box::new(|| {
                scene.configure(
                    &good.replace("    servers:", "    tls: {ca: gone.pem}\n    servers:"),
                )
            }),
            "gone.pem",
        ),
    ];
    for (nth, (what, break_it, why)) in cases.iter().enumerate() {
        break_it();
        tidegate.signal(tidegate.current(), "USR2");
        let line = tidegate.said("this process goes on", nth + 1).await;
        assert!(line.contains(why), "{what}: {line}");
        check_hit(&tidegate, "/film", &film).await;
        let target = format!("/next-{nth}");
        let next = scene.put(&target, 771 + nth as u64, 4 * CHUNK);
        check(&tidegate, &target, &next).await;
        scene.origin.settled().await;
        check_hit(&tidegate, &target, &next).await;
        assert_eq!(scene.origin.asked("/film").len(), 1, "{what}");
    }
    scene.configure(&good);
    tidegate.upgrade().await;
    tidegate.first_ended().await;
    check_hit(&tidegate, "/film", &film).await;
    check_hit(
        &tidegate,
        "/next-2",
        &Object::from(&Script::new(773, 4 * CHUNK)),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_through_the_old_process_is_known_to_the_new_one() {
    let (scene, film, mut tidegate) = Scene::with_film(780).await;
    // Its answer is held back until the new process serves.
    let valve = Valve::at(0);
    scene.origin.change("/film", |script| {
        script.valve = Some(valve.clone());
        script.holds_head = true;
    });
    let mut client = Client::connect(tidegate.address).await;
    client.send(&Request::new("POST", "/film")).await.unwrap();
    let is_post = |seen: &crate::origin::Seen| seen.method == "POST";
    scene
        .origin
        .wait_for("the write", |log| log.iter().any(is_post))
        .await;
    tidegate.upgrade().await;
    check_hit(&tidegate, "/film", &film).await;
    valve.open();
    assert_eq!(client.head().await.unwrap().status, 200);
    let answer = tidegate.ask(Request::get("/film")).await;
    assert!(!answer.head.cache_status().is_hit(), "{answer}");
}
