//! `tidegate stats`: how a running process is doing.

use super::{Done, Running, print, say, wait_for};
use clap::Args;
use std::{io::IsTerminal, time::Duration};

/// Whom to ask, and how often.
#[derive(Args)]
pub struct Stats {
    #[command(flatten)]
    running: Running,
    /// Ask again and again, every so many seconds; 2 if none are said
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    watch: Option<u64>,
    /// Print JSON, with --watch one line each time
    #[arg(long)]
    json: bool,
}

/// Shows how a process is doing, once or until somebody has seen enough.
pub fn run_stats(asked: Stats) -> Done {
    wait_for(async {
        let ask = asked.running.ask().await?;
        let Some(seconds) = asked.watch else {
            return print(asked.json, &ask.status().await?);
        };
        let mut ticks = tokio::time::interval(Duration::from_secs(seconds));
        loop {
            ticks.tick().await;
            let status = ask.status().await?;
            match asked.json {
                true => say(&format!("{}\n", serde_json::to_string(&status)?))?,
                false => say(&format!("{}{status}", between()))?,
            }
        }
    })
}

/// What separates one look from the next: a terminal is wiped, a file gets an empty line.
fn between() -> &'static str {
    match std::io::stdout().is_terminal() {
        true => "\x1b[H\x1b[2J",
        false => "\n",
    }
}
