//! A process in the foreground, from its start to its last answer.

use super::{Running, Settings, StartError, build};
use crate::logs::{Logger, Logs};
use std::{io, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

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
/// SIGUSR1 has the files of the logs opened anew.
pub fn run(settings: Settings, logger: &Logger, read: impl Fn() -> Reread) -> Result<(), RunError> {
    // Clients have threads of their own; this one is for what goes on beside them.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("tidegate")
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(serve(settings, logger, read));
    // What still runs has had its time.
    runtime.shutdown_background();
    outcome
}

/// The settings read anew, or all that is wrong with them.
pub type Reread = Result<Settings, Box<dyn std::error::Error>>;

async fn serve(
    mut settings: Settings,
    logger: &Logger,
    read: impl Fn() -> Reread,
) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut reload = signal(SignalKind::hangup())?;
    let mut reopen = signal(SignalKind::user_defined1())?;
    let mut tick = tokio::time::interval(SUM_UP_EVERY);
    let tls: Vec<bool> = settings.listen.iter().map(|l| l.tls.is_some()).collect();
    let logs = Logs::open(&settings.log).map_err(StartError::from)?;
    logger.write_to(&logs, &settings.log);
    let running = build::start(settings.clone(), logs).await?;
    for (address, tls) in running.addresses().iter().zip(tls) {
        log::info!(
            "listening on {}://{address}",
            if tls { "https" } else { "http" }
        );
    }
    if let Some(address) = running.admin_address() {
        log::info!("admin on http://{address}");
    }
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = reload.recv() => reload_from(&running, logger, &mut settings, read()),
            _ = reopen.recv() => running.logs().reopen(),
            _ = tick.tick() => logger.sum_up(),
        }
    }
    log::info!("stopping: no new connections, running answers are finished");
    tokio::select! {
        () = running.stop() => log::info!("stopped"),
        _ = terminate.recv() => log::warn!("stopped at once, as asked"),
        _ = interrupt.recv() => log::warn!("stopped at once, as asked"),
    }
    Ok(())
}

/// Takes over what can change while the process runs. Wrong settings change nothing.
fn reload_from(running: &Running, logger: &Logger, settings: &mut Settings, read: Reread) {
    let new = match read {
        Ok(new) => new,
        Err(wrong) => {
            log::error!("reload: nothing is changed: {wrong}");
            return;
        }
    };
    let later = settings.needs_restart(&new);
    let merged = Settings {
        shown: settings.shown_after(&new),
        log: settings.log.with_rules_of(&new.log),
        resolving: new.resolving,
        origins: new.origins,
        routes: new.routes,
        ..settings.clone()
    };
    if let Err(wrong) = running.reload(&merged) {
        log::error!("reload: nothing is changed: {wrong}");
        return;
    }
    logger.reload(&merged.log);
    *settings = merged;
    if !later.is_empty() {
        log::warn!("reload: restart to change {}", later.join(", "));
    }
    log::info!("reload: origins, routes and certificates are as configured now");
}

/// How often it is looked what was left out of the log.
const SUM_UP_EVERY: Duration = Duration::from_secs(1);
