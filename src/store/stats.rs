//! What the store counts.

use super::{Purged, body::ReadError};
use prometheus::{IntCounter, IntGauge};
use std::io;

/// Counters of one store. The admin room gives them their place in the metrics.
#[derive(Debug)]
pub struct Stats {
    /// Chunks given back to make room.
    pub evictions: IntCounter,
    /// Chunks whose bytes did not match their checksum.
    pub checksum_failures: IntCounter,
    /// Objects that purges took out of service or made stale.
    pub purged_objects: IntCounter,
    /// Bytes that these took on disk.
    pub purged_bytes: IntCounter,
    /// Operations that the disk failed.
    pub disk_errors: IntCounter,
    /// 1 while the directory is gone.
    pub lost: IntGauge,
    /// 1 while the last chunk that was to be written was refused by the disk.
    pub refusing: IntGauge,
    /// Readers that wait for their turn at the disk.
    pub reads_waiting: IntGauge,
    /// Chunks that wait to be written.
    pub writes_waiting: IntGauge,
    /// Chunks that were not read ahead, as the disk had enough to do.
    pub read_ahead_dropped: IntCounter,
}

impl Default for Stats {
    fn default() -> Self {
        let counter = |name: &str, help: &str| {
            IntCounter::new(name, help).expect("names of metrics are well-formed")
        };
        Self {
            evictions: counter(
                "tidegate_store_evictions_total",
                "Chunks removed to make room. A steady rise is normal for a full cache; a rise beside a falling hit ratio says that the cache is too small.",
            ),
            checksum_failures: counter(
                "tidegate_store_checksum_failures_total",
                "Chunks whose bytes did not match their checksum; they were fetched again. A rise points at a failing disk.",
            ),
            purged_objects: counter(
                "tidegate_store_purged_objects_total",
                "Objects that purges took out of service or made stale; a variant is an object. A rise beside a falling hit ratio says that purges empty the cache.",
            ),
            purged_bytes: counter(
                "tidegate_store_purged_bytes_total",
                "Bytes on disk of the objects that purges took out of service or made stale. A rise says how much has to be fetched, or validated, again.",
            ),
            disk_errors: counter(
                "tidegate_store_disk_errors_total",
                "Reads, writes and removals that the file system refused; clients were served without the disk. A rise points at a full or failing disk.",
            ),
            lost: IntGauge::new(
                "tidegate_store_lost",
                "1 while the cache directory is gone (removed, or its disk unmounted): clients are served from the origins and nothing is kept, until it is there again; 0 otherwise.",
            )
            .expect("names of metrics are well-formed"),
            refusing: IntGauge::new(
                "tidegate_store_refusing",
                "1 while the disk has refused the last chunk that was to be written: clients are served from the origins and what comes in is not kept, until one is taken; 0 otherwise.",
            )
            .expect("names of metrics are well-formed"),
            reads_waiting: IntGauge::new(
                "tidegate_store_reads_waiting",
                "Readers that wait for their turn at the disk (cache.reads), as what they want is not in the page cache. A lasting rise says that the disk is too slow for what is asked of it.",
            )
            .expect("names of metrics are well-formed"),
            writes_waiting: IntGauge::new(
                "tidegate_store_writes_waiting",
                "Chunks that wait to be written: for a place in the queue (cache.write_queue), or for their turn (cache.writes). A lasting rise says that the disk is too slow for what comes in; chunks that wait for too long are not kept.",
            )
            .expect("names of metrics are well-formed"),
            read_ahead_dropped: counter(
                "tidegate_store_read_ahead_dropped_total",
                "Chunks that were not read ahead from disk, since it had enough to do for those who wait. A rise says that the disk is busy.",
            ),
        }
    }
}

impl Stats {
    /// Counts a refusal of the file system and says so.
    pub(super) fn disk_error(&self, doing: &str, error: &io::Error) {
        self.disk_errors.inc();
        log::error!(
            "cache directory: {doing} failed: {error}; serving goes on without keeping what comes in"
        );
    }

    pub(super) fn purged(&self, purged: Purged) {
        self.purged_objects.inc_by(purged.objects);
        self.purged_bytes.inc_by(purged.bytes);
    }

    pub(super) fn read_failed(&self, error: &ReadError) {
        match error {
            ReadError::Corrupt(corrupt) => {
                self.checksum_failures.inc();
                log::warn!("cache directory: {corrupt}; it is fetched again");
            }
            ReadError::Disk(e) => self.disk_error("read", e),
        }
    }
}

/// Counted among those who wait, until it is dropped.
pub(super) struct Waiting<'a>(&'a IntGauge);

impl<'a> Waiting<'a> {
    pub(super) fn in_line(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
