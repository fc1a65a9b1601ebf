//! Tidegate beside nginx, end to end over loopback: the same work, in one run, in turns, before
//! an origin that counts what it is asked for.
//!
//! `cargo bench --bench end_to_end -- --help` tells how to pick from it. Run in any other way, as
//! by `cargo test --benches`, it only checks that everything starts.

mod cases;
#[path = "../kit/mod.rs"]
#[allow(dead_code, reason = "each bench uses its own part of what all share")]
mod kit;
mod load;

use cases::{Case, Stage};
use clap::Parser;
use kit::{
    measure,
    options::Measuring,
    origin::Origin,
    report::{Report, Value},
    run,
    servers::Kind,
};
use std::{io, process::ExitCode};

/// Of every server's cache, in bytes: more than any case fills.
const CAPACITY: u64 = 8 << 30;

/// Compares tidegate with nginx on this machine.
#[derive(Parser)]
struct Options {
    /// Cases to run, by part of their name; all when none is given
    cases: Vec<String>,
    /// Servers to compare: the first is the one that the ratios are about
    #[arg(long, value_delimiter = ',', default_value = "tidegate,nginx-slice")]
    servers: Vec<Kind>,
    /// List the cases
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    measuring: Measuring,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        cases::ALL
            .iter()
            .for_each(|it| println!("{:<14} {}", it.name, it.title));
        return ExitCode::SUCCESS;
    }
    run::prepare(options.measuring.starting.no_namespace);
    run::exit_code(if options.measuring.starting.is_quick() {
        check(&options)
    } else {
        compare(&options)
    })
}

/// Starts each server once; whether each gave what it was asked for.
fn check(options: &Options) -> io::Result<bool> {
    let origin = Origin::start()?;
    let mut all_right = true;
    for (kind, _) in run::present(&options.servers, &options.measuring.starting.tidegate) {
        let server = kind.start(
            &options.measuring.starting.tidegate,
            origin.address(),
            CAPACITY,
        )?;
        let stage = Stage {
            origin: &origin,
            server: &server,
            seed: 1,
        };
        let outcome = cases::smoke(&stage);
        all_right &= outcome.is_ok();
        match outcome {
            Ok(()) => println!("{} starts and serves", kind.name()),
            Err(error) => println!("{}: {error}\n{}", kind.name(), server.last_messages()),
        }
    }
    Ok(all_right)
}

/// Runs the cases; whether none of them failed.
fn compare(options: &Options) -> io::Result<bool> {
    let (kinds, versions): (Vec<Kind>, Vec<String>) =
        run::present(&options.servers, &options.measuring.starting.tidegate)
            .into_iter()
            .unzip();
    if let Some(load) = measure::foreign_load() {
        eprintln!("note: the machine is busy (load {load}); every number suffers from that");
    }
    let mut report = Report::default();
    let mut all_right = true;
    for case in cases::ALL.iter().filter(|it| options.picks(it)) {
        for repetition in 0..options.measuring.repetitions() {
            for (server, kind) in run::in_turns(&kinds, repetition) {
                eprintln!("{} · {} · {}", case.name, repetition + 1, kind.name());
                match run_once(options, case, kind, repetition) {
                    Ok(values) => report.add(case.title, server, &values),
                    Err(error) => {
                        eprintln!("  failed: {error}");
                        all_right = false;
                    }
                }
            }
        }
    }
    let names: Vec<_> = kinds.iter().map(|it| it.name()).collect();
    options.measuring.show(&report, &names, &versions)?;
    Ok(all_right)
}

/// One case on one fresh server with an empty cache, before an origin without past.
fn run_once(options: &Options, case: &Case, kind: Kind, repetition: u64) -> io::Result<Vec<Value>> {
    if !case.suits(kind) {
        return Ok(Vec::new());
    }
    let origin = Origin::start()?;
    let server = kind.start(
        &options.measuring.starting.tidegate,
        origin.address(),
        CAPACITY,
    )?;
    let stage = Stage {
        origin: &origin,
        server: &server,
        seed: repetition + 1,
    };
    let explain = |error| io::Error::other(format!("{error}\n{}", server.last_messages()));
    (case.run)(&stage).map_err(explain)
}

impl Options {
    fn picks(&self, case: &Case) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|it| case.name.contains(it.as_str()))
    }
}
