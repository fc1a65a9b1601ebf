//! The servers that are compared: each a process of its own with an empty cache.

mod nginx;
mod tidegate;
mod varnish;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::{
    fs::{self, File},
    io::{self, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Of a log, where addresses are told.
const BEGINNING: u64 = 16 << 10;
const POLL: Duration = Duration::from_millis(5);

/// What runs and where it keeps its files, for the case that the bench is interrupted.
static RUNNING: Mutex<Vec<(u32, PathBuf)>> = Mutex::new(Vec::new());

/// A server that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Ours.
    Tidegate,
    /// nginx with `proxy_cache` and `slice 1m`.
    NginxSlice,
    /// nginx with `proxy_cache` alone: each object one file.
    Nginx,
    /// Varnish with objects in memory.
    Varnish,
    /// Varnish with objects in a file that is mapped into memory.
    VarnishFile,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tidegate => "tidegate",
            Self::NginxSlice => "nginx slice",
            Self::Nginx => "nginx",
            Self::Varnish => "varnish",
            Self::VarnishFile => "varnish file",
        }
    }

    /// What it says of its version; none when it is not on this machine.
    pub fn version(self, tidegate: &Path) -> Option<String> {
        match self {
            Self::Tidegate => tidegate::version(tidegate),
            Self::NginxSlice | Self::Nginx => nginx::version(),
            Self::Varnish | Self::VarnishFile => varnish::version(),
        }
    }

    /// Starts it with an empty cache for `capacity` bytes before `origin`.
    pub fn start(self, tidegate: &Path, origin: SocketAddr, capacity: u64) -> io::Result<Server> {
        let directory = tempfile::Builder::new()
            .prefix("tidegate-bench-")
            .tempdir()?;
        match self {
            Self::Tidegate => tidegate::start(tidegate, directory, origin, capacity),
            Self::NginxSlice => nginx::start(directory, origin, capacity, nginx::SLICED),
            Self::Nginx => nginx::start(directory, origin, capacity, ""),
            Self::Varnish => varnish::start(directory, origin, varnish::in_memory(capacity)),
            Self::VarnishFile => varnish::start(directory, origin, varnish::in_file(capacity)),
        }
    }
}

/// Starts ours with a second tier in a directory that others may have, too. Without `uploads` it is
/// asked, and given nothing.
pub fn start_tiered(
    tidegate: &Path,
    origin: SocketAddr,
    capacity: u64,
    shared: &Path,
    uploads: bool,
) -> io::Result<Server> {
    let directory = tempfile::Builder::new()
        .prefix("tidegate-bench-")
        .tempdir()?;
    tidegate::start_tiered(tidegate, directory, origin, capacity, shared, uploads)
}

/// A running server; dropped, it is stopped and its directory removed.
pub struct Server {
    process: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Server {
    /// Runs `command` with its messages in a file, until `ready` finds the address in them or
    /// elsewhere.
    fn launch(
        mut command: Command,
        directory: TempDir,
        ready: impl Fn(&str) -> Option<SocketAddr>,
    ) -> io::Result<Self> {
        let log = messages_in(directory.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        let process = {
            let mut running = running();
            let process = command.spawn()?;
            running.push((process.id(), directory.path().into()));
            process
        };
        let mut server = Self {
            process,
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            directory,
        };
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let ended = server.process.try_wait()?;
            let messages = fs::read_to_string(&log)?;
            if let Some(address) = ready(&messages)
                && ended.is_none()
            {
                server.address = address;
                return Ok(server);
            }
            if let Some(status) = ended {
                return Err(io::Error::other(format!(
                    "ended at once ({status}): {messages}"
                )));
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("not ready in time: {messages}")));
            }
            thread::sleep(POLL);
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process whose descendants do the work.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Where it tells of itself, if it does.
    pub fn admin(&self) -> Option<SocketAddr> {
        let mut beginning = String::new();
        let log = File::open(messages_in(self.directory.path())).ok()?;
        log.take(BEGINNING).read_to_string(&mut beginning).ok()?;
        address_after(&beginning, "admin on http://")
    }

    /// What it has written to its log so far, the last lines of it.
    pub fn last_messages(&self) -> String {
        let all = fs::read_to_string(messages_in(self.directory.path())).unwrap_or_default();
        let lines: Vec<_> = all.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(self.pid());
        running().retain(|(pid, _)| *pid != self.pid());
    }
}

/// Ends this program when it is interrupted, and what it has started with it.
pub fn end_when_interrupted() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::Builder::new().spawn(move || {
        runtime.block_on(interrupted());
        // Held to the end: nothing more is started.
        let running = running();
        for (pid, directory) in running.iter() {
            end(*pid);
            let _ = fs::remove_dir_all(directory);
        }
        process::exit(130);
    })?;
    Ok(())
}

async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut end)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = end.recv() => {}
    }
}

fn running() -> MutexGuard<'static, Vec<(u32, PathBuf)>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends a child and waits for that, whoever else may be waiting for it.
fn end(pid: u32) {
    let Some(pid) = Pid::from_raw(pid.cast_signed()) else {
        return;
    };
    // It may have ended by itself, which is as good.
    let _ = kill_process(pid, Signal::TERM);
    let deadline = Instant::now() + STOP_LIMIT;
    while let Ok(None) = waitpid(Some(pid), WaitOptions::NOHANG) {
        if Instant::now() > deadline {
            let _ = kill_process(pid, Signal::KILL);
        }
        thread::sleep(POLL);
    }
}

fn messages_in(directory: &Path) -> PathBuf {
    directory.join("messages")
}

/// A port that was free a moment ago, for servers that can't be given port 0.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The address that stands behind `words` in a log.
fn address_after(messages: &str, words: &str) -> Option<SocketAddr> {
    let (_, after) = messages.split_once(words)?;
    after.split_once('\n')?.0.trim().parse().ok()
}

fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}
