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
    machine, measure, namespace,
    origin::Origin,
    report::{Report, Value},
    run,
    servers::Kind,
};
use std::{io, path::PathBuf, process::ExitCode};

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
    /// How often each case runs on each server
    #[arg(long, default_value_t = 5)]
    repetitions: u64,
    /// Print the table as Markdown
    #[arg(long)]
    markdown: bool,
    /// Write the numbers to this file, too
    #[arg(long)]
    json: Option<PathBuf>,
    /// Only check that everything starts
    #[arg(long, alias = "test")]
    quick: bool,
    /// List the cases
    #[arg(long)]
    list: bool,
    /// The tidegate to measure, if not the one just built
    #[arg(long, default_value = env!("CARGO_BIN_EXE_tidegate"))]
    tidegate: PathBuf,
    /// Stay in the machine's own network
    #[arg(long)]
    no_namespace: bool,
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        cases::ALL
            .iter()
            .for_each(|it| println!("{:<14} {}", it.name, it.title));
        return ExitCode::SUCCESS;
    }
    run::prepare(options.no_namespace);
    let quick = options.quick || !options.bench;
    run::exit_code(if quick {
        check(&options)
    } else {
        compare(&options)
    })
}

/// Starts each server once; whether each gave what it was asked for.
fn check(options: &Options) -> io::Result<bool> {
    let origin = Origin::start()?;
    let mut all_right = true;
    for (kind, _) in run::present(&options.servers, &options.tidegate) {
        let server = kind.start(&options.tidegate, origin.address(), CAPACITY)?;
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
        run::present(&options.servers, &options.tidegate)
            .into_iter()
            .unzip();
    if let Some(load) = measure::foreign_load() {
        eprintln!("note: the machine is busy (load {load}); every number suffers from that");
    }
    let mut report = Report::default();
    let mut all_right = true;
    for case in cases::ALL.iter().filter(|it| options.picks(it)) {
        for repetition in 0..options.repetitions {
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
    let congestion_control = namespace::congestion_control()?;
    let names: Vec<_> = kinds.iter().map(|it| it.name()).collect();
    let machine = machine::describe(&versions, &congestion_control, options.repetitions);
    println!("{}", report.table(&names, options.markdown));
    println!("{machine}");
    if let Some(file) = &options.json {
        report.write_json(file, &names, &machine)?;
    }
    Ok(all_right)
}

/// One case on one fresh server with an empty cache, before an origin without past.
fn run_once(options: &Options, case: &Case, kind: Kind, repetition: u64) -> io::Result<Vec<Value>> {
    if !case.suits(kind) {
        return Ok(Vec::new());
    }
    let origin = Origin::start()?;
    let server = kind.start(&options.tidegate, origin.address(), CAPACITY)?;
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
