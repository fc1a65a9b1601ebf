//! `GET /api/status`: how a process is doing, on one page.

use super::{Quantiles, Window};
use crate::domain::count_of;
use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// How a process is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Which version runs.
    pub version: String,
    /// Whether it wants clients.
    pub state: State,
    /// Whether who asks may change anything.
    pub change: Change,
    /// Seconds since it started.
    pub uptime: f64,
    /// What is in use now.
    pub now: Use,
    /// What happened in the last minutes, five at most.
    pub recent: Window,
    /// What happened since the start.
    pub since_start: Window,
}

/// Whether a process wants clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It does.
    Serving,
    /// `/readyz` tells load balancers to look elsewhere; who comes is served.
    Draining,
}

/// Whether who asks may change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Yes: by the token, or as this machine where there is none.
    Allowed,
    /// With the token.
    NeedsToken,
    /// No: there is no token, and it is another machine that asks.
    Refused,
}

/// How the cache directory is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Directory {
    /// It is in use, and all that lies in it is known.
    Known,
    /// It is in use, and is still being read: what is asked for is found, lists and purges wait.
    Reading,
    /// It is gone: clients are served from the origins and nothing is kept.
    Lost,
    /// It refuses what is to be written: clients are served from the origins and what comes in is not
    /// kept.
    Refusing,
    /// Another process has it, or is being given it: this one keeps nothing any more.
    Another,
}

/// Bytes of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Amount {
    /// In use.
    pub bytes: u64,
    /// At most.
    pub limit: u64,
}

/// Requests that wait for their turn at an origin, over all origins, by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Queued {
    /// Somebody waits for a part, or for less than 1 MB.
    pub small: u64,
    /// For less than 10 MB.
    pub medium: u64,
    /// For more, or for nobody knows how much.
    pub large: u64,
    /// Somebody will want it soon.
    pub read_ahead: u64,
    /// Nobody waits.
    pub completion: u64,
}

/// The object store that a fleet of edges shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TierUse {
    /// Whether it is of use.
    pub state: TierState,
    /// Uploads that wait.
    pub uploads_waiting: u64,
    /// Purges of this edge that the fleet has not been told of yet.
    pub purges_untold: u64,
}

/// Whether the tier is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TierState {
    /// It is asked, and what comes in goes up.
    InUse,
    /// It fails, and is left alone for a while.
    LeftAlone,
    /// Not yet: it could not be asked since the start, or is another's.
    NotInUse,
}

/// What is in use at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Use {
    /// Requests under way.
    pub streams: u64,
    /// Connections of clients.
    pub connections: u64,
    /// Transfers from origins into the store.
    pub fills: u64,
    /// Requests that wait for their turn at an origin.
    pub queued: Queued,
    /// Memory for what comes in and waits for the disk.
    pub in_flight: Amount,
    /// The disk.
    pub store: Amount,
    /// The directory there.
    pub directory: Directory,
    /// Objects on disk; a variant is one.
    pub objects: u64,
    /// Different tags of these.
    pub tags: u64,
    /// Readers that wait for their turn at the disk.
    pub disk_queue: u64,
    /// Memory of the process in bytes, where the system tells.
    pub memory: Option<u64>,
    /// The object store that a fleet shares; only where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierUse>,
}

impl Queued {
    /// All of them.
    pub fn sum(&self) -> u64 {
        self.small + self.medium + self.large + self.read_ahead + self.completion
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Serving => "serving",
            State::Draining => "draining: /readyz sends load balancers elsewhere",
        };
        let up = humantime::format_duration(Duration::from_secs(self.uptime as u64));
        let mut line = |name: &str, text: String| writeln!(f, "{name:<20}{text}");
        line("tidegate", format!("{}, {state}, up {up}", self.version))?;
        let now = &self.now;
        line(
            "streams",
            format!(
                "{} on {}, {}, {} waiting for origins",
                now.streams,
                count_of(now.connections, "connection"),
                count_of(now.fills, "fill"),
                now.queued.sum()
            ),
        )?;
        let directory = match now.directory {
            Directory::Known => "",
            Directory::Reading => "; the directory is still being read",
            Directory::Lost => "; the directory is gone",
            Directory::Refusing => "; the disk refuses what is to be written",
            Directory::Another => "; another process has the directory",
        };
        line(
            "store",
            format!(
                "{}, {}{directory}",
                now.store,
                count_of(now.objects, "object")
            ),
        )?;
        line("in flight", now.in_flight.to_string())?;
        if let Some(memory) = now.memory {
            line("memory", size(memory as f64))?;
        }
        if let Some(tier) = now.tier {
            line("tier", tier.to_string())?;
        }
        let over = humantime::format_duration(Duration::from_secs(self.recent.seconds as u64));
        writeln!(
            f,
            "\n{:<20}{:<24}since the start",
            "",
            format!("last {over}")
        )?;
        for (name, told) in ROWS {
            let (recent, all) = (told(&self.recent), told(&self.since_start));
            writeln!(f, "{name:<20}{recent:<24}{all}")?;
        }
        Ok(())
    }
}

impl fmt::Display for TierUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            TierState::InUse => "in use",
            TierState::LeftAlone => "left alone for a while, as it fails",
            TierState::NotInUse => "not in use: tidegate check --online says why",
        })?;
        write!(f, ", {} waiting", count_of(self.uploads_waiting, "upload"))?;
        match self.purges_untold {
            0 => Ok(()),
            untold => write!(f, ", {} not told to the fleet", count_of(untold, "purge")),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = 100.0 * self.bytes as f64 / self.limit.max(1) as f64;
        let (bytes, limit) = (size(self.bytes as f64), size(self.limit as f64));
        write!(f, "{bytes} of {limit} ({share:.0}%)")
    }
}

type Row = (&'static str, fn(&Window) -> String);

const ROWS: [Row; 9] = [
    ("requests", |w| {
        let all = w.requests.sum();
        format!("{all} ({:.1}/s)", per_second(all, w))
    }),
    ("hits", |w| percent(w.hit_ratio.requests)),
    ("sent", |w| {
        let all = w.bytes.sum();
        format!("{} ({}/s)", size(all as f64), size(per_second(all, w)))
    }),
    ("from the cache", |w| percent(w.hit_ratio.bytes)),
    ("first byte, hits", |w| times(w.first_byte.cached)),
    ("first byte, others", |w| times(w.first_byte.not_cached)),
    ("evicted chunks", |w| w.evictions.to_string()),
    ("failed requests", |w| w.aborts.to_string()),
    ("disk failures", |w| w.disk_failures.to_string()),
];

fn per_second(count: u64, window: &Window) -> f64 {
    count as f64 / window.seconds.max(1.0)
}

fn size(bytes: f64) -> String {
    ByteSize(bytes as u64).display().iec().to_string()
}

fn percent(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |share| format!("{:.1}%", share * 100.0))
}

/// 50, 95 and 99 of a hundred, in milliseconds.
fn times(times: Option<Quantiles>) -> String {
    let milliseconds = |seconds: f64| format!("{:.1}", seconds * 1000.0);
    times.map_or("-".to_owned(), |times| {
        let all = [times.p50, times.p95, times.p99].map(milliseconds);
        format!("{} ms", all.join(" / "))
    })
}
