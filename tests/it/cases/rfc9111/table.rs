//! `tests/rfc9111.md` and the tests name each other.

use std::{collections::BTreeSet, fs, path::Path};

/// What stands behind `fn` in all sources under a directory.
fn functions(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let named = text
                .lines()
                .filter_map(|line| line.trim_start().split_once("fn "));
            found.extend(named.map(|(_, rest)| {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                rest[..end.unwrap_or(rest.len())].to_owned()
            }));
        }
    }
}

/// The tests of this module: what stands behind a line that makes a test.
fn own_tests(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line.starts_with("#[tokio::test") || line == "#[test]" {
                let named = lines.by_ref().find_map(|line| line.split_once("fn "));
                let (_, rest) = named.expect("a test has a name");
                found.insert(rest.split('(').next().unwrap().to_owned());
            }
        }
    }
    found
}

/// The names in the last column of the table, and the rows that are none.
fn named(table: &str) -> (BTreeSet<String>, Vec<String>) {
    let (mut names, mut unread) = (BTreeSet::new(), Vec::new());
    let rows = table.split("\n## ").next().expect("the table comes first");
    for row in rows.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [section, level, requirement, test] = cells[..] else {
            unread.push(row.to_owned());
            continue;
        };
        let levels = ["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY"];
        if section.is_empty() || requirement.is_empty() || !levels.contains(&level) {
            unread.push(row.to_owned());
        }
        let tests = test.split(", ");
        names.extend(tests.map(|name| name.trim_matches('`').to_owned()));
    }
    (names, unread)
}

#[test]
fn the_table_names_tests_that_exist_and_all_of_these() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("tests/rfc9111.md")).unwrap();
    let (named, unread) = named(&table);
    assert!(
        unread.is_empty(),
        "not rows of the table:\n{}",
        unread.join("\n")
    );
    let mut known = BTreeSet::new();
    functions(&root.join("tests/it"), &mut known);
    functions(&root.join("src"), &mut known);
    let missing: Vec<_> = named.difference(&known).collect();
    assert!(missing.is_empty(), "named, but not there: {missing:#?}");
    let unnamed = own_tests(&root.join("tests/it/cases/rfc9111"));
    let unnamed: Vec<_> = unnamed
        .difference(&named)
        .filter(|name| *name != "the_table_names_tests_that_exist_and_all_of_these")
        .collect();
    assert!(unnamed.is_empty(), "there, but in no row: {unnamed:#?}");
}
