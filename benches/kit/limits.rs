//! What the system lets this process and those that it starts have.

use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};

/// Ten thousand clients, as many again towards origins, and files.
const OPEN_FILES: u64 = 65_536;
const HASTE: i32 = -10;

/// Raises the number of files that may be open, here and in all that is started from here, as far
/// as that is allowed; gives what it is now.
pub fn raise_open_files() -> u64 {
    let now = getrlimit(Resource::Nofile);
    let maximum = now.maximum.map_or(OPEN_FILES, |it| it.max(OPEN_FILES));
    let wanted = |maximum| Rlimit {
        current: maximum,
        maximum,
    };
    // Beyond the hard limit only a privileged user gets; up to it, everybody.
    if setrlimit(Resource::Nofile, wanted(Some(maximum))).is_err() {
        let _ = setrlimit(Resource::Nofile, wanted(now.maximum));
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Lets the calling thread go first where that is allowed: it stands for a client on a machine of
/// its own, which does not wait for the load that others make here.
pub fn hurry() {
    let _ = setpriority_process(None, HASTE);
}
