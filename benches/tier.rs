//! What a second tier costs, and what it brings: ours without one, with one that is only asked, and
//! with one that takes all that comes in, in turns.
//!
//! The tier is a directory, so that no object store takes its share of the two cores: what is
//! measured is what Tidegate itself does for it.

#[path = "kit/mod.rs"]
#[allow(dead_code, reason = "each bench uses its own part of what all share")]
mod kit;

use clap::Parser;
use kit::{
    client::{Client, Reading},
    measure,
    options::Measuring,
    origin::{self, Origin},
    report::{Report, Value, value},
    run,
    servers::{self, Kind, Server},
};
use std::{
    cell::Cell,
    io,
    path::Path,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const MB: u64 = 1_000_000;
const CAPACITY: u64 = 8 << 30;
/// How far the origin is for the ranges.
const FAR: Duration = Duration::from_millis(50);
/// Longest wait for uploads.
const UPLOADS: Duration = Duration::from_secs(60);

/// Measures the second tier on this machine.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    measuring: Measuring,
}

const NAMES: [&str; 3] = ["without", "tier is only asked", "with a tier"];
const ONLY_ASKED: usize = 1;

fn main() -> ExitCode {
    let Options { measuring } = Options::parse();
    run::prepare(measuring.starting.no_namespace);
    run::exit_code(compare(&measuring))
}

/// Runs all cases; where it is only checked that they start, each once, on little.
fn compare(measuring: &Measuring) -> io::Result<bool> {
    let quick = measuring.starting.is_quick();
    let mut report = Report::default();
    for repetition in 0..measuring.repetitions() {
        for turn in 0..NAMES.len() {
            let which = (turn + repetition as usize) % NAMES.len();
            eprintln!("{} · {}", repetition + 1, NAMES[which]);
            let shared = tempfile::tempdir()?;
            let stage = Stage::new(
                &measuring.starting.tidegate,
                (which > 0).then_some(&shared),
                which != ONLY_ASKED,
            )?;
            report.add(
                "64 KB range hits",
                which,
                &stage.hits(if quick { 100 } else { 40_000 })?,
            );
            let size = if quick { 4 * MB } else { 1000 * MB };
            report.add("cold stream of 1 GB", which, &stage.fill(size)?);
            if which == ONLY_ASKED {
                continue;
            }
            let seeks = if quick { 2 } else { 60 };
            report.add(
                "cold 1 MB ranges, origin 50 ms away",
                which,
                &stage.seeks(measuring, seeks)?,
            );
        }
    }
    let version = Kind::Tidegate.version(&measuring.starting.tidegate);
    measuring.show(&report, &NAMES, &[version.unwrap_or_default()])?;
    Ok(true)
}

/// An edge before an origin.
struct Stage<'a> {
    origin: Origin,
    server: Server,
    shared: Option<&'a TempDir>,
    /// What comes in goes up.
    uploads: bool,
    /// Bytes that are to lie in the tier.
    expected: Cell<u64>,
}

impl<'a> Stage<'a> {
    fn new(tidegate: &Path, shared: Option<&'a TempDir>, uploads: bool) -> io::Result<Self> {
        let origin = Origin::start()?;
        Ok(Self {
            server: edge(tidegate, &origin, shared, uploads)?,
            origin,
            shared,
            uploads,
            expected: Cell::new(0),
        })
    }

    /// What is here is given out: the tier is not asked.
    fn hits(&self, requests: u64) -> io::Result<Vec<Value>> {
        let path = origin::path(64 * MB, "hits");
        let mut client = Client::new(self.server.address());
        client.get(&path, None, Reading::Check)?;
        self.settled(64 * MB)?;
        let before = measure::cpu_seconds(self.server.pid())?;
        for nth in 0..requests {
            let first = (nth * 7919 * 1024) % (63 * MB);
            client.get(&path, Some(first..first + 65_536), Reading::Discard)?;
        }
        let cpu = measure::cpu_seconds(self.server.pid())? - before;
        Ok(vec![value(
            "CPU-s per 10,000",
            cpu / requests as f64 * 10_000.0,
        )])
    }

    /// What comes in is given out, stored, and goes up behind.
    fn fill(&self, size: u64) -> io::Result<Vec<Value>> {
        let path = origin::path(size, "stream");
        let before = measure::cpu_seconds(self.server.pid())?;
        let answer = Client::new(self.server.address()).get(&path, None, Reading::Discard)?;
        let streamed = measure::cpu_seconds(self.server.pid())? - before;
        self.settled(size)?;
        let cpu = measure::cpu_seconds(self.server.pid())? - before;
        let gigabytes = size as f64 / 1e9;
        Ok(vec![
            value("GB/s", gigabytes / answer.whole.as_secs_f64()),
            value("CPU-s/GB while it streams", streamed / gigabytes),
            value("CPU-s/GB, uploads included", cpu / gigabytes),
        ])
    }

    /// An edge with an empty disk is asked for parts of what another has.
    fn seeks(&self, measuring: &Measuring, count: u64) -> io::Result<Vec<Value>> {
        let path = origin::path(200 * MB, "seeks");
        Client::new(self.server.address()).get(&path, None, Reading::Check)?;
        self.settled(200 * MB)?;
        self.origin.delay(FAR);
        let empty = edge(
            &measuring.starting.tidegate,
            &self.origin,
            self.shared,
            true,
        )?;
        let mut client = Client::new(empty.address());
        let mut first_bytes = Vec::new();
        for nth in 0..count {
            // Far from each other: none is read ahead.
            let first = (nth * 37 % 60) * 3 * MB;
            let answer = client.get(&path, Some(first..first + MB), Reading::Check)?;
            first_bytes.push(answer.first_byte.as_secs_f64() * 1000.0);
        }
        self.origin.delay(Duration::ZERO);
        Ok(vec![
            value("first byte p50, ms", measure::quantile(&first_bytes, 0.5)),
            value("first byte p95, ms", measure::quantile(&first_bytes, 0.95)),
        ])
    }

    /// Waits until fills are at rest, and so many bytes more have gone up.
    fn settled(&self, bytes: u64) -> io::Result<()> {
        self.expected.set(self.expected.get() + bytes);
        self.origin.settle(UPLOADS);
        let Some(shared) = self.shared.filter(|_| self.uploads) else {
            return Ok(());
        };
        let begun = Instant::now();
        while size_of(shared.path()) < self.expected.get() {
            if begun.elapsed() > UPLOADS {
                return Err(io::Error::other("the uploads do not come to their end"));
            }
            thread::sleep(Duration::from_millis(100));
        }
        // The manifest goes last.
        thread::sleep(Duration::from_millis(500));
        Ok(())
    }
}

fn edge(
    tidegate: &Path,
    origin: &Origin,
    shared: Option<&TempDir>,
    uploads: bool,
) -> io::Result<Server> {
    let origin = origin.address();
    match shared {
        None => Kind::Tidegate.start(tidegate, origin, CAPACITY),
        Some(shared) => servers::start_tiered(tidegate, origin, CAPACITY, shared.path(), uploads),
    }
}

/// Bytes of all files below a directory.
fn size_of(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size_of(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
