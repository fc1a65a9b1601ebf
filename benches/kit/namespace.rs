//! A network of the bench's own: its loopback is free of other traffic and runs Reno. A machine
//! whose loopback runs BBR paces every connection and hides what a server costs.

use std::{
    env, fs, io,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

const INSIDE: &str = "TIDEGATE_BENCH_NAMESPACE";
const CONGESTION_CONTROL: &str = "/proc/sys/net/ipv4/tcp_congestion_control";
const SET_UP: &str = "ip link set lo up &&
    sysctl -qw net.ipv4.tcp_congestion_control=reno && exec \"$@\"";

/// Starts this program anew inside a namespace, as root or as a user who may make one. Returns,
/// with the reason, only where that can't be done; inside it returns nothing.
pub fn enter() -> Option<String> {
    if env::var_os(INSIDE).is_some() {
        return None;
    }
    let flags = [&["-n"][..], &["-r", "-n"]]
        .into_iter()
        .find(|flags| works(flags));
    let Some(flags) = flags else {
        return Some("no private network namespace can be made here".into());
    };
    Some(match env::current_exe() {
        Ok(program) => {
            let error = inside(flags)
                .arg(program)
                .args(env::args_os().skip(1))
                .env(INSIDE, "1")
                .exec();
            format!("the namespace can't be entered: {error}")
        }
        Err(error) => format!("this program can't be found: {error}"),
    })
}

/// The congestion control that measured connections run under.
pub fn congestion_control() -> io::Result<String> {
    Ok(fs::read_to_string(CONGESTION_CONTROL)?.trim().into())
}

fn works(flags: &[&str]) -> bool {
    let status = inside(flags).arg("true").stderr(Stdio::null()).status();
    status.is_ok_and(|it| it.success())
}

fn inside(flags: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(flags).args(["sh", "-c", SET_UP, "sh"]);
    command
}
