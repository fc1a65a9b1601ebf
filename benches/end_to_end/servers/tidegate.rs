//! Our own binary, with nothing in its configuration but what the comparison needs.

use super::Server;
use std::{fs, io, net::SocketAddr, path::Path, process::Command};
use tempfile::TempDir;

pub fn version(binary: &Path) -> Option<String> {
    let output = Command::new(binary).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    Some(if text.is_empty() { "tidegate" } else { text }.into())
}

pub fn start(binary: &Path, directory: TempDir, origin: SocketAddr) -> io::Result<Server> {
    let file = directory.path().join("tidegate.yaml");
    fs::write(&file, configuration(directory.path(), origin))?;
    let mut command = Command::new(binary);
    command.arg("run").arg("--config").arg(&file);
    Server::launch(command, directory, listening)
}

fn configuration(directory: &Path, origin: SocketAddr) -> String {
    let cache = directory.join("cache");
    format!(
        "\
server:
  threads: 2
listen:
  - address: 127.0.0.1:0
admin:
  address: 127.0.0.1:0
cache:
  directory: {}
  max_size: 8GiB
origins:
  bench:
    servers:
      - url: http://{origin}
routes:
  - path: /
    origins: [bench]
",
        cache.display()
    )
}

/// The address in the line that says where clients are served.
fn listening(messages: &str) -> Option<SocketAddr> {
    let (_, after) = messages.split_once("listening on http://")?;
    after.split_once('\n')?.0.trim().parse().ok()
}
