//! The real binary: its messages, and files that are renamed under it.

use super::lines;
use crate::{
    client::{Client, Request},
    gate::CHUNK,
    origin::{Origin, Script},
    patience::within,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
};
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    process::{Child, Command},
};

/// A child process that writes both logs to files, as JSON.
struct Process {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Process {
    async fn before(origin: SocketAddr) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let config = format!(
            "log: {{format: json, file: messages.log, access: {{file: access.log}}}}\n\
             listen: [{{address: 127.0.0.1:0}}]\n\
             admin: {{address: 127.0.0.1:0}}\n\
             cache: {{directory: cache, chunk_size: 64KiB}}\n\
             origins: {{media: {{servers: [{{url: \"http://{origin}\"}}]}}}}\n\
             routes: [{{path: /, origins: [media]}}]\n"
        );
        fs::write(at.join("tidegate.yaml"), config).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["run", "--config"])
            .arg(at.join("tidegate.yaml"))
            .env_remove("TIDEGATE_LOG")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let messages = at.join("messages.log");
        let mut count = 1;
        let address = loop {
            let said = lines(&messages, count).await;
            let found = said.iter().find_map(|line| {
                let line: Value = line.parse().unwrap();
                let (_, address) = line["message"]
                    .as_str()?
                    .split_once("listening on http://")?;
                address.parse().ok()
            });
            match found {
                Some(address) => break address,
                None => count = said.len() + 1,
            }
        };
        Self {
            child,
            address,
            directory,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn get(&self, target: &str) -> u16 {
        let mut client = Client::connect(self.address).await;
        client.ask(&Request::get(target)).await.status()
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id as i32));
        kill_process(pid.expect("it runs"), signal).unwrap();
    }

    /// Ends it; all of its messages, and what it has said beside them.
    async fn end(self) -> (Vec<Value>, String) {
        self.signal(Signal::TERM);
        let messages = self.path("messages.log");
        let output = within("the child to end", self.child.wait_with_output()).await;
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = fs::read_to_string(messages).unwrap();
        let messages = text.lines().map(|line| line.parse().unwrap());
        (
            messages.collect(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }
}

fn count(path: &Path) -> usize {
    fs::read_to_string(path).unwrap().lines().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_has_renamed_files_opened_anew() {
    let origin = Origin::with(Script::new(1630, CHUNK)).await;
    let process = Process::before(origin.address()).await;
    process.get("/film").await;
    let (log, old) = (process.path("access.log"), process.path("access.log.1"));
    lines(&log, 1).await;
    fs::rename(&log, &old).unwrap();
    process.get("/film").await;
    lines(&old, 2).await;
    process.signal(Signal::USR1);
    within("the new file", async {
        while !log.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    process.get("/film").await;
    lines(&log, 1).await;
    assert_eq!((count(&old), count(&log)), (2, 1));

    // One that is removed comes back without being asked for.
    fs::remove_file(&log).unwrap();
    process.get("/film").await;
    lines(&log, 1).await;
    let (messages, said) = process.end().await;
    let last = messages.last().unwrap();
    assert_eq!(last["message"], "stopped", "{messages:#?}");
    assert_eq!(said, "", "nothing is said beside the files");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_leave_are_no_errors() {
    let origin = Origin::with(Script::new(1631, 64 * CHUNK)).await;
    let process = Process::before(origin.address()).await;
    assert_eq!(process.get("/film").await, 200);
    for head in ["GET /film HTTP/1.1\r\nHo", "\u{0}\u{1}\r\n\r\n", ""] {
        let mut stream = TcpStream::connect(process.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
    }
    // Amid a hit.
    let mut client = Client::narrow(process.address).await;
    client.send(&Request::get("/film")).await.unwrap();
    client.head().await.unwrap();
    drop(client);
    // Of these the one that is no request has a line, too.
    let access = lines(&process.path("access.log"), 3).await;
    for expected in ["\"abort\":\"client\"", "\"detail=unreadable\""] {
        assert!(access.iter().any(|it| it.contains(expected)), "{access:#?}");
    }
    let (messages, _) = process.end().await;
    let bad = messages.iter().filter(|it| it["level"] != "INFO");
    assert_eq!(bad.collect::<Vec<_>>(), [&Value::Null; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_one_failure_is_a_few_lines_and_their_number() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let process = Process::before(gone).await;
    let mut client = Client::connect(process.address).await;
    for nth in 0..200 {
        let answer = client.try_ask(&Request::get(&format!("/{nth}"))).await;
        if answer.is_err() || answer.is_ok_and(|it| it.head.header("connection").is_some()) {
            client = Client::connect(process.address).await;
        }
    }
    let (messages, _) = process.end().await;
    let warned = messages.iter().filter(|it| it["level"] != "INFO");
    let warned: Vec<_> = warned.collect();
    assert!((2..40).contains(&warned.len()), "{warned:#?}");
}
