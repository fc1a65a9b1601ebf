//! What operators hear of a tier that their configuration does not fit.

use super::{CHUNK, Fleet, said_by};
use crate::s3::BUCKET;
use std::fs;
use tidegate::tier::Place;

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_at_a_tier_that_is_of_no_use_to_him_fails() {
    let fleet = Fleet::new().await;
    let _first = fleet.filled().await;
    let file = fleet.written(BUCKET);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text + "  fleet: another\n").unwrap();
    for command in [
        &["tier", "status"][..],
        &["tier", "status", "--json"],
        &["tier", "verify"],
        &["tier", "gc", "--dry-run"],
        &["tier", "gc"],
    ] {
        let (status, said) = said_by(command, &file).await;
        assert_eq!(status, Some(1), "{command:?}: {said}");
        assert!(said.contains("this edge is of"), "{command:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_removes_from_a_bucket_that_is_missing_hears_that_it_is() {
    let fleet = Fleet::new().await;
    for command in [&["tier", "gc"][..], &["tier", "verify", "--repair"]] {
        let (status, said) = fleet.command_for("elsewhere", command).await;
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("elsewhere"), "{said}");
        assert!(!said.contains("under this prefix"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_of_another_size_are_found_when_it_is_checked() {
    let fleet = Fleet::new().await;
    let _first = fleet.filled().await;
    let file = fleet.written(BUCKET);
    let (status, said) = said_by(&["check", "--online"], &file).await;
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("in chunks of 64.0 KiB"), "{said}");
    // The size of one route will do: which objects are whose is not known.
    let text = fs::read_to_string(&file).unwrap();
    let ours = format!("chunk_size: {CHUNK}, origins: [media]");
    fs::write(&file, text.replace("origins: [media]", &ours)).unwrap();
    for file in [file, fleet.written_to_run()] {
        let (status, said) = said_by(&["check", "--online"], &file).await;
        assert_eq!(status, Some(0), "{said}");
        assert!(!said.contains("in chunks of"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_directory_does_not_know_is_no_failure_of_it() {
    let fleet = Fleet::new().await;
    let shared = tempfile::tempdir().unwrap();
    let path = shared.path().to_owned();
    let edge = fleet
        .edge_with(|config| config.place = Place::Directory { path })
        .await;
    let told = edge.metrics().await;
    assert!(told.contains("tidegate_tier_ready 1"), "{told}");
    let requests = |outcome: &str| {
        let label = format!("outcome=\"{outcome}\"");
        let ours = |line: &&str| line.starts_with("tidegate_tier_requests_total");
        let lines = told.lines().filter(ours);
        lines.filter(|line| line.contains(&label)).count()
    };
    assert_eq!((requests("failed"), requests("unsupported")), (0, 1));
}
