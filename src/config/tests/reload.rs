//! Every key that is documented either changes at a reload or is named as one that can't.

use super::super::{
    document,
    documented::{EXAMPLE, general},
    in_force::{DEFAULT, documented},
    mistakes::Reading,
    node::{self, Node, Value},
};
use crate::server::Settings;
use std::collections::BTreeSet;

/// Values of every kind that there is; one of them is another valid one for almost every key.
const CANDIDATES: &[&str] = &[
    "3",
    "7",
    "2KiB",
    "64KiB",
    "128KiB",
    "64MiB",
    "11GiB",
    "2s",
    "90s",
    "7%",
    "9/s",
    "404",
    "127.0.0.1:7",
    "10.0.0.0/9",
    "::3",
    "http://elsewhere.example:81",
    "https://elsewhere.example",
    "elsewhere.example",
    "/elsewhere",
    "elsewhere",
    "refuse",
    "Forwarded",
    "GET",
    "X-Elsewhere",
    "all",
    "always",
    "hash",
    "drop",
    "word",
    "store_first",
    "debug",
    "json",
    "text",
    "everybody",
    "502",
];

fn read(root: &Node) -> Option<Settings> {
    let reading = Reading::of_text();
    let settings = document::read(root, &reading);
    reading.conclude(settings, |_| None).ok()
}

fn shown(settings: &Settings) -> String {
    format!("{settings:?}")
}

/// Puts other values in the place of each one that stands alone, until one is `seen` as another;
/// returns the keys for which none is.
fn change_each(root: &Node, seen: &mut dyn FnMut(&str, Settings) -> bool) -> Vec<String> {
    let mut unchanged = Vec::new();
    for (path, number) in leaves(root, "") {
        let candidates = CANDIDATES.iter().map(|text| {
            let parsed = node::parse(text).map(|node| node.value);
            parsed.unwrap_or_else(|_| Value::Text((*text).to_owned()))
        });
        let flips = [true, false].map(Value::Bool);
        let took = flips.into_iter().chain(candidates).any(|value| {
            let mut changed = root.clone();
            replace(&mut changed, number, &value);
            read(&changed).is_some_and(|settings| seen(&path, settings))
        });
        if !took {
            unchanged.push(general(&path));
        }
    }
    unchanged
}

fn leaves(node: &Node, path: &str) -> Vec<(String, usize)> {
    match &node.value {
        Value::List(items) => {
            let path = format!("{path}[]");
            items.iter().flat_map(|item| leaves(item, &path)).collect()
        }
        Value::Mapping(entries) => {
            let below = entries.iter().flat_map(|entry| {
                let dot = if path.is_empty() { "" } else { "." };
                leaves(&entry.node, &format!("{path}{dot}{}", entry.key))
            });
            below.collect()
        }
        _ => vec![(path.to_owned(), node.number)],
    }
}

fn replace(node: &mut Node, number: usize, value: &Value) {
    if node.number == number {
        node.value = value.clone();
        return;
    }
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|i| replace(i, number, value)),
        Value::Mapping(entries) => entries
            .iter_mut()
            .for_each(|entry| replace(&mut entry.node, number, value)),
        _ => {}
    }
}

#[test]
fn every_key_changes_or_is_named() {
    let root = node::parse(&documented(&[DEFAULT, EXAMPLE])).unwrap();
    let base = read(&root).unwrap();
    let mut named = BTreeSet::new();
    let mut check = |path: &str, new: Settings| {
        let wanted = shown(&new);
        if wanted == shown(&base) {
            return false;
        }
        let (reloaded, later) = base.reloaded(new);
        match &later[..] {
            [] => assert_eq!(shown(&reloaded), wanted, "{path} is neither"),
            [key] => {
                assert!(path.starts_with(key), "{path} is called {key}");
                assert_eq!(shown(&reloaded), shown(&base), "{path} is both");
                named.insert(*key);
            }
            more => panic!("{path}: {more:?}"),
        }
        true
    };
    let unchanged = change_each(&root, &mut check);
    // Origins and routes are taken over whole: there it does not matter which of their keys differ.
    // Of the tier no other kind has the same keys.
    let is_whole = |path: &&String| {
        path.starts_with("origins.") || path.starts_with("routes[]") || *path == "tier.kind"
    };
    let untried: Vec<_> = unchanged.iter().filter(|path| !is_whole(path)).collect();
    assert_eq!(untried, [""; 0], "no candidate is another value of these");
    let expected = [
        "admin.address",
        "cache.chunk_size",
        "cache.directory",
        "cache.memory",
        "cache.open_objects",
        "cache.reads",
        "cache.write_queue",
        "cache.writes",
        "fill.in_flight",
        "listen",
        "log.access.file",
        "log.access.format",
        "log.file",
        "log.format",
        "server.origin_idle_connections",
        "server.threads",
        "tier",
    ];
    assert_eq!(Vec::from_iter(named), expected);
}
