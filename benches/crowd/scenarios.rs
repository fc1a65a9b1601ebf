//! The scenarios: each gets a fresh server with an empty cache, and says what it saw.

mod endurance;
mod hostile;
mod mixed;
mod slow;

use crate::{
    catalogue::Object,
    kit::{
        client::{Client, Reading},
        origin::Origin,
        report::{Report, Value},
        servers::Server,
    },
};
use std::{io, time::Duration};

pub const KB: u64 = 1_000;
pub const MB: u64 = 1_000_000;
pub const GB: u64 = 1_000_000_000;

/// Fills may go on behind a client's back, but not for ever.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);
const WARM_ROUNDS: usize = 4;

/// One kind of crowd.
pub struct Scenario {
    /// How it is picked on the command line.
    pub name: &'static str,
    /// What it is called in the table.
    pub title: &'static str,
    /// Whether it takes so long that it must be asked for.
    pub long: bool,
    pub full: Scale,
    pub quick: Scale,
    /// Bytes for which the cache has room.
    room: fn(&Scale) -> u64,
    pub run: fn(&Stage) -> io::Result<Findings>,
}

/// How large a scenario is.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub clients: u64,
    pub time: Duration,
    pub objects: u64,
    /// Bytes of the largest object.
    pub largest: u64,
    /// Bytes per second that a client takes; as fast as they come when absent.
    pub rate: Option<u64>,
}

/// What a scenario works on.
pub struct Stage<'a> {
    pub origin: &'a Origin,
    pub server: &'a Server,
    /// Differs between repetitions, is the same for all servers in one.
    pub seed: u64,
    pub scale: Scale,
}

/// What a scenario has found, under one heading or several.
#[derive(Default)]
pub struct Findings {
    pub values: Vec<(&'static str, Vec<Value>)>,
    /// Answers that were right, and requests of well-meaning clients that failed.
    answers: u64,
    failures: u64,
    pub series: Vec<(&'static str, Vec<f64>)>,
}

/// All scenarios, in the order in which they run.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "baseline",
        title: "objects of 1 to 100 MB to 100 clients, half of them hits",
        long: false,
        full: scale(100, 30_000, 64, 100 * MB),
        quick: scale(8, 300, 3, 3 * MB),
        room: |_| ROOMY,
        run: mixed::baseline,
    },
    Scenario {
        name: "stress",
        title: "the same to 1,000 clients, 20 % of them with ranges",
        long: false,
        full: scale(1_000, 30_000, 64, 100 * MB),
        quick: scale(20, 300, 3, 3 * MB),
        room: |_| ROOMY,
        run: mixed::stress,
    },
    Scenario {
        name: "slow",
        title: "500 readers at 100 KB/s of 200 MB beside a fast one",
        long: false,
        full: scale(500, 60_000, 1, 200 * MB).at(100 * KB),
        quick: scale(20, 400, 1, 4 * MB).at(100 * KB),
        room: |_| ROOMY,
        run: slow::run,
    },
    Scenario {
        name: "endurance",
        title: "200 clients for an hour, some objects wanted more than others",
        long: true,
        full: scale(200, 3_600_000, 300, 20 * MB).at(MB),
        quick: scale(10, 600, 10, 3 * MB).at(MB),
        room: endurance::room,
        run: endurance::run,
    },
    Scenario {
        name: "hostile",
        title: "1,000 attackers of each kind, 10,000 idle connections",
        long: false,
        // Longer than a head may take, so that it shows whether those are cut that take longer.
        full: scale(1_000, 15_000, 1, 50 * MB),
        quick: scale(20, 200, 1, 4 * MB),
        room: |_| ROOMY,
        run: hostile::run,
    },
];

/// More than what is known, less than what an hour of misses would fill.
const ROOMY: u64 = 4 << 30;

/// Sockets on both of their sides in one process, and some for all else.
const FILES_PER_CLIENT: u64 = 2;
const OTHER_FILES: u64 = 1_000;

const fn scale(clients: u64, milliseconds: u64, objects: u64, largest: u64) -> Scale {
    Scale {
        clients,
        time: Duration::from_millis(milliseconds),
        objects,
        largest,
        rate: None,
    }
}

impl Scale {
    const fn at(mut self, rate: u64) -> Self {
        self.rate = Some(rate);
        self
    }
}

impl Scenario {
    pub fn capacity(&self, scale: &Scale) -> u64 {
        (self.room)(scale)
    }

    /// Files that this process or a server must be able to open.
    pub fn open_files(&self, scale: &Scale) -> u64 {
        let clients = match self.name {
            "hostile" => hostile::idle_connections(scale.clients),
            _ => FILES_PER_CLIENT * scale.clients,
        };
        clients + OTHER_FILES
    }
}

impl Stage<'_> {
    /// Reads objects, every byte compared, until the origin has next to no part in them.
    fn warm(&self, objects: &[Object]) -> io::Result<()> {
        let all: u64 = objects.iter().map(|it| it.size).sum();
        let mut client = Client::new(self.server.address());
        for _ in 0..WARM_ROUNDS {
            let before = self.origin.counts();
            for object in objects {
                client.get(&object.path, None, Reading::Check)?;
            }
            self.origin.settle(SETTLE_LIMIT);
            if self.origin.counts().since(before).body_bytes < all / 100 {
                return Ok(());
            }
        }
        Err(io::Error::other("what was read does not stay in the cache"))
    }
}

impl Findings {
    fn of(title: &'static str, values: Vec<Value>) -> Self {
        Self {
            values: vec![(title, values)],
            ..Self::default()
        }
    }

    /// Notes what became of well-meaning clients' requests.
    fn with_outcomes(mut self, answers: u64, failures: u64) -> Self {
        self.answers = answers;
        self.failures = failures;
        self
    }

    /// For a run too short for numbers to mean anything: whether clients were served at all, and
    /// none of them badly.
    pub fn sound(&self) -> io::Result<()> {
        let (answers, failures) = (self.answers, self.failures);
        if answers > 0 && failures == 0 {
            return Ok(());
        }
        let message = format!("{answers} requests answered, {failures} failed");
        Err(io::Error::other(message))
    }

    /// Puts them where they are shown.
    pub fn file(self, report: &mut Report, server: usize) {
        for (title, values) in self.values {
            report.add(title, server, &values);
        }
        for (measure, numbers) in self.series {
            report.add_series(server, measure, numbers);
        }
    }
}
