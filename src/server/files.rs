//! The files that the process may have open, shared out before anybody comes: a client too many is
//! turned away at the door and counted, instead of finding no file for what it asks for.

use super::Settings;
use crate::proxy::Clients;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A client's connection, and its side to the origin or the object that it reads.
const PER_CONNECTION: u64 = 2;
/// So many connections of clients are many.
const MANY: usize = 1024;
/// Of the files one in so many is for objects that nobody reads.
const OPEN: u64 = 8;
/// Listeners, logs, event loops, the lock of the store, and what is opened for a moment.
const OWN: u64 = 128;

/// Raises the system's limit as far as it may be, and says how many connections of clients fit
/// into it: those that are configured, or fewer.
pub(super) fn connections(settings: &Settings) -> usize {
    let wanted = settings.clients.max_connections;
    let fits = raised().map_or(wanted, |limit| connections_within(limit, settings));
    if fits < wanted {
        // Nobody has asked for the default, as long as there are many.
        let level = match wanted == Clients::default().max_connections && fits >= MANY {
            true => log::Level::Info,
            false => log::Level::Warn,
        };
        log::log!(
            level,
            "clients.max_connections: {wanted} do not fit into the system's limit of open files, \
             {fits} do; raise the limit (LimitNOFILE= or ulimit -Hn) to {}",
            needed(settings)
        );
    }
    fits
}

/// Objects that may be held open while nobody reads them: those that are configured, or fewer where
/// clients would have no files.
pub(super) fn open_objects(settings: &Settings) -> usize {
    let wanted = settings.store.open_objects;
    let limit = raised().unwrap_or(u64::MAX);
    wanted.min(usize::try_from(limit / OPEN).unwrap_or(usize::MAX).max(1))
}

/// The limit in force from now on; `None` where there is none.
fn raised() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}

/// Files for everything but clients.
fn reserved(settings: &Settings) -> u64 {
    let origins = settings.origins.iter().map(|o| o.limit.requests as u64);
    let idle = settings.server.origin_idle_connections as u64;
    OWN + origins.sum::<u64>() + idle + settings.store.open_objects as u64
}

/// Files for all that is configured.
fn needed(settings: &Settings) -> u64 {
    let clients = settings.clients.max_connections as u64;
    reserved(settings) + clients.saturating_mul(PER_CONNECTION)
}

/// The configured connections, or as many as a limit of open files has room for: half of it is
/// theirs in any case, as all else can do with less, and they are one at least.
fn connections_within(limit: u64, settings: &Settings) -> usize {
    let others = reserved(settings).min(limit / 2);
    let room = (limit - others) / PER_CONNECTION;
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    settings.clients.max_connections.min(room).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn settings(max_connections: usize) -> Settings {
        let text = "
            listen: [{address: 127.0.0.1:0}]
            cache: {directory: /nowhere, open_objects: 100}
            origins: {o: {servers: [{url: http://127.0.0.1:1}], limit: {requests: 10}}}
            routes: [{path: /, origins: [o]}]";
        let settings = config::parse(text).unwrap();
        Settings {
            clients: Clients {
                max_connections,
                ..settings.clients.clone()
            },
            ..settings
        }
    }

    #[test]
    fn as_many_clients_as_there_are_files_for() {
        let settings = settings(1000);
        let all = needed(&settings);
        assert_eq!(all, OWN + 10 + 128 + 100 + 2000);
        let table = [
            (u64::MAX, 1000),
            (all, 1000),
            (all - 1, 999),
            (all - 1000, 500),
            (400, 100),
            (0, 1),
        ];
        for (limit, fits) in table {
            assert_eq!(connections_within(limit, &settings), fits, "{limit}");
        }
    }
}
