//! Memory for what the tier gives.

use super::Fleet;
use crate::{
    client::{Client, Request},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::Script,
    patience::within,
    s3::Fault,
};
use std::{net::SocketAddr, time::Duration};
use tidegate::{server::Settings, tier::Config};
use tokio::task::JoinSet;

impl Fleet {
    /// Has the origin give so many other films of this size.
    fn films(&self, count: u64, size: u64) -> Vec<(String, Object)> {
        let film = |nth| {
            let (path, script) = (format!("/films/{nth}"), Script::new(700 + nth, size));
            let object = Object::from(&script);
            self.origin.put(&path, script);
            (path, object)
        };
        (0..count).map(film).collect()
    }

    async fn edge_set(
        &self,
        tier: impl FnOnce(&mut Config),
        change: impl FnOnce(&mut Settings),
    ) -> Gate {
        let mut config = self.config();
        tier(&mut config);
        Gate::with(&self.origin, |settings| {
            settings.tier = Some(config);
            change(settings);
        })
        .await
    }
}

/// Asks for all films at once, and looks at what comes.
async fn all_at_once(address: SocketAddr, films: &[(String, Object)]) {
    let mut clients = JoinSet::new();
    for named in films {
        let (path, film) = named.clone();
        clients.spawn(async move {
            let answer = Client::connect(address)
                .await
                .ask(&Request::get(&path))
                .await;
            film.verify(&Expected::Whole, &answer).unwrap();
        });
    }
    while let Some(done) = within("a film", clients.join_next()).await {
        done.unwrap();
    }
}

/// What stops in the middle holds the room that it has taken, and what comes beside it waits.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_gathered_from_the_tier_is_bounded() {
    const BIG: u64 = 1 << 20;
    const FILMS: u64 = 12;
    let fleet = Fleet::new().await;
    let films = fleet.films(FILMS, BIG);
    let chunks = |settings: &mut Settings| settings.store.chunk_size = BIG as u32;
    let runs = |config: &mut Config| {
        (config.run, config.read) = (BIG, BIG);
        config.linger = Duration::from_millis(50);
        config.timeout = Duration::from_secs(60);
        config.patience = config.timeout;
    };
    let first = fleet.edge_set(runs, chunks).await;
    all_at_once(first.address(), &films).await;
    fleet.uploaded(FILMS * BIG).await;
    let second = fleet
        .edge_set(runs, |settings| {
            chunks(settings);
            // Room for one chunk that is being gathered.
            settings.fill.in_flight = 2 * BIG;
        })
        .await;
    fleet.s3.fail(Fault::Halt, "-");
    let address = second.address();
    let mut clients = JoinSet::new();
    for (path, _) in films {
        clients.spawn(async move {
            Client::connect(address)
                .await
                .ask(&Request::get(&path))
                .await
        });
    }
    let others = FILMS - 1;
    let waiting = format!("fill_waits_total{{budget=\"unchecked\"}} {others}");
    second.until_told(&waiting).await;
    let metrics = second.metrics().await;
    let sample = "tidegate_tier_bytes_total{direction=\"read\"} ";
    let read = metrics.lines().find_map(|line| line.strip_prefix(sample));
    let read: u64 = read.unwrap().parse().unwrap();
    assert!(read < FILMS * BIG / 2 / 2, "{read} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_room_to_gather_gets_it_from_the_tier() {
    const SIZE: u64 = 3 * CHUNK + 77;
    let fleet = Fleet::new().await;
    // So few that it is not known yet how long runs usually take.
    let films = fleet.films(8, SIZE);
    let first = fleet
        .edge_set(|config| config.linger = Duration::from_millis(50), |_| ())
        .await;
    all_at_once(first.address(), &films).await;
    fleet.uploaded(8 * SIZE).await;
    let asked = fleet.origin.log().len();
    let patient = |config: &mut Config| {
        config.timeout = Duration::from_secs(60);
        config.patience = config.timeout;
    };
    let second = fleet
        .edge_set(patient, |settings| settings.fill.in_flight = CHUNK)
        .await;
    all_at_once(second.address(), &films).await;
    // What takes longer than it usually does has the origin asked, too: on a loaded machine that is some.
    let asked = fleet.origin.log().len() - asked;
    assert!(
        asked < films.len(),
        "{asked} of {} were asked for",
        films.len()
    );
}

/// Who fills a chunk of its own from several of the tier has room for the one while it waits for the
/// others: two of them could wait for each other for ever.
#[tokio::test(flavor = "multi_thread")]
async fn two_grids_do_not_wait_for_each_other() {
    let fleet = Fleet::new().await;
    let films = fleet.films(6, 8 * CHUNK);
    let grid = |settings: &mut Settings| {
        settings.store.chunk_size = 4 * CHUNK as u32;
        settings.fill.in_flight = 4 * CHUNK;
    };
    let mut second = Gate::with(&fleet.origin, grid).await;
    for (path, _) in &films {
        assert_eq!(second.bytes(path, 0, 9).await.status(), 206);
    }
    second.stop().await;
    let first = fleet
        .edge_set(|config| config.linger = Duration::from_millis(50), |_| ())
        .await;
    all_at_once(first.address(), &films).await;
    fleet.uploaded(6 * 8 * CHUNK).await;
    let mut config = fleet.config();
    config.timeout = Duration::from_secs(1);
    config.min_size = u64::MAX;
    second.settings().tier = Some(config);
    second.start_again().await;
    all_at_once(second.address(), &films).await;
}
