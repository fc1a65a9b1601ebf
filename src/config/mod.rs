//! The configuration file turned into checked settings.
//!
//! What it is for: one YAML file in, [`Settings`] out, or *every* mistake of the file at once, each
//! with its path in the file (`origins.media.servers[0].url`), what was expected, what was found
//! and the line. Nobody should have to start a proxy three times to learn of three typing errors.
//!
//! What it promises: settings that come out of here need no further checks. Defaults are those of
//! the rooms' own types and are not repeated here. [`load`] tries what only trying can tell (is the
//! cache directory writable, can the key be read, is there a secret where one should be) and leaves
//! nothing behind; [`parse`] touches neither the file system nor the environment.
//!
//! What it never does: start anything, guess at what a wrong value meant, stop at the first mistake.
//!
//! | file | what it holds |
//! |---|---|
//! | `node.rs` | the text as a tree that keeps order, duplicates and positions |
//! | `mistakes.rs` | what is handed back when something is wrong |
//! | `spot.rs`, `section.rs` | reading the tree: one value with its path, one mapping with its keys |
//! | `scalar.rs`, `address.rs`, `files.rs` | readers of single values |
//! | `hosts.rs`, `fields.rs` | readers of host names and of header fields |
//! | `process.rs`, `logs.rs`, `traces.rs`, `clients.rs`, `storage.rs`, `resolver.rs` | the sections, each a table of its keys |
//! | `tier.rs` | the section of the second tier |
//! | `origins.rs` | the origins, with `servers.rs`, `guard.rs` and `credentials.rs` |
//! | `routes.rs` | the routes, with `matching.rs` (what a route takes) and `legs.rs` (its origins) |
//! | `freshness.rs` | how long a route's answers are fresh |
//! | `access.rs`, `rate.rs`, `cors.rs` | who may ask for what a route has, how often, and from which pages |
//! | `delivery.rs` | how a route's answers are sent |
//! | `key.rs`, `variants.rs`, `scale.rs` | what tells a route's objects apart, and the derivatives of one |
//! | `document.rs` | the sections put together |
//! | `in_force.rs` | the document with the defaults of what it leaves out |
//! | `shown.rs` | the document as an operator may see it |

mod access;
mod address;
mod clients;
mod cors;
mod credentials;
mod delivery;
mod document;
mod fields;
mod files;
mod freshness;
mod guard;
mod hosts;
mod in_force;
mod key;
mod legs;
mod logs;
mod matching;
mod mistakes;
mod node;
mod origins;
mod prefetch;
mod process;
mod rate;
mod resolver;
mod routes;
mod scalar;
mod scale;
mod section;
mod servers;
mod shown;
mod spot;
mod storage;
mod tier;
mod traces;
mod variants;

#[cfg(test)]
mod documented;
#[cfg(test)]
mod tests;

pub use mistakes::{Mistake, Mistakes};

use crate::server::Settings;
use mistakes::Reading;
use std::path::{Path, PathBuf};

/// Reads and checks a configuration file. Relative paths in it start at the file's folder.
pub fn load(path: &Path) -> Result<Settings, Mistakes> {
    let text = files::text(path).map_err(|why| Mistakes::of_file(path, why))?;
    // An absolute folder, so that what is stored still holds if the process changes its own.
    let folder = std::path::absolute(path)
        .ok()
        .and_then(|file| file.parent().map(Path::to_path_buf))
        .unwrap_or_else(|| PathBuf::from("."));
    read(&text, Reading::with_files(folder)).map_err(|mistakes| mistakes.named(path))
}

/// Checks a configuration's text without touching the file system: relative paths stay as they
/// are, and whether files, folders and environment variables can be used is not asked.
pub fn parse(text: &str) -> Result<Settings, Mistakes> {
    read(text, Reading::of_text())
}

fn read(text: &str, reading: Reading) -> Result<Settings, Mistakes> {
    let root = node::parse(text).map_err(Mistakes::of_text)?;
    let settings = document::read(&root, &reading);
    reading.conclude(settings, |node| node::line(text, node))
}
