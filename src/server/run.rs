//! A process in the foreground, from its start to its last answer.

use super::{
    HandoverError, Running, Settings, StartError, build, clock,
    handover::{Decision, Predecessor, hand_over},
    inherited::Inherited,
    notify,
};
use crate::logs::{Logger, Logs};
use std::{io, path::PathBuf, time::Duration};
use tokio::{
    runtime::Handle,
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
};

/// Why a process ended otherwise than asked to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The system refused threads or signals.
    #[error("the system refuses: {0}")]
    System(#[from] io::Error),
}

/// Serves until SIGTERM or SIGINT; a second one ends it at once. SIGHUP reads the settings anew,
/// SIGUSR1 has the files of the logs opened anew, SIGUSR2 has the program's file take over from this
/// process, see `server/handover`.
pub fn run(settings: Settings, logger: &Logger, read: impl Fn() -> Reread) -> Result<(), RunError> {
    // Before there are threads: it takes variables out of the environment.
    let passed = Inherited::from_systemd().map_err(StartError::from)?;
    // As it was called: where that is a link, it may lead to another file by now.
    let program = std::env::args_os().next().unwrap_or_default().into();
    // Clients have threads of their own; this one is for what goes on beside them.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("tidegate")
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let mut process = Process::start(settings, logger, passed, program).await?;
        process.serve(read).await;
        process.end().await;
        Ok(())
    });
    // What still runs has had its time.
    runtime.shutdown_background();
    outcome
}

/// The settings read anew, or all that is wrong with them.
pub type Reread = Result<Settings, Box<dyn std::error::Error>>;

/// A process that serves.
struct Process<'a> {
    settings: Settings,
    running: Running,
    logger: &'a Logger,
    program: PathBuf,
    signals: Signals,
    /// Tells the service manager that this process is alive.
    alive: JoinHandle<()>,
    /// Whether another process has taken over.
    is_replaced: bool,
    /// What the last order has come to, if not to what was wanted.
    trouble: Option<String>,
}

/// What the process is told.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
    reopen: Signal,
    upgrade: Signal,
    /// It was told to stop while something else had to come to its end first.
    is_stopped: bool,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
            reopen: signal(SignalKind::user_defined1())?,
            upgrade: signal(SignalKind::user_defined2())?,
            is_stopped: false,
        })
    }

    /// Until it is told to stop.
    async fn stop(&mut self) {
        if std::mem::take(&mut self.is_stopped) {
            return;
        }
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl<'a> Process<'a> {
    /// Starts to serve, perhaps in the place of another process.
    async fn start(
        settings: Settings,
        logger: &'a Logger,
        passed: Inherited,
        program: PathBuf,
    ) -> Result<Self, RunError> {
        let signals = Signals::listen()?;
        let before = Predecessor::meet().map_err(StartError::from)?;
        let (before, inherited) = match before {
            Some((before, sockets)) => (Some(before), Inherited::from_predecessor(sockets)),
            None => (None, passed),
        };
        let logs = Logs::open(&settings.log).map_err(StartError::from)?;
        logger.write_to(&logs, &settings.log);
        let running = build::start(settings.clone(), logs, inherited, before.as_ref()).await?;
        if let Some(before) = before {
            let replaced = tokio::task::block_in_place(|| before.replace());
            replaced.map_err(StartError::from)?;
            let (store, runtime) = (running.storage.fills().store(), Handle::current());
            tokio::task::spawn_blocking(move || before.heed(store, &runtime));
        }
        let tls = settings.listen.iter().map(|l| l.tls.is_some());
        for (address, tls) in running.addresses().iter().zip(tls) {
            let scheme = if tls { "https" } else { "http" };
            log::info!("listening on {scheme}://{address}");
        }
        if let Some(address) = running.admin_address() {
            log::info!("admin on http://{address}");
        }
        // What is stored can be found from here on; that its directory is still being read is no
        // reason to wait.
        let is_reading = running.storage.fills().store().is_being_read();
        notify::tell(&format!("READY=1\n{}", status(is_reading, None)));
        let alive = tokio::spawn(notify::keep_alive(running.lanes.clone()));
        tokio::spawn(clock::watch(running.live.events.clock_jumps.clone()));
        Ok(Self {
            settings,
            running,
            logger,
            program,
            signals,
            alive,
            is_replaced: false,
            trouble: None,
        })
    }

    /// Until it is to end.
    async fn serve(&mut self, read: impl Fn() -> Reread) {
        let mut tick = tokio::time::interval(SUM_UP_EVERY);
        let store = self.running.storage.fills().store();
        let (mut is_reading, read_through) = (store.is_being_read(), store.read_through());
        tokio::pin!(read_through);
        while !self.is_replaced {
            tokio::select! {
                () = &mut read_through, if is_reading => {
                    is_reading = false;
                    notify::tell(&self.status());
                }
                _ = self.signals.terminate.recv() => break,
                _ = self.signals.interrupt.recv() => break,
                _ = self.signals.reopen.recv() => self.running.logs().reopen(),
                _ = tick.tick() => self.logger.sum_up(),
                _ = self.signals.reload.recv() => {
                    notify::tell_reloading();
                    let done = self.reload(read());
                    self.running.live.events.reloaded(done);
                    self.trouble = (!done).then(|| RELOAD_REFUSED.to_owned());
                    notify::tell(&format!("READY=1\n{}", self.status()));
                }
                _ = self.signals.upgrade.recv() => {
                    let decision = Decision::default();
                    let handed = {
                        let handed = hand_over(&self.running, &self.program, &decision);
                        tokio::pin!(handed);
                        tokio::select! {
                            handed = &mut handed => handed,
                            () = self.signals.stop() => {
                                if decision.call_off() {
                                    log::info!("upgrade: called off, as this process is to stop");
                                    break;
                                }
                                self.signals.is_stopped = true;
                                handed.await
                            }
                        }
                    };
                    self.is_replaced = self.told(handed);
                    if !self.is_replaced && std::mem::take(&mut self.signals.is_stopped) {
                        break;
                    }
                }
            }
        }
    }

    fn status(&self) -> String {
        let is_reading = self.running.storage.fills().store().is_being_read();
        status(is_reading, self.trouble.as_deref())
    }

    /// Whether another process has taken over; if not, the log says why.
    fn told(&mut self, handed: Result<(), HandoverError>) -> bool {
        if let Err(why) = &handed {
            self.running.live.events.upgrade_failed();
            log::error!("upgrade: {why}; this process goes on as before");
            self.trouble = Some(format!("the last upgrade failed: {why}"));
            notify::tell(&self.status());
        }
        handed.is_ok()
    }

    /// Lets running answers end. After an upgrade there is more time for them, as nobody waits.
    async fn end(mut self) {
        let limit = match self.is_replaced {
            true => {
                log::info!("upgrade: another process serves now; running answers are finished");
                // The manager listens to the other one now.
                self.alive.abort();
                self.running.leave_admin().await;
                self.settings.server.upgrade_drain
            }
            false => {
                notify::tell("STOPPING=1\nSTATUS=finishing running answers");
                log::info!("stopping: no new connections, running answers are finished");
                self.settings.server.drain
            }
        };
        let stopping = self.running.stop_within(limit);
        tokio::pin!(stopping);
        if self.is_replaced {
            tokio::select! {
                () = &mut stopping => return log::info!("stopped"),
                () = self.signals.stop() => {}
            }
            let soon = tokio::time::sleep(self.settings.server.drain);
            tokio::select! {
                () = &mut stopping => log::info!("stopped"),
                () = soon => log::warn!("stopped with answers that were not at their end"),
                () = self.signals.stop() => log::warn!("stopped at once, as asked"),
            }
            return;
        }
        tokio::select! {
            () = stopping => log::info!("stopped"),
            () = self.signals.stop() => log::warn!("stopped at once, as asked"),
        }
    }
}

impl Process<'_> {
    /// Takes over what can change while the process runs. Wrong settings change nothing; then this
    /// is false.
    fn reload(&mut self, read: Reread) -> bool {
        let new = match read {
            Ok(new) => new,
            Err(wrong) => return nothing_changed(&*wrong),
        };
        let (reloaded, later) = self.settings.reloaded(new);
        if let Err(wrong) = self.running.reload(&reloaded) {
            return nothing_changed(&wrong);
        }
        self.logger.reload(&reloaded.log);
        self.settings = reloaded;
        if !later.is_empty() {
            log::warn!(
                "reload: {} can't change while the process runs; SIGUSR2 has a new one take over with the file as it is, without dropping anything (a restart does it as well)",
                later.join(", ")
            );
        }
        log::info!("reload: all else is as configured now");
        true
    }
}

/// What the service manager is to show of a process that serves: what it is still at, and what went
/// wrong last.
fn status(is_reading: bool, trouble: Option<&str>) -> String {
    let reading = if is_reading { READING } else { "" };
    let trouble = trouble.map(|why| format!("; {}", why.replace('\n', "; ")));
    format!("STATUS=serving{reading}{}", trouble.unwrap_or_default())
}

const READING: &str = ", reading the cache directory for purges and eviction";

const RELOAD_REFUSED: &str = "the last reload was refused, see the log";

/// Logs why settings were not taken over, each mistake on a line of its own; always false.
fn nothing_changed(wrong: &dyn std::error::Error) -> bool {
    let mut before = "reload: nothing is changed: ";
    for line in wrong.to_string().lines() {
        log::error!("{before}{}", line.trim_start());
        before = "reload: ";
    }
    false
}

/// How often it is looked what was left out of the log.
const SUM_UP_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_one_line_with_all_that_is_to_be_known() {
        let table = [
            (false, None, "STATUS=serving"),
            (false, Some("a\nb"), "STATUS=serving; a; b"),
            (
                true,
                None,
                "STATUS=serving, reading the cache directory for purges and eviction",
            ),
        ];
        for (is_reading, trouble, expected) in table {
            assert_eq!(status(is_reading, trouble), expected);
        }
    }
}
