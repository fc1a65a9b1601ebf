//! The one key function: used for storing, coalescing and purging alike.

/// What sets one object apart from all others.
#[derive(Clone, Copy, Debug)]
pub struct KeyParts<'a> {
    /// `cache.version`: raising it empties the cache at once.
    pub version: u32,
    /// The host that was asked, as the client wrote it.
    pub host: &'a str,
    /// Path and query, as they go to the origin.
    pub target: &'a str,
}

impl KeyParts<'_> {
    /// The key. Every part is preceded by its length, so that no two sets of parts meet.
    pub fn encode(&self) -> Vec<u8> {
        let host = self.host.to_ascii_lowercase();
        let mut key = Vec::with_capacity(host.len() + self.target.len() + 16);
        key.extend(self.version.to_be_bytes());
        for part in [host.as_bytes(), self.target.as_bytes()] {
            key.extend((part.len() as u32).to_be_bytes());
            key.extend(part);
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn different_parts_have_different_keys(
            a in (0u32..3, "[a-c:]{0,4}", "/[a-c]{0,4}"), b in (0u32..3, "[a-c:]{0,4}", "/[a-c]{0,4}"),
        ) {
            let key = |(version, host, target): &(u32, String, String)| {
                KeyParts { version: *version, host, target }.encode()
            };
            prop_assert_eq!(a == b, key(&a) == key(&b));
        }
    }
}
