//! nginx as one would set it up for video: `proxy_cache`, `sendfile`, no `aio`, two workers.
//!
//! Without `tcp_nopush`: over loopback, where a segment is half a window, it makes answers wait for
//! the client's delayed acknowledgement and 64 KB ranges take 40 ms.

use super::{Server, accepts, free_address};
use std::{fs, io, net::SocketAddr, path::Path, process::Command};
use tempfile::TempDir;

const BINARY: &str = "/usr/sbin/nginx";

/// What turns the plain cache into one of slices.
pub const SLICED: &str = "\
      slice 1m;
      proxy_set_header Range $slice_range;
      proxy_cache_key $uri$slice_range;";

pub fn version() -> Option<String> {
    let output = Command::new(BINARY).arg("-v").output().ok()?;
    let text = String::from_utf8(output.stderr).ok()?;
    Some(text.trim().rsplit(' ').next()?.to_owned())
}

pub fn start(
    directory: TempDir,
    origin: SocketAddr,
    capacity: u64,
    slicing: &str,
) -> io::Result<Server> {
    let address = free_address()?;
    let file = directory.path().join("nginx.conf");
    fs::write(
        &file,
        configuration(directory.path(), address, origin, capacity, slicing),
    )?;
    let mut command = Command::new(BINARY);
    command.arg("-e").arg("stderr");
    command.arg("-p").arg(directory.path()).arg("-c").arg(&file);
    Server::launch(command, directory, move |_| {
        accepts(address).then_some(address)
    })
}

fn configuration(
    directory: &Path,
    address: SocketAddr,
    origin: SocketAddr,
    capacity: u64,
    slicing: &str,
) -> String {
    let root = directory.display();
    let user = if rustix::process::geteuid().is_root() {
        "user root;"
    } else {
        ""
    };
    format!(
        "\
{user}
daemon off;
pid {root}/nginx.pid;
error_log stderr warn;
worker_processes 2;
worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  sendfile on;
  keepalive_requests 1000000000;
  client_body_temp_path {root}/body;
  fastcgi_temp_path {root}/fastcgi;
  scgi_temp_path {root}/scgi;
  uwsgi_temp_path {root}/uwsgi;
  proxy_temp_path {root}/proxy;
  proxy_cache_path {root}/cache levels=1:2 keys_zone=bench:16m max_size={capacity} inactive=1h
                   use_temp_path=off;
  upstream origin {{ server {origin}; keepalive 64; }}
  server {{
    listen {address} backlog=4096;
    location / {{
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_cache bench;
      proxy_cache_valid 200 206 1h;
      proxy_cache_lock on;
      proxy_cache_lock_timeout 60s;
      proxy_cache_lock_age 60s;
      add_header X-Cache $upstream_cache_status;
{slicing}
    }}
  }}
}}
"
    )
}
