//! `conf/tidegate.yaml` tells the truth: it is valid as it stands and with its comments taken off,
//! its defaults are the real ones, and it knows every key.

use super::{
    document, mistakes::Reading, node, node::Node, node::Value, parse, read, tests::MINIMAL,
};

const DOCUMENTED: &str = include_str!("../../conf/tidegate.yaml");

/// The documented file with lines brought to life that begin with one of the marks.
fn with(marks: &[&str]) -> String {
    let line = |line: &str| {
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        let bare = marks.iter().find_map(|mark| rest.strip_prefix(mark));
        format!("{indent}{}\n", bare.unwrap_or(rest))
    };
    DOCUMENTED.lines().map(line).collect()
}

const DEFAULT: &str = "# ";
const EXAMPLE: &str = "#: ";

#[test]
fn it_is_valid_as_it_stands_and_with_its_comments_taken_off() {
    for marks in [&[][..], &[DEFAULT], &[EXAMPLE], &[DEFAULT, EXAMPLE]] {
        if let Err(mistakes) = parse(&with(marks)) {
            panic!("with {marks:?}: {mistakes}");
        }
    }
}

#[test]
fn its_defaults_are_the_real_ones() {
    let show = |text: &str| format!("{:#?}", parse(text).unwrap());
    let minimal = format!("{MINIMAL}admin: {{address: 127.0.0.1:9090}}\n");
    assert_eq!(show(&with(&[])), show(&minimal));
    assert_eq!(show(&with(&[DEFAULT])), show(&minimal));
}

#[test]
fn every_commented_default_is_another_key() {
    // A default that is not brought to life would pass the test above unseen.
    let live = |text: &str| keys(&node::parse(text).unwrap());
    let commented = DOCUMENTED
        .lines()
        .filter(|line| line.trim_start().starts_with(DEFAULT))
        .count();
    assert_eq!(live(&with(&[DEFAULT])), live(DOCUMENTED) + commented);
}

fn keys(node: &Node) -> usize {
    match &node.value {
        Value::Mapping(entries) => entries.iter().map(|entry| 1 + keys(&entry.node)).sum(),
        Value::List(items) => items.iter().map(keys).sum(),
        _ => 0,
    }
}

/// Asks each section for the keys that it knows, by way of one that it cannot know.
#[test]
fn it_has_every_key_that_is_known() {
    let text = with(&[DEFAULT, EXAMPLE]);
    let mut root = node::parse(&text).unwrap();
    let mut seen = Vec::new();
    plant(&mut root, &mut seen);
    let reading = Reading::of_text();
    document::read(&root, &reading);
    let mistakes = reading.conclude(None::<()>, |_| None).unwrap_err();

    let mut known: Vec<String> = mistakes
        .iter()
        .filter(|mistake| mistake.message().starts_with("unknown key"))
        .flat_map(|mistake| {
            let section = mistake.path().strip_suffix(UNKNOWN).unwrap();
            let section = section.replace(['0', '1', '2'], "");
            let list = mistake.message().split_once("(known here: ").unwrap().1;
            let list = list.strip_suffix(')').unwrap().split(", ");
            list.map(move |key| format!("{section}{key}"))
                .collect::<Vec<_>>()
        })
        .collect();
    known.sort();
    known.dedup();
    assert!(known.len() > 40, "{known:#?}");
    let missing: Vec<_> = known.iter().filter(|key| !seen.contains(key)).collect();
    assert!(missing.is_empty(), "not documented: {missing:#?}");
}

const UNKNOWN: &str = "not-a-key-at-all";

/// Puts a key into every mapping that nobody knows, and lists the paths of those that were there.
fn plant(node: &mut Node, seen: &mut Vec<String>) {
    fn descend(node: &mut Node, path: &str, seen: &mut Vec<String>) {
        match &mut node.value {
            Value::List(items) => {
                for item in items {
                    descend(item, &format!("{path}[]"), seen);
                }
            }
            Value::Mapping(entries) => {
                let mut unknown = entries[0].clone();
                for entry in entries.iter_mut() {
                    let path = match path.is_empty() {
                        true => entry.key.clone(),
                        false => format!("{path}.{}", entry.key),
                    };
                    descend(&mut entry.node, &path, seen);
                    seen.push(path);
                }
                unknown.key = UNKNOWN.to_owned();
                entries.push(unknown);
            }
            _ => {}
        }
    }
    descend(node, "", seen);
}

#[test]
fn a_file_of_comments_alone_is_empty() {
    let mistakes = read("# nothing\n## at all\n", Reading::of_text()).unwrap_err();
    assert!(
        mistakes.to_string().contains("empty, but at least listen"),
        "{mistakes}"
    );
}
