//! What is replaced of what lies in the tier, and what is not.

use super::{CHUNK, Fleet, SIZE, is_manifest};
use crate::gate::Gate;
use std::path::PathBuf;
use tidegate::server::Settings;

impl Fleet {
    fn run_files(&self) -> Vec<PathBuf> {
        let mut files = self.s3.files("-");
        files.retain(|path| !is_manifest(path));
        files
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
