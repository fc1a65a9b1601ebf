//! One mapping and its keys: what a reader does not ask for is an unknown key.

use super::{
    node::{Entry, NOTHING, Value},
    spot::Spot,
};
use std::time::Duration;

/// The keys of one mapping, while they are being read.
#[derive(Debug)]
pub(super) struct Section<'s, 'a> {
    spot: &'s Spot<'a>,
    entries: &'a [Entry],
    known: Vec<&'static str>,
}

impl<'a> Spot<'a> {
    /// Reads a mapping by its keys; afterwards, keys that were not asked for are mistakes.
    /// A mapping with nothing in it (all of it commented out, say) is empty, not wrong.
    pub(super) fn section<T>(
        &self,
        read: impl FnOnce(&mut Section<'_, 'a>) -> Option<T>,
    ) -> Option<T> {
        let entries: &[Entry] = match self.value() {
            Value::Mapping(entries) => entries,
            Value::Null => &[],
            _ => return self.expected("a mapping (key: value)"),
        };
        let mut section = Section {
            spot: self,
            entries,
            known: Vec::new(),
        };
        let value = read(&mut section);
        section.refuse_unknown();
        value
    }
}

impl<'a> Section<'_, 'a> {
    /// A key that may be left out.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&Spot<'a>) -> Option<T>,
    ) -> Option<T> {
        self.known.push(key);
        // A duplicate is refused elsewhere; it is read all the same, for the mistakes in it.
        let values = self.entries.iter().filter(|entry| entry.key == key);
        values.fold(None, |first, entry| {
            let value = read(&self.spot.key(key, &entry.node));
            first.or(value)
        })
    }

    /// A key with a default.
    pub(super) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnMut(&Spot<'a>) -> Option<T>,
    ) -> T {
        self.optional(key, read).unwrap_or(default)
    }

    /// A key that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        read: impl FnMut(&Spot<'a>) -> Option<T>,
    ) -> Option<T> {
        if !self.has(key) {
            self.refuse(key, "required, but missing");
        }
        self.optional(key, read)
    }

    /// A section that is read as an empty one where it is left out: what it requires is missing
    /// then, the rest has its defaults.
    pub(super) fn inner<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&Spot<'a>) -> Option<T>,
    ) -> Option<T> {
        match self.has(key) {
            true => self.optional(key, read),
            false => {
                self.known.push(key);
                read(&self.spot.key(key, &NOTHING))
            }
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// Notes a mistake that shows only beside other keys.
    pub(super) fn refuse(&self, key: &'static str, message: impl Into<String>) {
        let entry = self.entries.iter().find(|entry| entry.key == key);
        let number = entry.map_or(self.spot.number(), |entry| entry.node.number);
        let path = self.spot.path_of(key);
        self.spot.reading().note(number, path, message.into());
    }

    /// Refuses a duration that is longer than another key's.
    pub(super) fn refuse_longer(
        &self,
        (key, value): (&'static str, Duration),
        (bound, most): (&'static str, Duration),
    ) {
        if value <= most {
            return;
        }
        let default = |key| if self.has(key) { "" } else { ", the default" };
        let message = format!(
            "expected at most {bound} ({}{}), found {}{}",
            humantime::format_duration(most),
            default(bound),
            humantime::format_duration(value),
            default(key),
        );
        self.refuse(key, message);
    }

    fn refuse_unknown(&self) {
        let unknown = |entry: &&Entry| !self.known.contains(&entry.key.as_str());
        for entry in self.entries.iter().filter(unknown) {
            let hint = hint(&entry.key, self.known.iter().copied());
            let message = format!("unknown key{hint} (known here: {})", self.known.join(", "));
            let path = self.spot.path_of(&entry.key);
            self.spot.reading().note(entry.number, path, message);
        }
    }
}

/// Asks whether a known word was meant, where one is near.
pub(super) fn hint<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> String {
    nearest(word, known).map_or(String::new(), |near| format!("; did you mean {near}?"))
}

/// The known word that a mistyped one is likely to mean.
fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let close = |known: &&str| distance(word, known) <= known.chars().count().div_ceil(3).min(2);
    // No key is that long, and the distance of two long words is slow to find.
    let short = word.len() <= 64;
    known
        .filter(|known| short && close(known))
        .min_by_key(|known| distance(word, known))
}

/// Insertions, removals and replacements of characters between two words (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, a) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (left, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[left + 1];
            row[left + 1] = replaced.min(diagonal + 1).min(row[left] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_single_edits() {
        for (from, to, edits) in [
            ("", "", 0),
            ("", "ab", 2),
            ("memory", "memory", 0),
            ("memroy", "memory", 2),
            ("thread", "threads", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(from, to), edits, "{from} {to}");
            assert_eq!(distance(to, from), edits, "{to} {from}");
        }
    }

    #[test]
    fn a_hint_is_given_only_for_a_near_miss() {
        let known = ["url", "threads", "drain"];
        let hint = |word| nearest(word, known.into_iter());
        assert_eq!(hint("uri"), Some("url"));
        assert_eq!(hint("thread"), Some("threads"));
        assert_eq!(hint("abc"), None);
        assert_eq!(hint("workers"), None);
    }
}
