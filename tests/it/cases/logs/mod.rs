//! What is written of what happens: a line for each request, and messages.

mod access;
mod malformed;
mod process;
mod request_id;

use crate::{client::Request, gate::Gate, origin::Origin, patience::within};
use serde_json::Value;
use std::{fs, path::Path, path::PathBuf};
use tempfile::TempDir;
use tidegate::{
    logs::{Access, Destination, Format, Rules},
    server::Settings,
};

/// A Tidegate that writes its requests down.
struct Scene {
    gate: Gate,
    directory: TempDir,
}

impl Scene {
    async fn new(origin: &Origin, format: Format, change: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let to = Destination::File(directory.path().join("access.log"));
        let gate = Gate::with(origin, |settings| {
            settings.log.access = Some(Access {
                format,
                to,
                // Tests run on slow machines.
                rules: Rules {
                    slow: std::time::Duration::from_secs(3600),
                    ..Rules::default()
                },
            });
            change(settings);
        })
        .await;
        Self { gate, directory }
    }

    async fn json(origin: &Origin) -> Self {
        Self::new(origin, Format::Json, |_| ()).await
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("access.log")
    }

    /// Asks, and waits for the line about it.
    async fn ask(&self, request: Request) -> Value {
        let before = fs::read_to_string(self.path()).unwrap().lines().count();
        self.gate.ask(request).await;
        self.entries(before + 1).await.pop().unwrap()
    }

    /// Waits until so many requests have been written down.
    async fn lines(&self, count: usize) -> Vec<String> {
        lines(&self.path(), count).await
    }

    /// The same, read.
    async fn entries(&self, count: usize) -> Vec<Value> {
        let lines = self.lines(count).await;
        let read = lines.iter().map(|line| line.parse().unwrap());
        read.collect()
    }

    /// All that was written when it has stopped.
    async fn all(mut self) -> Vec<String> {
        self.gate.stop().await;
        let text = fs::read_to_string(self.path()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

/// Waits until a file has so many lines.
async fn lines(path: &Path, count: usize) -> Vec<String> {
    let written = async {
        loop {
            let text = fs::read_to_string(path).unwrap_or_default();
            if text.matches('\n').count() >= count {
                return text.lines().map(str::to_owned).collect();
            }
            tokio::task::yield_now().await;
        }
    };
    within(&format!("{count} lines in {}", path.display()), written).await
}
