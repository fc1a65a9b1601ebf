//! `slowhttptest`, which many know and trust, where it is installed.

use super::Target;
use std::{
    io,
    process::{Command, Stdio},
    thread,
    time::Instant,
};

const BINARY: &str = "/usr/bin/slowhttptest";

pub fn is_here() -> bool {
    std::path::Path::new(BINARY).exists()
}

/// Runs it in one of its modes. It ends by itself; what is left of it then is ended.
pub fn run(mode: &str, target: &Target) -> io::Result<()> {
    let until = Instant::now() + target.time;
    let attackers = target.attackers;
    let url = format!("http://{}{}", target.server, target.known.path);
    let seconds = target.time.as_secs().max(1);
    let mut tool = Command::new(BINARY)
        .args([mode, "-v", "0", "-t", "GET", "-u", &url])
        .args(["-c", &attackers.to_string()])
        .args(["-r", &(attackers / 2).max(1).to_string()])
        .args(["-l", &seconds.to_string(), "-i", "1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    thread::sleep(until.saturating_duration_since(Instant::now()));
    // It may have ended already, which is as good.
    let _ = tool.kill();
    tool.wait()?;
    Ok(())
}
