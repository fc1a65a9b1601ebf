//! A process in the foreground, from its start to its last answer.

use super::{Settings, StartError, start};
use std::io;
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

/// Serves until SIGTERM or SIGINT; a second one ends it at once.
pub fn run(settings: Settings) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.server.threads)
        .thread_name("tidegate")
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(serve(settings));
    // What still runs has had its time.
    runtime.shutdown_background();
    outcome
}

async fn serve(settings: Settings) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut reload = signal(SignalKind::hangup())?;
    let tls: Vec<bool> = settings.listen.iter().map(|l| l.tls.is_some()).collect();
    let running = start(settings).await?;
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
            _ = reload.recv() => {
                log::warn!("SIGHUP: this version does not reload its configuration; restart it to change settings");
            }
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
