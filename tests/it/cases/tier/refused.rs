//! Purges of the fleet that the disk of an edge refuses.

use super::{CHUNK, Fleet, SIZE, purge_reaches};
use crate::{client::Request, gate::Gate};
use std::{fs, path::PathBuf};

/// A manifest that can't be removed.
struct Stuck {
    path: PathBuf,
    content: Vec<u8>,
}

impl Stuck {
    /// Makes the one manifest of an edge such a one.
    fn of(edge: &Gate) -> Self {
        let mut files = edge.files().into_iter();
        let is_manifest = |path: &PathBuf| path.extension().is_some_and(|end| end == "manifest");
        let path = files.find(is_manifest).unwrap();
        let content = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        Self { path, content }
    }

    /// Puts it back as it was.
    fn heal(self) {
        fs::remove_dir(&self.path).unwrap();
        fs::write(&self.path, self.content).unwrap();
    }
}

/// An edge of two that has the film on its disk, which refuses to have it purged there.
async fn refusing(fleet: &Fleet) -> (Gate, Gate, Stuck) {
    let (first, second) = (fleet.filled().await, fleet.edge().await);
    fleet.whole(&second).await;
    second.until_stored(SIZE).await;
    let stuck = Stuck::of(&second);
    let purged = first.ask(Request::new("PURGE", "/film")).await;
    assert_eq!(purged.status(), 200);
    purge_reaches(fleet, &second).await;
    (first, second, stuck)
}

async fn asks_the_origin(fleet: &Fleet, edge: &Gate) {
    let asked = fleet.asked();
    fleet.part(edge, 5 * CHUNK, 5 * CHUNK + 9).await;
    assert!(fleet.asked() > asked, "what was purged is back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_that_the_disk_refused_is_carried_out_by_the_next_process() {
    let fleet = Fleet::new().await;
    let (_first, mut second, stuck) = refusing(&fleet).await;
    second.stop().await;
    stuck.heal();
    second.start_again().await;
    asks_the_origin(&fleet, &second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_that_the_disk_refused_is_tried_again_until_it_does_not() {
    let fleet = Fleet::new().await;
    let (first, mut second, stuck) = refusing(&fleet).await;
    second.until("tidegate_tier_purges_stuck", 1.0).await;
    stuck.heal();
    second.until("tidegate_tier_purges_stuck", 0.0).await;
    // A purge is over with once: what came after it is not taken out by the next start.
    asks_the_origin(&fleet, &second).await;
    second.restart().await;
    let asked = fleet.asked();
    fleet.part(&second, 5 * CHUNK, 5 * CHUNK + 9).await;
    assert_eq!(fleet.asked(), asked);
    drop(first);
}
