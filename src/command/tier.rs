//! `tidegate tier`: housekeeping of the object store that a fleet shares.

use super::{Done, print, wait_for};
use clap::{Args, Subcommand};
use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};
use tidegate::{
    config,
    domain::count_of,
    server::Settings,
    tier::{self, Erase, Report, SoFar, Stats, Task},
};

/// What to do with it.
#[derive(Args)]
pub struct Tier {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Say what is there, and what of it is of no use
    Status(Common),
    /// Read all of it and compare the checksums
    Verify {
        #[command(flatten)]
        common: Common,
        /// Take what is damaged out, so that the origin is asked for it again
        #[arg(long)]
        repair: bool,
    },
    /// Remove what is of no use: what was purged, what no manifest names, what is of an earlier
    /// cache.version
    Gc {
        #[command(flatten)]
        common: Common,
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
        /// Objects of which nothing was written for so long go as well, such as 30d
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        max_age: Option<Duration>,
        /// How long purges are remembered; an edge that was off for longer drops what it has
        #[arg(long, value_name = "TIME", default_value = "30d", value_parser = humantime::parse_duration)]
        purges: Duration,
    },
}

#[derive(Args)]
struct Common {
    /// The configuration with the section tier
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How often it is told how far it has come.
const OFTEN: Duration = Duration::from_millis(500);

/// Looks at everything, and changes nothing; fleet and version are the configuration's.
const LOOK: Task = Task {
    fleet: String::new(),
    version: 0,
    verify: false,
    repair: false,
    erase: Erase::Nothing,
    max_age: None,
    purges: Duration::MAX,
};

/// Goes through the tier.
pub fn run_tier(asked: Tier) -> Done {
    let (common, task) = match asked.what {
        What::Status(common) => (common, LOOK),
        What::Verify { common, repair } => {
            let task = Task {
                verify: true,
                repair,
                ..LOOK
            };
            (common, task)
        }
        What::Gc {
            common,
            dry_run,
            max_age,
            purges,
        } => {
            let erase = if dry_run {
                Erase::Nothing
            } else {
                Erase::Useless
            };
            let task = Task {
                erase,
                max_age,
                purges,
                ..LOOK
            };
            (common, task)
        }
    };
    let report = go_through(&common.config, &task)?;
    // Of what can't be used there is nothing to tell but why.
    if common.json || report.unusable.is_none() {
        print(common.json, &report)?;
    }
    if let Some(why) = report.unusable {
        return Err(why.into());
    }
    match report.damaged.is_empty() || task.repair {
        true => Ok(()),
        false => Err("there are damaged runs or manifests: --repair takes them out".into()),
    }
}

/// Erases what was purged from the tier of a configuration.
pub fn erase_purged(config: &Path) -> Result<Report, Box<dyn std::error::Error>> {
    let erase = Erase::Purged;
    go_through(config, &Task { erase, ..LOOK })
}

/// What was erased, in a line.
pub fn erased(report: &Report) -> String {
    let size = bytesize::ByteSize(report.erased_bytes).display().iec();
    let objects = count_of(report.purged, "object");
    format!("{objects} ({size}) erased from the tier\n")
}

/// Goes through the tier of a configuration, and tells who looks on how far it has come.
fn go_through(config: &Path, task: &Task) -> Result<Report, Box<dyn std::error::Error>> {
    let settings = config::load(config)?;
    let config = settings
        .tier
        .ok_or("this configuration has no section tier")?;
    let task = Task {
        fleet: config.fleet.clone(),
        version: settings.cache_version,
        ..task.clone()
    };
    wait_for(async {
        let remote = tier::open(&config, Stats::default())?;
        let mut told = Instant::now();
        let is_watched = std::io::stderr().is_terminal();
        let report = tier::survey(&remote, &task, SystemTime::now(), |so_far| {
            if is_watched && told.elapsed() >= OFTEN {
                told = Instant::now();
                progress(so_far);
            }
        });
        let report = report.await?;
        if is_watched {
            eprint!("\r\x1b[K");
        }
        Ok(report)
    })
}

/// Tries the tier of a configuration, if it has one.
pub fn check_tier(settings: &Settings) -> Done {
    let Some(config) = &settings.tier else {
        return Ok(());
    };
    let stored = tier::Stored {
        version: settings.cache_version,
        chunk_sizes: settings.chunk_sizes_in_tier(),
    };
    wait_for(async {
        let remote = tier::open(config, Stats::default())?;
        let findings = tier::probe(&remote, config, &stored).await;
        for warning in &findings.warnings {
            eprintln!("tidegate: tier: warning: {warning}");
        }
        match findings.wrong.is_empty() {
            true => Ok(()),
            false => Err(format!("tier: {}", findings.wrong.join("; ")).into()),
        }
    })
}

fn progress(so_far: SoFar) {
    let _ = write!(
        std::io::stderr(),
        "\r\x1b[K{}, {} …",
        count_of(so_far.objects, "object"),
        bytesize::ByteSize(so_far.bytes).display().iec()
    );
}
