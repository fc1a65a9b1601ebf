//! What the numbers were measured on.

use std::{fs, thread};

/// The machine, in one line.
pub fn describe(versions: &[String], congestion_control: &str, repetitions: u64) -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let model = first_value("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown CPU".into());
    let memory = first_value("/proc/meminfo", "MemTotal")
        .and_then(|it| it.split(' ').next()?.parse::<u64>().ok())
        .map_or(0, |kilobytes| kilobytes >> 20);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores ({model}), {memory} GiB, Linux {}, loopback with {congestion_control}; {}; \
         medians of {repetitions}; clients and origin on the same cores",
        kernel.trim(),
        versions.join(", "),
    )
}

/// The value behind the first line of a `/proc` file that starts with `name`.
fn first_value(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|it| it.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
