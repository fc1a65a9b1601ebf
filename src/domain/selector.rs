//! Which stored objects a purge is meant for.

use super::{ObjectKey, Tags};
use serde::{Deserialize, Serialize};

/// What a purge names. Hosts and paths are those of keys, so that the one key function decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// All variants of one URL: everything at this place.
    Url(String),
    /// Every place that begins with one of these.
    Prefix(Vec<String>),
    /// Every object that the origin gave this tag.
    Tag(String),
    /// Everything.
    All,
}

impl Selector {
    /// All variants of what a key stands for, whatever else tells them apart.
    pub fn of_url(key: &ObjectKey) -> Self {
        Self::Url(place(&key.host, &key.target()))
    }

    /// All variants of a target on a host, as keys have them.
    pub fn at(host: &str, target: &str) -> Self {
        Self::Url(place(host, target))
    }

    /// What lies below a path, or a path and the beginning of a query, on any of these hosts.
    pub fn of_prefix<'a>(hosts: impl IntoIterator<Item = &'a str>, target: &str) -> Self {
        Self::Prefix(hosts.into_iter().map(|host| place(host, target)).collect())
    }

    /// Whether the tags of an object make a difference.
    pub fn minds_tags(&self) -> bool {
        matches!(self, Self::Tag(_))
    }

    /// Whether an object at this place and with these tags is meant.
    pub fn takes(&self, place: &str, tags: &Tags) -> bool {
        match self {
            Self::Url(own) => own == place,
            Self::Prefix(all) => all.iter().any(|prefix| place.starts_with(prefix.as_str())),
            Self::Tag(tag) => tags.take_part_in(tag),
            Self::All => true,
        }
    }
}

/// Where an object lies: its host and its target, without the cache version and without what
/// tells variants apart. Empty for bytes that are no key.
pub fn place_of(key: &[u8]) -> String {
    let key = ObjectKey::decode(key);
    key.map_or_else(String::new, |key| place(&key.host, &key.target()))
}

/// Neither hosts nor paths have a NUL, so that no host's places begin like another's.
fn place(host: &str, target: &str) -> String {
    format!("{host}\0{target}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Extra, ExtraKind};

    fn key(host: &str, path: &str, query: Option<&str>) -> ObjectKey {
        ObjectKey {
            version: 1,
            host: host.into(),
            path: path.into(),
            query: query.map(str::to_owned),
            extras: Vec::new(),
        }
    }

    fn takes(selector: &Selector, key: &ObjectKey) -> bool {
        selector.takes(&place_of(&key.encode()), &Tags::default())
    }

    #[test]
    fn a_url_means_all_its_variants_and_nothing_else() {
        let film = key("a.example", "/f", Some("b=1"));
        let selector = Selector::of_url(&film);
        let mut variant = film.clone();
        variant.version = 7;
        variant.extras.push(Extra {
            kind: ExtraKind::Variant,
            name: "width".into(),
            value: "720".into(),
        });
        assert!(takes(&selector, &film) && takes(&selector, &variant));
        for other in [
            key("a.example", "/f", None),
            key("a.example", "/f", Some("b=12")),
            key("b.example", "/f", Some("b=1")),
        ] {
            assert!(!takes(&selector, &other), "{other:?}");
        }
    }

    #[test]
    fn a_prefix_ends_where_it_says() {
        let below = Selector::of_prefix(["a.example", "films"], "/f/");
        for (host, path, meant) in [
            ("a.example", "/f/1", true),
            ("films", "/f/", true),
            ("a.example", "/f", false),
            ("a.example.org", "/f/1", false),
            ("b.example", "/f/1", false),
        ] {
            assert_eq!(takes(&below, &key(host, path, None)), meant, "{host}{path}");
        }
        let query = Selector::of_prefix(["a.example"], "/f?id=");
        assert!(takes(&query, &key("a.example", "/f", Some("id=7"))));
        assert!(!takes(&query, &key("a.example", "/f", Some("x=7"))));
    }

    #[test]
    fn what_is_no_key_is_nowhere() {
        let nowhere = place_of(b"\x07");
        let tags = Tags::default();
        assert!(!Selector::of_prefix([""], "/").takes(&nowhere, &tags));
        assert!(Selector::All.takes(&nowhere, &tags));
    }
}
