//! What tells one object from all others: the one key, used for storing, coalescing and purging.
//!
//! Its bytes are kept in manifests, so the form stays: a version, then parts in a fixed order, each
//! a byte for its kind, a length and that many bytes. No two keys share a form, and a form can be
//! taken apart again, which is how a purge finds what lies below a URL.

/// The parts of an object's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectKey {
    /// `cache.version`: raising it empties the cache at once.
    pub version: u32,
    /// The host that was asked, in lower case, or the route's name for it.
    pub host: String,
    /// The path.
    pub path: String,
    /// The query, as far as it tells objects apart; `None` where there is none.
    pub query: Option<String>,
    /// What else tells objects apart, in a fixed order.
    pub extras: Vec<Extra>,
}

/// One further part of a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Extra {
    /// Where it comes from.
    pub kind: ExtraKind,
    /// Its name, in the one form that the route gives it.
    pub name: String,
    /// Its value; empty where the request has none.
    pub value: String,
}

/// Where a further part of a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExtraKind {
    /// A header field of the request.
    Field,
    /// A cookie of the request.
    Cookie,
    /// A parameter that makes a derivative.
    Variant,
}

const HOST: u8 = b'h';
const PATH: u8 = b'p';
const QUERY: u8 = b'q';
const VALUE: u8 = b'=';

impl ExtraKind {
    const ALL: [Self; 3] = [Self::Field, Self::Cookie, Self::Variant];

    fn tag(self) -> u8 {
        match self {
            Self::Field => b'f',
            Self::Cookie => b'c',
            Self::Variant => b'v',
        }
    }
}

impl ObjectKey {
    /// The key as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let query = self.query.as_ref();
        let length = self.host.len() + self.path.len() + query.map_or(0, String::len);
        let mut bytes = Vec::with_capacity(length + 24);
        bytes.extend(self.version.to_be_bytes());
        put(&mut bytes, HOST, &self.host);
        put(&mut bytes, PATH, &self.path);
        if let Some(query) = query {
            put(&mut bytes, QUERY, query);
        }
        for extra in &self.extras {
            put(&mut bytes, extra.kind.tag(), &extra.name);
            put(&mut bytes, VALUE, &extra.value);
        }
        bytes
    }

    /// The key whose bytes these are; `None` where they are nobody's.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk()?;
        let mut parts = Parts(rest);
        let key = Self {
            version: u32::from_be_bytes(*version),
            host: parts.take(HOST)?,
            path: parts.take(PATH)?,
            query: parts.take(QUERY),
            extras: std::iter::from_fn(|| parts.extra()).collect(),
        };
        parts.0.is_empty().then_some(key)
    }

    /// Path and query together, as a client would write them.
    pub fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

fn put(bytes: &mut Vec<u8>, tag: u8, part: &str) {
    let length = u32::try_from(part.len()).expect("request heads are far below 4 GiB");
    bytes.push(tag);
    bytes.extend(length.to_be_bytes());
    bytes.extend(part.as_bytes());
}

/// The parts that are still to be taken.
struct Parts<'a>(&'a [u8]);

impl Parts<'_> {
    /// The next part, if it is of this kind; otherwise nothing is taken.
    fn take(&mut self, tag: u8) -> Option<String> {
        let (length, rest) = self.0.strip_prefix(&[tag])?.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (part, rest) = rest.split_at_checked(length)?;
        let text = std::str::from_utf8(part).ok()?.to_owned();
        self.0 = rest;
        Some(text)
    }

    fn extra(&mut self) -> Option<Extra> {
        let kind = ExtraKind::ALL
            .into_iter()
            .find(|kind| self.0.first() == Some(&kind.tag()))?;
        Some(Extra {
            kind,
            name: self.take(kind.tag())?,
            value: self.take(VALUE)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_key() -> impl Strategy<Value = ObjectKey> {
        let text = || "[a-c:=?\u{e4}]{0,4}";
        let kind = prop::sample::select(ExtraKind::ALL.to_vec());
        let extra =
            (kind, text(), text()).prop_map(|(kind, name, value)| Extra { kind, name, value });
        let extras = prop::collection::vec(extra, 0..3);
        (0u32..3, text(), text(), prop::option::of(text()), extras).prop_map(
            |(version, host, path, query, extras)| ObjectKey {
                version,
                host,
                path,
                query,
                extras,
            },
        )
    }

    /// An upgrade must find what its predecessor has stored: these bytes stay as they are.
    #[test]
    fn the_form_is_stable() {
        let key = ObjectKey {
            version: 1,
            host: "a.example".into(),
            path: "/f.mp4".into(),
            query: Some("b=1".into()),
            extras: vec![Extra {
                kind: ExtraKind::Variant,
                name: "width".into(),
                value: "720".into(),
            }],
        };
        let bytes = b"\0\0\0\x01h\0\0\0\x09a.examplep\0\0\0\x06/f.mp4q\0\0\0\x03b=1\
                      v\0\0\0\x05width=\0\0\0\x03720";
        assert_eq!(key.encode(), bytes);
    }

    proptest! {
        #[test]
        fn different_keys_have_different_bytes(a in any_key(), b in any_key()) {
            prop_assert_eq!(a == b, a.encode() == b.encode());
        }

        #[test]
        fn a_key_can_be_taken_apart(key in any_key()) {
            prop_assert_eq!(ObjectKey::decode(&key.encode()), Some(key));
        }

        #[test]
        fn what_is_cut_or_longer_is_no_key(key in any_key(), cut in 0usize..8, more in "[a-z]{1,3}") {
            let bytes = key.encode();
            let shorter = ObjectKey::decode(&bytes[..bytes.len().saturating_sub(cut + 1)]);
            prop_assert_ne!(shorter, Some(key.clone()));
            let longer = [bytes, more.into_bytes()].concat();
            prop_assert_ne!(ObjectKey::decode(&longer), Some(key));
        }

        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(key) = ObjectKey::decode(&bytes) {
                prop_assert_eq!(key.encode(), bytes);
            }
        }
    }
}
