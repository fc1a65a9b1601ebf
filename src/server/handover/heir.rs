//! The process that takes over from this one.

use super::{
    ALL, DONE, DRAINED, GO, GREETING, HandoverError, PATIENCE, PREPARED, SERVING, SOCKET, STORE,
    UPGRADE, channel::Channel, predecessor::superseded,
};
use crate::{
    server::{Running, notify},
    store::{Given, Superseded},
};
use parking_lot::Mutex;
use std::{
    io,
    os::fd::AsFd,
    path::Path,
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// The new process, as the old one sees it.
struct Heir {
    channel: Channel,
    process: OnTrial,
}

/// A process that is killed unless it is let go.
#[derive(Clone, Debug, Default)]
struct OnTrial(Arc<Mutex<Option<Child>>>);

/// Whether the new process is to be the one that counts: decided once, by whoever comes first.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct Decision {
    is_taken: Arc<AtomicBool>,
    process: OnTrial,
}

impl Decision {
    /// Whether it is the caller's.
    fn take(&self) -> bool {
        !self.is_taken.swap(true, SeqCst)
    }

    /// Has the new process not be the one that counts, if it is not yet. It is killed: one that hangs
    /// would keep the sockets that nobody else listens on any more.
    pub fn call_off(&self) -> bool {
        let is_ours = self.take();
        if is_ours && let Some(process) = self.process.0.lock().as_mut() {
            let _ = process.kill();
        }
        is_ours
    }
}

/// Has the file at `program` take over with this process's arguments. An error leaves everything as
/// it was. Whoever calls it off before has the new process end, and may drop this.
pub(in crate::server) async fn hand_over(
    running: &Running,
    program: &Path,
    decision: &Decision,
) -> Result<(), HandoverError> {
    let is_drained = running.state.pass_on();
    let handed = hand_all_over(running, program, is_drained, decision).await;
    if handed.is_err() {
        running.state.take_back();
    }
    handed
}

async fn hand_all_over(
    running: &Running,
    program: &Path,
    is_drained: bool,
    decision: &Decision,
) -> Result<(), HandoverError> {
    let sockets = running.sockets()?;
    let (program, process) = (program.to_owned(), decision.process.clone());
    let heir = blocking(move || {
        let heir = Heir::start(&program, is_drained, process)?;
        heir.ask(|channel| {
            channel.send(GREETING, None)?;
            for socket in &sockets {
                channel.send(SOCKET, Some(socket.as_fd()))?;
            }
            channel.send(ALL, None)?;
            channel.expect(PREPARED)
        })
    })
    .await?;
    let fills = running.storage.fills();
    fills.settle().await;
    let store = fills.store();
    let Given { lock, writes } = store.give().await.map_err(HandoverError::Store)?;
    let decision = decision.clone();
    let taken = blocking(move || {
        let heir = heir.ask(|channel| {
            channel.send(STORE, Some(lock.as_fd()))?;
            channel.expect(SERVING)
        })?;
        heir.let_go(&decision)
    });
    match taken.await {
        Ok(heir) => {
            tokio::task::spawn_blocking(move || tell(&heir.channel, writes));
            Ok(())
        }
        Err(why) => {
            // The new process is dead by now.
            store.take_back();
            let store = store.clone();
            tokio::task::spawn_blocking(move || store.recover());
            Err(why)
        }
    }
}

/// On a thread that may wait.
async fn blocking<T: Send + 'static>(
    talk: impl FnOnce() -> Result<T, HandoverError> + Send + 'static,
) -> Result<T, HandoverError> {
    let talked = tokio::task::spawn_blocking(talk).await;
    talked.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::Interrupted).into()))
}

/// Tells the new process what clients' writes through this one change.
fn tell(channel: &Channel, mut writes: mpsc::Receiver<Superseded>) {
    while let Some(write) = writes.blocking_recv() {
        let told = channel.send(&superseded(&write.place, write.id), None);
        if let Err(why) = told.and_then(|()| channel.expect(DONE)) {
            log::error!("the process that took over can't be told of clients' writes: {why}");
            return;
        }
        // Who asked may have left.
        let _ = write.done.send(());
    }
}

impl Heir {
    fn start(program: &Path, is_drained: bool, process: OnTrial) -> Result<Self, HandoverError> {
        let (channel, other) = Channel::pair()?;
        channel.set_patience(Some(PATIENCE))?;
        let mut command = Command::new(program);
        command
            .args(std::env::args_os().skip(1))
            .env(UPGRADE, if is_drained { DRAINED } else { "1" })
            .stdin(other);
        // They are for the process that systemd started.
        for variable in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"] {
            command.env_remove(variable);
        }
        let started = command.spawn();
        let started = started.map_err(|source| HandoverError::Spawn {
            file: program.to_owned(),
            source,
        })?;
        log::info!("upgrade: process {} is to take over", started.id());
        *process.0.lock() = Some(started);
        Ok(Self { channel, process })
    }

    /// Goes on with the conversation. Where it ends because the process has, that is the reason.
    fn ask<T>(self, talk: impl FnOnce(&Channel) -> io::Result<T>) -> Result<Self, HandoverError> {
        let Err(why) = talk(&self.channel) else {
            return Ok(self);
        };
        let reason = self.channel.last_words(&why);
        let status = self.process.end();
        Err(match (reason, status) {
            (Some(reason), _) => HandoverError::Refused(reason),
            (None, Some(status)) => HandoverError::Ended(status),
            (None, None) => why.into(),
        })
    }

    /// From here on the new process is the one that counts, unless it has been decided otherwise.
    fn let_go(self, decision: &Decision) -> Result<Self, HandoverError> {
        if !decision.take() {
            return Err(io::Error::from(io::ErrorKind::Interrupted).into());
        }
        if let Some(process) = &*self.process.0.lock() {
            notify::tell(&format!("MAINPID={}", process.id()));
        }
        self.channel.send(GO, None)?;
        // It is not waited for: it outlives this process.
        *self.process.0.lock() = None;
        Ok(self)
    }
}

impl OnTrial {
    /// Sees to it that the process is dead, and tells how it ended where it did so by itself.
    fn end(&self) -> Option<String> {
        let mut process = self.0.lock().take()?;
        let late = Instant::now() + LAST_MOMENTS;
        loop {
            if let Ok(Some(status)) = process.try_wait() {
                return Some(status.to_string());
            }
            if Instant::now() > late {
                break;
            }
            std::thread::sleep(LAST_MOMENTS / 20);
        }
        let _ = process.kill();
        let _ = process.wait();
        None
    }
}

/// How long a process that has said its last is given to end by itself.
const LAST_MOMENTS: Duration = Duration::from_secs(1);

impl Drop for Heir {
    fn drop(&mut self) {
        self.process.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new process, and its end of the conversation.
    fn heir() -> (Heir, Channel) {
        let (channel, other) = Channel::pair().unwrap();
        let process = OnTrial::default();
        (Heir { channel, process }, Channel::of(other))
    }

    #[test]
    fn what_is_called_off_hears_no_go() {
        let decision = Decision::default();
        let (heir, other) = heir();
        assert!(decision.call_off());
        assert!(heir.let_go(&decision).is_err());
        assert!(other.receive().is_err());
    }

    #[test]
    fn what_has_gone_on_is_not_called_off() {
        let decision = Decision::default();
        let (heir, other) = heir();
        let _heir = heir.let_go(&decision).unwrap();
        assert!(!decision.call_off());
        other.expect(GO).unwrap();
    }
}
