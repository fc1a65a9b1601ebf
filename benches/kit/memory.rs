//! What a server has in memory, and the most of it over a time.

use super::measure::tree;
use std::{
    fs, io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

const SAMPLE_EVERY: Duration = Duration::from_millis(50);

/// Bytes that a process and its descendants hold in memory, shared pages by their share.
pub fn memory(root: u32) -> io::Result<u64> {
    let sizes = tree(root)?;
    Ok(sizes
        .iter()
        .filter_map(|it| proportional_set_size(it.pid))
        .sum())
}

/// Watches a server's memory until it is asked for the most that it has seen.
pub struct MemoryWatch {
    stop: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    sampler: JoinHandle<()>,
}

impl MemoryWatch {
    pub fn start(root: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let peak = Arc::new(AtomicU64::new(0));
        let sampler = thread::spawn({
            let (stop, peak) = (stop.clone(), peak.clone());
            move || {
                while !stop.load(Relaxed) {
                    peak.fetch_max(memory(root).unwrap_or(0), Relaxed);
                    thread::sleep(SAMPLE_EVERY);
                }
            }
        });
        Self {
            stop,
            peak,
            sampler,
        }
    }

    pub fn peak(self) -> u64 {
        self.stop.store(true, Relaxed);
        self.sampler.join().expect("a sampler doesn't panic");
        self.peak.load(Relaxed)
    }
}

fn proportional_set_size(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find(|it| it.starts_with("Pss:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes << 10)
}
