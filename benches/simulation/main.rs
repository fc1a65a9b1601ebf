//! A fleet of edges on paper: the viewers of a video service in front of 1 to 256 edges, with and
//! without a shared tier and a ring of shields, under three ways to evict.
//!
//! `cargo bench --bench simulation` runs it all; `-- --help` tells what can be changed. Run in any
//! other way, as by `cargo test --benches`, a small fleet runs for a moment, to check that it does.
//! Equal options give equal numbers. What is modelled, and by whose measurements, stands in
//! `conf/SCALING.md`; the figures there are made by `--plots conf/scaling`.

mod bits;
mod books;
mod catalogue;
mod fleet;
mod model;
mod options;
mod plot;
mod policy;
#[path = "../kit/random.rs"]
#[allow(dead_code, reason = "each bench uses its own part of what all share")]
mod random;
mod region;
mod ring;
mod runs;
mod soundness;
mod table;
mod tier;
mod trace;
mod viewing;

use clap::Parser;
use options::Options;
use std::{fs, io, path::Path, process::ExitCode};
/// Where `store/budget.rs`, which is compiled into this bench as it stands, looks for it.
use tidegate::domain;

fn main() -> ExitCode {
    match simulate(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn simulate(options: &Options) -> io::Result<()> {
    soundness::check();
    let model = options.model();
    let fleets = runs::fleets(&model, &options.fleets());
    let disks = runs::disks(&model, &options.disks());
    if !fleets.is_empty() {
        println!("{}", table::fleets(&model, &fleets, options.markdown));
        println!("{}", table::requests(&model, &fleets, options.markdown));
    }
    if !disks.is_empty() {
        println!("{}", table::disks(&model, &disks, options.markdown));
    }
    println!("{}", table::describe(&model));
    let file = options.json_file();
    let json = table::json(&model, &fleets, &disks);
    write(&file, &format!("{json:#}\n"))?;
    println!("All numbers are in {}.", file.display());
    if let Some(folder) = &options.plots {
        for (name, picture) in plot::all(&model, &fleets, &disks) {
            write(&folder.join(name), &picture)?;
        }
    }
    if options.quick() {
        println!("Too small a fleet for the numbers to mean anything.");
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, text)
}
