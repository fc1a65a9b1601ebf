//! Tidegate beside its peers under crowds: many clients, slow ones, hostile ones, for a long time.
//!
//! `cargo bench --bench crowd -- --help` tells how to pick a scenario and how large it is to be.
//! Run in any other way, as by `cargo test --benches`, each scenario runs for a moment, to check
//! that it does.

mod attacks;
mod audience;
mod catalogue;
#[path = "../kit/mod.rs"]
#[allow(dead_code, reason = "each bench uses its own part of what all share")]
mod kit;
mod options;
mod probe;
mod samples;
mod scenarios;
mod soundness;
mod tally;
mod visitor;

use clap::Parser;
use kit::{
    limits, machine, measure, namespace, origin::Origin, report::Report, run, servers::Kind,
};
use options::Options;
use scenarios::{Findings, Scenario, Stage};
use std::{io, process::ExitCode};

fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        scenarios::ALL
            .iter()
            .for_each(|it| println!("{:<10} {}", it.name, it.title));
        return ExitCode::SUCCESS;
    }
    run::prepare(options.starting.no_namespace);
    run::exit_code(compare(&options))
}

/// Runs the scenarios; whether each of them ran, and reached its targets where that is asked for.
fn compare(options: &Options) -> io::Result<bool> {
    soundness::check();
    let open_files = limits::raise_open_files();
    let (kinds, versions): (Vec<Kind>, Vec<String>) =
        run::present(&options.servers, &options.starting.tidegate)
            .into_iter()
            .unzip();
    if let Some(load) = measure::foreign_load()
        && !options.starting.is_quick()
    {
        eprintln!("note: the machine is busy (load {load}); every number suffers from that");
    }
    let names: Vec<_> = kinds.iter().map(|it| it.name()).collect();
    let congestion_control = namespace::congestion_control()?;
    let machine = machine::describe(&versions, &congestion_control, options.repetitions);
    let mut all_right = true;
    for scenario in options.picked() {
        let mut report = Report::default();
        let needed = scenario.open_files(&options.scale(scenario));
        if open_files < needed {
            eprintln!("note: {needed} open files are needed, {open_files} allowed");
        }
        for repetition in 0..options.repetitions {
            for (server, kind) in run::in_turns(&kinds, repetition) {
                eprintln!("{} · {} · {}", scenario.name, repetition + 1, kind.name());
                match run_once(options, scenario, kind, repetition) {
                    Ok(findings) => findings.file(&mut report, server),
                    Err(error) => {
                        eprintln!("  failed: {error}");
                        all_right = false;
                    }
                }
            }
        }
        let file = options.json_file(scenario);
        report.write_json(&file, &names, &machine)?;
        println!("{}", report.table(&names, options.markdown));
        println!("{machine}; all numbers in {}\n", file.display());
        if options.starting.is_quick() {
            println!("Too short a run for the numbers to mean anything.\n");
        }
        all_right &= !options.strict || report.missed().is_empty();
    }
    Ok(all_right)
}

/// One scenario on one fresh server with an empty cache, before an origin without past.
fn run_once(
    options: &Options,
    scenario: &Scenario,
    kind: Kind,
    repetition: u64,
) -> io::Result<Findings> {
    let scale = options.scale(scenario);
    let origin = Origin::start()?;
    let capacity = scenario.capacity(&scale);
    let server = kind.start(&options.starting.tidegate, origin.address(), capacity)?;
    let stage = Stage {
        origin: &origin,
        server: &server,
        seed: repetition + 1,
        scale,
    };
    let explain = |error| io::Error::other(format!("{error}\n{}", server.last_messages()));
    let findings = (scenario.run)(&stage).map_err(explain)?;
    if options.starting.is_quick() {
        findings.sound().map_err(explain)?;
    }
    Ok(findings)
}
