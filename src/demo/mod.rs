//! Everything on loopback, for a first look: a film made on the spot, an origin that serves it,
//! the proxy before it, and the lines to try.
//!
//! It needs no other software, no configuration and no network, listens on loopback only, and
//! leaves nothing behind: all its files are in one temporary directory that goes with it.

mod answer;
pub mod film;
mod link;
mod meter;
pub mod origin;
mod stage;
mod text;

use self::{origin::Asked, stage::Stage, text::Places};
use crate::server::{self, Running, StartError, listener::BindError};
use std::{
    io::{self, Write},
    num::NonZeroU64,
    time::Duration,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What the demo may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Port of the proxy on loopback; another one if it is taken, any if it is 0.
    pub port: u16,
    /// Port of the operator's address, likewise.
    pub admin_port: u16,
    /// How long the film plays, 1 to [`film::LONGEST`]; a second takes about half a megabyte.
    pub film_seconds: u32,
    /// Bytes that the origin sends in a second, over all requests; no limit when absent.
    pub rate: Option<NonZeroU64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 8080,
            admin_port: 9090,
            film_seconds: 60,
            // The whole film takes four seconds then, long enough to be told from a seek.
            rate: NonZeroU64::new(8_000_000),
        }
    }
}

/// Why the demo could not run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No place for its files.
    #[error("no temporary directory for the demo: {0}")]
    Directory(#[source] io::Error),
    /// The film could not be written, or its length makes no sense.
    #[error("the film could not be made: {0}")]
    Film(#[source] io::Error),
    /// No port to be had.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The address of the origin is not one; does not happen.
    #[error("the demo's origin has no valid address: {0}")]
    Address(#[from] http::Error),
    /// The proxy did not start.
    #[error("the proxy did not start: {0}")]
    Start(#[from] StartError),
    /// No way to hear of Ctrl-C.
    #[error("cannot wait for signals: {0}")]
    Signals(#[source] io::Error),
}

/// Runs the demo until SIGINT or SIGTERM, on the tokio runtime of the caller.
pub async fn run(options: Options) -> Result<(), DemoError> {
    // From here on a signal ends the demo in good order, at whatever point it is.
    let on = |kind| signal(kind).map_err(DemoError::Signals);
    let (interrupt, terminate) = (on(SignalKind::interrupt())?, on(SignalKind::terminate())?);
    run_until(options, ended(interrupt, terminate)).await
}

/// Runs the demo until the future ends.
pub async fn run_until(options: Options, end: impl Future<Output = ()>) -> Result<(), DemoError> {
    tokio::pin!(end);
    say(&format!(
        "Making a film of {} seconds …",
        options.film_seconds
    ));
    let stage = tokio::select! {
        stage = Stage::build(&options) => stage?,
        () = &mut end => return Ok(()),
    };
    let listen = stage::free_or_any(options.port)?;
    let admin = stage::free_or_any(options.admin_port)?;
    let running = server::start(stage.settings(listen, admin)?).await?;
    greet(&options, &stage, &running);
    tokio::select! {
        () = report(&stage.asked) => {}
        () = &mut end => {}
    }
    say("\nStopping …");
    let served = match running.admin_address() {
        Some(admin) => meter::total(admin, SENT_TO_CLIENTS).await,
        None => None,
    };
    running.stop().await;
    let asked = &stage.asked;
    say(&text::summary(served, asked.requests(), asked.bytes()));
    stage.close().await
}

fn greet(options: &Options, stage: &Stage, running: &Running) {
    let Some(&proxy) = running.addresses().first() else {
        return;
    };
    say(&text::welcome(&Places {
        origin: stage.origin,
        proxy,
        admin: running.admin_address(),
        wanted: (options.port, options.admin_port),
        seconds: options.film_seconds,
        length: stage.film,
        rate: options.rate,
        directory: stage.directory(),
    }));
}

/// Says what the origin was asked for whenever that has changed; never ends.
async fn report(asked: &Asked) {
    let mut ticks = tokio::time::interval(REPORT_EVERY);
    let mut said = (0, 0);
    loop {
        ticks.tick().await;
        let now = (asked.requests(), asked.bytes());
        if now != said {
            say(&text::asked(now.0, now.1));
            said = now;
        }
    }
}

async fn ended(mut interrupt: Signal, mut terminate: Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// A reader that has gone is no reason to stop, let alone to panic.
fn say(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

const REPORT_EVERY: Duration = Duration::from_secs(1);
/// The proxy's counter of body bytes that went to clients.
const SENT_TO_CLIENTS: &str = "tidegate_response_body_bytes_total";
