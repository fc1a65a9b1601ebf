//! A machine that systemd runs, for what only a real systemd shows.

use crate::patience::{DEADLINE, within};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::UnixDatagram,
    process::{Child, ChildStdin, Command as AsyncCommand},
};

/// A running machine: see `machine.sh`. It ends with this value, or with this process.
pub struct Machine {
    keeper: Child,
    /// Open for as long as the machine is wanted. None while this is dropped.
    wanted: Option<ChildStdin>,
    /// Its first process, as it is counted here.
    systemd: u32,
    folder: TempDir,
}

impl Machine {
    /// What it takes that is not to be had here, if anything: systemd, root, namespaces, and control
    /// groups of the second kind.
    pub fn lacking() -> Option<String> {
        if !Path::new("/lib/systemd/systemd").exists() {
            return Some("no systemd".into());
        }
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("unshare")
            .args(["--net", "--pid", "--mount", "--uts", "--ipc", "--cgroup"])
            .args(["--fork", "--", "mount", "-t", "cgroup2", "cgroup2"])
            .arg(folder.path())
            .output();
        match mount {
            Ok(mount) if mount.status.success() => None,
            Ok(mount) => Some(String::from_utf8_lossy(&mount.stderr).trim().to_owned()),
            Err(e) => Some(format!("unshare: {e}")),
        }
    }

    /// Starts one.
    pub async fn boot() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let manager = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/machine.sh");
        let mut keeper = AsyncCommand::new(script)
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Who ends all of a test's processes leaves it to end the machine.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut machine = Self {
            wanted: keeper.stdin.take(),
            keeper,
            systemd: 0,
            folder,
        };
        let mut parent = String::new();
        let mut output = BufReader::new(machine.keeper.stdout.take().unwrap());
        within("a keeper", output.read_line(&mut parent))
            .await
            .unwrap();
        let mut errors = machine.keeper.stderr.take().unwrap();
        let mut said = String::new();
        tokio::select! {
            () = within("a machine", started(&manager)) => {}
            _ = errors.read_to_string(&mut said) => panic!("no machine: {said}"),
        }
        let parent = parent.trim();
        let children = format!("/proc/{parent}/task/{parent}/children");
        let children = std::fs::read_to_string(children).unwrap();
        machine.systemd = children.trim().parse().unwrap();
        machine
    }

    /// Runs a case of this binary again, at the machine and in its network, where every port is free.
    pub async fn run(&self, case: &str) {
        let mut again = AsyncCommand::new("nsenter");
        let output = again
            .args(["--net", "--target", &self.systemd.to_string(), "--"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", case, "--nocapture"])
            .env(SYSTEMD, self.systemd.to_string())
            .env(FOLDER, self.folder.path())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(10 * DEADLINE, output).await;
        let output = output.expect("the case ends").unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}{wrong}");
        assert!(said.contains("1 passed"), "{said}{wrong}");
    }
}

async fn started(manager: &UnixDatagram) {
    let mut buffer = [0; 500];
    loop {
        let length = manager.recv(&mut buffer).await.unwrap();
        if buffer[..length].starts_with(b"READY=1") {
            return;
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.wanted.take());
        // It has a control group to take away, and needs the folder for it.
        let begun = Instant::now();
        while let Ok(None) = self.keeper.try_wait()
            && begun.elapsed() < DEADLINE
        {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

const SYSTEMD: &str = "TIDEGATE_TEST_SYSTEMD";
const FOLDER: &str = "TIDEGATE_TEST_FOLDER";

/// Where a case sits that [`Machine::run`] runs.
#[derive(Clone)]
pub struct Seat {
    systemd: String,
    folder: PathBuf,
}

impl Seat {
    /// None for a case that is not at a machine.
    pub fn taken() -> Option<Self> {
        Some(Self {
            systemd: std::env::var(SYSTEMD).ok()?,
            folder: std::env::var_os(FOLDER)?.into(),
        })
    }

    /// A folder that the machine has too, as [`SHARED`].
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a command of the machine to its end, and gives what it prints, and whether it went well.
    pub fn try_run(&self, command: &[&str]) -> (bool, String) {
        let output = Command::new("nsenter")
            .args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"])
            .args(["--target", &self.systemd, "--"])
            .args(command)
            .stdin(Stdio::null())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let wrong = String::from_utf8_lossy(&output.stderr);
        (output.status.success(), format!("{said}{wrong}"))
    }

    /// The same of a command that has to go well.
    pub fn run(&self, command: &[&str]) -> String {
        let (well, said) = self.try_run(command);
        assert!(well, "{command:?}: {said}\n{}", self.journal());
        said
    }

    /// One property of Tidegate's service.
    pub fn property(&self, name: &str) -> String {
        let said = self.run(&["systemctl", "show", "--value", "-p", name, SERVICE]);
        said.trim().to_owned()
    }

    /// Waits until a property of Tidegate's service is as it should be.
    pub async fn until(&self, name: &str, is: impl Fn(&str) -> bool) {
        let wait = until(|| is(&self.property(name)));
        within(&format!("{name} of the service"), wait).await;
    }

    /// Waits until Tidegate has written these words.
    pub async fn said(&self, words: &str) {
        let wait = until(|| self.journal().contains(words));
        within(&format!("{words:?} in the journal"), wait).await;
    }

    /// What Tidegate has written.
    pub fn journal(&self) -> String {
        let (_, said) = self.try_run(&["journalctl", "--no-pager", "-o", "cat", "-u", SERVICE]);
        said
    }
}

/// What happens at the machine can only be looked for.
async fn until(is: impl Fn() -> bool) {
    while !is() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Where the machine has [`Seat::folder`].
pub const SHARED: &str = "/run/shared";
const SERVICE: &str = "tidegate.service";
