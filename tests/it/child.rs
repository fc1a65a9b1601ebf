//! The real binary as child processes: one that serves, and those that take over from it.

use crate::{
    client::{Answer, Client, Request},
    patience::within,
};
use std::{
    ffi::OsStr,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::watch,
};

/// A Tidegate in a process of its own, and whatever took over from it.
pub struct Tidegate {
    child: Child,
    /// All processes that it was, the last of them the one that counts.
    pub processes: Vec<u32>,
    log: watch::Receiver<Vec<String>>,
    pub address: SocketAddr,
    pub admin: SocketAddr,
}

/// A command for the binary at a path, whose log is to be read.
pub fn command(program: &Path, config: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["run", "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Tidegate {
    /// Starts the binary at `program`, whose configuration names an admin address.
    pub async fn run(program: &Path, config: &Path) -> Self {
        Self::start(command(program, config)).await
    }

    pub async fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (say, log) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                say.send_modify(|log| log.push(line));
            }
        });
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut started = Self {
            processes: vec![child.id().unwrap()],
            child,
            log,
            address: unknown,
            admin: unknown,
        };
        started.admin = started.address_after("admin on http://").await;
        started.address = started.address_after("listening on http://").await;
        started
    }

    async fn address_after(&mut self, words: &str) -> SocketAddr {
        let line = self.said(words, 1).await;
        let (_, address) = line.split_once(words).unwrap();
        address.trim().parse().unwrap()
    }

    /// The nth line of the log that has these words in it, when it comes.
    pub async fn said(&mut self, words: &str, nth: usize) -> String {
        let line = |log: &Vec<String>| {
            let mut lines = log.iter().filter(|line| line.contains(words));
            lines.nth(nth - 1).cloned()
        };
        let come = self.log.wait_for(|log| line(log).is_some());
        let come = tokio::time::timeout(crate::patience::DEADLINE, come).await;
        let found = come
            .ok()
            .and_then(|log| log.ok().and_then(|log| line(&log)));
        found.unwrap_or_else(|| panic!("{words:?} was not said:\n{}", self.log().join("\n")))
    }

    pub fn log(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    pub fn signal(&self, process: u32, name: &str) {
        let kill = std::process::Command::new("kill")
            .args(["-s", name, &process.to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    pub fn current(&self) -> u32 {
        *self.processes.last().unwrap()
    }

    /// Has the program's file take over, and waits until it has.
    pub async fn upgrade(&mut self) {
        self.signal(self.current(), "USR2");
        let nth = self.processes.len();
        self.said("another process serves now", nth).await;
        let new = self.heir().await;
        self.processes.push(new);
    }

    /// The process that is to take over, or was the last one to be.
    pub async fn heir(&mut self) -> u32 {
        let new = self.said("is to take over", self.attempts().max(1)).await;
        let (_, new) = new.split_once("process ").unwrap();
        new.split(' ').next().unwrap().parse().unwrap()
    }

    fn attempts(&self) -> usize {
        let log = self.log.borrow();
        let attempts = log.iter().filter(|line| line.contains("is to take over"));
        attempts.count()
    }

    /// Waits until the process that was started first has ended by itself.
    pub async fn first_ended(&mut self) {
        let status = within("the first process to end", self.child.wait()).await;
        assert!(status.unwrap().success(), "{}", self.log().join("\n"));
    }

    /// Asks over a connection of its own.
    pub async fn ask(&self, request: Request) -> Answer {
        Client::connect(self.address).await.ask(&request).await
    }
}

impl Drop for Tidegate {
    fn drop(&mut self) {
        for process in &self.processes[1..] {
            // It may have ended already.
            let _ = std::process::Command::new("kill")
                .args(["-s", "KILL", &process.to_string()])
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// The binary under test.
pub fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_tidegate").into()
}

/// What `tidegate` with these arguments comes to, which ends by itself.
pub async fn outcome<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    let output = Command::new(binary())
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    within("the command to end", output).await.unwrap()
}
