//! A document with the defaults of what it leaves out: what is in force, as it would be written.
//!
//! The defaults are read off the file that documents every key, where a test holds them to be the
//! real ones. What is off or absent by default has no default there, and is left out here too.

use super::node::{self, Entry, Node, Value};
use std::{iter::zip, sync::LazyLock};

const DOCUMENTED: &str = include_str!("../../conf/tidegate.yaml");

/// The mark of a line that is a default.
pub(super) const DEFAULT: &str = "# ";

/// Keys of an origin whose default is what another one says, where that is there.
const FOLLOWING: [(&str, &str); 2] = [
    ("tls_timeout", "connect_timeout"),
    ("first_byte_timeout", "read_timeout"),
];

/// The documented file with lines brought to life that begin with one of the marks.
pub(super) fn documented(marks: &[&str]) -> String {
    let line = |line: &str| {
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        let bare = marks.iter().find_map(|mark| rest.strip_prefix(mark));
        format!("{indent}{}\n", bare.unwrap_or(rest))
    };
    DOCUMENTED.lines().map(line).collect()
}

/// All defaults, in their places: of the items of a list, and of what has a name of the operator's,
/// those of one.
static DEFAULTS: LazyLock<Option<Node>> = LazyLock::new(|| {
    let read = |marks: &[&str]| node::parse(&documented(marks)).ok();
    let mut all = read(&[DEFAULT])?;
    remove(&mut all, &read(&[])?);
    Some(all)
});

/// A document that says all that is in force.
pub(super) fn with_defaults(document: &Node) -> Node {
    let mut whole = document.clone();
    if let Some(defaults) = &*DEFAULTS {
        complete(&mut whole, defaults);
    }
    whole
}

/// Takes away what is no default: what the documented file itself has to say.
fn remove(from: &mut Node, said: &Node) {
    match (&mut from.value, &said.value) {
        (Value::Mapping(entries), Value::Mapping(said)) => entries.retain_mut(|entry| {
            let Some(said) = said.iter().find(|said| said.key == entry.key) else {
                return true;
            };
            remove(&mut entry.node, &said.node);
            holds_anything(&entry.node)
        }),
        // A section of which all is a default.
        (Value::Mapping(_), Value::Null) => {}
        (Value::List(items), Value::List(said)) => {
            for (item, said) in zip(items, said) {
                remove(item, said);
            }
        }
        (value, _) => *value = Value::Null,
    }
}

fn holds_anything(node: &Node) -> bool {
    match &node.value {
        Value::Null => false,
        Value::Mapping(entries) => !entries.is_empty(),
        Value::List(items) => items.iter().any(holds_anything),
        _ => true,
    }
}

fn complete(own: &mut Node, default: &Node) {
    match (&mut own.value, &default.value) {
        (Value::Mapping(entries), Value::Mapping(defaults)) => {
            for default in defaults {
                match entries.iter_mut().find(|entry| entry.key == default.key) {
                    Some(entry) if entry.key == "origins" => each(&mut entry.node, &default.node),
                    Some(entry) => complete(&mut entry.node, &default.node),
                    None => entries.push(default.clone()),
                }
            }
        }
        (Value::List(items), Value::List(defaults)) => {
            for item in items {
                defaults.iter().for_each(|default| complete(item, default));
            }
        }
        (value @ Value::Null, Value::Mapping(_)) => *value = default.value.clone(),
        _ => {}
    }
}

/// Completes the origins, which have names of the operator's.
fn each(own: &mut Node, default: &Node) {
    if let (Value::Mapping(entries), Value::Mapping(defaults)) = (&mut own.value, &default.value) {
        for entry in entries {
            follow(&mut entry.node);
            let defaults = defaults.iter();
            defaults.for_each(|default| complete(&mut entry.node, &default.node));
        }
    }
}

fn follow(origin: &mut Node) {
    let Value::Mapping(entries) = &mut origin.value else {
        return;
    };
    for (key, followed) in FOLLOWING {
        if entries.iter().any(|entry| entry.key == key) {
            continue;
        }
        if let Some(leader) = entries.iter().find(|entry| entry.key == followed) {
            let key = key.to_owned();
            entries.push(Entry {
                key,
                ..leader.clone()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{document, documented::EXAMPLE, mistakes::Reading, shown, tests::MINIMAL};

    fn settings(node: &Node) -> String {
        let reading = Reading::of_text();
        let settings = document::read(node, &reading);
        let settings = reading.conclude(settings, |_| None);
        let mut settings = settings.unwrap_or_else(|mistakes| panic!("{mistakes}"));
        settings.shown.clear();
        format!("{settings:#?}")
    }

    #[test]
    fn it_means_what_the_document_means() {
        let mut texts: Vec<String> = [&[][..], &[EXAMPLE], &[DEFAULT], &[DEFAULT, EXAMPLE]]
            .map(documented)
            .into();
        texts.push(MINIMAL.to_owned());
        texts.push(MINIMAL.replace("servers", "connect_timeout: 1s, read_timeout: 61s, servers"));
        let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/examples");
        for file in std::fs::read_dir(examples).unwrap() {
            texts.push(std::fs::read_to_string(file.unwrap().path()).unwrap());
        }
        assert!(texts.len() > 15);
        for text in texts {
            let document = node::parse(&text).unwrap();
            assert_eq!(settings(&with_defaults(&document)), settings(&document));
        }
    }

    #[test]
    fn defaults_stand_beside_what_is_said() {
        let text = r#"
            listen: [{address: "127.0.0.1:1"}, {address: "127.0.0.1:2", h2c: true}]
            cache: {directory: /nowhere, max_size: 1GiB}
            log:
            origins:
              media:
                connect_timeout: 1s
                limit: {requests: 7}
                servers: [{url: "http://a:1"}]
              other:
                servers: [{url: "http://a:1", weight: 3}, {url: "http://b:1"}]
            routes: [{pattern: "^/a", origins: [media], mode: store_first}, {path: /, origins: [other]}]
        "#;
        let whole = with_defaults(&node::parse(text).unwrap());
        let shown = serde_json::Value::Object(shown::without_secrets(&whole));
        for (path, value) in [
            ("/server/drain", "30s"),
            ("/log/level", "info"),
            ("/cache/max_size", "1GiB"),
            ("/cache/chunk_size", "1MiB"),
            ("/origins/media/tls_timeout", "1s"),
            ("/origins/other/tls_timeout", "5s"),
            ("/origins/media/breaker/open", "60s"),
            ("/routes/0/mode", "store_first"),
            ("/routes/1/mode", "streaming"),
            ("/routes/1/delivery/range/segment", "256KiB"),
        ] {
            let told = shown.pointer(path).and_then(serde_json::Value::as_str);
            assert_eq!(told, Some(value), "{path} in {shown:#}");
        }
        for (path, value) in [
            ("/origins/media/limit/requests", 7),
            ("/origins/media/limit/queue", 50),
            ("/origins/other/servers/0/weight", 3),
            ("/origins/other/servers/1/weight", 1),
        ] {
            let told = shown.pointer(path).and_then(serde_json::Value::as_i64);
            assert_eq!(told, Some(value), "{path} in {shown:#}");
        }
        // What only the documented file says is nobody's default.
        for absent in [
            "/admin",
            "/routes/0/path",
            "/listen/0/tls",
            "/origins/media/host",
        ] {
            assert_eq!(shown.pointer(absent), None, "{absent} in {shown:#}");
        }
        assert_eq!(shown["listen"][0]["h2c"], false);
        assert_eq!(shown["listen"][1]["h2c"], true);
    }
}
