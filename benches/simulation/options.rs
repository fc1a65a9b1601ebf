//! What can be said on the command line.

use crate::model::Model;
use clap::{Parser, ValueEnum};
use std::path::{Path, PathBuf};

/// Simulates fleets of edges in front of the viewers of a video service.
#[derive(Parser)]
pub struct Options {
    /// What to simulate; all of it when none is named
    what: Vec<What>,
    /// Edges in each fleet [default: 1,4,16,64,256]
    #[arg(long, value_delimiter = ',', value_name = "NUMBERS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    edges: Vec<u16>,
    /// Titles that can be watched at a time
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=20_000))]
    titles: u32,
    /// Exponent of the titles' popularity
    #[arg(long, default_value_t = 0.8, value_parser = exponent)]
    zipf: f64,
    /// Views a day for each edge
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    views: u32,
    /// Disk of each edge
    #[arg(long, default_value_t = 256, value_name = "GB", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    disk: u32,
    /// Size of a chunk; of whatever is compared with Tidegate, too
    #[arg(long, default_value_t = 16, value_name = "MiB", value_parser = clap::value_parser!(u32).range(1..=16))]
    chunk: u32,
    /// Days before anything is counted
    #[arg(long, default_value_t = 3, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=30))]
    warm_up: u32,
    /// How often a chunk is asked for before it goes into the tier
    #[arg(long, default_value_t = 2, value_name = "TIMES", value_parser = clap::value_parser!(u32).range(1..=2))]
    tier_after: u32,
    /// Another seed makes other viewers of the same kind
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the tables as Markdown
    #[arg(long)]
    pub markdown: bool,
    /// The file for the numbers; bench/simulation.json in cargo's target folder when absent
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The folder for the figures
    #[arg(long, value_name = "FOLDER")]
    pub plots: Option<PathBuf>,
    /// Run a small fleet for a moment, to check that it does
    #[arg(long, alias = "test")]
    quick: bool,
    #[arg(long, hide = true)]
    bench: bool,
}

/// What can be simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Fleets of several sizes, with and without a ring and a tier
    Fleets,
    /// Edges by themselves, with disks of several sizes
    Disks,
}

impl Options {
    pub fn quick(&self) -> bool {
        self.quick || !self.bench
    }

    pub fn model(&self) -> Model {
        let quick = self.quick();
        Model {
            seed: self.seed,
            titles: if quick { 50 } else { self.titles },
            zipf: self.zipf,
            views: f64::from(if quick { 50 } else { self.views }),
            disk: if quick { 8 } else { u64::from(self.disk) } * 1_000_000_000,
            chunk: self.chunk << 20,
            warm_up: if quick { 1 } else { self.warm_up },
            tier_after: self.tier_after,
        }
    }

    /// How many edges each fleet has.
    pub fn fleets(&self) -> Vec<usize> {
        match (self.edges.as_slice(), self.quick()) {
            _ if !self.wants(What::Fleets) => Vec::new(),
            ([], true) => vec![1, 4],
            ([], false) => vec![1, 4, 16, 64, 256],
            (edges, _) => edges.iter().map(|&it| usize::from(it)).collect(),
        }
    }

    /// Disks to compare, in bytes.
    pub fn disks(&self) -> Vec<u64> {
        let disk = self.model().disk;
        match self.quick() {
            _ if !self.wants(What::Disks) => Vec::new(),
            true => vec![disk, 2 * disk],
            false => vec![disk / 4, disk / 2, disk, 2 * disk, 4 * disk, 8 * disk],
        }
    }

    fn wants(&self, what: What) -> bool {
        self.what.is_empty() || self.what.contains(&what)
    }

    pub fn json_file(&self) -> PathBuf {
        // Cargo's folder for what tests and benches leave behind lies in its target folder.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
        let quick = if self.quick() { "-quick" } else { "" };
        let own = target.unwrap_or(Path::new("target")).join("bench");
        let named = || own.join(format!("simulation{quick}.json"));
        self.json.clone().unwrap_or_else(named)
    }
}

fn exponent(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    let sound = number.filter(|it| (0.0..=3.0).contains(it));
    sound.ok_or_else(|| "a number from 0 (all titles alike) to 3 is expected".into())
}
