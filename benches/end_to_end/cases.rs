//! What is measured: each case gets a fresh server with an empty cache, and says what it saw.

mod crowd;
mod hits;
mod seeks;
mod slow;
mod stream;

use crate::kit::{
    client::{Client, Reading},
    origin::Origin,
    report::{Value, value},
    servers::{Kind, Server},
};
use std::{io, time::Duration};

pub const KB: u64 = 1_000;
pub const MB: u64 = 1_000_000;
pub const GB: u64 = 1_000_000_000;

/// The rate of an origin that is far away.
const FAR_ORIGIN: u64 = 20 * MB;
/// Fills may go on behind a client's back, but not for ever.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);
const WARM_ROUNDS: usize = 5;

/// One kind of work.
pub struct Case {
    /// How it is picked on the command line.
    pub name: &'static str,
    /// What it is called in the table.
    pub title: &'static str,
    /// Whether it asks for a part of a cold object, of which a cache of whole files fetches all.
    pub cold_part: bool,
    pub run: fn(&Stage) -> io::Result<Vec<Value>>,
}

/// What a case works on.
pub struct Stage<'a> {
    pub origin: &'a Origin,
    pub server: &'a Server,
    /// Differs between repetitions, is the same for all servers in one.
    pub seed: u64,
}

/// All cases, in the order of the table.
pub const ALL: &[Case] = &[
    Case {
        name: "range-64k",
        title: "64 KB range hits",
        cold_part: false,
        run: hits::ranges_of_64_kb,
    },
    Case {
        name: "range-1m",
        title: "1 MB range hits",
        cold_part: false,
        run: hits::ranges_of_1_mb,
    },
    Case {
        name: "whole-50m",
        title: "whole 50 MB hits",
        cold_part: false,
        run: hits::whole_50_mb,
    },
    Case {
        name: "cold-stream",
        title: "cold 1 GB stream, one client",
        cold_part: false,
        run: stream::cold_1_gb,
    },
    Case {
        name: "cold-seek",
        title: "cold seek at 90 % of 1 GB, origin at 20 MB/s",
        cold_part: true,
        run: seeks::far_into_cold,
    },
    Case {
        name: "random-seeks",
        title: "50 random cold 1 MB seeks in 1 GB",
        cold_part: true,
        run: seeks::random_in_cold,
    },
    Case {
        name: "crowd",
        title: "200 clients at once on a cold 50 MB, origin at 20 MB/s",
        cold_part: false,
        run: crowd::on_cold_50_mb,
    },
    Case {
        name: "slow-readers",
        title: "500 readers at 100 KB/s of 200 MB",
        cold_part: false,
        run: slow::readers_of_200_mb,
    },
];

impl Case {
    pub fn suits(&self, kind: Kind) -> bool {
        !(self.cold_part && kind == Kind::Nginx)
    }
}

impl Stage<'_> {
    fn client(&self) -> Client {
        Client::new(self.server.address())
    }

    fn settle(&self) {
        self.origin.settle(SETTLE_LIMIT);
    }

    /// Reads an object, every byte compared, until the origin has no more part in it.
    fn warm(&self, path: &str) -> io::Result<()> {
        for _ in 0..WARM_ROUNDS {
            let before = self.origin.counts();
            self.client().get(path, None, Reading::Check)?;
            self.settle();
            if self.origin.counts().since(before).body_bytes == 0 {
                return Ok(());
            }
        }
        Err(io::Error::other(format!(
            "{path} does not stay in the cache"
        )))
    }
}

/// Whether a server comes up and gives a range, for those who only want to know that.
pub fn smoke(stage: &Stage) -> io::Result<()> {
    let path = crate::kit::origin::path(3 * MB, "smoke");
    stage
        .client()
        .get(&path, Some(2 * MB..2 * MB + 64 * KB), Reading::Check)?;
    stage.client().get(&path, None, Reading::Check)?;
    Ok(())
}
