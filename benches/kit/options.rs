//! What benches that compare are told alike.

use super::{machine, namespace, report::Report};
use clap::Args;
use std::{io, path::PathBuf};

/// What is started, and how far.
#[derive(Args)]
pub struct Starting {
    /// Run everything for a moment, to check that it does
    #[arg(long, alias = "test")]
    quick: bool,
    /// The tidegate to measure, if not the one just built
    #[arg(long, default_value = env!("CARGO_BIN_EXE_tidegate"))]
    pub tidegate: PathBuf,
    /// Stay in the machine's own network
    #[arg(long)]
    pub no_namespace: bool,
    #[arg(long, hide = true)]
    bench: bool,
}

impl Starting {
    /// Whether it is only checked that everything starts.
    pub fn is_quick(&self) -> bool {
        self.quick || !self.bench
    }
}

/// How to measure, and where to put what comes of it.
#[derive(Args)]
pub struct Measuring {
    /// How often each case runs on each server
    #[arg(long, default_value_t = 5)]
    repetitions: u64,
    /// Print the table as Markdown
    #[arg(long)]
    markdown: bool,
    /// Write the numbers to this file, too
    #[arg(long)]
    json: Option<PathBuf>,
    #[command(flatten)]
    pub starting: Starting,
}

impl Measuring {
    /// How often each case runs on each server.
    pub fn repetitions(&self) -> u64 {
        if self.starting.is_quick() {
            1
        } else {
            self.repetitions
        }
    }

    /// Shows what was measured of servers with these names and versions.
    pub fn show(&self, report: &Report, names: &[&str], versions: &[String]) -> io::Result<()> {
        let control = namespace::congestion_control()?;
        let machine = machine::describe(versions, &control, self.repetitions());
        println!("{}", report.table(names, self.markdown));
        println!("{machine}");
        match &self.json {
            Some(file) => report.write_json(file, names, &machine),
            None => Ok(()),
        }
    }
}
