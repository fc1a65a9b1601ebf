//! What can be said on the command line.

use crate::{
    kit::{options::Starting, servers::Kind},
    scenarios::{self, KB, MB, Scale, Scenario},
};
use clap::Parser;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Compares tidegate with its peers under crowds of clients.
#[derive(Parser)]
pub struct Options {
    /// Scenarios to run, by part of their name; without any, all but endurance
    pub scenarios: Vec<String>,
    /// Servers to compare: the first is the one that ratios and targets are about
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "tidegate,nginx-slice,varnish"
    )]
    pub servers: Vec<Kind>,
    /// Clients at a time, in place of the scenario's own number
    #[arg(long)]
    pub clients: Option<u64>,
    /// How long the load lasts (in hostile: each attack)
    #[arg(long, conflicts_with = "minutes")]
    pub seconds: Option<u64>,
    /// The same in minutes
    #[arg(long)]
    pub minutes: Option<u64>,
    /// Objects in the catalogue
    #[arg(long)]
    pub objects: Option<u64>,
    /// Size of the largest object, in MB
    #[arg(long, value_name = "MB")]
    pub largest: Option<u64>,
    /// What each client takes, in KB/s; in baseline and stress as much as there is, when absent
    #[arg(long, value_name = "KB/S")]
    pub rate: Option<u64>,
    /// How often each scenario runs on each server
    #[arg(long, default_value_t = 1)]
    pub repetitions: u64,
    /// Print the tables as Markdown
    #[arg(long)]
    pub markdown: bool,
    /// The folder for the numbers, one file for each scenario; bench in cargo's target folder
    /// when absent
    #[arg(long, value_name = "FOLDER")]
    pub json: Option<PathBuf>,
    /// Fail when a target is missed
    #[arg(long)]
    pub strict: bool,
    /// List the scenarios
    #[arg(long)]
    pub list: bool,
    #[command(flatten)]
    pub starting: Starting,
}

impl Options {
    pub fn picked(&self) -> impl Iterator<Item = &'static Scenario> {
        let named = |it: &Scenario| self.scenarios.iter().any(|part| it.name.contains(part));
        let default =
            |it: &Scenario| self.scenarios.is_empty() && (self.starting.is_quick() || !it.long);
        scenarios::ALL
            .iter()
            .filter(move |it| named(it) || default(it))
    }

    /// How large a scenario is to be.
    pub fn scale(&self, scenario: &Scenario) -> Scale {
        let own = if self.starting.is_quick() {
            scenario.quick
        } else {
            scenario.full
        };
        let seconds = self.seconds.or(self.minutes.map(|it| it * 60));
        Scale {
            clients: self.clients.unwrap_or(own.clients).max(1),
            time: seconds.map_or(own.time, |it| Duration::from_secs(it.max(1))),
            objects: self.objects.unwrap_or(own.objects).max(1),
            rate: self.rate.map(|it| it.max(1) * KB).or(own.rate),
            largest: self.largest.map_or(own.largest, |it| it.max(2) * MB),
        }
    }

    pub fn json_file(&self, scenario: &Scenario) -> PathBuf {
        // Cargo's folder for what tests and benches leave behind lies in its target folder.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
        let folder = match &self.json {
            Some(folder) => folder.clone(),
            None => target.unwrap_or(Path::new("target")).join("bench"),
        };
        let quick = if self.starting.is_quick() {
            "-quick"
        } else {
            ""
        };
        folder.join(format!("crowd-{}{quick}.json", scenario.name))
    }
}
