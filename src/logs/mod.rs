//! What the process says of itself: messages of its own, and a line for each request.
//!
//! What it promises: nobody waits for a log. Lines go through a queue with a bound to a thread of
//! its own; those that do not get through are counted, and said so once lines get through again.
//! A line stays one line, whatever clients and origins put into it, and a flood of one message is
//! a few lines and their number.
//!
//! What it never does: write down secrets, or stop the service because something can't be written.
//!
//! | file | what it holds |
//! |---|---|
//! | `line.rs` | pure: a line as text or JSON |
//! | `entry.rs`, `rules.rs` | pure: what is said of a request, and of which requests |
//! | `flood.rs` | pure: how often the same is said |
//! | `sink.rs`, `output.rs` | the queue and its thread; the file that can be opened anew |
//! | `logger.rs`, `access.rs` | the two faces: for messages, for requests |

mod access;
mod config;
mod entry;
mod flood;
mod line;
mod logger;
mod output;
mod rules;
mod sink;
mod stats;

pub use access::AccessLog;
pub use config::{Access, Config, Destination, Format};
pub use entry::Entry;
pub use logger::Logger;
pub use rules::{Gist, Rules, cleaned_path};
pub use stats::Stats;

use sink::Sink;
use std::{io, path::PathBuf, sync::Arc, time::Duration};

/// The logs of one process.
#[derive(Debug)]
pub struct Logs {
    messages: Arc<Sink>,
    access: Option<Arc<AccessLog>>,
    stats: Arc<Stats>,
}

/// A log that can't be begun.
#[derive(Debug, thiserror::Error)]
#[error("log: {path} can't be written: {reason}", path = path.display())]
pub struct OpenError {
    path: PathBuf,
    reason: io::Error,
}

/// The longest that the end of a process waits for its last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

impl Logs {
    /// Opens what is to be written to.
    pub fn open(config: &Config) -> Result<Self, OpenError> {
        let stats = Arc::new(Stats::default());
        let open = |to: &Destination, format| {
            let sink = Sink::open(to, format, stats.clone());
            sink.map(Arc::new).map_err(|reason| OpenError {
                path: to.path().unwrap_or_else(|| "standard error".into()),
                reason,
            })
        };
        let messages = open(&config.to, config.format)?;
        let access = match &config.access {
            None => None,
            Some(access) => {
                // Two writers of one file would write into each other's lines.
                let sink = match access.to == config.to {
                    true => messages.clone(),
                    false => open(&access.to, access.format)?,
                };
                Some(Arc::new(AccessLog::new(sink, access)))
            }
        };
        Ok(Self {
            messages,
            access,
            stats,
        })
    }

    /// Where requests are written down, if they are.
    pub fn access(&self) -> Option<&Arc<AccessLog>> {
        self.access.as_ref()
    }

    /// What has happened so far.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// Takes over what can change while the process runs.
    pub fn reload(&self, config: &Config) {
        if let (Some(log), Some(access)) = (&self.access, &config.access) {
            log.reload(access.rules.clone());
        }
    }

    /// Never writes these query parameters of requests down.
    pub fn conceal(&self, parameters: Vec<String>) {
        if let Some(access) = &self.access {
            access.conceal(parameters);
        }
    }

    /// Opens all files anew, by their names: what has been there is somebody else's by now.
    pub fn reopen(&self) {
        self.messages.reopen();
        if let Some(access) = &self.access {
            access.sink().reopen();
        }
    }

    /// Waits until what has been said is written, a second at most.
    pub fn flush(&self) {
        self.messages.flush(LAST_LINES);
        if let Some(access) = &self.access {
            access.sink().flush(LAST_LINES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufRead;

    #[test]
    fn what_is_said_of_missing_lines_is_written_as_the_lines_are() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        let reader = sink::tests::pipe(&path);
        let logs = Logs::open(&Config {
            access: Some(Access {
                format: Format::Json,
                to: Destination::File(path),
                rules: Rules::default(),
            }),
            ..Config::default()
        });
        let logs = logs.unwrap();
        let line = format!("{{\"path\":\"{}\"}}\n", "x".repeat(1000));
        for _ in 0..5000 {
            logs.access().unwrap().sink().push(line.as_bytes());
        }
        let lines = std::io::BufReader::new(reader).lines();
        let mut lines = lines.map(Result::unwrap);
        let remark = lines.find(|line| line.contains("lines are missing here"));
        let remark: serde_json::Value = remark.unwrap().parse().expect("it is JSON");
        assert_eq!(remark["level"], "WARN");
    }
}
