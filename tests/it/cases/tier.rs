//! Edges that share an object store.

mod away;
mod refused;
mod replaced;
mod room;
mod unfit;

use crate::{
    child::{Tidegate, binary},
    client::{Answer, Request},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Origin, Script},
    patience::within,
    s3::{BUCKET, Fault, S3},
};
use std::{
    fs,
    time::{Duration, Instant},
};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
};
use tempfile::TempDir;
use tidegate::{
    origin::SecretSource,
    tier::{Config, OnError, Place},
};
use tokio::{process::Command, time::sleep};

const SIZE: u64 = 11 * CHUNK + 1234;

/// An origin, a tier, and the files with the keys to it.
pub(super) struct Fleet {
    pub origin: Origin,
    pub s3: S3,
    keys: TempDir,
    object: Object,
}

impl Fleet {
    pub async fn new() -> Self {
        let script = Script::new(600, SIZE);
        let keys = tempfile::tempdir().unwrap();
        for name in ["access", "secret"] {
            fs::write(keys.path().join(name), name).unwrap();
        }
        Self {
            object: Object::from(&script),
            origin: Origin::with(script).await,
            s3: S3::start("access", "secret").await,
            keys,
        }
    }

    pub fn config(&self) -> Config {
        let key = |name: &str| SecretSource::File(self.keys.path().join(name));
        Config {
            run: 4 * CHUNK,
            read: 2 * CHUNK,
            // Long enough that no run goes up in parts.
            linger: Duration::from_secs(2),
            // On a busy machine all takes its time, and the origin is not to be asked for it.
            timeout: Duration::from_secs(10),
            patience: Duration::from_secs(10),
            negative: Duration::ZERO,
            poll: Duration::from_millis(100),
            ..Config::at(Place::S3 {
                bucket: BUCKET.into(),
                endpoint: Some(format!("http://{}", self.s3.address())),
                region: "us-east-1".into(),
                keys: Some((key("access"), key("secret"))),
            })
        }
    }

    async fn edge(&self) -> Gate {
        self.edge_with(|_| ()).await
    }

    async fn edge_with(&self, change: impl FnOnce(&mut Config)) -> Gate {
        let mut config = self.config();
        change(&mut config);
        Gate::with(&self.origin, |settings| settings.tier = Some(config)).await
    }

    /// An edge that has brought all of the film up.
    pub async fn filled(&self) -> Gate {
        let edge = self.edge().await;
        self.whole(&edge).await;
        self.uploaded(SIZE).await;
        edge
    }

    /// Waits until so many bytes lie in the tier, with a manifest that says so.
    async fn uploaded(&self, bytes: u64) {
        let there = async {
            loop {
                let runs = self
                    .s3
                    .files("-")
                    .into_iter()
                    .filter(|path| !is_manifest(path));
                let sum: u64 = runs
                    .map(|run| fs::metadata(run).map_or(0, |run| run.len()))
                    .sum();
                let listed: usize = self.s3.files("manifest").iter().map(|m| runs_of(m)).sum();
                if sum == bytes && listed == self.runs() {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        within("the uploads", there).await;
    }

    /// The number of the last purge, if there was one: the first stands for the time before.
    pub fn last_purge(&self) -> Option<u64> {
        let told = self.s3.files("/purges/");
        let last = told.last().filter(|_| told.len() > 1)?;
        last.file_name()?.to_str()?.parse().ok()
    }

    /// Waits until the one manifest is of after the last purge and has so many runs, and no others
    /// are there.
    pub async fn listed_anew(&self, count: usize) {
        let last = self.last_purge().unwrap();
        let there = async {
            loop {
                let manifests = self.s3.files("manifest");
                let is_new =
                    |path: &PathBuf| said_of(path)["purges"] == last && runs_of(path) == count;
                if manifests.first().is_some_and(is_new) && self.runs() == count {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        within("the runs to be entered", there).await;
    }

    fn runs(&self) -> usize {
        self.s3
            .files("-")
            .iter()
            .filter(|path| !is_manifest(path))
            .count()
    }

    pub async fn whole(&self, edge: &Gate) -> Answer {
        let answer = edge.get("/film").await;
        self.object.verify(&Expected::Whole, &answer).unwrap();
        answer
    }

    pub async fn part(&self, edge: &Gate, first: u64, last: u64) -> Answer {
        let range = format!("bytes={first}-{last}");
        let answer = edge.ask(Request::get("/film").range(&range)).await;
        let expected = self.object.expected(Some(&range), None);
        self.object.verify(&expected, &answer).unwrap();
        answer
    }

    /// From now on the origin has another version of the film.
    pub fn changed(&self) -> Object {
        let mut script = Script::new(600, SIZE);
        script.content.version += 1;
        let new = Object::from(&script);
        self.origin.put("/film", script);
        new
    }

    pub fn asked(&self) -> usize {
        self.origin.asked("/film").len()
    }
}

/// Waits until an edge has carried out a purge of the fleet.
pub(super) async fn purge_reaches(fleet: &Fleet, edge: &Gate) {
    let carried_out = async {
        loop {
            let number = edge.metric("tidegate_tier_purges").await as u64;
            if fleet.last_purge().is_some_and(|last| number >= last) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    within("the purge to be carried out", carried_out).await;
}

fn is_manifest(path: &std::path::Path) -> bool {
    path.ends_with("manifest")
}

/// How many runs a manifest has.
fn runs_of(manifest: &std::path::Path) -> usize {
    said_of(manifest)["runs"].as_array().map_or(0, Vec::len)
}

/// What a manifest says.
fn said_of(manifest: &std::path::Path) -> serde_json::Value {
    let text = fs::read_to_string(manifest).unwrap_or_default();
    let json = text.splitn(3, '\n').nth(2).unwrap_or("{}");
    serde_json::from_str(json).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_edge_has_fetched_another_does_not_ask_the_origin_for() {
    let fleet = Fleet::new().await;
    let first = fleet.filled().await;
    assert_eq!(fleet.runs(), 3);
    let asked = fleet.asked();
    let second = fleet.edge().await;
    let part = fleet.part(&second, 5 * CHUNK + 7, 9 * CHUNK).await;
    assert!(part.head.cache_status().is_hit(), "{part}");
    fleet.whole(&second).await;
    let third = fleet.edge().await;
    fleet.whole(&third).await;
    assert_eq!(fleet.asked(), asked);
    // What came from the tier is kept.
    let reads = fleet.s3.asked("GET", "-");
    fleet.whole(&second).await;
    assert_eq!(fleet.s3.asked("GET", "-"), reads);
    drop((first, second, third));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_before_there_was_a_tier_goes_up_when_it_is_found() {
    let fleet = Fleet::new().await;
    let mut first = Gate::before(&fleet.origin).await;
    fleet.whole(&first).await;
    fleet.origin.settled().await;
    first.stop().await;
    first.settings().tier = Some(fleet.config());
    first.start_again().await;
    let asked = fleet.asked();
    fleet.part(&first, 0, 9).await;
    fleet.uploaded(SIZE).await;
    let second = fleet.edge().await;
    fleet.whole(&second).await;
    assert_eq!(fleet.asked(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wanted_twice_goes_up_where_that_is_asked() {
    let fleet = Fleet::new().await;
    let first = fleet.edge_with(|config| config.min_requests = 2).await;
    fleet.whole(&first).await;
    let looked_at = async {
        while !first
            .metrics()
            .await
            .contains("uploads_total{outcome=\"unwanted\"}")
        {
            sleep(Duration::from_millis(20)).await;
        }
    };
    within("what has come once to be passed over", looked_at).await;
    assert_eq!(fleet.runs(), 0);
    fleet.part(&first, 0, 9).await;
    fleet.uploaded(SIZE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_origin_says_of_an_object_again_all_edges_hear() {
    let fleet = Fleet::new().await;
    let first = fleet.filled().await;
    let soft = Request::new("PURGE", "/film").header("Soft-Purge", "1");
    assert_eq!(first.ask(soft).await.status(), 200);
    purge_reaches(&fleet, &first).await;
    // It is asked once whether it may be used still, for the whole fleet.
    let asked = fleet.asked();
    fleet.part(&first, 0, 9).await;
    let last = fleet.last_purge().unwrap();
    let told = async {
        loop {
            let manifests = fleet.s3.files("manifest");
            if manifests.iter().any(|path| said_of(path)["purges"] == last) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    within("the manifest to be written anew", told).await;
    assert_eq!(fleet.asked(), asked + 1);
    let second = fleet.edge().await;
    fleet.whole(&second).await;
    assert_eq!(fleet.asked(), asked + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_that_have_different_parts_add_up() {
    let fleet = Fleet::new().await;
    let (one, other) = (fleet.edge().await, fleet.edge().await);
    fleet.part(&one, 0, 4 * CHUNK - 1).await;
    fleet.part(&other, 8 * CHUNK, SIZE - 1).await;
    fleet.uploaded(SIZE - 4 * CHUNK).await;
    let asked = fleet.asked();
    let third = fleet.edge().await;
    fleet.part(&third, CHUNK, 2 * CHUNK).await;
    fleet.part(&third, 9 * CHUNK, SIZE - 1).await;
    assert_eq!(fleet.asked(), asked);
    // The gap is the origin's, in the middle of one answer.
    fleet.whole(&third).await;
    let new = &fleet.origin.asked("/film")[asked..];
    let windows: Vec<_> = new.iter().filter_map(|seen| seen.window()).collect();
    assert!(!windows.is_empty());
    for (start, last) in windows {
        assert!(start >= 4 * CHUNK && last < 8 * CHUNK, "{start}-{last}");
    }
    fleet.uploaded(SIZE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_with_the_tier_costs_time_and_no_byte() {
    for of in ["-", "manifest"] {
        for fault in [
            Fault::Throttle,
            Fault::Fail,
            Fault::Cut,
            Fault::Corrupt,
            Fault::Stall,
            Fault::Halt,
            Fault::Trickle,
        ] {
            let fleet = Fleet::new().await;
            let first = fleet.filled().await;
            let second = fleet
                .edge_with(|config| config.timeout = Duration::from_millis(300))
                .await;
            fleet.s3.fail(fault, of);
            fleet.part(&second, 2 * CHUNK + 9, 7 * CHUNK).await;
            fleet.whole(&second).await;
            fleet.s3.heal();
            drop((first, second));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_that_stalls_is_not_waited_for_to_its_deadline() {
    for fault in [Fault::Stall, Fault::Halt] {
        let fleet = Fleet::new().await;
        let first = fleet.filled().await;
        let second = fleet
            .edge_with(|config| config.patience = Duration::from_millis(200))
            .await;
        // It knows what there is.
        fleet.part(&second, 0, 9).await;
        let asked = fleet.asked();
        fleet.s3.fail(fault, "-");
        let began = Instant::now();
        fleet.whole(&second).await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(5), "{fault:?} cost {took:?}");
        assert!(fleet.asked() > asked);
        let metrics = second.metrics().await;
        assert!(
            metrics.contains("chunks_total{outcome=\"late\"}"),
            "{metrics}"
        );
        drop((first, second));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_whose_runs_stall_is_left_alone_although_it_answers_small_requests() {
    // What comes late is nobody's verdict: on a busy machine only a stall is to be late.
    for (fault, patience) in [(Fault::Stall, 50), (Fault::Halt, 500)] {
        let fleet = Fleet::new().await;
        let first = fleet.filled().await;
        let second = fleet
            .edge_with(|config| {
                config.patience = Duration::from_millis(patience);
                config.timeout = Duration::from_secs(2);
            })
            .await;
        fleet.s3.fail(fault, "-");
        // One chunk at a time, each of which the tier has; meanwhile it is looked for purges.
        for chunk in 0..10 {
            let start = chunk * CHUNK;
            fleet.part(&second, start, start + 9).await;
        }
        let left_alone = async {
            while second.metric("tidegate_tier_breaker").await < 2.0 {
                sleep(Duration::from_millis(20)).await;
            }
        };
        within("the tier to be left alone", left_alone).await;
        let reads = fleet.s3.asked("GET", "-");
        fleet.whole(&second).await;
        assert_eq!(fleet.s3.asked("GET", "-"), reads, "{fault:?}");
        drop((first, second));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_is_read_once_and_the_rest_as_before() {
    for is_cut in [false, true] {
        let fleet = Fleet::new().await;
        let _first = fleet.filled().await;
        let runs = fleet.s3.files("-");
        let runs: Vec<_> = runs.iter().filter(|path| !is_manifest(path)).collect();
        for run in &runs[..2] {
            let mut bytes = fs::read(run).unwrap();
            match is_cut {
                true => bytes.clear(),
                false => bytes.iter_mut().for_each(|byte| *byte ^= 1),
            }
            fs::write(run, bytes).unwrap();
        }
        let second = fleet.edge().await;
        let name = |run: &PathBuf| run.file_name().unwrap().to_str().unwrap().to_owned();
        for chunk in 0..8 {
            let start = chunk * CHUNK;
            fleet.part(&second, start, start + 9).await;
        }
        for run in &runs[..2] {
            assert_eq!(fleet.s3.asked("GET", &name(run)), 1, "cut: {is_cut}");
        }
        assert_eq!(second.metric("tidegate_tier_breaker").await, 0.0);
        let asked = fleet.asked();
        fleet.part(&second, 8 * CHUNK, SIZE - 1).await;
        assert_eq!(fleet.asked(), asked, "cut: {is_cut}");
        let metrics = second.metrics().await;
        assert!(
            metrics.contains("chunks_total{outcome=\"corrupt\"} 2"),
            "{metrics}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_that_is_late_gives_what_the_origin_does_not() {
    let fleet = Fleet::new().await;
    let _first = fleet.filled().await;
    let second = fleet
        .edge_with(|config| config.patience = Duration::from_millis(50))
        .await;
    fleet.part(&second, 0, 9).await;
    let mut down = Script::new(600, SIZE);
    down.status = 500;
    fleet.origin.put("/film", down);
    fleet.s3.fail(Fault::Slow, "-");
    fleet.whole(&second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_reads_all_of_it_has_several_runs_on_their_way() {
    let fleet = Fleet::new().await;
    let _first = fleet.filled().await;
    let second = fleet.edge().await;
    let asked = fleet.asked();
    fleet.s3.fail(Fault::Slow, "-");
    fleet.whole(&second).await;
    assert_eq!(fleet.asked(), asked);
    assert!(fleet.s3.most_at_once() >= 3, "{}", fleet.s3.most_at_once());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_replaces_what_is_there_and_never_mixes() {
    let fleet = Fleet::new().await;
    let first = fleet.filled().await;
    let mut script = Script::new(600, SIZE);
    script.content.version += 1;
    let new = Object::from(&script);
    fleet.origin.put("/film", script);
    // It does not know that there is another, and need not: what it has is fresh.
    let second = fleet.edge().await;
    fleet.part(&second, 0, CHUNK).await;
    let again = first
        .ask(Request::get("/film").header("Cache-Control", "no-cache"))
        .await;
    new.verify(&Expected::Whole, &again).unwrap();
    let listed = async {
        loop {
            let manifests = fleet.s3.files("manifest");
            let text = fs::read_to_string(&manifests[0]).unwrap_or_default();
            let runs: Vec<_> = fleet
                .s3
                .files("-")
                .into_iter()
                .filter(|p| !is_manifest(p))
                .collect();
            if text.contains("v2") && runs.len() == 3 && runs_of(&manifests[0]) == 3 {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    within("the new version", listed).await;
    // The old one is read on with the origin's word against it.
    let third = fleet.edge().await;
    let answer = third.get("/film").await;
    new.verify(&Expected::Whole, &answer).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_on_one_edge_reaches_all_and_is_not_undone() {
    let fleet = Fleet::new().await;
    let first = fleet.filled().await;
    let mut second = fleet.edge().await;
    fleet.whole(&second).await;
    // One that is off meanwhile.
    second.stop().await;
    let third = fleet.edge().await;
    fleet.whole(&third).await;
    let asked = fleet.asked();

    let purge = Request::new("PURGE", "/film");
    assert_eq!(first.ask(purge).await.status(), 200);
    // No entry of before is believed any more, even here.
    fleet.part(&first, 0, 9).await;
    assert!(fleet.asked() > asked);
    let asked = fleet.asked();
    purge_reaches(&fleet, &third).await;
    fleet.part(&third, 5 * CHUNK, 5 * CHUNK + 9).await;
    assert!(fleet.asked() > asked);
    let asked = fleet.asked();
    second.start_again().await;
    fleet.part(&second, 9 * CHUNK, 9 * CHUNK + 9).await;
    assert!(fleet.asked() > asked);
    // And what was fetched since is shared again.
    fleet.listed_anew(3).await;
    let asked = fleet.asked();
    let fourth = fleet.edge().await;
    for chunk in [0, 5, 9] {
        fleet.part(&fourth, chunk * CHUNK, chunk * CHUNK + 9).await;
    }
    assert_eq!(fleet.asked(), asked);
}

/// An edge that has not heard of a purge yet brings up what it had before: also where the validators
/// are the same as before, as of a file that was broken and is mended in its place.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_before_a_purge_is_not_put_beside_what_came_after() {
    let fleet = Fleet::new().await;
    let late = fleet
        .edge_with(|config| {
            config.poll = Duration::from_secs(60);
            config.linger = Duration::from_secs(3);
        })
        .await;
    let purging = fleet
        .edge_with(|config| config.linger = Duration::from_millis(50))
        .await;
    // Less than a run, which would not linger.
    fleet.part(&late, 0, 2 * CHUNK - 1).await;
    let purge = Request::new("PURGE", "/film");
    assert_eq!(purging.ask(purge).await.status(), 200);
    let mended = Script::new(601, SIZE);
    let film = Object::from(&mended);
    fleet.origin.put("/film", mended);
    let range = format!("bytes={}-", 8 * CHUNK);
    let answer = purging.ask(Request::get("/film").range(&range)).await;
    film.verify(&film.expected(Some(&range), None), &answer)
        .unwrap();
    fleet.listed_anew(1).await;
    // It looks at the log only because of what it finds in the manifest.
    purge_reaches(&fleet, &late).await;
    for edge in [&fleet.edge().await, &late] {
        let answer = edge.get("/film").await;
        film.verify(&Expected::Whole, &answer).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_that_the_tier_does_not_take_is_told_later() {
    let fleet = Fleet::new().await;
    let (first, second) = (fleet.filled().await, fleet.edge().await);
    fleet.whole(&second).await;
    fleet.s3.refuse_writes(true);
    let asked = fleet.asked();
    assert_eq!(
        first.ask(Request::new("PURGE", "/film")).await.status(),
        200
    );
    fleet.part(&first, 0, 9).await;
    assert!(fleet.asked() > asked, "what the tier has was purged");
    assert_eq!(first.metric("tidegate_tier_purges_untold").await, 1.0);
    fleet.s3.heal();
    purge_reaches(&fleet, &second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_does_not_wait_for_uploads_that_are_not_taken() {
    let fleet = Fleet::new().await;
    let (first, second) = (fleet.filled().await, fleet.edge().await);
    fleet.s3.refuse_writes_of("/v");
    let purge = async || {
        let answer = first.ask(Request::new("PURGE", "/film")).await;
        assert_eq!(answer.status(), 200, "{answer}");
    };
    purge().await;
    fleet.whole(&first).await;
    first.until("tidegate_tier_breaker", 2.0).await;
    let began = Instant::now();
    purge().await;
    first.until("tidegate_tier_purges_untold", 0.0).await;
    purge_reaches(&fleet, &second).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

impl Fleet {
    /// Waits until an edge asks the origin for the film.
    async fn asks_the_origin(&self, edge: &Gate) {
        let asked = self.asked();
        let asks = async {
            while self.asked() == asked {
                self.part(edge, 5 * CHUNK, 5 * CHUNK + 9).await;
                sleep(Duration::from_millis(50)).await;
            }
        };
        within("the origin to be asked", asks).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_bucket_keeps_no_purge_from_any_edge() {
    let fleet = Fleet::new().await;
    let (first, second) = (fleet.filled().await, fleet.edge().await);
    fleet.whole(&second).await;
    for _ in 0..3 {
        let other = Request::new("PURGE", "/other");
        assert_eq!(first.ask(other).await.status(), 200);
    }
    purge_reaches(&fleet, &first).await;
    purge_reaches(&fleet, &second).await;
    let asked = fleet.asked();
    fleet.s3.remove("");
    // It knows of no purge.
    let third = fleet.edge().await;
    fleet.whole(&third).await;
    fleet.whole(&second).await;
    assert!(fleet.asked() > asked);
    let purge = || Request::new("PURGE", "/film");
    assert_eq!(third.ask(purge()).await.status(), 200);
    fleet.asks_the_origin(&second).await;
    fleet.asks_the_origin(&first).await;
    // And the other way round.
    fleet.whole(&third).await;
    assert_eq!(second.ask(purge()).await.status(), 200);
    fleet.asks_the_origin(&third).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn purges_that_were_removed_are_not_undone() {
    let fleet = Fleet::new().await;
    let (mut first, mut second) = (fleet.filled().await, fleet.edge().await);
    fleet.whole(&second).await;
    second.stop().await;
    let purge = Request::new("PURGE", "/film");
    assert_eq!(first.ask(purge).await.status(), 200);
    purge_reaches(&fleet, &first).await;
    first.stop().await;
    // The manifests stay.
    fleet.s3.remove("/purges/");
    let third = fleet.edge().await;
    fleet.asks_the_origin(&third).await;
    second.start_again().await;
    fleet.asks_the_origin(&second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_puts_back_how_far_the_purges_had_come() {
    let fleet = Fleet::new().await;
    let first = fleet.filled().await;
    let last = fleet.s3.files("/purges/");
    fleet.s3.remove("/purges/");
    let back = async {
        while fleet.s3.files("/purges/") != last {
            sleep(Duration::from_millis(20)).await;
        }
    };
    within("the last purge to be there again", back).await;
    // Nothing went.
    let asked = fleet.asked();
    fleet.whole(&first).await;
    assert_eq!(fleet.asked(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_go_up_goes_up_later() {
    let fleet = Fleet::new().await;
    let edge = fleet.edge().await;
    fleet.s3.refuse_writes(true);
    fleet.whole(&edge).await;
    // Before anything has come of an upload nothing is counted.
    edge.until_told("tier_uploads_total{").await;
    assert_eq!(fleet.runs(), 0);
    fleet.s3.heal();
    fleet.uploaded(SIZE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_the_tier_was_in_use_goes_up_too() {
    let fleet = Fleet::new().await;
    fleet.s3.refuse_writes(true);
    let edge = fleet.edge().await;
    fleet.whole(&edge).await;
    fleet.s3.heal();
    fleet.uploaded(SIZE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_the_tier_is_in_use_is_seen() {
    let fleet = Fleet::new().await;
    fleet.s3.refuse_writes(true);
    let edge = fleet.edge().await;
    assert_eq!(edge.metric("tidegate_tier_ready").await, 0.0);
    let admin = format!("http://{}", edge.admin_address());
    let said = |text: &'static str| {
        let (fleet, admin) = (&fleet, &admin);
        async move {
            let (status, said) = fleet.command(&["stats", "--admin", admin]).await;
            assert_eq!(status, Some(0), "{said}");
            assert!(said.contains(text), "{said}");
        }
    };
    said("not in use").await;
    fleet.s3.heal();
    edge.until("tidegate_tier_ready", 1.0).await;
    said("in use, 0 uploads waiting").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_is_named() {
    let fleet = Fleet::new().await;
    fleet.s3.fail(Fault::Skewed, "fleet");
    let mut config = fleet.config();
    config.on_error = OnError::Refuse;
    let why = Gate::refused(&fleet.origin, |settings| settings.tier = Some(config)).await;
    assert!(why.contains("set this clock"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_keys_hears_where_they_were_looked_for() {
    let fleet = Fleet::new().await;
    let file = fleet.written(BUCKET);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.split_once("  access_key").unwrap().0).unwrap();
    // Nobody is there.
    let nowhere = [("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")];
    let (status, said) = said_with(&nowhere, &["check", "--online"], &file).await;
    assert_eq!(status, Some(1), "{said}");
    for named in ["tier.access_key", "AWS_ACCESS_KEY_ID", "instance"] {
        assert!(said.contains(named), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_that_was_not_told_outlives_the_process() {
    let fleet = Fleet::new().await;
    let first = fleet.filled().await;
    let file = fleet.written_to_run();
    let mut second = Tidegate::run(&binary(), &file).await;
    let part = || Request::get("/film").range("bytes=0-9");
    assert_eq!(second.ask(part()).await.status(), 206);
    fleet.s3.refuse_writes(true);
    let purged = second.ask(Request::new("PURGE", "/film")).await;
    assert_eq!(purged.status(), 200);
    second.signal(second.current(), "KILL");
    fleet.s3.heal();
    second = Tidegate::run(&binary(), &file).await;
    let asked = fleet.asked();
    assert_eq!(second.ask(part()).await.status(), 206);
    assert!(fleet.asked() > asked, "what the tier has was purged");
    purge_reaches(&fleet, &first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_write_takes_out_what_the_tier_has() {
    let fleet = Fleet::new().await;
    let first = fleet.filled().await;
    let new = fleet.changed();
    let write = first.ask(Request::new("POST", "/film")).await;
    assert!(write.status() < 400, "{write}");
    let answer = first.get("/film").await;
    new.verify(&Expected::Whole, &answer).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_of_another_fleet_is_left_alone_or_refused() {
    let fleet = Fleet::new().await;
    let _first = fleet.filled().await;
    let asked = fleet.asked();
    let stranger = fleet
        .edge_with(|config| config.fleet = "another".into())
        .await;
    fleet.part(&stranger, 0, 9).await;
    assert!(fleet.asked() > asked, "it has the origin alone");
    let mut config = fleet.config();
    config.fleet = "another".into();
    config.on_error = OnError::Refuse;
    let why = Gate::refused(&fleet.origin, |settings| settings.tier = Some(config)).await;
    assert!(
        why.contains("\"another\"") && why.contains("tier.prefix"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_are_named_and_the_origin_serves() {
    let fleet = Fleet::new().await;
    fs::write(fleet.keys.path().join("secret"), "wrong").unwrap();
    let edge = fleet.edge().await;
    fleet.whole(&edge).await;
    assert_eq!(fleet.runs(), 0);
    let mut config = fleet.config();
    config.on_error = OnError::Refuse;
    let why = Gate::refused(&fleet.origin, |settings| settings.tier = Some(config)).await;
    assert!(why.contains("permission denied"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_on_an_edge_that_is_empty_looks_once() {
    let fleet = Fleet::new().await;
    let _first = fleet.filled().await;
    let asked = fleet.asked();
    let second = fleet.edge().await;
    let crowd = (0..30).map(|_| async { fleet.whole(&second).await });
    futures_util::future::join_all(crowd).await;
    assert_eq!(fleet.asked(), asked);
    assert_eq!(second.metric("tidegate_tier_chunks_total").await, 12.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_may_do_without() {
    let fleet = Fleet::new().await;
    let config = fleet.config();
    let edge = Gate::with(&fleet.origin, |settings| {
        settings.tier = Some(config);
        settings.routes[0].tier = false;
    })
    .await;
    fleet.whole(&edge).await;
    let mut edge = edge;
    edge.stop().await;
    assert_eq!(fleet.runs(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_can_be_the_tier() {
    let fleet = Fleet::new().await;
    let shared = tempfile::tempdir().unwrap();
    let place = Place::Directory {
        path: shared.path().to_owned(),
    };
    let mut first = fleet.edge_with(|config| config.place = place.clone()).await;
    fleet.whole(&first).await;
    // At its end it uploads what waits.
    first.stop().await;
    let asked = fleet.asked();
    let second = fleet.edge_with(|config| config.place = place).await;
    fleet.whole(&second).await;
    assert_eq!(fleet.asked(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_missing_is_done_without() {
    let fleet = Fleet::new().await;
    let place = Place::Directory {
        path: fleet.keys.path().join("not-mounted"),
    };
    let edge = fleet.edge_with(|config| config.place = place.clone()).await;
    fleet.whole(&edge).await;
    let mut config = fleet.config();
    (config.place, config.on_error) = (place, OnError::Refuse);
    let why = Gate::refused(&fleet.origin, |settings| settings.tier = Some(config)).await;
    assert!(why.contains("not-mounted"), "{why}");
    assert!(why.contains("No such file"), "{why}");
    let file = fleet.written(BUCKET);
    let text = fs::read_to_string(&file).unwrap();
    let (rest, _) = text.split_once("tier:").unwrap();
    for tier in [
        "{kind: directory, path: not-mounted}",
        "{kind: google, bucket: b, account_file: access}",
    ] {
        fs::write(&file, format!("{rest}tier: {tier}\n")).unwrap();
        let (status, said) = said_by(&["check", "--online"], &file).await;
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("the tier can't be used"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_conditional_writes_is_named_and_does_its_best() {
    for says_so in [false, true] {
        let fleet = Fleet::new().await;
        match says_so {
            true => fleet.s3.refuse_conditions(),
            false => fleet.s3.ignore_conditions(),
        }
        let first = fleet.filled().await;
        let second = fleet.edge().await;
        let asked = fleet.asked();
        fleet.whole(&second).await;
        assert_eq!(fleet.asked(), asked);
        assert_eq!(
            first.ask(Request::new("PURGE", "/film")).await.status(),
            200
        );
        purge_reaches(&fleet, &second).await;
        let (status, said) = fleet.command(&["check", "--online"]).await;
        assert_eq!(status, Some(0), "{said}");
        assert!(
            said.contains("If-None-Match") && said.contains("If-Match"),
            "{said}"
        );
        let file = fleet.written(BUCKET);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text + "  on_error: refuse\n").unwrap();
        let (status, said) = said_by(&["check", "--online"], &file).await;
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("conditional writes"), "{said}");
        let mut config = fleet.config();
        config.on_error = OnError::Refuse;
        let why = Gate::refused(&fleet.origin, |settings| settings.tier = Some(config)).await;
        assert!(why.contains("conditional writes"), "{why}");
    }
}

impl Fleet {
    /// The same settings as a file.
    fn written(&self, bucket: &str) -> PathBuf {
        let file = self.keys.path().join("tidegate.yaml");
        let text = format!(
            "listen: [{{address: 127.0.0.1:1}}]\ncache: {{directory: cache}}\n\
             origins: {{media: {{servers: [{{url: \"http://127.0.0.1:9\"}}]}}}}\n\
             routes: [{{path: /, origins: [media]}}]\n\
             tier:\n  kind: s3\n  bucket: {bucket}\n  endpoint: http://{}\n  timeout: 2s\n  \
             access_key: {{file: access}}\n  secret_key: {{file: secret}}\n",
            self.s3.address()
        );
        fs::write(&file, text).unwrap();
        file
    }

    /// Settings of an edge in a process of its own.
    fn written_to_run(&self) -> PathBuf {
        let file = self.keys.path().join("edge.yaml");
        let text = format!(
            "listen: [{{address: 127.0.0.1:0}}]\nadmin: {{address: 127.0.0.1:0}}\n\
             cache: {{directory: cache, chunk_size: 64KiB, max_size: 1GiB}}\n\
             origins: {{media: {{servers: [{{url: \"http://{}\"}}]}}}}\n\
             routes: [{{path: /, origins: [media]}}]\n\
             tier:\n  kind: s3\n  bucket: {BUCKET}\n  endpoint: http://{}\n  timeout: 10s\n  \
             patience: 10s\n  poll: 100ms\n  \
             access_key: {{file: access}}\n  secret_key: {{file: secret}}\n",
            self.origin.address(),
            self.s3.address()
        );
        fs::write(&file, text).unwrap();
        file
    }

    /// What a command says, and how it ends.
    async fn command(&self, arguments: &[&str]) -> (Option<i32>, String) {
        self.command_for(BUCKET, arguments).await
    }

    async fn command_for(&self, bucket: &str, arguments: &[&str]) -> (Option<i32>, String) {
        said_by(arguments, &self.written(bucket)).await
    }
}

/// What a command with this configuration says, and how it ends.
async fn said_by(arguments: &[&str], config: &Path) -> (Option<i32>, String) {
    said_with(&[], arguments, config).await
}

/// The same where the environment has these, and no keys.
async fn said_with(
    environment: &[(&str, &str)],
    arguments: &[&str],
    config: &Path,
) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .env_remove("AWS_ACCESS_KEY_ID")
        .envs(environment.iter().copied())
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = within("the command to end", output).await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_is_found_and_taken_out() {
    let fleet = Fleet::new().await;
    let _first = fleet.filled().await;
    let (status, said) = fleet.command(&["tier", "status"]).await;
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("objects      1 in 3 runs"), "{said}");
    let (status, said) = fleet.command(&["tier", "verify"]).await;
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("3 runs, 0 damaged"), "{said}");

    let runs = fleet.s3.files("-");
    let run = runs.iter().find(|path| !is_manifest(path)).unwrap();
    let mut bytes = fs::read(run).unwrap();
    bytes[77] ^= 1;
    fs::write(run, bytes).unwrap();
    let (status, said) = fleet.command(&["tier", "verify"]).await;
    assert_eq!(status, Some(1), "{said}");
    let name = run.file_name().unwrap().to_str().unwrap();
    assert!(said.contains(name) && said.contains("--repair"), "{said}");
    let (status, said) = fleet.command(&["tier", "verify", "--json"]).await;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains(name), "{said}");
    let (status, said) = fleet.command(&["tier", "verify", "--repair"]).await;
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = fleet.command(&["tier", "verify", "--json"]).await;
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("\"runs\": 2") && said.contains("\"damaged\": []"),
        "{said}"
    );
    let second = fleet.edge().await;
    fleet.whole(&second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_were_cut_are_found_with_all_others_and_taken_out() {
    let fleet = Fleet::new().await;
    let _first = fleet.filled().await;
    let runs: Vec<_> = fleet.s3.files("-");
    let runs: Vec<_> = runs.iter().filter(|path| !is_manifest(path)).collect();
    for (run, length) in runs.iter().zip([0, CHUNK + 7]) {
        fs::File::options()
            .write(true)
            .open(run)
            .and_then(|file| file.set_len(length))
            .unwrap();
    }
    let (status, said) = fleet.command(&["tier", "verify"]).await;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("3 runs, 2 damaged"), "{said}");
    for run in &runs[..2] {
        let name = run.file_name().unwrap().to_str().unwrap();
        assert!(said.contains(name), "{said}");
    }
    let (status, said) = fleet.command(&["tier", "verify", "--repair"]).await;
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = fleet.command(&["tier", "verify", "--json"]).await;
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("\"runs\": 1"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_manifest_is_found_and_taken_out() {
    let fleet = Fleet::new().await;
    let _first = fleet.filled().await;
    let manifest = fleet.s3.files("manifest").remove(0);
    let mut bytes = fs::read(&manifest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&manifest, bytes).unwrap();
    for form in [&["tier", "verify"][..], &["tier", "verify", "--json"]] {
        let (status, said) = fleet.command(form).await;
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("/manifest"), "{said}");
    }
    let (status, said) = fleet.command(&["tier", "verify", "--repair"]).await;
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = fleet.command(&["tier", "verify"]).await;
    assert_eq!(status, Some(0), "{said}");
    assert!(!manifest.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_purged_is_erased_and_how_much_is_said() {
    let fleet = Fleet::new().await;
    let first = fleet.filled().await;
    let (status, said) = fleet.command(&["tier", "gc"]).await;
    assert_eq!(
        (status, said.contains("erased")),
        (Some(0), false),
        "{said}"
    );
    assert_eq!(
        first.ask(Request::new("PURGE", "/film")).await.status(),
        200
    );
    purge_reaches(&fleet, &first).await;
    let (_, said) = fleet.command(&["tier", "gc", "--dry-run"]).await;
    assert!(said.contains("1 object out of service"), "{said}");
    assert_eq!(fleet.runs(), 3);
    let (status, said) = fleet.command(&["tier", "gc"]).await;
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("erased       4"), "{said}");
    assert_eq!((fleet.runs(), fleet.s3.files("manifest").len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_purges_hears_whether_the_fleet_knows_and_may_erase_for_good() {
    let fleet = Fleet::new().await;
    let token = fleet.keys.path().join("token");
    fs::write(&token, "s3cret-of-operators\n").unwrap();
    let edge = Gate::with(&fleet.origin, |settings| {
        settings.tier = Some(fleet.config());
        settings.admin.as_mut().unwrap().token_file = Some(token.clone());
    })
    .await;
    fleet.whole(&edge).await;
    fleet.uploaded(SIZE).await;
    let admin = format!("http://{}", edge.admin_address());
    let with = ["--admin", &admin, "--token-file", token.to_str().unwrap()];
    let purge = [&["purge", "--url", "http://media.test/film"], &with[..]].concat();
    let erase = [&purge[..], &["--erase"]].concat();

    fleet.s3.refuse_writes(true);
    let (status, said) = fleet.command(&erase).await;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("not told yet"), "{said}");
    assert_eq!(fleet.runs(), 3);
    fleet.s3.heal();
    purge_reaches(&fleet, &edge).await;

    // It is some time until it is believed that the tier can be written to again.
    let told = async {
        loop {
            let (status, said) = fleet.command(&purge).await;
            assert_eq!(status, Some(0), "{said}");
            if said.contains("the fleet is told, as of purge ") {
                return;
            }
        }
    };
    within("the fleet to be told", told).await;
    assert_eq!(fleet.runs(), 3);
    let (status, said) = fleet.command(&erase).await;
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("1 object ") && said.contains("erased from the tier"),
        "{said}"
    );
    // To programs it is one document.
    let (status, said) = fleet.command(&[&erase[..], &["--json"]].concat()).await;
    assert_eq!(status, Some(0), "{said}");
    let all: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(
        all["fleet"]["told"] == true && all["erased"]["purged"] == 0,
        "{said}"
    );
    assert_eq!((fleet.runs(), fleet.s3.files("manifest").len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_that_cannot_be_used_is_found_when_it_is_checked() {
    let fleet = Fleet::new().await;
    let (status, said) = fleet.command(&["check", "--online"]).await;
    assert_eq!(status, Some(0), "{said}");
    fs::write(fleet.keys.path().join("secret"), "wrong").unwrap();
    let (status, said) = fleet.command(&["check", "--online"]).await;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("permission denied"), "{said}");
    fs::write(fleet.keys.path().join("secret"), "secret").unwrap();
    let (status, said) = fleet.command_for("elsewhere", &["check", "--online"]).await;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("404") || said.contains("not found"), "{said}");
}
