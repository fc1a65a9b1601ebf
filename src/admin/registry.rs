//! All metrics in one place, in Prometheus' text format.

use super::{api::Rooms, process::Process};
use crate::{cache::ChunkStorage, logs, store::Store};
use prometheus::{Encoder, IntGauge, Opts, Registry, TextEncoder, core::Collector};

/// What is measured of one process.
#[derive(Debug)]
pub struct Readings {
    registry: Registry,
    storage: &'static ChunkStorage,
    in_flight: IntGauge,
    unkept: IntGauge,
    pinned: IntGauge,
    store_size: IntGauge,
    limit: IntGauge,
    being_read: IntGauge,
    index_objects: IntGauge,
    index_tags: IntGauge,
}

impl Readings {
    /// Takes in the counters of the rooms.
    pub fn new(rooms: &Rooms, logs: &logs::Stats) -> prometheus::Result<Self> {
        let Rooms {
            storage,
            origins,
            requests,
            connections,
            // Those who open it add what it counts.
            tier: _,
        } = rooms;
        let in_flight = IntGauge::new(
            "tidegate_fill_in_flight_bytes",
            "Memory reserved for chunks that come in or wait for the disk, but for what it did not take. Near `fill.in_flight` new transfers wait.",
        )?;
        let unkept = IntGauge::new(
            "tidegate_fill_unkept_bytes",
            "Memory of chunks that the disk did not take: they are read from there, and make room for what comes in. Above 0 the disk has refused some; see `tidegate_store_disk_errors_total`.",
        )?;
        let pinned = IntGauge::new(
            "tidegate_response_pinned_bytes",
            "Memory of what was read from disk and clients have not taken yet. A rise says that clients take little of what they were about to take; above 16 MiB all get it in small pieces.",
        )?;
        let store_size = IntGauge::new(
            "tidegate_store_size_bytes",
            "Bytes that the store takes on disk, chunks being written included. It never exceeds `cache.max_size`.",
        )?;
        let limit = IntGauge::new(
            "tidegate_store_limit_bytes",
            "Bytes that the store may take on disk: `cache.max_size`.",
        )?;
        let being_read = IntGauge::new(
            "tidegate_store_being_read",
            "1 while the directory is read after a start: what is asked for is found and served, chunks wait some seconds to be kept, purges and lists wait; 0 otherwise. How long it takes depends on the number of objects.",
        )?;
        let index_objects = IntGauge::new(
            "tidegate_store_objects",
            "Objects on disk, a variant being one; it rises while the directory is read after a start. Each takes some hundreds of bytes of memory.",
        )?;
        let index_tags = IntGauge::new(
            "tidegate_store_tags",
            "Different tags (Surrogate-Key, Cache-Tag) of the objects on disk. A rise without more objects says that the origin makes tags up.",
        )?;
        let store = storage.fills().store();
        let build = build_info()?;
        let (stored, fills) = (store.stats(), storage.fills().stats());
        let all: Vec<Box<dyn Collector>> = vec![
            Box::new(build),
            Box::new(limit.clone()),
            Box::new(being_read.clone()),
            Box::new(in_flight.clone()),
            Box::new(unkept.clone()),
            Box::new(pinned.clone()),
            Box::new(store_size.clone()),
            Box::new(stored.evictions.clone()),
            Box::new(stored.checksum_failures.clone()),
            Box::new(stored.disk_errors.clone()),
            Box::new(stored.lost.clone()),
            Box::new(stored.refusing.clone()),
            Box::new(stored.reads_waiting.clone()),
            Box::new(stored.writes_waiting.clone()),
            Box::new(stored.read_ahead_dropped.clone()),
            Box::new(stored.purged_objects.clone()),
            Box::new(stored.purged_bytes.clone()),
            Box::new(index_objects.clone()),
            Box::new(index_tags.clone()),
            Box::new(requests.purges.clone()),
            Box::new(requests.refusals.clone()),
            Box::new(requests.malformed.clone()),
            Box::new(requests.ended.clone()),
            Box::new(requests.ahead.clone()),
            Box::new(requests.ahead_bytes.clone()),
            Box::new(fills.running.clone()),
            Box::new(fills.chunks.clone()),
            Box::new(fills.waits.clone()),
            Box::new(fills.chunk.clone()),
            Box::new(fills.lies.clone()),
            Box::new(fills.disputes.clone()),
            Box::new(origins.clone()),
            Box::new(requests.requests.clone()),
            Box::new(requests.sent.clone()),
            Box::new(requests.aborts.clone()),
            Box::new(requests.statuses.clone()),
            Box::new(requests.store_first.clone()),
            Box::new(requests.first_byte.clone()),
            Box::new(requests.active.clone()),
            Box::new(connections.active.clone()),
            Box::new(connections.accepted.clone()),
            Box::new(connections.refused.clone()),
            Box::new(logs.dropped.clone()),
            Box::new(Process::own()),
        ];
        let registry = Registry::new();
        all.into_iter()
            .try_for_each(|collector| registry.register(collector))?;
        Ok(Self {
            registry,
            storage: rooms.storage,
            in_flight,
            unkept,
            pinned,
            store_size,
            limit,
            being_read,
            index_objects,
            index_tags,
        })
    }

    /// Puts more on the page.
    pub fn add(&self, collectors: Vec<Box<dyn Collector>>) -> prometheus::Result<()> {
        let mut collectors = collectors.into_iter();
        collectors.try_for_each(|collector| self.registry.register(collector))
    }

    /// The page that Prometheus reads.
    pub fn render(&self) -> prometheus::Result<Vec<u8>> {
        let fills = self.storage.fills();
        self.in_flight.set(fills.bytes_in_flight() as i64);
        self.unkept.set(fills.bytes_unkept() as i64);
        self.pinned.set(Store::bytes_given_out() as i64);
        self.store_size.set(fills.store().size() as i64);
        self.limit.set(fills.store().max_size() as i64);
        self.being_read.set(fills.store().is_being_read().into());
        let (objects, tags) = fills.store().index_size();
        self.index_objects.set(objects as i64);
        self.index_tags.set(tags as i64);
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        Ok(page)
    }
}

/// A gauge that is always 1 and says which version runs.
fn build_info() -> prometheus::Result<IntGauge> {
    let opts = Opts::new(
        "tidegate_build_info",
        "Always 1; the label says which version runs.",
    );
    let info = IntGauge::with_opts(opts.const_label("version", env!("CARGO_PKG_VERSION")))?;
    info.set(1);
    Ok(info)
}
