//! Varnish as it comes, with nothing set but its storage and where the origin is.

use super::{Server, accepts, free_address};
use std::{fs, io, net::SocketAddr, process::Command};
use tempfile::TempDir;

const BINARY: &str = "/usr/sbin/varnishd";

pub fn version() -> Option<String> {
    let output = Command::new(BINARY).arg("-V").output().ok()?;
    let text = String::from_utf8(output.stderr).ok()?;
    let (_, after) = text.split_once("(varnish-")?;
    let number = after.split([' ', ')']).next()?;
    Some(format!("varnish/{number}"))
}

pub fn in_memory(capacity: u64) -> String {
    format!("malloc,{capacity}")
}

pub fn in_file(capacity: u64) -> String {
    format!("file,storage,{capacity}")
}

pub fn start(directory: TempDir, origin: SocketAddr, storage: String) -> io::Result<Server> {
    let address = free_address()?;
    let root = directory.path();
    let file = root.join("bench.vcl");
    fs::write(&file, configuration(origin))?;
    let mut command = Command::new(BINARY);
    // The folder is for this user alone, so no other may be switched to.
    command.args(["-j", "none", "-F", "-s", &storage]);
    command.args(["-a", &address.to_string()]).current_dir(root);
    command
        .arg("-n")
        .arg(root.join("work"))
        .arg("-f")
        .arg(&file);
    Server::launch(command, directory, move |_| {
        accepts(address).then_some(address)
    })
}

fn configuration(origin: SocketAddr) -> String {
    let (host, port) = (origin.ip(), origin.port());
    format!(
        "vcl 4.1;\nbackend origin {{ .host = \"{host}\"; .port = \"{port}\"; \
         .first_byte_timeout = 60s; .between_bytes_timeout = 60s; }}\n"
    )
}
