//! What the API reads: the rooms below, and what they count.

use super::{
    Answers, Bytes,
    status::{Amount, Directory, Queued, TierState, TierUse, Use},
    window::Totals,
};
use crate::{
    cache::ChunkStorage,
    origin::{self, Client},
    proxy::{self, Answerer, SOURCES},
    store::Obstacle,
    tier,
    traffic::Class,
};
use std::sync::Arc;

/// The rooms of one process.
#[derive(Clone, Debug)]
pub struct Rooms {
    /// The store and its fills.
    pub storage: &'static ChunkStorage,
    /// The origins in force, and what is counted of them.
    pub origins: origin::Stats,
    /// What is counted of the requests.
    pub requests: Arc<proxy::Stats>,
    /// The connections of clients.
    pub connections: Arc<proxy::Connections>,
    /// What is counted of the tier, where there is one.
    pub tier: Option<tier::Stats>,
}

impl Rooms {
    /// The rooms that make up a process.
    pub fn new(
        storage: &'static ChunkStorage,
        client: &Client,
        requests: &Arc<proxy::Stats>,
        connections: &Arc<proxy::Connections>,
        tier: Option<&tier::Stats>,
    ) -> Self {
        Self {
            storage,
            origins: client.stats().clone(),
            requests: requests.clone(),
            connections: connections.clone(),
            tier: tier.cloned(),
        }
    }

    /// All counters as they are now.
    pub(super) fn totals(&self) -> Totals {
        let stats = &self.requests;
        let [store, both, origin, passed, own] = Answerer::ALL.map(|a| stats.answers(a));
        let sent = SOURCES.map(|source| stats.sent.with_label_values(&[source]).get());
        let [memory, disk, flight, from_origin, passed_on] = sent;
        let stored = self.storage.fills().store().stats();
        Totals {
            requests: Answers {
                store,
                both,
                origin,
                passed,
                own,
            },
            bytes: Bytes {
                memory,
                disk,
                flight,
                origin: from_origin,
                passed: passed_on,
            },
            cached: stats.first_bytes(&[Answerer::Store]),
            not_cached: stats.first_bytes(&[Answerer::Both, Answerer::Origin, Answerer::Passed]),
            evictions: stored.evictions.get(),
            aborts: stats.aborted(),
            disk_failures: stored.disk_errors.get() + stored.checksum_failures.get(),
        }
    }

    /// What is in use now.
    pub(super) fn in_use(&self) -> Use {
        let fills = self.storage.fills();
        let store = fills.store();
        let (objects, tags) = store.index_size();
        Use {
            streams: count(self.requests.active.get()),
            connections: count(self.connections.active.get()),
            fills: count(fills.stats().running.get()),
            queued: self.queued(),
            in_flight: Amount {
                bytes: fills.bytes_in_flight(),
                limit: fills.config().in_flight,
            },
            store: Amount {
                bytes: store.size(),
                limit: store.max_size(),
            },
            directory: match store.obstacle() {
                Some(Obstacle::Gone) => Directory::Lost,
                Some(Obstacle::Refuses) => Directory::Refusing,
                Some(Obstacle::Another) => Directory::Another,
                None if store.is_being_read() => Directory::Reading,
                None => Directory::Known,
            },
            objects: objects as u64,
            tags: tags as u64,
            disk_queue: count(store.stats().reads_waiting.get()),
            memory: resident(),
            tier: self.tier.as_ref().map(of_tier),
        }
    }

    fn queued(&self) -> Queued {
        let origins = self.origins.origins();
        let depth = |class| {
            let depths = origins.iter().map(|origin| origin.limit().depth(class));
            depths.sum::<usize>() as u64
        };
        Queued {
            small: depth(Class::Small),
            medium: depth(Class::Medium),
            large: depth(Class::Large),
            read_ahead: depth(Class::ReadAhead),
            completion: depth(Class::Completion),
        }
    }
}

fn of_tier(stats: &tier::Stats) -> TierUse {
    TierUse {
        state: match stats.condition() {
            tier::Condition::InUse => TierState::InUse,
            tier::Condition::LeftAlone => TierState::LeftAlone,
            tier::Condition::NotInUse => TierState::NotInUse,
        },
        uploads_waiting: stats.waiting(),
        purges_untold: stats.untold(),
    }
}

fn count(gauge: i64) -> u64 {
    gauge.max(0) as u64
}

/// Memory of this process, in bytes, as the kernel counts it (proc(5), `VmRSS`).
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
