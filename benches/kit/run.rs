//! What each bench does around its measuring.

use super::{
    namespace,
    servers::{self, Kind},
};
use std::{io, path::Path, process::ExitCode};

/// Goes where the machine's own network disturbs nothing, if it may, and sees to it that an
/// interrupted run leaves nothing behind.
pub fn prepare(no_namespace: bool) {
    if !no_namespace && let Some(reason) = namespace::enter() {
        eprintln!("note: {reason}; measuring in the machine's own network");
    }
    if let Err(error) = servers::end_when_interrupted() {
        eprintln!("note: an interrupted run will leave its servers behind: {error}");
    }
}

/// How a bench ends: whether all went right, or why it could not run.
pub fn exit_code(outcome: io::Result<bool>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The servers that are on this machine, with their versions.
pub fn present(wanted: &[Kind], tidegate: &Path) -> Vec<(Kind, String)> {
    let mut found = Vec::new();
    for kind in wanted {
        match kind.version(tidegate) {
            Some(version) => found.push((*kind, version)),
            None => eprintln!("note: {} is not here and left out", kind.name()),
        }
    }
    found
}

/// The servers with their numbers. Who goes first changes with every repetition.
pub fn in_turns(kinds: &[Kind], repetition: u64) -> Vec<(usize, Kind)> {
    let mut order: Vec<_> = kinds.iter().copied().enumerate().collect();
    if repetition % 2 == 1 {
        order.reverse();
    }
    order
}
