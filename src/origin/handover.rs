//! An answer's body that may be taken away from Pingora.
//!
//! Pingora reads an answer's body in the task that also answers the client. Where one is to wait for
//! the other, somebody else has to bring it in: the session keeps the body back until it is taken, or
//! given back to be read as usual.
//!
//! ```text
//!   offer ──► offered ──detach──► taken: to Pingora the body has ended
//!                │
//!                └──give_back──► given back: Pingora reads it
//! ```

use super::incoming::Incoming;
use crate::source::{Body, Detachable};
use parking_lot::Mutex;
use std::fmt;
use tokio::sync::watch;

/// What is to become of one answer's body.
pub struct Handover {
    body: Mutex<Option<Box<Incoming>>>,
    fate: watch::Sender<Fate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Taken,
    GivenBack,
}

impl Default for Handover {
    fn default() -> Self {
        Self {
            body: Mutex::new(None),
            fate: watch::Sender::new(Fate::Open),
        }
    }
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offered = self.body.lock().is_some();
        write!(f, "Handover({:?}, offered: {offered})", self.fate.borrow())
    }
}

impl Detachable for Handover {
    fn detach(&self) -> Option<Box<dyn Body>> {
        if *self.fate.borrow() != Fate::Open {
            return None;
        }
        let body = self.body.lock().take()?;
        self.fate.send_replace(Fate::Taken);
        Some(body)
    }

    fn leave(&self) {
        self.give_back();
    }
}

impl Handover {
    /// Lets Pingora read the body; false where it has been taken.
    pub fn give_back(&self) -> bool {
        let decide = |fate: &mut Fate| {
            let is_open = *fate == Fate::Open;
            if is_open {
                *fate = Fate::GivenBack;
            }
            is_open
        };
        self.fate.send_if_modified(decide)
    }

    /// Offers a body.
    pub(super) fn offer(&self, body: Box<Incoming>) {
        *self.body.lock() = Some(body);
    }

    /// Waits until it is decided what becomes of the body; `None` where it was taken.
    pub(super) async fn returned(&self) -> Option<Box<Incoming>> {
        // The sender is here: it can't be gone.
        let mut fate = self.fate.subscribe();
        let _ = fate.wait_for(|fate| *fate != Fate::Open).await;
        self.body.lock().take()
    }
}
