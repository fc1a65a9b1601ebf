//! Imports between the rooms of `src/` point down only.
//!
//! Read as text: comments, string literals and `#[cfg(test)]` items are taken out, then every
//! `crate::room` and every `use crate::{…}` counts as an import by the room that the file lies in.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What each room may import; a room may always import itself.
const TABLE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("traffic", &["domain"]),
    ("store", &["domain"]),
    ("secret", &[]),
    ("logs", &["domain"]),
    ("traces", &["domain", "secret"]),
    ("source", &["domain", "traffic", "traces"]),
    (
        "origin",
        &["domain", "traffic", "secret", "traces", "source"],
    ),
    ("fill", &["domain", "traffic", "traces", "source", "store"]),
    (
        "tier",
        &[
            "domain", "traffic", "secret", "traces", "source", "store", "fill",
        ],
    ),
    ("cache", &["domain", "traffic", "traces", "store", "fill"]),
    (
        "proxy",
        &["domain", "traffic", "logs", "traces", "cache", "origin"],
    ),
    (
        "admin",
        &[
            "domain", "traffic", "store", "logs", "source", "origin", "fill", "cache", "proxy",
            "tier",
        ],
    ),
    ("config", &[]),
    ("server", EVERYTHING),
    ("demo", EVERYTHING),
    ("command", EVERYTHING),
    ("main", EVERYTHING),
    ("lib", &[]),
];

const EVERYTHING: &[&str] = &[
    "domain", "traffic", "store", "source", "origin", "fill", "cache", "proxy", "admin", "config",
    "server", "demo", "logs", "secret", "tier", "traces",
];

/// Single names that may be imported against the table: settings, by those who read or hold them.
const SETTINGS: &[(&str, &str, &[&str])] = &[
    ("proxy", "fill", &["FinishWhen"]),
    ("config", "store", &["Config"]),
    (
        "config",
        "logs",
        &["Access", "Config", "Destination", "Format", "Rules"],
    ),
    (
        "config",
        "traces",
        &["CollectorConfig", "Config", "FieldValue", "Rules"],
    ),
    ("config", "fill", &["Config", "FinishWhen"]),
    (
        "config",
        "origin",
        &[
            "Balance",
            "Breaker",
            "Check",
            "Config",
            "Credentials",
            "Limit",
            "Redirects",
            "Resolving",
            "Retry",
            "SecretSource",
            "ServerConfig",
            "Tls",
        ],
    ),
    (
        "config",
        "domain",
        &[
            "Chosen",
            "ContentTtl",
            "Derivatives",
            "FieldRules",
            "ForwardedField",
            "FreshnessRules",
            "Groups",
            "HostPattern",
            "Kind",
            "OnBad",
            "Overrides",
            "Parameter",
            "QueryRules",
            "Scale",
            "Sizes",
            "Steps",
            "Template",
            "Trust",
            "Ttl",
            "Variants",
            "Words",
            "is_key_name",
            "is_word",
        ],
    ),
    ("config", "cache", &["Config"]),
    (
        "config",
        "traffic",
        &[
            "Burst", "Config", "Features", "Pace", "Pieces", "Rate", "Sending",
        ],
    ),
    (
        "config",
        "proxy",
        &[
            "Access",
            "Addresses",
            "Bypass",
            "Clients",
            "Config",
            "Cors",
            "KeyRules",
            "Matcher",
            "Mode",
            "PageOrigin",
            "PageOrigins",
            "Prefetch",
            "Rates",
            "Referers",
            "RequestIds",
            "Route",
            "RouteOrigin",
            "Signed",
            "SigningKey",
        ],
    ),
    ("config", "admin", &["Config"]),
    ("config", "tier", &["Config", "OnError", "Place"]),
    (
        "config",
        "server",
        &[
            "Admin",
            "Certificate",
            "Listen",
            "Server",
            "Settings",
            "Tls",
        ],
    ),
];

#[test]
fn imports_point_down_only() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in files(&source) {
        let room = room_of(&source, &file);
        let text = fs::read_to_string(&file).unwrap();
        for import in imports(&text) {
            if !is_allowed(&room, &import) {
                let file = file.strip_prefix(&source).unwrap().display();
                wrong.push(format!("{file}: {room} imports {}", import.join("::")));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "imports that point up:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_room_is_in_the_table() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rooms: BTreeSet<_> = files(&source)
        .iter()
        .map(|file| room_of(&source, file))
        .collect();
    for room in rooms {
        assert!(
            TABLE.iter().any(|(known, _)| *known == room),
            "{room} is not in the table"
        );
    }
}

fn is_allowed(room: &str, import: &[String]) -> bool {
    let target = import[0].as_str();
    if target == room || !EVERYTHING.contains(&target) {
        return true;
    }
    let row = TABLE.iter().find(|(known, _)| *known == room);
    if row.is_some_and(|(_, below)| below.contains(&target)) {
        return true;
    }
    SETTINGS.iter().any(|(who, whose, names)| {
        let name = import.get(1).map(String::as_str);
        // A room as such (`use crate::store;`) says nothing: its uses (`store::Config`) are found
        // by `qualified`.
        *who == room && *whose == target && name.is_none_or(|name| names.contains(&name))
    })
}

/// All `crate::…` paths of a file, each as its segments after `crate`, groups taken apart; a room
/// imported by its bare name counts with every name that is used through it.
fn imports(text: &str) -> Vec<Vec<String>> {
    let code = without_tests(&code_of(text));
    let mut found = Vec::new();
    let mut rest = code.as_str();
    while let Some(at) = rest.find("crate::") {
        let before = rest[..at].chars().next_back();
        rest = &rest[at + "crate::".len()..];
        if before.is_none_or(|c| !is_word(c) && c != '$') {
            paths(rest, &mut Vec::new(), &mut found);
        }
    }
    found.retain(|path| !path.is_empty());
    let bare: BTreeSet<_> = found.iter().filter_map(|path| bare_room(path)).collect();
    for room in bare {
        found.extend(qualified(&code, &room));
    }
    found
}

/// The room that a path imports as such.
fn bare_room(path: &[String]) -> Option<String> {
    match path {
        [room] => Some(room.clone()),
        [room, own] if own == "self" => Some(room.clone()),
        _ => None,
    }
}

/// Names used as `room::Name`.
fn qualified(code: &str, room: &str) -> Vec<Vec<String>> {
    let needle = format!("{room}::");
    let places = code.match_indices(&needle);
    let places = places.filter(|(at, _)| {
        let before = code[..*at].chars().next_back();
        before.is_none_or(|c| !is_word(c) && c != ':')
    });
    let names = places.map(|(at, _)| word(&code[at + needle.len()..]));
    names
        .map(|name| vec![room.to_owned(), name.to_owned()])
        .collect()
}

/// Reads a path or a group of paths and returns what follows it.
fn paths<'a>(text: &'a str, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
            let before = rest.len();
            rest = paths(rest, prefix, found).trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest);
            if rest.len() == before {
                return rest;
            }
        }
    }
    let name = word(text);
    prefix.push(name.to_owned());
    let after = &text[name.len()..];
    let rest = match after.strip_prefix("::") {
        Some(rest) if !rest.starts_with('<') => paths(rest, prefix, found),
        _ => {
            found.push(prefix.clone());
            let alias = after.trim_start().strip_prefix("as ");
            alias.map_or(after, |alias| {
                &alias.trim_start()[word(alias.trim_start()).len()..]
            })
        }
    };
    prefix.pop();
    rest
}

fn word(text: &str) -> &str {
    let end = text.find(|c| !is_word(c) && c != '*').unwrap_or(text.len());
    &text[..end]
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The text without comments and without what stands in string literals.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("/*") {
            rest = &rest[rest.find("*/").map_or(rest.len(), |end| end + 2)..];
        } else if rest.starts_with("r\"") || rest.starts_with("r#") && !code.ends_with(is_word) {
            let hashes = rest[1..].chars().take_while(|&c| c == '#').count();
            let close = format!("\"{}", "#".repeat(hashes));
            let body = 2 + hashes;
            let end = rest.get(body..).and_then(|inner| inner.find(&close));
            rest = &rest[end.map_or(rest.len(), |end| body + end + close.len())..];
        } else if c == '"' {
            rest = after_string(&rest[1..]);
        } else if let Some(after) = ["'\"'", "'\\\"'", "'\\''", "'{'", "'}'"]
            .iter()
            .find_map(|literal| rest.strip_prefix(literal))
        {
            rest = after;
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    code
}

fn after_string(text: &str) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return &text[at + 1..],
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    ""
}

/// The code without items under `#[cfg(test)]`, up to their `;` or closing brace.
fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept += &rest[..at];
        rest = &rest[at..];
        let mut depth = 0;
        let end = rest.char_indices().find(|&(_, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => (),
            }
            depth == 0 && (c == '}' || c == ';')
        });
        rest = &rest[end.map_or(rest.len(), |(end, _)| end + 1)..];
    }
    kept + rest
}

fn room_of(source: &Path, file: &Path) -> String {
    let inside = file.strip_prefix(source).unwrap();
    let first = inside.components().next().unwrap().as_os_str();
    Path::new(first)
        .file_stem()
        .unwrap()
        .to_string_lossy()
        .into_owned()
}

/// All sources but those of unit tests, which may reach anywhere.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn imports_are_found_wherever_they_stand() {
    let text = r##"
        //! Not one: crate::proxy.
        use crate::{domain::{Grid, range::ByteRange as R}, store};
        /* nor crate::admin */
        fn f() -> crate::fill::Flight { store::open("crate::server"); r#"crate::demo"# }
        #[cfg(test)]
        mod tests { use crate::origin::Client; fn g() { } }
        fn h(x: $crate::cache::X) {}
    "##;
    let found: Vec<_> = imports(text).iter().map(|path| path.join("::")).collect();
    let expected = [
        "domain::Grid",
        "domain::range::ByteRange",
        "store",
        "fill::Flight",
        "store::open",
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_table_is_enforced() {
    let path = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
    assert!(is_allowed("fill", &path("store::Store")));
    assert!(!is_allowed("store", &path("fill::Flight")));
    assert!(!is_allowed("domain", &path("store")));
    assert!(is_allowed("proxy", &path("fill::FinishWhen")));
    assert!(!is_allowed("proxy", &path("fill::Flight")));
    assert!(is_allowed("config", &path("store::Config")));
    assert!(!is_allowed("config", &path("store::Store")));
}
