//! What the service manager is told: that this process is ready, reloads, stops, and is alive.
//!
//! The protocol is sd_notify(3): datagrams of `NAME=value` lines to the Unix socket that
//! `NOTIFY_SOCKET` names. Where there is none nobody is told.

use super::lanes::Lanes;
use rustix::time::{ClockId, clock_gettime};
use std::{
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    sync::Arc,
    time::Duration,
};

/// Tells the service manager, if there is one.
pub(super) fn tell(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(why) = send(&socket, state) {
        log::warn!("the service manager can't be told {state:?}: {why}");
    }
}

/// The present time of the reload that begins, as `Type=notify-reload` wants it.
pub(super) fn tell_reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
}

fn send(socket: &OsStr, state: &str) -> io::Result<()> {
    // Never a wait: the manager's queue may be full.
    let from = UnixDatagram::unbound()?;
    from.set_nonblocking(true)?;
    from.send_to_addr(state.as_bytes(), &address(socket)?)?;
    Ok(())
}

/// A path, or with `@` before it a name of Linux's abstract ones.
fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        path => SocketAddr::from_pathname(OsStr::from_bytes(path)),
    }
}

/// Tells again and again that the process is alive, as often as the manager wants. Each time only
/// after every thread that serves clients has run a task that was new then: a timer alone may run
/// where nothing else does. The disk has no part in it: one that hangs is no reason to end.
pub(super) async fn keep_alive(lanes: Arc<Lanes>) {
    let Some(interval) = std::env::var("WATCHDOG_USEC")
        .ok()
        .as_deref()
        .and_then(half)
    else {
        return;
    };
    if std::env::var("WATCHDOG_PID").is_ok_and(|id| id != std::process::id().to_string()) {
        return;
    }
    loop {
        tokio::time::sleep(interval).await;
        if lanes.turn().await {
            tell("WATCHDOG=1");
        }
    }
}

/// Half of a number of microseconds, which leaves room for a late one.
fn half(micros: &str) -> Option<Duration> {
    let micros: u64 = micros.parse().ok()?;
    (micros > 1).then(|| Duration::from_micros(micros / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(at: &UnixDatagram) -> String {
        let mut buffer = [0; 100];
        let length = at.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn a_path_and_an_abstract_name_are_reached() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), "READY=1").unwrap();
        assert_eq!(receive(&by_path), "READY=1");

        let name = format!("tidegate-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&address).unwrap();
        send(OsStr::new(&format!("@{name}")), "STOPPING=1").unwrap();
        assert_eq!(receive(&by_name), "STOPPING=1");
    }

    #[test]
    fn nobody_there_is_an_error_and_no_panic() {
        for socket in ["/nowhere/notify", "", "@"] {
            assert!(send(OsStr::new(socket), "READY=1").is_err(), "{socket}");
        }
    }

    #[test]
    fn the_watchdog_is_told_twice_as_often_as_it_wants() {
        assert_eq!(half("30000000"), Some(Duration::from_secs(15)));
        for wrong in ["0", "1", "", "x", "-5"] {
            assert_eq!(half(wrong), None, "{wrong}");
        }
    }
}
