//! Attacks by work: requests that are given up as soon as they are answered, and requests that are
//! too many. Each attacker strikes at a rate of its own, so that all servers get the same.

use super::{Attacker, Stroke};
use crate::{
    kit::head,
    visitor::{connect, receive},
};
use std::{io, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

/// Between two resets of one attacker.
const RESET_EVERY: Duration = Duration::from_secs(1);
/// Between two requests of one attacker in a flood: 2,000 a second from a thousand.
const FLOOD_EVERY: Duration = Duration::from_millis(500);
const TASTE: usize = 4096;
const MAX_ANSWER: usize = 16 << 10;

/// Asks for a whole object, takes a little of it and resets the connection.
pub fn resets(attacker: Attacker) -> Stroke {
    Box::pin(async move {
        let target = &attacker.target;
        let next = Instant::now() + RESET_EVERY;
        let mut socket = connect(target.server).await?;
        // Closed with unread bytes or without: what goes out is a reset.
        socket.set_zero_linger()?;
        let request = head::request(target.server, &target.known.path, None);
        socket.write_all(request.as_bytes()).await?;
        receive(&socket, TASTE, |_| Ok(())).await?;
        drop(socket);
        attacker.strike();
        sleep_until(next).await;
        Ok(())
    })
}

/// One small request after the other, every second one for something that does not exist.
pub fn floods(attacker: Attacker) -> Stroke {
    Box::pin(async move {
        let target = &attacker.target;
        let mut socket = connect(target.server).await?;
        socket.set_zero_linger()?;
        let known = head::request(target.server, &target.known.path, Some(&(0..1)));
        let mut turns = interval(FLOOD_EVERY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for turn in 0_u64.. {
            turns.tick().await;
            let request = if turn % 2 == 0 {
                known.clone()
            } else {
                let nothing = format!("/nothing/{}-{turn}", attacker.number);
                head::request(target.server, &nothing, None)
            };
            socket.write_all(request.as_bytes()).await?;
            if receive(&socket, MAX_ANSWER, |_| Ok(())).await? == 0 {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            attacker.strike();
        }
        Ok(())
    })
}
