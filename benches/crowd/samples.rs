//! What a server holds, over time: memory, files, connections, threads, and what it says itself of
//! requests and fills.

use crate::kit::{measure, memory, servers::Server};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

const TIMEOUT: Duration = Duration::from_secs(2);
const MAX_METRICS: u64 = 1 << 20;
const MB: f64 = 1e6;

/// One number for each sample.
#[derive(Clone, Debug, Default)]
pub struct Series {
    pub memory_mb: Vec<f64>,
    pub files: Vec<f64>,
    pub connections: Vec<f64>,
    pub threads: Vec<f64>,
    /// Only ours tells of these two.
    pub requests: Vec<f64>,
    pub fills: Vec<f64>,
}

/// Takes samples of a server for a while.
pub struct Sampler {
    thread: JoinHandle<Series>,
}

impl Sampler {
    /// One sample now and one `every` so often, none from `until` on: what leaves then is no part
    /// of the picture.
    pub fn start(server: &Server, every: Duration, until: Instant) -> Self {
        let (pid, admin) = (server.pid(), server.admin());
        let thread = thread::spawn(move || {
            let mut series = Series::default();
            let mut next = Instant::now();
            while next < until {
                series.sample(pid, admin);
                next += every;
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            series
        });
        Self { thread }
    }

    pub fn finish(self) -> Series {
        self.thread.join().expect("a sampler doesn't panic")
    }
}

impl Series {
    fn sample(&mut self, root: u32, admin: Option<SocketAddr>) {
        let Ok(processes) = measure::tree(root) else {
            return;
        };
        let (files, sockets) = processes
            .iter()
            .map(|it| descriptors(it.pid))
            .fold((0, 0), |(files, sockets), (more, of_them)| {
                (files + more, sockets + of_them)
            });
        let threads: u64 = processes.iter().map(|it| it.threads).sum();
        self.memory_mb
            .push(memory::memory(root).unwrap_or(0) as f64 / MB);
        self.files.push((files - sockets) as f64);
        self.connections.push(sockets as f64);
        self.threads.push(threads as f64);
        if let Some(metrics) = admin.and_then(metrics) {
            self.requests
                .extend(sum(&metrics, "tidegate_requests_active"));
            self.fills.extend(sum(&metrics, "tidegate_fills_running"));
        }
    }
}

/// Everything that a process has open, and how much of it are sockets.
fn descriptors(pid: u32) -> (u64, u64) {
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return (0, 0);
    };
    let is_socket = |it: fs::DirEntry| {
        let target = fs::read_link(it.path());
        target.is_ok_and(|it| it.as_os_str().as_encoded_bytes().starts_with(b"socket:"))
    };
    open.flatten().fold((0, 0), |(all, sockets), it| {
        (all + 1, sockets + u64::from(is_socket(it)))
    })
}

fn metrics(admin: SocketAddr) -> Option<String> {
    let mut socket = TcpStream::connect_timeout(&admin, TIMEOUT).ok()?;
    socket.set_read_timeout(Some(TIMEOUT)).ok()?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).ok()?;
    let mut text = Vec::new();
    socket.take(MAX_METRICS).read_to_end(&mut text).ok()?;
    String::from_utf8(text).ok()
}

/// The sum over all labels of a metric; none when it is not there.
fn sum(metrics: &str, name: &str) -> Option<f64> {
    let values = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let right = rest.starts_with([' ', '{']);
        right.then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
    });
    values.reduce(|one, other| one + other)
}

/// The slope of the straight line through samples that fits them best, per sample.
pub fn slope(samples: &[f64]) -> f64 {
    let middle = (samples.len() as f64 - 1.0) / 2.0;
    let mean = mean(samples);
    let (mut up, mut across) = (0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let from_middle = at as f64 - middle;
        up += from_middle * (sample - mean);
        across += from_middle * from_middle;
    }
    up / across
}

pub fn mean(samples: &[f64]) -> f64 {
    samples.iter().sum::<f64>() / samples.len() as f64
}
