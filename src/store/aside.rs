//! Files that are there as a whole or not at all.

use super::paths::create_options;
use std::{
    fs,
    io::{self, Write},
    path::Path,
};

/// Writes a file aside and puts it in place in one step. Nobody else may be writing `aside`, of which
/// nothing is left where that fails.
pub fn replace(file: &Path, aside: &Path, content: &[u8]) -> io::Result<()> {
    let written = create_options()
        .create(true)
        .truncate(true)
        .open(aside)
        .and_then(|mut open| open.write_all(content))
        .and_then(|()| fs::rename(aside, file));
    if written.is_err() {
        let _ = fs::remove_file(aside);
    }
    written
}
