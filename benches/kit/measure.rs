//! What a server costs, from the kernel's books on its processes.

use std::{fs, io};

/// The kernel counts processor time for user space in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;
/// What a machine may have to do besides.
const QUIET: f64 = 0.5;

/// Processor seconds, user and system, that a process and its descendants have taken.
pub fn cpu_seconds(root: u32) -> io::Result<f64> {
    let ticks = tree(root)?.iter().map(|it| it.ticks).sum::<u64>();
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

/// The load of the last minute, where others keep the machine too busy to measure on.
pub fn foreign_load() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    let load = text.split(' ').next()?.parse().ok()?;
    (load > QUIET).then_some(load)
}

/// The value below which the share `q` of the values lies.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        length => sorted[((length - 1) as f64 * q).round() as usize],
    }
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// One process in the kernel's books.
pub struct Process {
    pub pid: u32,
    parent: u32,
    ticks: u64,
    pub threads: u64,
}

/// A process and all that descend from it.
pub fn tree(root: u32) -> io::Result<Vec<Process>> {
    let mut rest: Vec<Process> = fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| process(entry.file_name().to_str()?.parse().ok()?))
        .collect();
    let mut found = Vec::new();
    let mut parents = vec![root];
    if let Some(at) = rest.iter().position(|it| it.pid == root) {
        found.push(rest.swap_remove(at));
    }
    while let Some(parent) = parents.pop() {
        while let Some(at) = rest.iter().position(|it| it.parent == parent) {
            parents.push(rest[at].pid);
            found.push(rest.swap_remove(at));
        }
    }
    Ok(found)
}

/// Fields 4, 14, 15 and 20 of `/proc/PID/stat`, counted behind the command's closing parenthesis.
fn process(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Process {
        pid,
        parent: number(1)?.try_into().ok()?,
        ticks: number(11)? + number(12)?,
        threads: number(17)?,
    })
}
