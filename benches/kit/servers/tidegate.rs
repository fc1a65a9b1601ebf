//! Our own binary, with nothing in its configuration but what the comparison needs.

use super::{Server, address_after};
use std::{fs, io, net::SocketAddr, path::Path, process::Command};
use tempfile::TempDir;

pub fn version(binary: &Path) -> Option<String> {
    let output = Command::new(binary).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    Some(if text.is_empty() { "tidegate" } else { text }.into())
}

pub fn start(
    binary: &Path,
    directory: TempDir,
    origin: SocketAddr,
    capacity: u64,
) -> io::Result<Server> {
    let text = configuration(directory.path(), origin, capacity);
    launch(binary, directory, &text)
}

/// The same with a second tier.
pub fn start_tiered(
    binary: &Path,
    directory: TempDir,
    origin: SocketAddr,
    capacity: u64,
    shared: &Path,
    uploads: bool,
) -> io::Result<Server> {
    let text = configuration(directory.path(), origin, capacity);
    let least = if uploads { "0B" } else { "1TiB" };
    let tier = format!(
        "tier:\n  kind: directory\n  path: {}\n  linger: 1s\n  queue: 65536\n  min_size: {least}\n",
        shared.display()
    );
    launch(binary, directory, &(text + &tier))
}

fn launch(binary: &Path, directory: TempDir, configuration: &str) -> io::Result<Server> {
    let file = directory.path().join("tidegate.yaml");
    fs::write(&file, configuration)?;
    let mut command = Command::new(binary);
    command.arg("run").arg("--config").arg(&file);
    Server::launch(command, directory, |messages| {
        address_after(messages, "listening on http://")
    })
}

/// The peers ask the origin for as much at a time as clients want. Here, as by default, a hundred
/// requests are under way at a time; so that nobody of a crowd is refused, the others may wait.
fn configuration(directory: &Path, origin: SocketAddr, capacity: u64) -> String {
    let cache = directory.join("cache");
    let cache = cache.display();
    format!(
        "\
server:
  threads: 2
listen:
  - address: 127.0.0.1:0
admin:
  address: 127.0.0.1:0
cache:
  directory: {cache}
  max_size: {capacity}
origins:
  bench:
    servers:
      - url: http://{origin}
    limit:
      queue: 4096
      wait: 60s
routes:
  - path: /
    origins: [bench]
    key: {{host: bench}}
"
    )
}
