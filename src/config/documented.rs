//! `conf/tidegate.yaml` tells the truth: it is valid as it stands and with its comments taken off,
//! its defaults are the real ones, and it knows every key.

use super::{
    document,
    in_force::{DEFAULT, documented},
    mistakes::Reading,
    node,
    node::Node,
    node::Value,
    parse, read,
    tests::MINIMAL,
};
use crate::origin::Check;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const EXAMPLE: &str = "#: ";

#[test]
fn it_is_valid_as_it_stands_and_with_its_comments_taken_off() {
    for marks in [&[][..], &[DEFAULT], &[EXAMPLE], &[DEFAULT, EXAMPLE]] {
        if let Err(mistakes) = parse(&documented(marks)) {
            panic!("with {marks:?}: {mistakes}");
        }
    }
}

#[test]
fn its_defaults_are_the_real_ones() {
    let show = |text: &str| {
        let mut settings = parse(text).unwrap();
        // The text itself, which differs.
        settings.shown.clear();
        format!("{settings:#?}")
    };
    let minimal = format!("{MINIMAL}admin: {{address: 127.0.0.1:9090}}\n");
    assert_eq!(show(&documented(&[])), show(&minimal));
    assert_eq!(show(&documented(&[DEFAULT])), show(&minimal));
}

#[test]
fn every_commented_default_is_another_key() {
    // A default that is not brought to life would pass the test above unseen.
    let live = |text: &str| keys(&node::parse(text).unwrap());
    let bare = documented(&[]);
    let commented = bare
        .lines()
        .filter(|line| line.trim_start().starts_with(DEFAULT))
        .count();
    assert_eq!(live(&documented(&[DEFAULT])), live(&bare) + commented);
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
    let text = documented(&[DEFAULT, EXAMPLE]);
    let mut root = node::parse(&text).unwrap();
    let mut seen = Vec::new();
    plant(&mut root, &mut seen);
    let reading = Reading::of_text();
    document::read(&root, &reading);
    let mistakes = reading.conclude(None::<()>, |_| None).unwrap_err();

    let sections: BTreeMap<String, &str> = mistakes
        .iter()
        .filter(|mistake| mistake.message().starts_with("unknown key"))
        .map(|mistake| {
            let section = mistake.path().strip_suffix(UNKNOWN).unwrap();
            let list = mistake.message().split_once("(known here: ").unwrap().1;
            (general(section), list.strip_suffix(')').unwrap())
        })
        .collect();
    // Where a secret is comes from one reader, which knows the same keys in every place.
    let is_secret = |section: &str| sections.get(section) == Some(&"file, env");
    let place = |section: &str, key: &str| match is_secret(section) {
        true => format!("a secret's {key}"),
        false => format!("{section}{key}"),
    };
    let seen: BTreeSet<String> = seen
        .iter()
        .map(|path| {
            let key = path.rfind('.').map_or(0, |dot| dot + 1);
            place(&general(&path[..key]), &path[key..])
        })
        .collect();
    let known: BTreeSet<String> = sections
        .iter()
        .flat_map(|(section, list)| list.split(", ").map(move |key| place(section, key)))
        .collect();
    assert!(known.len() > 120, "{known:#?}");
    let missing: Vec<_> = known.difference(&seen).collect();
    assert!(missing.is_empty(), "not documented: {missing:#?}");
}

/// A path without what differs among places that are read alike: the numbers of items, and the
/// names of origins and of variants' parameters.
pub(super) fn general(path: &str) -> String {
    let mut general = String::new();
    let mut in_brackets = false;
    for c in path.chars() {
        in_brackets = c == '[' || in_brackets && c != ']';
        if !(in_brackets && c.is_ascii_digit()) {
            general.push(c);
        }
    }
    for of in ["origins.", "routes[].variants.parameters."] {
        let named = general.strip_prefix(of);
        if let Some((_, rest)) = named.and_then(|rest| rest.split_once('.')) {
            return format!("{of}*.{rest}");
        }
    }
    general
}

#[test]
fn the_check_that_is_shown_has_the_defaults() {
    let settings = parse(&documented(&[EXAMPLE])).unwrap();
    let check = Check::of("/healthz".into());
    assert_eq!(settings.origins[0].check, Some(check));
}

#[test]
fn the_tier_that_is_shown_has_the_defaults() {
    let settings = parse(&documented(&[EXAMPLE])).unwrap();
    let tier = settings.tier.unwrap();
    assert_eq!(tier, crate::tier::Config::at(tier.place.clone()));
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

proptest! {
    #[test]
    fn damage_to_any_key_never_panics_and_is_never_refused_without_a_word(
        from in 0.0..1.0f64,
        length in 0..20usize,
        by in "[a-z0-9/$ \n:\\-\\[\\]{}]{0,8}",
    ) {
        let whole: Vec<char> = documented(&[DEFAULT, EXAMPLE]).chars().collect();
        let from = (whole.len() as f64 * from) as usize;
        let to = (from + length).min(whole.len());
        let before = whole[..from].iter().copied();
        let after = whole[to..].iter().copied();
        if let Err(mistakes) = parse(&before.chain(by.chars()).chain(after).collect::<String>()) {
            prop_assert!(mistakes.iter().count() > 0);
        }
    }
}

#[test]
fn a_file_of_comments_alone_is_empty() {
    let mistakes = read("# nothing\n## at all\n", Reading::of_text()).unwrap_err();
    assert!(
        mistakes.to_string().contains("empty, but at least listen"),
        "{mistakes}"
    );
}
