//! What is replaced of what lies in the tier, and what is not.

use super::{CHUNK, Fleet, SIZE, is_manifest};
use crate::{gate::Gate, patience::within};
use std::{fs, path::PathBuf, time::Duration};
use tidegate::server::Settings;
use tokio::time::sleep;

impl Fleet {
    fn run_files(&self) -> Vec<PathBuf> {
        let mut files = self.s3.files("-");
        files.retain(|path| !is_manifest(path));
        files
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fetches_what_is_damaged_from_the_origin_replaces_it() {
    for is_lost in [false, true] {
        let fleet = Fleet::new().await;
        let _first = fleet.filled().await;
        let damaged = fleet.run_files().remove(1);
        let mut bytes = fs::read(&damaged).unwrap();
        bytes.iter_mut().for_each(|byte| *byte ^= 1);
        match is_lost {
            true => fs::remove_file(&damaged).unwrap(),
            false => fs::write(&damaged, bytes).unwrap(),
        }
        let second = fleet.edge().await;
        fleet.whole(&second).await;
        let gone = async {
            while damaged.exists() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        within("what is damaged to go", gone).await;
        fleet.uploaded(SIZE).await;
        let (status, said) = fleet.command(&["tier", "verify"]).await;
        assert_eq!(status, Some(0), "lost: {is_lost}, {said}");
        let asked = fleet.asked();
        let third = fleet.edge().await;
        fleet.whole(&third).await;
        assert_eq!(fleet.asked(), asked, "lost: {is_lost}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_there_in_other_chunks_stays() {
    let fleet = Fleet::new().await;
    let mut edges = Vec::new();
    for size in [CHUNK, 2 * CHUNK] {
        let grid = |settings: &mut Settings| {
            settings.store.chunk_size = size as u32;
        };
        let mut edge = Gate::with(&fleet.origin, grid).await;
        fleet.whole(&edge).await;
        edge.until_stored(SIZE).await;
        edge.stop().await;
        edge.settings().tier = Some(fleet.config());
        edges.push(edge);
    }
    edges[0].start_again().await;
    fleet.part(&edges[0], 0, 9).await;
    fleet.uploaded(SIZE).await;
    let runs = fleet.run_files();
    edges[1].start_again().await;
    fleet.part(&edges[1], 0, 9).await;
    edges[1].until_told("tier_uploads_total{").await;
    let told = edges[1].metrics().await;
    assert_eq!(fleet.run_files(), runs);
    assert!(
        told.contains("tier_uploads_total{outcome=\"grid\"} 1"),
        "{told}"
    );
}
