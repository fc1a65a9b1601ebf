//! One value with its path: where readers look, and where they say what is wrong.

use super::{
    mistakes::Reading,
    node::{Node, Value, quoted},
};
use std::fmt::Display;

/// One value of the configuration, its path, and the reading that it belongs to.
///
/// A *reader* is a function of a spot: it gives the value, or notes what is wrong and gives `None`.
#[derive(Debug)]
pub(super) struct Spot<'a> {
    path: String,
    node: &'a Node,
    reading: &'a Reading,
}

impl<'a> Spot<'a> {
    /// The whole configuration.
    pub(super) fn root(node: &'a Node, reading: &'a Reading) -> Self {
        Self {
            path: String::new(),
            node,
            reading,
        }
    }

    pub(super) fn value(&self) -> &'a Value {
        &self.node.value
    }

    pub(super) fn number(&self) -> usize {
        self.node.number
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn reading(&self) -> &'a Reading {
        self.reading
    }

    /// Refuses the value for what it is.
    pub(super) fn expected<T>(&self, expected: impl Display) -> Option<T> {
        self.refuse(format!("expected {expected}, found {}", self.value()))
    }

    /// Refuses the value with a message of one's own.
    pub(super) fn refuse<T>(&self, message: impl Into<String>) -> Option<T> {
        self.reading
            .note(self.node.number, self.path.clone(), message.into());
        None
    }

    /// The value of a key of this mapping.
    pub(super) fn key(&self, key: &str, node: &'a Node) -> Self {
        Self {
            path: self.path_of(key),
            node,
            reading: self.reading,
        }
    }

    /// The path of a key of this mapping.
    pub(super) fn path_of(&self, key: &str) -> String {
        let plain = |c: char| c.is_alphanumeric() || "_-".contains(c);
        let key = match !key.is_empty() && key.len() < 80 && key.chars().all(plain) {
            true => key.to_owned(),
            false => quoted(key),
        };
        match self.path.is_empty() {
            true => key,
            false => format!("{}.{key}", self.path),
        }
    }

    /// The items of a list that must have at least one.
    pub(super) fn items(&self, of: &str) -> Option<Vec<Spot<'a>>> {
        match self.value() {
            Value::List(items) if !items.is_empty() => Some(self.numbered(items)),
            _ => self.expected(format_args!("a list of at least one {of}")),
        }
    }

    /// The values of a list, each of which may stand only once; none if one of them is wrong.
    pub(super) fn distinct<T: PartialEq>(
        &self,
        of: &str,
        read: impl Fn(&Spot<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = self.items(of)?;
        let mut whole = true;
        let mut values = Vec::new();
        for item in &items {
            match read(item) {
                Some(value) if values.contains(&value) => {
                    item.refuse::<()>("stands earlier in this list already");
                }
                Some(value) => values.push(value),
                None => whole = false,
            }
        }
        whole.then_some(values)
    }

    fn numbered(&self, items: &'a [Node]) -> Vec<Spot<'a>> {
        let item = |(index, node)| Spot {
            path: format!("{}[{index}]", self.path),
            node,
            reading: self.reading,
        };
        items.iter().enumerate().map(item).collect()
    }

    /// Reports every key that stands twice in one mapping, here or below.
    pub(super) fn refuse_duplicates(&self) {
        match self.value() {
            Value::List(items) => self
                .numbered(items)
                .iter()
                .for_each(Self::refuse_duplicates),
            Value::Mapping(entries) => {
                for (index, entry) in entries.iter().enumerate() {
                    if entries[..index].iter().any(|other| other.key == entry.key) {
                        let message = "given more than once; a key may stand only once";
                        self.reading
                            .note(entry.number, self.path_of(&entry.key), message.into());
                    }
                    self.key(&entry.key, &entry.node).refuse_duplicates();
                }
            }
            _ => {}
        }
    }
}
