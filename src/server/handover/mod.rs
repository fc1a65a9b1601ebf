//! One process taking over from another: an upgrade of the binary without a refused connection, a
//! broken answer or a lost object.
//!
//! On SIGUSR2 the process starts the file that it was itself started from, which may be another by
//! now, with the same arguments. The new process does everything that can go wrong before it asks
//! for anything that the old one needs:
//!
//! ```text
//!   old                                     new
//!    │ "tidegate handover 1"                 │ reads the configuration
//!    │ "socket" + file, for each listener    │ takes those that it names, binds the rest
//!    │ "all" ──────────────────────────────► │ loads certificates, secrets, origins
//!    │ ◄────────────────────────── "prepared"│
//!    │ ends its writes, gives the store      │
//!    │ "store" + its lock ─────────────────► │ opens the store, accepts
//!    │ ◄─────────────────────────── "serving"│
//!    │ makes it systemd's main process       │
//!    │ "go" ───────────────────────────────► │ is on its own
//!    │ accepts no more, drains               │
//!    │ "superseded …" ──────────────────────►│ forgets it
//!    │ ◄───────────────────────────── "done" │
//! ```
//!
//! * The sockets are the same ones in both processes, so that at no time nobody listens. What waits
//!   to be accepted when the old process stops accepting is accepted by the new one.
//! * A connection over HTTP/1 that has been answered is kept for ten seconds more, so that a client
//!   that only pauses does not send its next request into a closing one; the answer to that says
//!   `Connection: close`. One over HTTP/2 gets a GOAWAY once it has asked
//!   something, and what it has asked is answered.
//! * So it is with the admin address. Whoever the old process has accepted there it answers before it
//!   ends, as the address is answered on: ready. What changes the store it refuses by then, with 503:
//!   that is the new process's to do.
//! * Where an operator has drained the old process (`POST /api/drain`) the new one is drained, too. It
//!   is told by the environment, which a version that does not know of it does not mind.
//! * The directory has one owner, see [`crate::store`]: the old process ends its writes before the
//!   lock passes, and checks every byte that it reads from then on, since the new one may evict
//!   what it reads. Of what its running fills bring in it keeps nothing but what can't be asked for
//!   again, in files that have no name.
//! * The old process decides. Where the new one ends, or says nothing for [`PATIENCE`], before "go",
//!   it is killed, and the old one goes on as before; it takes the store back where it had given it.
//! * An order to stop that comes before "go" calls it off: the new process hears no "go", and ends.
//! * A new process that fails says why ("failed …") before it ends, so that the reason is in the log of
//!   the old one, wherever that writes it.
//! * A version that does not know this conversation finds its ports taken and ends: nothing changes.

mod channel;
mod heir;
mod predecessor;

pub(super) use heir::{Decision, hand_over};
pub(super) use predecessor::Predecessor;
pub use predecessor::say_failed;

use std::{io, time::Duration};

/// Why a handover did not come about.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// The new process can't be started.
    #[error("{} can't be started: {source}", file.display())]
    Spawn {
        /// The file.
        file: std::path::PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The disk does not come to an end with what it has to write.
    #[error("the store can't be given away: {0}")]
    Store(#[source] io::Error),
    /// The new process has ended; what it said stands in the log before this.
    #[error("the new process ended ({0})")]
    Ended(String),
    /// The new process has said why it can't take over.
    #[error("the new process can't: {0}")]
    Refused(String),
    /// The other process says something else.
    #[error("the other process did not answer as expected: {0}")]
    Conversation(#[source] io::Error),
    /// The other process says nothing in time.
    #[error("the other process says nothing: it hangs, or is not a Tidegate that takes over")]
    Silent,
    /// The variable is there, the other process is not.
    #[error(
        "{UPGRADE} is set, but standard input does not lead to a Tidegate that hands over; it is set by a running Tidegate that is sent SIGUSR2, and by nobody else"
    )]
    Nobody,
}

impl From<io::Error> for HandoverError {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::WouldBlock => Self::Silent,
            _ => Self::Conversation(e),
        }
    }
}

/// What tells a process that it takes over.
const UPGRADE: &str = "TIDEGATE_UPGRADE";
/// Its value where an operator has drained the process before; any other says nothing.
const DRAINED: &str = "drained";

const GREETING: &str = "tidegate handover 1";
const SOCKET: &str = "socket";
const ALL: &str = "all";
const PREPARED: &str = "prepared";
const STORE: &str = "store";
const SERVING: &str = "serving";
const GO: &str = "go";
const SUPERSEDED: &str = "superseded";
const DONE: &str = "done";
const FAILED: &str = "failed ";

/// The longest silence of the other process: loading certificates and secrets takes less.
const PATIENCE: Duration = Duration::from_secs(30);
