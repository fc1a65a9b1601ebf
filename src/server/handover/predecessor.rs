//! The process that this one takes over from.

use super::{
    ALL, DONE, DRAINED, FAILED, GO, GREETING, HandoverError, PATIENCE, PREPARED, SERVING, SOCKET,
    STORE, SUPERSEDED, UPGRADE, channel::Channel,
};
use crate::store::{ObjectId, Store};
use std::{fs::File, net::TcpListener, sync::Arc, time::Duration};
use tokio::runtime::Handle;

/// The old process, as the new one sees it.
#[derive(Debug)]
pub(in crate::server) struct Predecessor {
    channel: Channel,
    /// Whether an operator has sent load balancers elsewhere.
    pub is_drained: bool,
}

impl Predecessor {
    /// The process that started this one to take over, if one did, and the sockets that it listens
    /// on. Blocks.
    pub fn meet() -> Result<Option<(Self, Vec<TcpListener>)>, HandoverError> {
        let Some(said) = std::env::var_os(UPGRADE) else {
            return Ok(None);
        };
        let channel = Channel::of_standard_input().map_err(|_| HandoverError::Nobody)?;
        channel.set_patience(Some(PATIENCE))?;
        channel.expect(GREETING)?;
        let mut sockets = Vec::new();
        loop {
            match channel.receive()? {
                (words, Some(socket)) if words == SOCKET => sockets.push(socket.into()),
                (words, None) if words == ALL => break,
                (words, _) => return Err(unexpected(&words)),
            }
        }
        let before = Self {
            channel,
            is_drained: said == DRAINED,
        };
        Ok(Some((before, sockets)))
    }

    /// Says that only the store is lacking, and gets its lock. Blocks.
    pub fn ask_for_store(&self) -> Result<File, HandoverError> {
        self.channel.send(PREPARED, None)?;
        match self.channel.expect(STORE)? {
            Some(lock) => Ok(lock.into()),
            None => Err(unexpected(STORE)),
        }
    }

    /// Says that clients are served, and waits until this process is the one that counts. Blocks.
    pub fn replace(&self) -> Result<(), HandoverError> {
        self.channel.send(SERVING, None)?;
        self.channel.expect(GO)?;
        Ok(())
    }

    /// Forgets what clients' writes through the old process change, until that ends. Blocks.
    pub fn heed(self, store: &Arc<Store>, runtime: &Handle) -> Result<(), HandoverError> {
        self.channel.set_patience(None)?;
        while let Ok((words, _)) = self.channel.receive() {
            let (place, id) = read_superseded(&words).ok_or_else(|| unexpected(&words))?;
            if let Err(why) = runtime.block_on(store.supersede(place, id)) {
                log::error!("a client's write: what is stored of it can't all be removed: {why}");
            }
            self.channel.send(DONE, None)?;
        }
        Ok(())
    }
}

/// Says to the process that this one was to take over from, where there is one, why it does not.
pub fn say_failed(why: &str) {
    if std::env::var_os(UPGRADE).is_none() {
        return;
    }
    let Ok(channel) = Channel::of_standard_input() else {
        return;
    };
    let lines: Vec<_> = why.lines().map(str::trim).collect();
    let why: String = lines.join("; ").chars().take(LONGEST_REASON).collect();
    // Who does not listen any more knows as much as it wants to.
    let _ = channel
        .set_patience(Some(LAST_WORDS))
        .and_then(|()| channel.send(&format!("{FAILED}{why}"), None));
}

/// How long a process that ends anyway waits to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// In characters; a packet has room for more.
const LONGEST_REASON: usize = 8 << 10;

fn unexpected(words: &str) -> HandoverError {
    std::io::Error::new(std::io::ErrorKind::InvalidData, format!("{words:?} came")).into()
}

/// `superseded PLACE` with nothing or an object's name between.
pub(super) fn superseded(place: &str, id: Option<ObjectId>) -> String {
    let id = id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    format!("{SUPERSEDED} {id} {place}")
}

fn read_superseded(words: &str) -> Option<(String, Option<ObjectId>)> {
    let rest = words.strip_prefix(SUPERSEDED)?.strip_prefix(' ')?;
    let (id, place) = rest.split_once(' ')?;
    let id = match id {
        "-" => None,
        id => Some(ObjectId::parse(id)?),
    };
    Some((place.to_owned(), id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_superseded_is_read_as_it_was_written() {
        for id in [None, Some(ObjectId([7; 16]))] {
            for place in ["http://a.example/b c", "", "é"] {
                let words = superseded(place, id);
                assert_eq!(read_superseded(&words), Some((place.to_owned(), id)));
            }
        }
        for wrong in ["", "superseded", "superseded -", "superseded x a", "done"] {
            assert_eq!(read_superseded(wrong), None, "{wrong}");
        }
    }
}
