//! The text as a tree. Unlike serde_yaml's own value it keeps a mapping's entries in order with
//! their duplicates, so that all of these can be reported, and it numbers its nodes.
//!
//! serde_yaml tells positions only through errors, and gives an error of ours the position of the
//! node that raised it. So the line of node *n* is found by reading the text once more and raising
//! an error at node *n*: cheap enough for the few nodes that are wrong, free for files that are right.

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};
use std::{borrow::Cow, cell::Cell, fmt};

/// One value of the tree.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Its number: nodes, keys among them, are counted in the order of the text from 0, the root.
    pub(super) number: usize,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// One entry of a mapping. YAML allows any value as a key; here all become text.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The number of the key's node.
    pub(super) number: usize,
    pub(super) key: String,
    pub(super) node: Node,
}

/// A mapping that leaves everything out.
pub(super) static NOTHING: Node = Node {
    number: 0,
    value: Value::Null,
};

/// Reads a text of exactly one document with something in it.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let root = match documents.next() {
        Some(document) => (&Numbering::whole())
            .deserialize(document)
            .map_err(|error| format!("not valid YAML: {error}"))?,
        None => NOTHING.clone(),
    };
    match (&root.value, documents.next()) {
        (_, Some(_)) => Err("expected one YAML document, found a second one after \"---\"".into()),
        (Value::Null, _) => Err(EMPTY.into()),
        _ => Ok(root),
    }
}

const EMPTY: &str = "empty, but at least listen, cache.directory, origins and routes are needed";

/// The line, from 1, on which a node begins.
pub(super) fn line(text: &str, number: usize) -> Option<usize> {
    let document = serde_yaml::Deserializer::from_str(text).next()?;
    let error = (&Numbering::stop_at(number)).deserialize(document).err()?;
    error.location().map(|location| location.line())
}

/// Builds the tree, counting; stops with an error at one node if told so.
struct Numbering {
    next: Cell<usize>,
    stop: Option<usize>,
}

impl Numbering {
    fn whole() -> Self {
        Self {
            next: Cell::new(0),
            stop: None,
        }
    }

    fn stop_at(number: usize) -> Self {
        Self {
            next: Cell::new(0),
            stop: Some(number),
        }
    }
}

impl<'de> DeserializeSeed<'de> for &Numbering {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let number = self.next.replace(self.next.get() + 1);
        let value = deserializer.deserialize_any(Branch {
            numbering: self,
            stop: self.stop == Some(number),
        })?;
        Ok(Node { number, value })
    }
}

/// Takes one node's value.
struct Branch<'a> {
    numbering: &'a Numbering,
    stop: bool,
}

impl Branch<'_> {
    fn take<E: Error>(&self, value: Value) -> Result<Value, E> {
        if self.stop {
            return Err(E::custom("the node that was asked for"));
        }
        Ok(value)
    }
}

impl<'de> Visitor<'de> for Branch<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a plain value, a list or a mapping")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.take(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.take(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.take(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.take(Value::Integer(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.take(Value::Integer(value.into()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Value, E> {
        self.take(Value::Integer(value))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Value, E> {
        // Above any number that a key takes; only the message shows it.
        self.take(i128::try_from(value).map_or(Value::Float(value as f64), Value::Integer))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.take(Value::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.take(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.take(Value::Null)?;
        let mut list = Vec::new();
        while let Some(node) = items.next_element_seed(self.numbering)? {
            list.push(node);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.take(Value::Null)?;
        let mut mapping = Vec::new();
        while let Some(key) = entries.next_key_seed(self.numbering)? {
            let node = entries.next_value_seed(self.numbering)?;
            mapping.push(Entry {
                number: key.number,
                key: key.value.into_key(),
                node,
            });
        }
        Ok(Value::Mapping(mapping))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(A::Error::custom("YAML tags (!name) mean nothing here"))
    }
}

impl Value {
    fn into_key(self) -> String {
        match self {
            Self::Text(text) => text,
            other => other.to_string(),
        }
    }
}

/// As a message shows what was found: short, and always on one line.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Null => f.write_str("nothing"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Text(text) => write!(f, "{}", quoted(text)),
            Self::List(items) if items.is_empty() => f.write_str("an empty list"),
            Self::List(_) => f.write_str("a list"),
            Self::Mapping(entries) if entries.is_empty() => f.write_str("an empty mapping"),
            Self::Mapping(_) => f.write_str("a mapping"),
        }
    }
}

/// A text in quotes, escaped, cut where it would flood the message, and without the user name and
/// password of a URL: a message goes into the log.
pub(super) fn quoted(text: &str) -> String {
    let text = &*without_user(text);
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

fn without_user(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Cow::Borrowed(text);
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, beyond) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((_, place)) => Cow::Owned(format!("{scheme}://(removed)@{place}{beyond}")),
        None => Cow::Borrowed(text),
    }
}
